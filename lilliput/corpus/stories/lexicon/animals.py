"""Kinds of animals: noun | home | food | how it moves | sound | looks | tags.

Tags: land, water, air (where it lives), meadow, forest, pond, farm, house (its country),
small, big, pet, hero (may be a story's hero), wise (may give advice), sly, slow, fast.
"""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.characters import Kind
from lilliput.corpus.stories.lexicon import rows

_TABLE = """
rabbit | burrow | carrots | hop | squeak | little,white,brown,young | land meadow forest small hero fast pet
mouse | hole | cheese | run | squeak | tiny,little,gray,brown | land meadow house farm small hero
fox | den | berries | run | bark | young,little,red | land forest hero sly fast
bear | cave | honey | walk | growl | young,brown,little | land forest big hero
squirrel | tree | nuts | run | chatter | little,red,gray,quick | land forest small hero fast
hedgehog | nest of leaves | apples | walk | sniff | small,little,brown | land forest meadow small hero slow
badger | den | roots | walk | grunt | young,gray,little | land forest hero
deer | forest glade | sweet grass | run | call | young,shy,little | land forest big hero fast
mole | tunnel | roots | dig | squeak | small,little,black | land meadow small hero
beaver | lodge | bark | swim | splash | young,brown,busy | land pond hero
kitten | basket | fish | run | meow | little,gray,white,orange | land house farm small pet hero
puppy | basket | bones | run | bark | little,brown,white,spotted | land house farm pet hero
lamb | barn | grass | run | bleat | little,white,young | land farm meadow hero
piglet | barn | corn | run | squeal | little,pink,round | land farm hero
foal | stable | hay | gallop | neigh | young,brown,white | land farm meadow big hero fast
calf | barn | grass | walk | moo | young,brown,spotted | land farm meadow big hero
goat | barn | hay | run | bleat | young,little,white | land farm meadow hero
duckling | nest | bread | swim | quack | little,yellow,small | land pond farm small hero
frog | pond | flies | hop | croak | little,green,young | land pond small hero
turtle | log | leaves | walk | hum | small,young,green | land pond small hero slow
snail | shell | lettuce | creep | hum | tiny,little,brown | land meadow small slow
ant | hill | crumbs | march | hum | tiny,little,black | land meadow small
bee | hive | honey | fly | buzz | little,busy,yellow | air meadow small
butterfly | bush | nectar | fly | hum | pretty,little,blue | air meadow small
bird | nest | seeds | fly | sing | little,blue,red,small | air forest meadow small hero
sparrow | nest | crumbs | fly | chirp | little,brown,small | air meadow farm small hero
owl | hollow tree | moths | fly | hoot | old,wise,gray | air forest wise
crow | nest | corn | fly | caw | black,old,clever | air forest farm sly wise
chick | barn | seeds | run | cheep | little,yellow,tiny | land farm small hero
hen | barn | corn | walk | cluck | red,brown,old | land farm wise
cow | barn | grass | walk | moo | brown,big,old | land farm big wise
horse | stable | hay | gallop | neigh | brown,big,old | land farm big fast wise
goose | barn | grass | walk | honk | white,old,gray | land farm pond wise
toad | hole | flies | hop | croak | old,fat,brown | land pond forest wise
cat | basket | fish | walk | meow | gray,black,old,orange | land house farm pet
dog | basket | bones | run | bark | brown,big,old,friendly | land house farm pet fast
"""


def _kinds() -> dict[str, Kind]:
    kinds = {}
    for noun, home, food, move, sound, looks, tags in rows(_TABLE):
        kinds[noun] = Kind(noun, home, food, move, sound, looks, frozenset(tags.split()))
    return kinds


KINDS = _kinds()
HEROES = tuple(kind for kind in KINDS.values() if "hero" in kind.tags)
WISE = tuple(kind for kind in KINDS.values() if "wise" in kind.tags)
