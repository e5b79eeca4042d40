"""Places: noun | preposition | spots where a thing may lie or somebody may hide | tags.

Tags: inside, outside, child (children go there), home, water, forest, meadow, farm, pond, sea, snow.
"""

# ruff: noqa: E501 (one sentence or one row to a line)

from dataclasses import dataclass

from lilliput.corpus.stories.lexicon import rows


@dataclass(frozen=True, slots=True)
class PlaceKind:
    noun: str
    preposition: str
    spots: tuple[str, ...]
    tags: frozenset[str]


_TABLE = """
park | in | under a bench, behind a big tree, in the tall grass, next to the swings, under a bush | outside child play
garden | in | under a bush, behind the flower pots, between the tomato plants, near the fence, under the apple tree | outside child home play
playground | at | under the slide, behind the swings, in the sandbox, next to the seesaw | outside child play
yard | in | behind the shed, under the porch, next to the gate, in a pile of leaves, near the fence | outside child home play
beach | at | behind a rock, under a towel, in a small pool of water, next to a sand castle | outside child water sea
bedroom | in | under the bed, behind the curtain, under a pile of clothes, in the toy box, behind the door | inside child home
kitchen | in | under the table, behind the stove, in a big pot, next to the sink, on top of a shelf | inside child home
living room | in | under the sofa, behind the curtain, under a pillow, behind the big chair | inside child home
attic | in | behind an old trunk, under a dusty sheet, in a dark corner, on top of a box | inside child home
school | at | under a desk, behind the bookshelf, next to the coats, in the art corner | inside child school
library | in | between two books, under a round table, behind a shelf, on a soft chair | inside child
market | at | under a table, between two baskets, behind the flower stand, next to a pile of melons | outside child
farm | on | in the hay, behind the barn, under a cart, next to the well, in the corn | outside child farm
zoo | at | next to the duck pond, under a bench, behind a sign, near the gate | outside child
forest | in | under a fallen tree, behind a rock, in a hollow log, between the roots of an oak, under some ferns | outside child forest wild
meadow | in | in the tall grass, behind a rock, under a flower, between the daisies | outside child meadow wild
hill | on | behind a rock, under a lonely tree, in the tall grass, next to the path | outside child meadow wild
river bank | on | behind a rock, between the reeds, under an old bridge, next to a log | outside child water pond wild
pond | at | between the reeds, under a lily pad, next to a log, behind a rock | outside child water pond wild
lake | at | between the reeds, under an old boat, next to a log, behind a rock | outside child water wild
"""


def _places() -> tuple[PlaceKind, ...]:
    places = []
    for noun, preposition, spots, tags in rows(_TABLE):
        places.append(
            PlaceKind(
                noun,
                preposition,
                tuple(spot.strip() for spot in spots.split(",")),
                frozenset(tags.split()),
            )
        )
    return tuple(places)


PLACES = _places()
