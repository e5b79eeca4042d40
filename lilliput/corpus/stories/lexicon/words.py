NOUNS=frozenset("ball house bed tree kite".split())
VERBS=frozenset("ran said looked".split())
ADJECTIVES=frozenset("little red happy sad".split())
