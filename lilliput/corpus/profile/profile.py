"""What a corpus is made of, counted batch by batch; batches add up to the same in any grouping."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lilliput.corpus.profile.reading import Reading, read
from lilliput.corpus.profile.tables import TextTable, WordTable, add_counts, level_of
from lilliput.corpus.profile.words import word_counts

MOST_NAMES = {"source": 64, "language": 64, "license": 64, "theme": 16}
OTHERS = "(others)"
"""Where names beyond the most are counted."""

BINS_PER_DOUBLING = 8
CHARACTERS_BIN_RATIO = 2 ** (1 / BINS_PER_DOUBLING)
"""The upper edge of a bin of lengths over its lower edge."""
_LENGTH_EDGES = 2.0 ** (np.arange(1, 40 * BINS_PER_DOUBLING) / BINS_PER_DOUBLING)
_HISTOGRAM_SLICE = 1 << 16
_WORD_SAMPLE_BYTES, _READING_SAMPLE_BYTES = 64e6, 4e6

Measures = dict[str, int]


@dataclass(frozen=True)
class ProfileSettings:
    """How many documents the dear counts look at: one in so many, by the hash of the text.

    `words_one_in` for the vocabulary and the topics, `reading_one_in` for readability and machine
    phrases; powers of two. All else counts every document.
    """

    words_one_in: int = 1
    reading_one_in: int = 1

    def __post_init__(self) -> None:
        for name in ("words_one_in", "reading_one_in"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name} = {value}: must be a power of two")


def settings_for(text_bytes: int) -> ProfileSettings:
    """Settings with which the dear counts look at up to 64 MB (words) and 4 MB (reading)."""

    def one_in(wanted: float) -> int:
        return 1 << max(0, int(np.ceil(np.log2(max(text_bytes, 1) / wanted))))

    return ProfileSettings(one_in(_WORD_SAMPLE_BYTES), one_in(_READING_SAMPLE_BYTES))


@dataclass(frozen=True)
class Profile:
    """Counts over documents; `profile_facts` says what they mean. To be read only.

    `totals`: documents, bytes, characters, words (between ASCII white space), lines, and characters
    of each kind. `lengths`: documents by length bin (2^(bin/8) characters and up). `named`: for
    "source", "language", "license" and "theme" the measures of each name; of more than 64 names (16
    themes) those of the smallest hashes keep theirs. `grades`: documents by readability grade.
    """

    settings: ProfileSettings = field(default_factory=ProfileSettings)
    totals: Measures = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    named: dict[str, dict[str, Measures]] = field(default_factory=dict)
    grades: dict[int, int] = field(default_factory=dict)
    words: WordTable = field(default_factory=WordTable)
    texts: TextTable = field(default_factory=TextTable)


def merge(one: Profile, other: Profile) -> Profile:
    """The profile of the documents of both. Associative and commutative; both stay as they are.

    Raises ValueError if they were made with different settings.
    """
    return merge_all([one, other])


def merge_all(profiles: Iterable[Profile]) -> Profile:
    """The profile of the documents of all, in the memory of about two; empty for none."""
    return reduce(_grown, profiles, None) or Profile()


def profile(batch: pa.RecordBatch, settings: ProfileSettings | None = None) -> Profile:
    """The profile of a batch of documents.

    Column `text` is needed; `origin` (else `source`) says where a document comes from, `topic`
    (else where it comes from) its theme; `language` and `license` are counted where they are.
    A text that is null counts as empty.
    """
    settings = settings or ProfileSettings()
    texts = _Texts.of(batch)
    sources = _names(batch, "origin", "source")
    made = Profile(settings)
    sizes = {
        "documents": np.ones(batch.num_rows, dtype=np.int64),
        "bytes": np.diff(texts.offsets),
        "words": texts.words(),
    }
    add_counts(made.totals, {name: int(values.sum()) for name, values in sizes.items()})
    add_counts(made.totals, texts.kinds())
    add_counts(made.lengths, _length_counts(texts.array))
    themes = _names(batch, "topic") or sources or [""] * batch.num_rows
    for kind, names in (
        ("source", sources),
        ("theme", themes),
        ("language", _names(batch, "language")),
        ("license", _names(batch, "license")),
    ):
        if names:
            made.named[kind] = _measured(names, sizes)
    hashes = texts.hashes()
    made.texts.count(hashes)
    levels = np.array([level_of(text_hash) for text_hash in hashes], dtype=np.int64)
    made.words.base = settings.words_one_in.bit_length() - 1
    _count_words(made.words, texts.array, levels, themes)
    _read_sample(made, texts.array, levels, sources)
    _bound(made)
    return made


@dataclass(frozen=True)
class _Texts:
    """The texts of a batch as one run of UTF-8 bytes; text i lies at offsets[i]:offsets[i + 1]."""

    array: pa.Array
    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> "_Texts":
        array = batch.column("text").cast(pa.large_string()).fill_null("")
        _, places, content = array.buffers()
        offsets = np.frombuffer(places, dtype=np.int64) if places else np.zeros(1, dtype=np.int64)
        offsets = offsets[array.offset : array.offset + len(array) + 1]
        data = np.frombuffer(content or b"", dtype=np.uint8)
        return cls(array, data[offsets[0] : offsets[-1]], offsets - offsets[0])

    def hashes(self) -> list[int]:
        data, offsets = memoryview(self.data.tobytes()), self.offsets.tolist()
        return [
            int.from_bytes(hashlib.blake2b(data[start:stop], digest_size=8).digest(), "little")
            for start, stop in pairwise(offsets)
        ]

    def words(self) -> NDArray[np.int64]:
        """The words of each text: runs of bytes other than ASCII white space."""
        space = (self.data == 32) | (self.data - np.uint8(9) < 5)
        starts = ~space
        starts[1:] &= space[:-1]
        places = np.flatnonzero(starts)
        # A text may begin with a word right after the last one of the text before.
        begins = self.offsets[:-1][np.diff(self.offsets) > 0]
        joined = begins[~space[begins] & ~starts[begins]]
        counts = np.diff(np.searchsorted(places, self.offsets))
        counts[np.searchsorted(self.offsets, joined, side="right") - 1] += 1
        return counts

    def kinds(self) -> Measures:
        """Lines, and characters by kind."""
        counts = np.zeros(256, dtype=np.int64)
        for start in range(0, len(self.data), _HISTOGRAM_SLICE):
            counts += np.bincount(self.data[start : start + _HISTOGRAM_SLICE], minlength=256)
        ascii_counts = {chr(code): int(counts[code]) for code in range(128)}

        def total(test: str) -> int:
            return sum(count for letter, count in ascii_counts.items() if getattr(letter, test)())

        letters, digits, spaces = total("isalpha"), total("isdigit"), total("isspace")
        printable = total("isprintable") + spaces - ascii_counts[" "]
        beyond = int(counts[0xC0:].sum())
        not_empty = int(np.count_nonzero(np.diff(self.offsets)))
        return {
            "lines": ascii_counts["\n"] + not_empty,
            "characters": sum(ascii_counts.values()) + beyond,
            "letters": letters,
            "digits": digits,
            "white space": spaces,
            "punctuation": printable - letters - digits - spaces,
            "control": sum(ascii_counts.values()) - printable,
            "beyond ASCII": beyond,
        }


def _names(batch: pa.RecordBatch, *columns: str) -> list[str]:
    """The first of `columns` that the batch has, as text; nulls are "(unknown)"."""
    for column in columns:
        if column in batch.schema.names:
            values = batch.column(column)
            if not pa.types.is_nested(values.type):
                values = values.cast(pa.string())
            return ["(unknown)" if one is None else str(one) for one in values.to_pylist()]
    return []


def _length_counts(texts: pa.Array) -> dict[int, int]:
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    bins, counts = np.unique(
        np.searchsorted(_LENGTH_EDGES, lengths, side="right"), return_counts=True
    )
    return dict(zip(bins.tolist(), counts.tolist(), strict=True))


def _measured(names: Sequence[str], sizes: Mapping[str, NDArray[np.int64]]) -> dict[str, Measures]:
    encoded = pa.array(names).dictionary_encode()
    codes = encoded.indices.to_numpy()
    known: list[str] = encoded.dictionary.to_pylist()
    sums = {}
    for measure, values in sizes.items():
        sums[measure] = np.zeros(len(known), dtype=np.int64)
        np.add.at(sums[measure], codes, values)
    return {
        name: {measure: int(values[code]) for measure, values in sums.items()}
        for code, name in enumerate(known)
    }


def _count_words(
    table: WordTable, texts: pa.Array, levels: NDArray[np.int64], themes: Sequence[str]
) -> None:
    rows = np.flatnonzero(levels >= table.base).tolist()
    groups = [(int(levels[row]), themes[row]) for row in rows]
    chosen = texts if len(rows) == len(texts) else texts.take(pa.array(rows, pa.int64()))
    for (level, theme), words in word_counts(chosen, groups).items():
        table.levels.setdefault(level, {})[theme] = words
    table.fit()


def _read_sample(
    made: Profile, texts: pa.Array, levels: NDArray[np.int64], sources: Sequence[str]
) -> None:
    least = made.settings.reading_one_in.bit_length() - 1
    by_source = made.named.get("source", {})
    for row in np.flatnonzero(levels >= least).tolist():
        reading: Reading = read(texts[row].as_py())
        if reading.grade is not None:
            made.grades[reading.grade] = made.grades.get(reading.grade, 0) + 1
        if sources:
            counts = by_source[sources[row]]
            add_counts(counts, {"read documents": 1, "read words": reading.words})
            add_counts(counts, {f"phrase {name}": count for name, count in reading.phrases.items()})


def _grown(whole: Profile | None, more: Profile) -> Profile:
    """`whole` with `more` added in place; None begins a new one."""
    if whole is None:
        whole = Profile(more.settings)
        whole.words.limit, whole.texts.limit = more.words.limit, more.texts.limit
    if whole.settings != more.settings:
        raise ValueError(f"profiles of other settings: {whole.settings} and {more.settings}")
    add_counts(whole.totals, more.totals)
    add_counts(whole.lengths, more.lengths)
    add_counts(whole.grades, more.grades)
    for kind, names in more.named.items():
        known = whole.named.setdefault(kind, {})
        for name, measures in names.items():
            add_counts(known.setdefault(name, {}), measures)
    whole.words.add(more.words)
    whole.texts.add(more.texts)
    _bound(whole)
    return whole


def _bound(made: Profile) -> None:
    """Count the names beyond the most as others: the names of the smallest hashes stay.

    A name that stays in the whole stays in every part, so its counts are complete.
    """
    for kind, names in made.named.items():
        for name in _excess(names, MOST_NAMES[kind]):
            add_counts(names.setdefault(OTHERS, {}), names.pop(name))
    kept = made.named.get("theme", {})
    for themes in made.words.levels.values():
        for theme in [theme for theme in themes if theme not in kept]:
            add_counts(themes.setdefault(OTHERS, {}), themes.pop(theme))


def _excess(names: Iterable[str], most: int) -> list[str]:
    ordered = [name for name in names if name != OTHERS]
    if len(ordered) <= most:
        return []
    return sorted(ordered, key=lambda name: hashlib.blake2b(name.encode("utf-8")).digest())[most:]
