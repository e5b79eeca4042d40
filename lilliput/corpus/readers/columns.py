"""Metadata columns: the type that holds all values of a column, and values brought to it.

The types form a lattice, so that the type of a column does not depend on how the values came in
batches: null < true/false; null < int64 < double; null < list of these; all < text. In a column of
text, values that are none stand as JSON.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa

Types = dict[str, pa.DataType]
_INT64 = range(-(2**63), 2**63)


def column_type(values: Iterable[Any]) -> pa.DataType:
    """The type of a column that holds `values` (as JSON has them)."""
    kind = pa.null()
    for value in values:
        kind = common_type(kind, _value_type(value))
        if kind == pa.string():
            break
    return kind


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The smallest type that holds the values of both."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(one) and pa.types.is_list(other):
        inner = common_type(one.value_type, other.value_type)
        joined = {one.value_type, other.value_type} - {pa.null()}
        if inner != pa.string() or joined == {pa.string()}:
            return pa.list_(inner)
    return pa.string()


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The column type that holds the values of an Arrow column of type `kind`."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return kind
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = plain_type(kind.value_type)
        nested = pa.types.is_nested(kind.value_type)
        return pa.string() if nested else pa.list_(inner)
    return pa.string()


def common_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The schema that holds the batches of all `schemas`: columns in order of appearance."""
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            types[field.name] = common_type(types.get(field.name, pa.null()), field.type)
    return pa.schema(list(types.items()))


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """`batch` with the columns and types of `schema`, a `common_schema` of its own and others."""
    if batch.schema.equals(schema):
        return batch
    columns = []
    for field in schema:
        place = batch.schema.get_field_index(field.name)
        if place < 0:
            columns.append(pa.nulls(batch.num_rows, field.type))
        elif batch.schema.field(place).type == field.type:
            columns.append(batch.column(place))
        else:
            columns.append(column(batch.column(place).to_pylist(), field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An array of `values` of the type `kind`, which must hold them."""
    if kind == pa.string():
        values = [None if value is None else as_text(value) for value in values]
    elif pa.types.is_list(kind) and kind.value_type == pa.string():
        values = [value and [None if i is None else as_text(i) for i in value] for value in values]
    elif kind == pa.float64():
        values = [None if value is None else float(value) for value in values]
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([_clean(value) for value in values], kind)


def _clean(value: Any) -> Any:
    """A value without halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return [_clean(item) for item in value] if isinstance(value, list) else value


def as_text(value: Any) -> str:
    """A value in a column of text: text as it is, times as ISO 8601 has them, the rest as JSON.

    Whole numbers stand without a fraction, so that 5.0 reads like 5.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(_whole(value), ensure_ascii=False, default=str)
    return str(value)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _whole(item) for name, item in value.items()}
    return value


def _value_type(value: Any) -> pa.DataType:
    if value is None:
        return pa.null()
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64() if value in _INT64 else pa.string()
    if isinstance(value, float):
        return pa.float64()
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        inner = column_type(value)
        if inner == pa.string() and not all(isinstance(i, str) for i in value if i is not None):
            return pa.string()
        return pa.list_(inner)
    return pa.string()
