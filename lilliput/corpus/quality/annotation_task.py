"""What a language model is asked about a document, and what an answer must look like."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lilliput.errors import UserError
from lilliput.files import read_json

_PLACE = "{text}"
_TYPES: Mapping[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}

# The scale is FineWeb-Edu's (arXiv 2406.17557, appendix): five points that add up, school level
# before expert level. The words are ours.
_EDUCATION = """Judge how much a school pupil could learn from the text below. Begin at 0 and add \
one point for each that holds:
1. It says something true about a subject people study, even among advertising or chatter.
2. A good part of it explains or informs, though it may wander or be loosely ordered.
3. It could serve in class: it brings in the main ideas of a subject and holds together.
4. It teaches one subject clearly and in order, like a section of a textbook with little beside it.
5. It is excellent for primary or secondary school: careful, complete for its level, easy to \
follow, and nothing in it distracts.
Writing for specialists earns no more points than writing for pupils.

The text:
{text}

Answer with one JSON object: "reason", one short sentence, and "education", the sum from 0 to 5."""

TOPICS = (
    "arts", "business", "computing", "daily life", "education", "entertainment", "fiction",
    "food", "health", "history", "home and garden", "language", "law", "mathematics", "nature",
    "news", "personal", "philosophy and religion", "politics", "science", "society", "sports",
    "technology", "travel", "other",
)  # fmt: skip

_TOPIC = f"""Say what the text below is mainly about. Choose one of: {", ".join(TOPICS)}.

The text:
{{text}}

Answer with one JSON object: "topic", one of the words above."""


@dataclass(frozen=True)
class AnnotationTask:
    """A question and the JSON schema of its answer, an object of plain values.

    `prompt` holds the text's place, `{text}`. Each property becomes a column of its name.
    """

    name: str
    prompt: str
    schema: Mapping[str, Any]

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """The columns that an answer fills, with their types."""
        return {name: _TYPES[_type_of(about)] for name, about in self.schema["properties"].items()}

    def question(self, text: str) -> str:
        """The prompt for one text."""
        return self.prompt.replace(_PLACE, text)

    def read(self, answer: str) -> dict[str, Any] | None:
        """The values in a model's answer; None where it holds no object that fits the schema."""
        found = _first_object(answer)
        properties = self.schema["properties"]
        if found is None or not all(
            name in found and _fits(found[name], about) for name, about in properties.items()
        ):
            return None
        return {name: found[name] for name in properties}


def _object(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


EDUCATION = AnnotationTask(
    "education",
    _EDUCATION,
    _object(
        {
            "reason": {"type": "string", "maxLength": 300},
            "education": {"type": "integer", "minimum": 0, "maximum": 5},
        }
    ),
)
TOPIC = AnnotationTask(
    "topic", _TOPIC, _object({"topic": {"type": "string", "enum": list(TOPICS)}})
)


def annotation_task(name: str) -> AnnotationTask:
    """The task "education" or "topic", or that of a JSON file with `prompt` and `schema`.

    Raises UserError, naming the file and what is wrong with it.
    """
    for task in (EDUCATION, TOPIC):
        if name == task.name:
            return task
    if not Path(name).is_file():
        raise UserError(
            f"annotate: task {name!r}: neither education nor topic nor a JSON file with "
            '"prompt" and "schema"'
        )
    described = read_json(name)
    prompt, schema = (
        (described.get("prompt"), described.get("schema"))
        if isinstance(described, dict)
        else (None, None)
    )
    if not isinstance(prompt, str) or _PLACE not in prompt:
        raise UserError(f'{name}: "prompt" must be a text that holds {_PLACE}')
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not properties:
        raise UserError(f'{name}: "schema" must be a JSON schema of an object with "properties"')
    for column, about in properties.items():
        if column in ("id", "text", "source"):
            raise UserError(f"{name}: property {column!r} would overwrite the document's own")
        if not isinstance(about, dict) or _type_of(about) not in _TYPES:
            raise UserError(
                f"{name}: property {column!r}: give it a type: {', '.join(_TYPES)}, or an enum"
            )
    return AnnotationTask(Path(name).stem, prompt, _object(properties))


def _type_of(about: Mapping[str, Any]) -> str:
    return str(about.get("type", "string" if "enum" in about else None))


def _first_object(answer: str) -> dict[str, Any] | None:
    """The first JSON object in a text that may say more."""
    decoder = json.JSONDecoder()
    place = answer.find("{")
    while place >= 0:
        try:
            found, _ = decoder.raw_decode(answer, place)
        except (ValueError, RecursionError):
            place = answer.find("{", place + 1)
            continue
        if isinstance(found, dict):
            return found
        place = answer.find("{", place + 1)
    return None


def _fits(value: Any, about: Mapping[str, Any]) -> bool:
    kind = _type_of(about)
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind == "string":
        sound = isinstance(value, str)
    elif kind == "integer":
        sound = isinstance(value, int) and abs(value) < 1 << 63
    else:
        sound = isinstance(value, int | float) and abs(value) <= 1e308
    if not sound or ("enum" in about and value not in about["enum"]):
        return False
    if kind == "string":
        return True
    low, high = about.get("minimum", value), about.get("maximum", value)
    return bool(low <= value <= high)
