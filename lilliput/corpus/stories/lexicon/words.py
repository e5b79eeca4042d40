"""Words by part of speech, for the three words a story is said to hold.

Only forms that are one part of speech in our stories: no `light`, `left` or `hurt`.
"""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.grammar import past
from lilliput.corpus.stories.lexicon import words
from lilliput.corpus.stories.lexicon.animals import KINDS
from lilliput.corpus.stories.lexicon.people import TRAITS
from lilliput.corpus.stories.lexicon.places import PLACES
from lilliput.corpus.stories.lexicon.things import COLOURS, THINGS

NOUNS = frozenset(
    words("""apron attic autumn baby bag balloon bank bath beach bear bed bedroom belly bench berries bike
bin bird birthday blocks boat book boots bottle bowl box branch bread breakfast bridge bucket bush
cage cake candles candy cap carrot castle chair chest chocolate circus closet clothes cloud clouds
coat cookies corner courage crumb cup curtain dinner doctor door dragon drawer drawing drum dust
ear ears egg evening eyes family farmer father fear feather feet fence field finger fire flame floor
flour flowers fog fort friend friends game garden gate ghost giant gift glue grandma grandpa grass
ground hair hammer hand hands hat heart hill hole holiday honey house jungle key kitchen kite knee
knees ladder lake lamp leaf leaves legs letter library lid lighthouse log lunch map market matches
meadow medicine mess milk mirror moment money monster moon morning mother mountain mouth mud music
neighbor nest night noise nose note nuts oven painting pancakes paper park party path picnic pictures
pie pillow plants pocket pond porch present promise puddle purse rainbow river road rock roof room
rope rug sand school sea secret seed shadow shelf shoe shoes shop sister sky snow snowman sock
socks sofa song soup stage star stars stick stone stones storm story stove stranger street string
sugar summer sun surprise table tail tea tears tent thief thorn thread toe tongue tooth towel tower
town toys trap treasure tree trees trick truth tunnel vase village voice wall waves weeds wind
window wings winter wolf wood word words world yard year""")
) | {thing.noun for thing in THINGS if " " not in thing.noun and thing.noun not in {"top", "ring"}} | (
    set(KINDS)
    | {place.noun for place in PLACES if " " not in place.noun}
)  # fmt: skip

VERBS = frozenset(
    past(verb)
    for verb in words("""ask bake bark become begin believe bow break bring build buy
call carry catch chase cheer clap climb close collect come count creep cry dance dare dig disappear
draw drop eat fail fall feed find finish fix fly follow forget forgive gather get give go grow hear
help hide hold hop hug hum jump keep kneel knock know laugh lead learn lift listen live look lose
love make melt mend miss nod notice open pack paint pick plant play point pour practice press
pretend pull push race reach remember return ride roll run say scream search send shake share shine
shout show sing sit sleep slide smell smile sneeze sniff speak splash spread stand stay steal stick
stop swim swing take talk teach tell thank throw tie touch trade trip try turn wag wait wake walk
wave wear whisper whistle win wipe wish work write""")
)

ADJECTIVES = (
    frozenset(
        words("""afraid alone angry asleep bad beautiful big blue boring bright broken clean cold cozy
dark deep dry dusty easy empty fat fine flat free fresh full glad golden good grumpy happy hard heavy
high hot huge hungry juicy kind large lazy little lonely long lost loud lovely narrow nervous new
nice old perfect plain pretty quick rainy ready real rich round sad safe salty scared sharp shiny
sick silent silver simple sleepy slow small smooth soft sorry special spotted steep sticky strange
strong surprised sweet tall thick thin tiny tired true ugly warm weak wet white wide wild wise
wonderful wooden worried wrong yellow young""")
    )
    | set(TRAITS)
    | set(COLOURS) - {"orange"}
)  # fmt: skip
