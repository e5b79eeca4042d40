"""Objects and what can be done with them.

noun | number | adjectives | what one does with it | tags
Number: one, many (`boots`), some (`bread`). An adjective list of `colour` takes a colour.
Tags (affordances and sorts): toy, small (can be lost or hidden), big, ball, soft, float, fly,
fragile, wood, cloth, paper, clay (how it is mended), wear, food, fruit, sweet, tool, music, book,
shiny, ride, gift, draw, warm. The number is a tag too.
"""

# ruff: noqa: E501 (one sentence or one row to a line)

from dataclasses import dataclass

from lilliput.corpus.stories.lexicon import rows

COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "white", "brown", "black")


@dataclass(frozen=True, slots=True)
class ThingKind:
    noun: str
    number: str
    adjectives: tuple[str, ...]
    coloured: bool
    use: tuple[str, ...]
    tags: frozenset[str]

    @property
    def material(self) -> str:
        """What it is made of, where that decides how it is mended."""
        return next((sort for sort in ("wood", "cloth", "paper", "clay") if sort in self.tags), "")


_TABLE = """
ball | one | colour,big,bouncy | kick it,throw it high,roll it | toy small ball gift
teddy bear | one | colour,soft,old,fluffy | hug it,sleep with it,talk to it | toy small soft cloth gift
doll | one | little,pretty,old | dress it,play with it,sing to it | toy small cloth fragile gift
toy car | one | colour,fast,shiny | race it,push it around,play with it | toy small wood fragile gift
toy train | one | colour,long,wooden | push it around,play with it,fill it with blocks | toy wood fragile gift
toy boat | one | colour,little,wooden | sail it,float it,play with it | toy small float wood fragile gift
toy plane | one | colour,little,shiny | fly it,throw it high,play with it | toy small fly wood fragile gift
kite | one | colour,long,bright | fly it,chase it,watch it | toy fly paper fragile gift
balloon | one | colour,big,round | hold it,bounce it,watch it | toy fly gift
drum | one | colour,loud,round | bang on it,play it,march with it | toy music wood fragile gift
whistle | one | shiny,tiny,loud | blow it,play it,wear it | toy small music shiny gift
flute | one | wooden,little,old | play it,practice on it,blow into it | small music wood gift
bell | one | shiny,little,golden | ring it,shake it,listen to it | toy small music shiny gift
robot | one | shiny,colour,funny | wind it up,play with it,make it walk | toy small fragile shiny gift
puppet | one | funny,colour,little | play with it,make it dance,make it talk | toy small cloth fragile gift
top | one | colour,wooden,little | spin it,watch it,play with it | toy small wood gift
yo-yo | one | colour,shiny,round | play with it,swing it,spin it | toy small wood gift
puzzle | one | hard,big,new | work on it,finish it,play with it | toy paper gift
wagon | one | colour,big,old | pull it,ride in it,fill it up | toy big ride wood fragile
scooter | one | colour,fast,new | ride it,push it,race on it | toy big ride
bike | one | colour,fast,new | ride it,race on it,wash it | toy big ride
sled | one | colour,fast,wooden | ride it,pull it,race on it | toy big ride wood
blanket | one | colour,soft,warm | hug it,sleep with it,hide under it | small soft cloth warm gift
pillow | one | soft,colour,big | hug it,sleep on it,hold it | soft cloth warm
hat | one | colour,warm,funny | wear it,show it to people,try it on | small wear cloth gift
scarf | one | colour,warm,long | wear it,show it to people,try it on | small wear cloth warm gift
coat | one | colour,warm,new | wear it,button it up,try it on | wear cloth warm gift
crown | one | golden,shiny,paper | wear it,show it to people,try it on | small wear shiny fragile paper gift
ribbon | one | colour,long,pretty | wear it,tie it,hold it | small wear cloth gift
ring | one | shiny,golden,pretty | wear it,look at it,show it to people | small wear shiny gift
necklace | one | pretty,shiny,golden | wear it,look at it,show it to people | small wear shiny gift
boots | many | colour,new,shiny | wear them,jump in them,try them on | wear gift
mittens | many | colour,warm,soft | wear them,clap in them,try them on | small wear cloth warm gift
umbrella | one | colour,big,old | open it,hold it,spin it | wear cloth
book | one | big,old,new,colour | read it,look at it,look at the pictures in it | book small paper fragile gift
picture | one | pretty,big,bright | look at it,hold it,show it to people | paper fragile gift
crayons | many | new,bright,little | draw with them,count them,use them | draw small gift
paint | some | colour,bright,thick | paint with it,use it,play with it | draw
key | one | little,old,golden | hold it,look at it,use it | small shiny
coin | one | shiny,golden,old | hold it,look at it,rub it | small shiny
shell | one | pretty,white,pink | hold it,listen to it,look at it | small shiny gift
stone | one | smooth,shiny,round | hold it,look at it,rub it | small shiny gift
feather | one | colour,long,soft | hold it,wave it,look at it | small gift
marble | one | colour,shiny,round | roll it,hold it,look at it | toy small shiny gift
cup | one | colour,pretty,little | drink from it,hold it,fill it up | clay fragile
vase | one | tall,pretty,colour | look at it,fill it up,hold it | clay fragile
bowl | one | colour,big,pretty | eat from it,fill it up,hold it | clay fragile
plate | one | white,pretty,colour | eat from it,hold it,look at it | clay fragile
pot | one | big,old,round | cook with it,fill it up,bang on it | clay
lamp | one | bright,little,old | look at it,light it,hold it | shiny fragile
clock | one | old,big,loud | listen to it,look at it,wind it up | shiny fragile
basket | one | big,brown,round | carry it,fill it up,hide in it | tool
bucket | one | colour,big,old | fill it up,carry it,swing it | tool toy
shovel | one | colour,little,big | dig with it,use it,carry it | tool toy small
rope | one | long,strong,old | pull it,swing on it,tie it | tool
ladder | one | tall,long,old | climb it,carry it,use it | tool big
cake | one | big,sweet,tall | eat it,smell it,share it | food sweet bake
pie | one | warm,sweet,big | eat it,smell it,share it | food sweet bake
cookies | many | warm,sweet,round | eat them,smell them,share them | food sweet bake snack
muffins | many | warm,sweet,soft | eat them,smell them,share them | food sweet bake snack
bread | some | warm,fresh,soft | eat it,smell it,share it | food bake
pancakes | many | warm,sweet,thin | eat them,smell them,share them | food sweet bake
soup | some | hot,good,thick | eat it,smell it,share it | food
candy | some | sweet,sticky,colour | eat it,smell it,share it | food sweet snack
apple | one | red,juicy,big,shiny | eat it,bite it,share it | food fruit snack
pear | one | yellow,juicy,sweet | eat it,bite it,share it | food fruit snack
plum | one | purple,juicy,sweet | eat it,bite it,share it | food fruit snack
berries | many | red,sweet,juicy | eat them,pick them,share them | food fruit snack
cherries | many | red,sweet,juicy | eat them,pick them,share them | food fruit snack
grapes | many | green,sweet,juicy | eat them,pick them,share them | food fruit snack
sandwich | one | big,thick,fresh | eat it,bite it,share it | food snack
"""


def _things() -> tuple[ThingKind, ...]:
    things = []
    for noun, number, looks, use, tags in rows(_TABLE):
        adjectives = tuple(word for word in looks.split(",") if word != "colour")
        things.append(
            ThingKind(
                noun,
                number,
                adjectives,
                "colour" in looks.split(","),
                tuple(use.split(",")),
                frozenset([*tags.split(), number]),
            )
        )
    return tuple(things)


THINGS = _things()
