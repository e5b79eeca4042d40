"""Plots outdoors: wind and weather, gardens, lost ways, treasure and boats."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot


@plot("stuck kite")
def stuck_kite(cast: Cast) -> Plan:
    cast.child()
    cast.thing("toy", "fly", "toy", owner="hero")
    cast.place(noun="park,garden,meadow,yard,playground")
    if cast.dice.chance(0.5):
        cast.friend("helper")
    else:
        cast.grown_up("helper", "gardener", "farmer", "man", "woman", "policeman", "painter")
    return cast.plan(
        """
@open
{day}, {hero} took {toy.his} to {place}. The wind was [strong|just right|blowing hard].
{toy} flew [higher and higher|up, up, up|over the roofs].
- {hero} laughed and ran after it.
- hero/excited: Look how high it goes!
?30 {#foreshadowing}A dark cloud came over the hill, and the wind grew stronger.
Then [a gust of wind came|the wind turned], and {toy} flew [right into|to the top of] a tall tree. [It was stuck!|There it stayed.|And it did not come down again.]
@sad hero

- {hero} <jump> as high as {hero.he} could >< the branch was too high.
- {hero} tried to climb the tree, but the first branch was too high.
- {hero} threw a stick at the branch, but the stick got stuck too. Now there were two things in the tree!
- {hero} shook the tree with all {hero.his} might. Only leaves fell down.
Just then, {helper} came along[ the path|].
helper>hero: [What are you looking at|Why are you looking up|Is something wrong]?
hero>helper/sad: {toy.my} is stuck in the tree. I cannot reach it.
- helper>hero/kind: [Two are taller than one|Climb on my back|I will lift you up]!
  {hero} <climb> onto {helper.his} back >> <reach> up. {hero.he} could just touch it.
- {helper} <find> a long stick >> <tie> a hook to it.
- {helper} <bring> a ladder >> <hold> it, while {hero} climbed up slowly.
- {helper} looked at the tree for a while and began to whistle.
  helper>hero/wise: The wind put it up there. [Let us wait|Maybe the wind will bring it back].
  {#twist}They waited. Soon the wind turned, and {toy} came down all by itself.
Now {hero} had {toy} again.
@thanks hero helper
?50 @happy hero
- From then on, {hero} stayed far away from tall trees when {hero.he} wanted to {toy.use}.
- Together they let {toy} fly again, far away from the trees.
- @moral hero
?50 @the_end hero
""",
        summary="{hero.call}'s {toy.bare} gets stuck in a tree, and {helper} helps to get it down.",
        wish="to fly the {toy.bare}",
        obstacle="the {toy.bare} is stuck in a tree",
        turn="{helper} comes along",
        resolution="{hero} has the {toy.bare} again",
        moral=(
            "two can do what one cannot",
            "it is good to ask for help",
            "there is always another way",
        ),
    )


@plot("rain ruins the plan")
def rain(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad", "grandma", "grandpa")
    cast.place(noun="beach,park,zoo,lake,farm")
    cast.choose(
        "inside",
        "a tent out of blankets",
        "a boat out of chairs",
        "a cave under the table",
        "a castle out of boxes",
        "a train out of chairs",
    )
    cast.thing("food", "snack")
    return cast.plan(
        """
@open
[For days|All week], {hero} had waited for this day. {elder} had said that they would go to {place}.
- {hero} packed [a bag|a big bag] with {food.a} and [a towel|a book|a map].
- {hero} got up early and put on {hero.his} best shoes.
[But when {hero.he} looked out of the window, there were dark clouds. [Plop, plop, plop.|Drip, drop.] It began to rain.|But in the night, the wind had changed. In the morning, rain was running down the window.|They were already at the door when the first drops fell. Soon it was pouring.]
hero/sad: [Oh no!|Not today!|Why now?] [Now we cannot go!|Everything is ruined!|It was going to be the best day!]
- @sad hero
- {hero} pressed {hero.his} nose against the window.
- @angry hero
- {hero} waited for the rain to stop, but it only rained harder.
elder>hero/kind: [We cannot stop the rain|The rain does not know about our plan]. But we can [still have fun|go somewhere without getting wet].
- hero>elder: [How|Where]?
- hero>elder/sad: There is no fun inside.
* {elder} smiled and pulled the blanket from the bed.
* {elder} winked and went to get something.
Together, they made {inside}.
- {hero} was the [captain|leader], and {elder} was the [crew|helper].
- They saw [sharks|lions|whales] and [pirates|giants|dragons] everywhere.
- The sofa was [an island|a mountain], and the rug was [the deep sea|hot sand].
When they were hungry, they ate {food.the} [in the dark|inside|by the light of a lamp] and listened to the rain.
?60 elder>hero: Do you hear it? The rain is playing the drums for us.
- In the evening, the sun came out, but {hero} did not even look.
  hero>elder/happy: Can we do this again tomorrow?
- {#twist}When the rain stopped, there was a [big|bright] rainbow over the street. They would never have seen it {place.at}!
- hero>elder/happy: I hope it rains next week too!
?60 @moral hero
?40 @the_end hero
""",
        summary="Rain stops {hero.call}'s trip to {place}, so {hero.he} and {elder} make {inside}.",
        wish="to go to {place}",
        obstacle="it rains",
        turn="{elder} has an idea",
        resolution="they make {inside} and have fun",
        moral=(
            "a rainy day can be a good day",
            "you can have fun anywhere",
            "when one plan fails, another can be better",
        ),
    )


@plot("garden growing")
def garden(cast: Cast) -> Plan:
    cast.hero()
    cast.choose(
        "plant",
        "a sunflower",
        "a pumpkin",
        "a bean",
        "a tomato plant",
        "a strawberry plant",
        "a rose",
        "an apple tree",
    )
    cast.kin("elder", "grandma", "grandpa", "mom")
    cast.friend("friend", "neighbor" if cast.roles["world"] == "child" else "friend")
    return cast.plan(
        """
@open
{day}, {elder} gave {hero.him} a tiny seed.
elder>hero: [Plant it and be patient|Put it in the ground|If you take care of it, it will become {plant}].
hero>elder: Such a little thing? [It looks like nothing|It is as small as a crumb]!
{hero} <dig> a small hole >> <put> the seed inside. Then {hero.he} [gave it some water|gave it a drink from a small cup|put a stick next to it, so as not to forget the spot].

[The next morning, {hero} ran out to look. There was nothing.|Before breakfast, {hero} was already outside to look. But there was only earth.|The next day, {hero} looked for a green leaf. There was none.]
- On the second day, there was nothing. On the third day, there was still nothing.
- Every day {hero} came to look, and every day there was only brown earth.
- {hero} waited for one whole week. Nothing.
* hero/sad: [It is not working|Maybe it is asleep|My seed is dead].
* {friend} laughed at {hero.him}.
  {#conflict}friend>hero: You are watering mud!
* @sad hero
* {hero} wanted to dig it up again.
  elder>hero/wise: Wait. [It is busy under the ground|Good things take time|You cannot see it, but it is growing].
[But {hero} did not give up.|So {hero} went on.|{hero} thought about that and waited.] {hero.he} watered it and [sang to it|talked to it|kept the snails away|pulled out the weeds].
?40 One night there was a storm. {hero} <run> outside >> <put> a box over the spot.

Then, one [morning|day], there was something green! It was [as thin as a thread|no bigger than a fingernail|very small].
@surprised hero
It grew [and grew|a little every day|taller and taller]. [By the end of summer|After many weeks|When the days grew warm], it was {plant}, the [finest|biggest|prettiest] one around.
- friend>hero/happy: It is beautiful! I never thought that it would grow.
- Even {friend} came to look, and {friend} did not laugh anymore.
- {hero} showed it to everyone who came by.
- Now {hero} had many new seeds. {hero} gave one to {friend.him}.
?50 @proud hero
?70 @moral hero
""",
        summary="{hero} plants a seed and waits until it becomes {plant}.",
        wish="to grow {plant}",
        obstacle="for a long time nothing grows",
        turn="{hero} does not give up",
        resolution="the seed becomes {plant}",
        moral=(
            "good things take time",
            "it is good to be patient",
            "small things can become big",
            "you should not give up too soon",
        ),
    )


@plot("snow day")
def snow_day(cast: Cast) -> Plan:
    cast.child()
    cast.friend() if cast.dice.chance(0.6) else cast.sibling("friend")
    cast.thing("wear", noun="hat,scarf,coat,mittens", owner="hero")
    cast.group("both", "hero", "friend")
    return cast.plan(
        """
- @open_child hero
- hero/excited: Snow! Look at all the snow!
  {hero} was {hero.a} who loved winter.
When {hero} woke up [one winter morning|one morning], the whole world was white. [It had snowed all night.|Snow lay on the roofs, the trees and the fence.|There were no roads anymore, only snow.]
{hero} put on {wear.his} and ran outside[ to find {friend.him}|, and {friend} came too].
- The snow was [soft and deep|up to their knees], and everything was quiet.
- Their feet went crunch, crunch, crunch.
* friend>hero/excited: Let us make a snowman!
* hero>friend/excited: I want to make the biggest snowman in the world!
{both} rolled a big ball, a smaller one and a [tiny|little] one. They used [stones|buttons|nuts] for the eyes and a [carrot|stick] for the nose.
[But something was missing.|They stepped back and looked. Something was not right.|It was almost done.] The snowman looked [cold|sad|lonely].
- hero: I know! [He is cold|He needs something to wear]!
- friend>hero: Is he cold?
{hero} took off {wear.his} and put {wear.one} on the snowman. Now he looked [happy|very fine|like a king].

- In the afternoon, the sun came out, and the snowman began to get smaller.
  friend>hero/sad: Oh no! He is melting!
  hero>friend/kind: [He will come back next winter|He is only going home|He will turn into a puddle, and the puddle into a cloud].
- {#twist}That night, {hero} looked out of the window. Did the snowman wave? {hero} was almost sure.
- Soon their noses were red and their fingers were cold.
  {both} went inside, where there was hot [chocolate|milk|tea] by the fire.
- Then a snowball hit {hero.him} on the back. {friend} was laughing.
  {#conflict}{hero} made a snowball too, and soon snow was flying everywhere.
?40 @play_together both
?40 hero/happy: I hope it snows again [tomorrow|tonight].
@the_end hero
""",
        summary="{hero} and {friend} build a snowman, and it gets {hero.call}'s {wear.bare}.",
        wish="to build a big snowman",
        obstacle="the snowman looks unfinished",
        turn="{hero} gives it {hero.his} {wear.bare}",
        resolution="the snowman looks right",
    )
