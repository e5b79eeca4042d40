"""Small variation that any line may have without its author's care: synonyms and contractions."""

from __future__ import annotations

import re

from lilliput.corpus.stories.discourse import Telling
from lilliput.corpus.stories.lexicon import rows

# Interchangeable wherever our scripts use them.
_SYNONYMS = rows("""
began to | started to
at once | right away
all day | the whole day
all morning | the whole morning
all afternoon | the whole afternoon
everyone | everybody
everybody | everyone
nobody | no one
somebody | someone
suddenly | all of a sudden | all at once
at last | in the end | finally
for a long time | for a long while | for quite some time
almost | nearly
afraid of | scared of
was afraid | was scared
wonderful | lovely | great
each other | one another
once more | one more time | again
just then | at that moment
the children | the kids
very happy | really happy | so happy
very sad | really sad | so sad
a moment later | a second later
""")

_CONTRACTIONS = rows("""
do not | don't
did not | didn't
does not | doesn't
could not | couldn't
cannot | can't
is not | isn't
are not | aren't
was not | wasn't
were not | weren't
will not | won't
would not | wouldn't
should not | shouldn't
had not | hadn't
i am | I'm
i will | I'll
you are | you're
you will | you'll
we are | we're
we will | we'll
they are | they're
it is | it's
that is | that's
there is | there's
what is | what's
let us | let's
""")

_CONTRACTED = dict(_CONTRACTIONS)
_SYNONYM_SETS = {row[0]: tuple(row) for row in _SYNONYMS}
# "I am" and its like stay whole at the end of a clause ("here I am.") and before "not", and
# "let us" after "please" (allow us).
_VARIABLE = re.compile(
    r"(?<!please, )(?<!very, )\b(?:(?:"
    + "|".join(key for key in _CONTRACTED if not key.endswith("not"))
    + r")\b(?= )(?! not\b)|(?:"
    + "|".join(key for key in _CONTRACTED if key.endswith("not"))
    + r")\b|(?:"
    + "|".join(sorted(_SYNONYM_SETS, key=len, reverse=True))
    + r")\b(?! long\b))",
    re.IGNORECASE,
)


class Variant:
    """A word or phrase of a script that is told in one of several ways."""

    __slots__ = ("contraction", "forms")

    def __init__(self, found: str) -> None:
        key = found.lower()
        self.contraction = key in _CONTRACTED
        forms = (key, _CONTRACTED[key]) if self.contraction else _SYNONYM_SETS[key]
        self.forms = tuple(
            found if form == key else form[0].upper() + form[1:] if found[0].isupper() else form
            for form in forms
        )

    def __call__(self, telling: Telling) -> str:
        if telling.plain:
            return self.forms[0]
        if not self.contraction:
            return self.forms[int(telling.random() * len(self.forms))]
        likely = 0.8 if telling.quoting or telling.casual else 0.0
        return self.forms[telling.random() < likely]


def vary(text: str) -> list[str | Variant]:
    """The text in pieces, those that can vary as `Variant`s."""
    pieces: list[str | Variant] = []
    start = 0
    for found in _VARIABLE.finditer(text):
        pieces += [text[start : found.start()], Variant(found[0])]
        start = found.end()
    return [*pieces, text[start:]]
