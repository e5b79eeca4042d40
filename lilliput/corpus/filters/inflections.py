"""English inflections by rule, with the irregular forms of common words."""

from collections.abc import Iterator
from enum import Enum, auto


class Form(Enum):
    """What an ending says; S is the plural and the third person alike."""

    BASE = auto()
    S = auto()
    PAST = auto()
    PARTICIPLE = auto()
    ING = auto()


# Base form: past tense and participle.
_IRREGULAR_VERBS = {
    line.split()[0]: (line.split()[1], line.split()[-1])
    for line in """
    be was been
    become became become
    begin began begun
    break broke broken
    bring brought
    build built
    buy bought
    catch caught
    choose chose chosen
    come came come
    cut cut
    do did done
    draw drew drawn
    eat ate eaten
    fall fell fallen
    feel felt
    fight fought
    find found
    fly flew flown
    forbid forbade forbidden
    forget forgot forgotten
    get got
    give gave given
    go went gone
    grow grew grown
    have had
    hear heard
    hide hid hidden
    hit hit
    hold held
    hurt hurt
    keep kept
    know knew known
    lead led
    leave left
    let let
    lose lost
    make made
    mean meant
    meet met
    pay paid
    put put
    read read
    ride rode ridden
    rise rose risen
    run ran run
    say said
    see saw seen
    sell sold
    send sent
    set set
    show showed shown
    shut shut
    sit sat
    sleep slept
    speak spoke spoken
    spend spent
    spread spread
    stand stood
    steal stole stolen
    swim swam swum
    take took taken
    teach taught
    tell told
    think thought
    throw threw thrown
    understand understood
    wear wore worn
    win won
    write wrote written
    """.strip().splitlines()
}
_IRREGULAR_S = {
    "be": "is",
    "child": "children",
    "do": "does",
    "foot": "feet",
    "go": "goes",
    "have": "has",
    "man": "men",
    "mouse": "mice",
    "person": "people",
    "tooth": "teeth",
    "woman": "women",
}
# Verbs of more than one syllable whose last consonant is doubled: the stress is on the end.
_DOUBLED = {"admit", "begin", "commit", "forget", "occur", "permit", "prefer", "refer", "regret"}
_VOWELS = "aeiou"


def inflect(word: str, form: Form) -> str:
    """That form of a base form; of a phrase, its first word's ("give up" → "gave up")."""
    first, space, rest = word.partition(" ")
    if form is Form.BASE:
        return word
    if form is Form.S:
        return _IRREGULAR_S.get(first, _with_s(first)) + space + rest
    if form is Form.ING:
        return _with_ing(first) + space + rest
    if first in _IRREGULAR_VERBS:
        past, participle = _IRREGULAR_VERBS[first]
        return (past if form is Form.PAST else participle) + space + rest
    return _with_ed(first) + space + rest


def inflections(word: str) -> Iterator[tuple[Form, str]]:
    """The forms of a base form that are spelled apart, each with what it says; BASE comes first.

    A regular past tense stands for the participle too.
    """
    yield Form.BASE, word
    if not word.isalpha():
        return
    seen = {word}
    for form in (Form.S, Form.PAST, Form.PARTICIPLE, Form.ING):
        surface = inflect(word, form)
        if surface not in seen:
            seen.add(surface)
            yield form, surface


def base_forms(word: str) -> Iterator[str]:
    """What a word (in lower case) may be an inflected form of; itself first."""
    yield word
    yield from _IRREGULAR_BASES.get(word, ())
    if word.endswith("ies") and len(word) > 4:
        yield word[:-3] + "y"
    if word.endswith("ied") and len(word) > 4:
        yield word[:-3] + "y"
    if word.endswith(("'s", "’s")):
        yield word[:-2]
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 2:
        yield word[:-1]
        if word.endswith("es"):
            yield word[:-2]
    for ending in ("ed", "ing", "er", "est"):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            stem = word[: -len(ending)]
            yield stem
            yield stem + "e"
            if stem.endswith("i"):
                yield stem[:-1] + "y"
            if stem[-1] == stem[-2] and stem[-1] not in _VOWELS:
                yield stem[:-1]


def _with_s(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")


def _with_ed(word: str) -> str:
    if word.endswith("e"):
        return word + "d"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ied"
    return _doubled(word) + "ed"


def _with_ing(word: str) -> str:
    if word.endswith("ie"):
        return word[:-2] + "ying"
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")) and word != "be":
        return word[:-1] + "ing"
    return _doubled(word) + "ing"


def _doubled(word: str) -> str:
    """The word with its last consonant twice, where it is short and has one short vowel."""
    short = (
        len(word) >= 3
        and word[-1] not in _VOWELS + "wxy"
        and word[-2] in _VOWELS
        and word[-3] not in _VOWELS
        and sum(letter in _VOWELS for letter in word) == 1
    )
    return word + word[-1] if short or word in _DOUBLED else word


def _irregular_bases() -> dict[str, tuple[str, ...]]:
    bases: dict[str, tuple[str, ...]] = {}
    for base, forms in _IRREGULAR_VERBS.items():
        for surface in forms:
            bases[surface] = (*bases.get(surface, ()), base)
    for base, surface in _IRREGULAR_S.items():
        bases[surface] = (*bases.get(surface, ()), base)
    for surface in ("am", "are", "were"):
        bases[surface] = ("be",)
    return bases


_IRREGULAR_BASES = _irregular_bases()
