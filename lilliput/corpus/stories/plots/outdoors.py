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
hero/sad: [Oh no|Not today|Why now]! [Now we cannot go!|Everything is ruined!|It was going to be the best day!]
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


@plot("getting lost")
def getting_lost(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad", "grandpa")
    cast.place(noun="forest,market,zoo")
    place = cast.roles["place"].noun
    cast.roles["lure"] = cast.dice.pick(
        {
            "forest": ("a blue butterfly", "a little deer", "a red squirrel"),
            "market": (
                "the smell of fresh bread",
                "a man with balloons",
                "a dancing dog",
                "a table full of toys",
            ),
            "zoo": (
                "a funny monkey",
                "the sleepy lions",
                "a bird with a long tail",
                "the baby elephant",
            ),
        }[place]
    )
    if place == "forest":
        cast.creature("helper", "owl", "deer", "badger", "crow", "squirrel")
    else:
        cast.grown_up("helper", "policeman", "woman", "baker", "gardener", "farmer")
    cast.roles["meeting"] = {"forest": "the old oak", "market": "the clock", "zoo": "the big gate"}[
        place
    ]
    return cast.plan(
        """
@open
{day}, {hero} went to {place} with {elder.him}.
elder>hero: Stay close to me. {#foreshadowing}If you get lost, [wait at|go to] {meeting}.
- {hero} nodded, but {hero.he} was not really listening.
- hero>elder: Yes, yes.
[There was so much to see!|Everything was new and bright.|They walked and looked around.] Then {hero} saw {lure}.
- {hero} followed, step by step, [farther and farther|around one corner and then another].
- {hero} <stop> to look >> <forget> everything else.
- {hero} only wanted to look for a moment. But the moment was long.
When {hero.he} turned around, {elder} was gone.
hero/afraid: {elder.call}! [Where are you|Can you hear me]?
@afraid hero
?50 {hero} ran [left and right|up and down], but everything looked the same.

- Then {hero} heard a voice. It was {helper.him}.
- Somebody came near. It was {helper.him}.
helper>hero/kind: [Are you lost|Why are you crying], little one?
hero>helper/sad: [Yes|I cannot find {elder.call}]. I want to go home.
helper>hero/wise: [Think hard|Stay calm and think|Do not worry]. [Did {elder.call} say what to do?|What did {elder.call} tell you this morning?|Is there a place where you should wait?]
- {hero} <close> {hero.his} eyes >> <remember> the words.
- Suddenly, {hero} remembered.
hero/happy: I know! I have to go to {meeting}!
{helper} showed {hero.him} the way.
- And there stood {elder}, [with open arms|looking left and right|calling {hero.his} name]!
- When they got there, {elder} was already waiting.
@hug hero elder
- hero>elder/sorry: I am sorry. I did not stay close.
  elder>hero/kind: I am so glad that you are back.
- elder>hero/happy: There you are! I was so worried!
- {hero} held {elder.his} hand all the way home.
?50 When {hero} turned around to say thank you, {helper} was gone.
?60 @moral hero
""",
        summary="{hero} gets lost {place.at} and finds {elder} again with the help of {helper}.",
        wish="to see {lure}",
        obstacle="{hero} is lost {place.at}",
        turn="{helper} asks what {elder} said",
        resolution="{hero} finds {elder} again",
        moral=(
            "it is good to stay close",
            "it is good to listen",
            "it helps to stay calm when you are lost",
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
- friend>hero/sorry: I am sorry that I laughed. It is beautiful.
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


@plot("hidden treasure")
def treasure(cast: Cast) -> Plan:
    cast.child()
    cast.friend()
    cast.place(noun="attic,beach,garden,forest,hill,river bank")
    cast.choose(
        "finder",
        "an old map",
        "a letter in a bottle",
        "a dusty map in a book",
        "a piece of paper with a red cross",
    )
    cast.choose(
        "inside",
        "old toys",
        "letters and drawings",
        "stones of all colors",
        "old coins",
        "a small golden bell",
    )
    cast.group("both", "hero", "friend", noun="the two friends")
    cast.spot("spot", cast.roles["place"])
    return cast.plan(
        """
@open
{day}, {hero} found {finder}.
- hero>friend/excited: {friend.call}, come quick! [It is a treasure map|There is a treasure]!
- {hero} ran at once to show it to {friend.him}.
  friend>hero/excited: It is a treasure map!
{both} looked at it for a long time.
- It said: ten steps from the gate, then look {spot}.
- There was a picture of {place} on it.
- The letters were hard to read, but one thing was clear: the cross was {place.at}.
?50 friend>hero/afraid: What if [there is a monster|somebody guards it|it is a trick]?
?50 hero>friend/brave: Then we will be brave together.

So {both} went to look {place.at}.
- They looked here and there. They found only [a rusty spoon|an old shoe|a very surprised mouse].
- They [searched|looked] all afternoon. {friend} was tired and wanted to go home.
  {#conflict}{hero} wanted to stay, and for a moment they were angry with each other.
- They counted their steps, and they counted wrong. They had to start again.
Then {hero} looked {spot}. There was a small [box|wooden box|chest]!
- With shaking hands, {hero} opened it.
- They lifted the lid together.
- It was hard to open. {both} pulled and pulled. Pop!
Inside were {inside} and a [note|letter].
- {#twist}The note said: "I hid this when I was seven. Love, Grandpa."
  Grandpa laughed out loud when they showed it to him.
- The note said: "Take one thing, and leave one thing for the next finder."
  {hero} took one, and put in a [marble|button|drawing].
- The note said: "The best treasure is the friend who came with you."
  {hero} looked at {friend.him} and smiled.
?50 @moral hero
@friends_end hero friend both
""",
        summary="{hero} and {friend} follow {finder} and find a box with {inside}.",
        wish="to find the treasure",
        obstacle="the treasure is hard to find",
        turn="{hero} looks {spot}",
        resolution="they find a box with {inside}",
        moral=(
            "looking for a treasure is half the fun",
            "a friend is the best treasure",
            "it pays to keep looking",
        ),
    )


@plot("boat and storm")
def boat(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "grandpa", "dad", "uncle")
    cast.choose(
        "guide",
        "the light of the old lighthouse",
        "the sound of a bell",
        "a seagull that flew ahead",
        "a lamp that somebody held on the shore",
    )
    cast.choose("fish", "a big silver fish", "one tiny fish", "an old boot", "three little fish")
    return cast.plan(
        """
@open
{elder} had a small [blue|red|white|green] boat. {day}, {hero} was allowed to come along to catch fish.
?40 {#foreshadowing}{elder} looked at the sky and [shook {elder.his} head a little|said that the wind might change].
- The sea was [as flat as a plate|calm and blue], and the gulls were crying.
- The boat went up and down, up and down.
- {hero} put one hand in the cool water and laughed.
[They waited a long time. At last,|For an hour, nothing happened. Then|They sat very still, and suddenly] {hero} caught {fish}.
- hero>elder/happy: Look what I caught!
- {elder} laughed and clapped.
* Then the wind [grew strong|began to blow]. Dark clouds came, and the waves [grew higher|got bigger and bigger].
* Suddenly, there was fog all around them. They could not see the land anymore.
@afraid hero
hero>elder/afraid: [How will we get home|Are we lost|Will the boat sink]?
elder>hero/kind: [Hold on to me|Stay calm|Do not be afraid]. [Keep your eyes open|Look and listen]. You have younger eyes than I.
{hero} [looked and looked|listened hard|did not look away from the waves].
- Then {hero.he} noticed something far away.
- At first there was only gray. Then there was something.
hero/excited: There! [I see something|I hear something]!
It was {guide}.
{elder} <turn> the boat around >> <follow> it. [Bit by bit|Slowly], they came closer to the land.
- When they stepped on the sand, {hero.his} knees were still shaking.
- [Mom|Grandma] was waiting for them with dry clothes and hot soup.
elder>hero/proud: [You were a good sailor today|I could not have done it without you|You saved us both].
?60 @proud hero
?50 @moral hero
@the_end hero
""",
        summary="{hero} goes out in a boat with {elder}, and {guide} brings them home.",
        wish="to catch fish with {elder}",
        obstacle="they cannot find the way home",
        turn="{hero} notices {guide}",
        resolution="they come home",
        moral=(
            "it is good to stay calm",
            "even small people can be a big help",
            "the sea is bigger than any boat",
        ),
    )


@plot("camping night")
def camping(cast: Cast) -> Plan:
    cast.child()
    cast.sibling("friend", "big") if cast.dice.chance(0.5) else cast.friend()
    cast.creature(
        "animal",
        "hedgehog",
        "badger",
        "cat",
        "squirrel",
        "frog",
        "rabbit",
        looks="little,small,hungry",
    )
    cast.thing("food", "snack")
    cast.group("both", "hero", "friend")
    return cast.plan(
        """
@open
{day}, {hero} and {friend} put up a tent behind the house. [They wanted to sleep outside for the first time.|It was their first night outside.|They had waited all week for this night.]
They had [pillows|blankets], a lamp and {food.a}.
- When it got dark, {friend} told a story about a [ghost|giant|monster] with long arms.
- They looked at the stars and counted them until they lost count.
- The grass smelled sweet, and the moon was round.
[Then|Suddenly|In the middle of the night], {hero} heard something. [Scratch, scratch.|Crack!|Rustle, rustle.]
hero>friend/afraid: [Did you hear that|What was that]?
friend>hero/afraid: [It is the wind|Something is out there|It is coming closer]!
@afraid hero
?50 {both} <hide> under the blanket // <hold> hands.
- hero: We can [run to the house|stay here], or we can look.
- {friend} wanted to run to the house. {hero} wanted to look first.
@bravely hero
{hero} <take> the lamp >> <open> the tent.
{#twist}There, in the light, sat {animal}. {animal} was eating {food.the}!
- hero/happy: So you are our monster!
- {both} laughed until their bellies hurt.
- {animal} looked at them, took one more bite and walked away.
?60 friend>hero: I was not really afraid.
?40 hero>friend: Neither was I.
After that, they slept [very well|until the sun was high|like stones].
?70 @moral hero
""",
        summary="{hero} and {friend} sleep in a tent and hear a noise, which is only {animal}.",
        wish="to sleep outside",
        obstacle="there is a noise in the dark",
        turn="{hero} looks outside with the lamp",
        resolution="it is only {animal} eating the {food.bare}",
        moral=(
            "it is good to look before you run",
            "the dark is full of small things",
            "most monsters are very small",
        ),
    )
