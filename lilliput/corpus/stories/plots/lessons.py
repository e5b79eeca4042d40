"""Plots with a lesson: disobedience, false alarms, honesty, showing off. Some end badly."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot

# the warning, the place told of, the temptation, what is done, what comes of it, what is lost, the moral
_WARNINGS = (
    ("not to go on the ice", "The pond was white and smooth, like a mirror", "walked out on the ice, one step and then another", "Crack! The ice broke, and {hero.his} legs went into the cold water", "thin ice does not forgive"),
    ("not to touch the stove", "The pot on the stove made funny bubbles", "put one finger on it, just for a moment", "Ouch! It was as hot as fire, and {hero.his} finger turned red", "a warning is there for a reason"),
    ("not to climb on the old wall", "From the top of the wall, one could see the whole world", "climbed up, stone by stone", "A stone came loose, and {hero} fell and broke {hero.his} arm", "it is good to listen when somebody warns you"),
    ("not to open the cage of the little bird", "The bird looked so sad, and it sang so softly", "opened the cage to pet the bird", "Out it flew, through the window and over the roofs", "some things cannot be undone"),
    ("not to eat the red berries by the fence", "The berries were round and shiny", "ate one, and then a handful", "Soon {hero.his} belly hurt so much that the doctor had to come", "not everything that looks sweet is good"),
    ("not to play with matches", "The matches were in a little box on the shelf", "took one match and lit it", "The curtain caught fire! They put it out with water, but the room was black and wet", "fire is not a toy"),
    ("not to swim in the deep river", "The day was hot, and the water looked cool", "jumped in without telling anyone", "The river was fast and pulled {hero.him} away. A fisherman caught {hero.him} with a net, but {hero.his} new shoes were gone forever", "deep water is no place to play alone"),
)  # fmt: skip


@plot("bad ending from disobedience")
def disobedience(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder")
    warning, lure, deed, result, moral = cast.dice.pick(_WARNINGS)
    script = """
@open
- {elder} had told {hero.him} {warning}.
- elder>hero: There is one rule. You know it. You are {warning}.
  hero>elder: Yes, yes.
- One rule was very clear in {hero.call}'s house. {elder} said it every day: {hero} was {warning}.
?40 {#foreshadowing}elder: I say this because I love you.
?30 hero: I wonder why.

{day}, {hero} was alone. LURE.
- hero: Just once. Nobody will know.
- {hero} looked left and right. Nobody was there.
- {hero} <think> of the rule >< it was so hard to wait.
- A small voice inside said no. {hero} did not listen to it.
So {hero.he} DEED.
?40 At first, it felt [good|like great fun].
RESULT.
- hero/sad: Oh no! What have I done?
- @afraid hero
- {hero} screamed.
{elder} <hear> the noise >> <come> as fast as possible.
- elder>hero/sad: Oh, {hero.call}! Why did you not listen?
- {elder} was not angry. {elder} was only very, very sad.
- {elder} did not say a word.
hero>elder/sorry: I am sorry. [I thought nothing would happen|I only wanted to try it|I should have listened].
?70 @bad_end hero
@moral hero
"""
    script = script.replace("LURE", lure).replace("DEED", deed).replace("RESULT", result)
    cast.roles["warning"] = warning
    return cast.plan(
        script,
        summary="{hero} was told {warning}, but does not listen, and it ends badly.",
        wish="to do what is not allowed",
        obstacle="{hero} was told {warning}",
        turn="{hero} breaks the rule",
        resolution="it ends badly",
        moral=(moral, "rules are there to keep you safe", "it is better to listen"),
        ending="bad",
    )


@plot("false alarm")
def false_alarm(cast: Cast) -> Plan:
    cast.child()
    cast.choose("danger", "wolf", "bear", "fox")
    cast.choose("herd", "sheep", "goats", "hens")
    cast.grown_up("elder", "farmer")
    bad = cast.dice.chance(0.6)
    end = """
But this time nobody came.
- elder: It is only a joke again.
- The people in the village heard it and only laughed.
The {danger} took [the smallest one|the best of the {herd}|three of the {herd}], and {hero} could do nothing.
@bad_end hero
elder>hero/wise: When you tell lies, nobody believes you when you tell the truth.
""" if bad else """
- At first, nobody came. But {elder} listened once more. There was something different in that voice.
- Nobody wanted to come. But {elder} looked at the sky and had a strange feeling.
{elder} <take> a big stick >> <run> up the hill. The {danger} saw {elder.him} and ran away.
hero>elder/sorry: Thank you for coming. I do not deserve it. I will never do that again.
"""  # fmt: skip
    return cast.plan(
        """
- {hero} was {hero.a} who had to watch the {herd} on the hill all day.
- Every day, {hero.new} sat on the hill and watched the {herd}.
- High on a green hill, {hero.new} watched the {herd} of the village.
[{hero} was [bored|very bored]. Nothing ever happened there.|The days were long, and there was nobody to talk to.|{hero} had already counted the clouds, the stones and the flowers.]
So {day}, {hero.he} played a trick.
- hero/excited: Help! A {danger}! A {danger} is here!
- {hero} <run> down the hill >> <shout> that a {danger} was coming.
{elder} [dropped everything|stopped working] and ran up the hill. There was no {danger}. {hero} [laughed and laughed|fell over with laughter|only laughed].
elder>hero/cross: [That is not funny|Do not do that again|We were afraid for you]!
?60 {#foreshadowing}{elder} shook {elder.his} head and went away slowly.
[The next day, {hero} did it again.|It had been so funny that {hero} did it a second time.|Two days later, {hero} shouted once more.] Again {elder} came, and again there was no {danger}.
- hero/happy: I tricked you again!
- {#conflict}This time, {elder} was very angry.

[On the third day|Three days later], there was a [dark shape|strange shape] between the trees. It was a real {danger}!
@afraid hero
hero/afraid: Help! A {danger}! [This time it is true|Please, come]!
"""
        + end.strip("\n")
        + "\n@moral hero\n",
        summary="{hero} cries that a {danger} is coming when there is none; then a real one comes.",
        wish="to have some fun",
        obstacle="nobody believes {hero} anymore",
        turn="a real {danger} comes",
        resolution="the {danger} takes some of the {herd}"
        if bad
        else "{elder} comes all the same and helps",
        moral=(
            "nobody believes a liar",
            "it is wrong to cry for help as a joke",
            "trust is easy to lose",
        ),
        ending="bad" if bad else "mixed",
    )


@plot("finding a purse")
def honest(cast: Cast) -> Plan:
    cast.child()
    cast.place(noun="park,market,playground,library")
    cast.prop("purse", "purse", "black,little,old,red")
    cast.grown_up("owner", "woman", "man", "baker", "gardener", "painter", "neighbor")
    cast.thing("toy", "toy", "gift")
    cast.spot("spot", cast.roles["place"])
    return cast.plan(
        """
@open
?70 For a long time, {hero} had wanted {toy.a}. But it cost too much.
{day}, {hero} found {purse.a} {spot} {place.at}. It was full of [money|coins].
- @surprised hero
- {hero.his} heart beat fast.
- {hero} looked around. Nobody was there.
hero: [With this I could buy everything I want|Now I can buy a {toy.bare}|Nobody saw me].
{#conflict}[One voice inside said, "Keep it." Another voice said, "It is not yours."|It would be so easy to keep it. But was it right?|"It is mine now," {hero} thought. But it did not sound true.]
- {hero} sat on a bench and thought about it.
- {hero} <put> it in a pocket >> <walk> a few steps. It felt as heavy as a stone.
- {hero} thought of the one who had lost it.

Then {hero.he} saw {owner.him}, who was [looking under every bench|looking at the ground|walking up and down].
- owner/sad: Where can it be? It was all I had.
- owner/sad: Oh dear, oh dear. I must find it.
- {owner} looked close to tears.
{hero} [held up {purse.the}|went closer and held out {purse.the}|took one more look at {purse.the}. Then {hero.he} stood up].
hero>owner/brave: Is this yours? I found it.
- owner>hero/happy: Yes! Oh, thank you! I thought it was gone forever.
- {owner} could hardly speak. {owner.he} only took {hero.his} hand and held it.
?60 owner>hero/kind: [Not everyone would have given it back|You are a good child|You have a good heart].
* {hero} did not want anything for it. {hero} felt light as a feather.
* {#twist}A week later, there was a box in front of the door. Inside was {toy.a}, and a note: "For an honest child."
* {owner} bought {hero.him} [an ice cream|a warm bun|a cup of hot chocolate], and they talked for a long time.
?70 @moral hero
?50 @the_end hero
""",
        summary="{hero} finds a purse and gives it back to {owner}.",
        wish="to have money for a {toy.bare}",
        obstacle="the purse belongs to somebody else",
        turn="{hero} sees {owner} looking for it",
        resolution="{hero} gives it back",
        moral=(
            "it feels good to be honest",
            "what is not yours must go back",
            "an honest heart is worth more than money",
        ),
    )


@plot("showing off")
def showing_off(cast: Cast) -> Plan:
    cast.child()
    cast.child("friend")
    cast.thing("ride", noun="bike,scooter,sled", owner="hero")
    cast.choose(
        "trick",
        "with no hands",
        "with both eyes closed",
        "standing on one leg",
        "down the steepest hill",
        "backwards",
    )
    cast.choose(
        "into",
        "a bush with thorns",
        "a big puddle",
        "a pile of leaves",
        "a pile of mud",
        "the duck pond",
    )
    bad = cast.dice.chance(0.5)
    cast.group("both", "hero", "friend")
    return cast.plan(
        """
@open
{hero} had {ride.a} and could ride very fast.
{day}, {friend} was watching. {hero} wanted [to show {friend.him} something|to do something great|to surprise {friend.him}].
- hero>friend/proud: [Watch me|Look]! I can do it {trick}!
- hero>friend/proud: I am the best rider in the whole town! I can even ride {trick}.
* friend>hero/afraid: [Please be careful|Do not do it|That is not safe]!
* {friend} did not say anything, but {friend.he} looked worried.
?40 hero>friend: [You are only afraid|I never fall|Nothing can happen to me].
?40 {#foreshadowing}Behind the next corner, the road was wet.
{hero} rode off {trick}. [Faster and faster|On and on] {hero.he} went, and {hero.he} looked back to see if {friend} was watching.
- Bump! {ride.the} hit a stone.
- {hero} did not see the stone on the road.
* {hero} flew through the air and landed in {into}.
* {hero} <lose> {hero.his} balance >> <fall> into {into}.
"""
        + (
            """
{hero.his} knee was bleeding, and {ride.his} was broken in two.
{friend} ran to help, but {ride.the} could not be fixed.
@bad_end hero
?50 {hero} had to walk for the rest of the summer.
"""
            if bad
            else """
{friend} ran to {hero.him}.
friend>hero: Are you hurt?
- {hero} had leaves in {hero.his} hair and mud on {hero.his} nose. For a moment, nobody said a word. Then both of them began to laugh.
- hero>friend/sorry: Only a little. I wanted you to think that I am great.
  friend>hero/kind: [I like you without tricks|I already thought so, before the trick].
{friend} helped {hero.him} up, and they pushed {ride.the} home together.
"""
        ).strip("\n")
        + "\n@moral hero\n",
        summary="{hero} shows off on a {ride.bare} and falls into {into}.",
        wish="to show off in front of {friend}",
        obstacle="the trick is dangerous",
        turn="{hero} does not look at the road",
        resolution="{hero} falls and the {ride.bare} is broken"
        if bad
        else "{hero} falls, and {friend} helps",
        moral=(
            "it is not clever to show off",
            "friends do not need tricks",
            "you should look where you are going",
        ),
        ending="bad" if bad else "mixed",
    )


@plot("taken from the shop")
def taken(cast: Cast) -> Plan:
    cast.child()
    cast.grown_up("owner", "shopkeeper", "baker", definite=True)
    cast.thing("thing", "small", "gift", "one")
    cast.kin("elder", "mom", "dad", "grandma", "grandpa")
    return cast.plan(
        """
@open
{day}, {hero} went to [the shop|a little shop] with {elder.him}. On a shelf lay {thing.a}.
- {hero} had never seen anything so nice.
- How {hero} wanted to have it!
[{hero} had no money.|It cost too much.|But there was nothing in {hero.his} pocket but a button.] {hero.he} looked around, and then {hero.he} put {thing.it} into a pocket.
- {owner} did not see it.
- Nobody saw it. At least, {hero} thought so.
?40 {#foreshadowing}Outside, a dog barked at {hero.him}, as if it knew.

At home, {hero} <hide> under the bed >> <look> at {thing}. [But it was not as nice as before.|It did not shine as it had in the shop.|Somehow, it was not nice anymore.]
- @sorry_inside hero
- Every time somebody came in, {hero} was afraid.
- At dinner, {hero} could not eat. {hero.his} face was hot.
elder>hero/kind: [What is wrong|Why are you so quiet today|Is something the matter]?
- {hero} began to cry and told {elder.him} everything.
- hero>elder/sorry: I took something that is not mine.
elder>hero/wise: [You know what you have to do|We will go back together|Only you can make it right].
@bravely hero
In the shop, {hero} put {thing} on the table.
hero>owner/sorry: I took this without paying. I am very sorry.
- owner>hero/kind: I know. I saw it. I was hoping that you would come back.
  {#twist}{hero} looked up in surprise.
- {owner} was quiet for a long time.
  owner>hero: [It is hard to say that|Thank you for telling me]. You may sweep the floor, and then all is forgotten.
  {hero} swept every corner.
- {owner} nodded slowly and shook {hero.his} hand.
@moral hero
""",
        summary="{hero} takes a {thing.bare} from a shop and brings it back.",
        wish="to have the {thing.bare}",
        obstacle="{hero} feels bad about stealing",
        turn="{elder} asks what is wrong",
        resolution="{hero} brings it back and says sorry",
        moral=(
            "taking things is wrong",
            "it is brave to make things right",
            "a bad deed does not feel good",
        ),
        ending="mixed",
    )
