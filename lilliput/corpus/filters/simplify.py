"""Hard words for easy ones, from a map: inflections, capitals and articles are kept right."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from lilliput.corpus.filters.inflections import Form, inflect, inflections
from lilliput.corpus.filters.plain_words import PLAIN_WORDS
from lilliput.corpus.filters.word_maps import read_word_map
from lilliput.corpus.stages import Example, Outcome, keeping, texts_of, with_texts

_MOST_EXAMPLES = 20
_CONTEXT = 60
_VOWEL_SOUND = re.compile(
    r"(?!eu|uni(?![nm])|us[eu]|one\b|once)[aeiou]|hono[u]?r|hour|heir|honest", re.IGNORECASE
)
# A form of "have" or "be" shortly before tells a participle from a past tense.
_AUXILIARY = re.compile(
    r"\b(?:have|has|had|having|be|been|being|is|are|was|were|am|'ve|'s|'re|get|gets|got)"
    r"(?:\s+(?:not|never|always|also|just|already|\w+ly))?\s+$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Simplify:
    """Replaces hard English words by easy ones, and says which, how often and where.

    words: file of the map: JSON {"utilize": "use"}, or CSV with columns `from` and `to` (see
        `word_maps.write_word_map` for one from a CEFR list). Without it, a list of some 150 words
        of official English with plain ones.

    The map gives base forms; plurals, "-ed", "-ing" and the third person are replaced by the
    same form of the easy word ("endeavoured" by "tried"). Capitals are kept, and "a" or "an"
    before the word is set right. Phrases can be replaced too, as they stand.
    """

    words: str | None = None

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        table = _replacements(self.words)
        texts = texts_of(batch)
        counts = Counter[str]()
        examples: list[Example] = []
        for row, text in enumerate(texts):
            found: list[tuple[str, re.Match[str], str]] = []
            replaced = table.apply(text, lambda *one, found=found: found.append(one))
            counts.update(provenance for provenance, _, _ in found)
            for provenance, match, new in found[: _MOST_EXAMPLES - len(examples)]:
                before, after = _context(text, match, new)
                examples.append(Example(row, provenance, before, after))
            texts[row] = replaced
        return keeping(with_texts(batch, texts), (), counts=counts, examples=examples)


@dataclass(frozen=True)
class _Replacement:
    """The easy word for one form of a hard one; `participle` where it has another one."""

    provenance: str
    new: str
    participle: str


@dataclass(frozen=True)
class _Replacements:
    """Every form in lower case with its replacement, and the pattern that finds candidates."""

    forms: Mapping[str, _Replacement]
    pattern: re.Pattern[str]

    def apply(self, text: str, found: Callable[[str, re.Match[str], str], None]) -> str:
        """The text with all replacements; `found` is told of each, with its match and new text."""

        def replace(match: re.Match[str]) -> str:
            replacement = self.forms.get(match["word"].lower())
            if replacement is None:
                return match[0]
            new = replacement.new
            if replacement.participle != new and _AUXILIARY.search(
                text, max(0, match.start() - 30), match.start()
            ):
                new = replacement.participle
            new = _with_capitals_of(match["word"], new)
            if match["article"]:
                article = "an" if _VOWEL_SOUND.match(new) else "a"
                new = _with_capitals_of(match["article"], article) + match["gap"] + new
            found(replacement.provenance, match, new)
            return new

        return self.pattern.sub(replace, text)


@cache
def _replacements(path: str | None) -> _Replacements:
    words = PLAIN_WORDS if path is None else read_word_map(path)
    forms: dict[str, _Replacement] = {}
    for hard, easy in words.items():
        provenance = f"{hard} → {easy}"
        for form, surface in inflections(hard):
            # A word of the map itself wins over a form of another.
            if surface == hard or (surface not in words and surface not in forms):
                forms[surface] = _Replacement(
                    provenance,
                    inflect(easy, form),
                    inflect(easy, Form.PARTICIPLE if form is Form.PAST else form),
                )
    phrases = sorted((form for form in forms if not form.isalpha()), key=len, reverse=True)
    alternatives = "|".join([*map(re.escape, phrases), r"[^\W\d_]+"])
    pattern = rf"\b(?:(?P<article>an?)(?P<gap>\s+))?(?P<word>{alternatives})\b"
    return _Replacements(forms, re.compile(pattern, re.IGNORECASE))


def _with_capitals_of(old: str, new: str) -> str:
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def _context(text: str, match: re.Match[str], new: str) -> tuple[str, str]:
    """Some characters around a replacement, before and after it."""
    left = text[max(0, match.start() - _CONTEXT) : match.start()]
    right = text[match.end() : match.end() + _CONTEXT]
    return left + match[0] + right, left + new + right
