"""What is read: a source as `corpus.toml` describes it, and the pieces it is cut into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lilliput.corpus.readers.templates import parts_of
from lilliput.errors import UserError

FORMATS = (
    "text",
    "markdown",
    "html",
    "jsonl",
    "csv",
    "tsv",
    "parquet",
    "warc",
    "wet",
    "mediawiki",
    "hub",
    "corpus",
)


@dataclass(frozen=True)
class Source:
    """Where documents come from and how they are read.

    `location` is a file, a folder (read recursively, in order of name), a glob, a corpus folder,
    `owner/name` (a dataset of the Hugging Face Hub), `simplewiki` (Simple English Wikipedia; any
    wiki of dumps.wikimedia.org likewise) or a URL (http(s)://, s3://, gs:// and whatever else
    fsspec opens). `format` overrules what the file names say.

    `name` goes into the column `origin` (by default the location), `license` into the column
    `license` of documents that bring none; `attribution` is kept for the attribution file.

    Rows (jsonl, csv, tsv, parquet, hub): the text stands in `text_field` (dots reach into nested
    fields: "meta.body"), or is made of several fields by `template`: a text with fields in braces
    ("{age}-year-old {job}: {note}"; literal braces doubled) or "lines" ("key: value" lines).
    `missing` stands for an empty field in a template. `columns` names columns taken from a field of
    another name or from a nested one ({"url": "meta.url"}); `metadata` the fields kept as further
    columns: all by default.

    `malformed` says what happens to a record that cannot be read: "stop" ends with its file, line
    and field; "skip" leaves it out and counts it. `encoding` overrules how bytes are decoded;
    `mojibake` repairs text that was decoded wrongly once before ("â€™" for "’").

    `extraction` says what becomes of HTML (html, warc): "main" (the main content, by resiliparse),
    "all" (every visible text) or "trafilatura". `markup` says what becomes of Markdown: "keep" or
    "strip".

    Tables (csv, tsv): `fields` names the columns where no first line does, `delimiter` what stands
    between fields (tsv: a tab; csv: the most frequent in the first line of `,;|` and tab), `quote`
    what encloses them ("": nothing does). `split`, `subset` and `revision` choose within a Hub
    dataset (`revision` also the date of a Wikipedia dump, "20251020"), `namespaces` the pages of a
    MediaWiki dump (0: articles).

    Raises UserError for a setting that is none.
    """

    location: str
    name: str | None = None
    format: str | None = None
    license: str | None = None
    attribution: str | None = None
    text_field: str = "text"
    template: str | None = None
    missing: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    metadata: tuple[str, ...] | None = None
    malformed: Literal["stop", "skip"] = "stop"
    encoding: str | None = None
    mojibake: bool = True
    extraction: Literal["main", "all", "trafilatura"] = "main"
    markup: Literal["keep", "strip"] = "keep"
    fields: tuple[str, ...] | None = None
    delimiter: str | None = None
    quote: str = '"'
    split: str = "train"
    subset: str | None = None
    revision: str | None = None
    namespaces: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if not self.location:
            raise UserError("a source needs a location")
        _one_of(self, "format", (None, *FORMATS))
        _one_of(self, "malformed", ("stop", "skip"))
        _one_of(self, "extraction", ("main", "all", "trafilatura"))
        _one_of(self, "markup", ("keep", "strip"))
        if self.template is not None:
            parts_of(self.template)
        for setting in ("delimiter", "quote"):
            if len(getattr(self, setting) or "") > 1:
                raise UserError(f"{self.location}: {setting} must be one character")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError:
                raise UserError(
                    f"{self.location}: encoding {self.encoding!r} is not known to Python"
                ) from None

    @property
    def origin(self) -> str:
        """The name under which its documents are counted."""
        return self.location if self.name is None else self.name


def _one_of(source: Source, setting: str, choices: tuple[str | None, ...]) -> None:
    value = getattr(source, setting)
    if value not in choices:
        known = ", ".join(choice for choice in choices if choice is not None)
        raise UserError(f"{source.location}: {setting} = {value!r} is none of: {known}")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of one file: what stands between `start` and `stop`.

    Both count bytes of the file, but row groups in Parquet. Which records belong to a span is each
    format's affair; the spans of a file always give its records once each, in order. `name` is the
    file's name for the column `source`; `bytes` the input it stands for, for progress;
    `fingerprint` changes when the file does.
    """

    location: str
    name: str
    format: str
    start: int
    stop: int
    bytes: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A unit of work: a part of a large file or several small files of one source, in order.

    `source` is the number of the source in the list that was cut.
    """

    source: int
    spans: tuple[Span, ...]

    @property
    def bytes(self) -> int:
        """Bytes of input, for progress (0 where not known)."""
        return sum(span.bytes for span in self.spans)

    @property
    def fingerprint(self) -> str:
        """Changes when one of the files does."""
        return "\n".join(
            f"{span.location} {span.start}-{span.stop} {span.fingerprint}" for span in self.spans
        )
