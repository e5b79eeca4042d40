"""Python types as schemas, and what was written as their instances."""

import datetime
import enum
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict, Union

import jsonschema
import pytest
from constraint_writing import TEXTS, write
from pydantic import BaseModel, Field, field_validator

from lilliput.errors import UserError, WorkFailed
from lilliput.generate.constraints.rules import json_schema
from lilliput.generate.constraints.typed import SpanOf, instance_of, schema_of
from lilliput.tokens import Tokenizer, train_tokenizer

PROMPT = "Mario Rossi went home."


class Relation(enum.Enum):
    MOTHER = "mother"
    FATHER = "father"


@dataclass
class Address:
    street: Annotated[str, {"maxLength": 12}]
    code: Annotated[str, {"pattern": "^[0-9]{5}$"}]


@dataclass
class Person:
    name: Annotated[str, SpanOf("prompt")]
    age: Annotated[int, {"minimum": 0, "maximum": 120}]
    address: Address
    born: datetime.date
    kin: list[Relation]
    key: uuid.UUID
    friend: "Person | None" = None
    pair: tuple[int, bool] = (1, True)
    notes: dict[str, float] = field(default_factory=dict)


class Answer(TypedDict):
    number: int | None
    kind: NotRequired[Literal["x", "y"]]
    address: Address | int


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: Annotated[str, SpanOf("prompt")]


class Household(BaseModel):
    pet: Union[Cat, Dog] = Field(discriminator="kind")  # noqa: UP007 - as most write it
    others: list[Cat | Dog] = Field(min_length=1, max_length=2)
    moved: datetime.datetime
    share: float = Field(gt=0, le=1)


@pytest.fixture(scope="session")
def bpe() -> Tokenizer:
    return train_tokenizer(TEXTS, vocabulary_size=360)


def instances(kind: Any, tokenizer: Tokenizer, count: int = 8) -> list[Any]:
    rule = json_schema(schema_of(kind), tokenizer)
    return [
        instance_of(kind, tokenizer.decode(write(rule, tokenizer, 400, seed, PROMPT)[0]))
        for seed in range(count)
    ]


def test_dataclasses(bpe: Tokenizer) -> None:
    for person in instances(Person, bpe):
        assert isinstance(person, Person) and isinstance(person.address, Address)
        assert person.name in PROMPT and 0 <= person.age <= 120
        assert isinstance(person.born, datetime.date) and isinstance(person.key, uuid.UUID)
        assert all(isinstance(one, Relation) for one in person.kin)
        assert person.friend is None or isinstance(person.friend, Person)
        assert isinstance(person.pair, tuple) and len(person.pair) == 2
        assert all(isinstance(one, float) for one in person.notes.values())


def test_typed_dicts(bpe: Tokenizer) -> None:
    for answer in instances(Answer, bpe):
        assert {"number", "address"} <= answer.keys() <= {"number", "address", "kind"}
        assert isinstance(answer["address"], Address | int)


def test_pydantic_models(bpe: Tokenizer) -> None:
    made = instances(Household, bpe, 20)
    assert all(isinstance(one, Household) for one in made)
    assert {type(one.pet) for one in made} == {Cat, Dog}
    assert all(one.pet.name in PROMPT for one in made if isinstance(one.pet, Dog))


@pytest.mark.parametrize(
    ("kind", "of"), [(int, int), (list[Address], list), (Literal["a", "b"], str), (float, float)]
)
def test_plain_types(bpe: Tokenizer, kind: Any, of: type) -> None:
    assert all(isinstance(one, of) for one in instances(kind, bpe, 3))


def test_schemas_are_schemas() -> None:
    for kind in (Person, Answer, Household, dict[str, Any], tuple[int, ...], bool | None):
        jsonschema.Draft202012Validator.check_schema(schema_of(kind))
    assert schema_of(Answer)["$defs"][f"{__name__}.Answer"]["required"] == ["number", "address"]


@pytest.mark.parametrize("kind", [set[int], dict[int, str], bytes, object])
def test_other_types_are_refused(kind: Any) -> None:
    with pytest.raises(UserError, match=r"no type that JSON can hold|names in JSON are strings"):
        schema_of(kind)


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("odd")
        return value


def test_what_only_the_type_can_check_fails_the_work() -> None:
    assert instance_of(Even, '{"number":2}').number == 2
    with pytest.raises(WorkFailed, match="no Even"):
        instance_of(Even, '{"number":1}')
    with pytest.raises(WorkFailed, match="no Address"):
        instance_of(Address, '{"street":"x"}')
