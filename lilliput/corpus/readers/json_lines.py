"""JSON lines: an object a line."""

import json

from lilliput.corpus.readers.columns import Types
from lilliput.corpus.readers.encodings import decode
from lilliput.corpus.readers.lines import LineNumbers, lines_of
from lilliput.corpus.readers.records import Counts, Malformed, Records
from lilliput.corpus.readers.rows import RowError, document_of_row, json_type
from lilliput.corpus.readers.source import Source, Span


def read_json_lines(span: Span, source: Source, counts: Counts) -> Records:
    """The documents of the lines that begin in the span; blank lines are passed over."""
    numbers = LineNumbers(span, source.encoding)
    for index, line in enumerate(lines_of(span, counts, source.encoding)):
        if line.isspace():
            continue
        try:
            row = json.loads(decode(line, counts))
        except (ValueError, RecursionError) as error:
            yield Malformed("not_json", numbers.where(index), f"not valid JSON: {error}")
            continue
        if not isinstance(row, dict):
            problem = f"expected a JSON object, found {json_type(row)}"
            yield Malformed("not_an_object", numbers.where(index), problem)
            continue
        try:
            yield document_of_row(row, span.name, source, counts)
        except RowError as error:
            yield Malformed(error.rule, numbers.where(index) + error.place, error.problem)


def known_types(span: Span, source: Source) -> Types | None:
    """The metadata columns: known only where there are to be none."""
    return {} if source.metadata == () and not source.columns else None
