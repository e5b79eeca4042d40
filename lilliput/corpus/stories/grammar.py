"""English word forms and the last pass over a text: verbs, plurals, a/an, capitals, spaces."""

import re
from functools import cache

from lilliput.corpus.stories.lexicon import phrases, words

# base past, where the rules below do not give it.
_IRREGULAR = dict(
    row.split()
    for row in phrases(
        """
be was|become became|begin began|bend bent|bite bit|blow blew|break broke|bring brought|
build built|buy bought|catch caught|choose chose|come came|creep crept|cut cut|dig dug|do did|
draw drew|dream dreamed|drink drank|drive drove|eat ate|fall fell|feed fed|feel felt|fight fought|
find found|fly flew|forget forgot|forgive forgave|freeze froze|get got|give gave|go went|grow grew|
hang hung|have had|hear heard|hide hid|hit hit|hold held|hurt hurt|keep kept|kneel knelt|know knew|
lead led|leave left|let let|lie lay|light lit|lose lost|make made|mean meant|meet met|pay paid|
put put|read read|ride rode|ring rang|rise rose|run ran|say said|see saw|sell sold|send sent|
set set|shake shook|shine shone|show showed|shut shut|sing sang|sink sank|sit sat|sleep slept|
slide slid|speak spoke|spend spent|spin spun|stand stood|steal stole|stick stuck|sweep swept|
swim swam|swing swung|take took|teach taught|tear tore|tell told|think thought|throw threw|
understand understood|wake woke|wear wore|weave wove|win won|wind wound|write wrote|spread spread|
sting stung|overhear overheard|shrink shrank"""
    )
)
# Short verbs that double their last letter.
_DOUBLING = frozenset(
    words(
        """stop hop clap hug pat tap skip slip trip drop grab nod rub plan wag zip flap dip sip mop
wrap chat beg jog rip tug hum pop pet plop run sit get put cut swim win dig hit let set shut spin
begin forget snap step chop scrub drip bat tiptap pin stir grin drag trap"""
    )
)
_SHORT_ADJECTIVES = frozenset(
    words("kind brave shy clever gentle friendly quiet funny busy proud silly polite")
)
_PLURALS = {
    "child": "children",
    "mouse": "mice",
    "goose": "geese",
    "foot": "feet",
    "leaf": "leaves",
}


@cache
def past(verb: str) -> str:
    """The simple past of a base form: run → ran, hop → hopped, carry → carried."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in _DOUBLING else "") + "ed"


@cache
def participle(verb: str) -> str:
    """The -ing form of a base form: run → running, make → making, lie → lying."""
    if verb in {"lie", "die", "tie"}:
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")) and verb != "be":
        return verb[:-1] + "ing"
    return verb + (verb[-1] if verb in _DOUBLING else "") + "ing"


@cache
def plural(noun: str) -> str:
    """The plural of a countable noun: box → boxes, berry → berries, leaf → leaves."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


@cache
def superlative(adjective: str) -> str:
    """kind → kindest, funny → funniest, curious → most curious."""
    if adjective not in _SHORT_ADJECTIVES:
        return "most " + adjective
    if adjective.endswith("y") and adjective != "shy":
        return adjective[:-1] + "iest"
    return adjective + ("st" if adjective.endswith("e") else "est")


@cache
def possessive(name: str) -> str:
    """The possessive of a singular noun phrase: Tom → Tom's."""
    return name + "'s"


def join(names: list[str]) -> str:
    """A list in words: `Tom, Lily and Sam`."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


# Marks the place where a sentence or a quotation starts, until `finish` puts the capital there.
START = "\x01"

# "a" before a vowel sound: a written vowel, except where it sounds like "you" or "won"; silent h.
# Two patterns with a fixed beginning are much faster to search for than one with \b.
_VOWEL = r"(?=(?!one\b|once\b|uni[^nm]|use|usu|eu)[aeiou]|hour|honest)"
_A_INSIDE = re.compile(" a " + _VOWEL)
_A_FIRST = re.compile(START + "a " + _VOWEL)
_STARTS = re.compile(START + r"([^\w\x01]*)(\w?)")


def finish(text: str) -> str:
    """Put spaces, articles (a/an) and capitals right; the text then holds no marks."""
    while "  " in text:
        text = text.replace("  ", " ")
    for stop in ",.!?":
        text = text.replace(" " + stop, stop)
    text = _A_FIRST.sub(START + "an ", _A_INSIDE.sub(" an ", text))
    return _STARTS.sub(lambda found: found[1] + found[2].upper(), text)
