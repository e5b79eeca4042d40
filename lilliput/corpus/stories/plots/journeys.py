"""Plots on the way: lost, at sea, after a treasure, in a tent."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot


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
* helper>hero/kind: Are you lost, little one?
  hero>helper/sad: Yes. I want to go home.
* helper>hero/kind: [Is something wrong|Why are you crying], little one?
  hero>helper/sad: I cannot find {elder.call}. I want to go home.
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
    guide, sense = cast.dice.pick(
        (
            ("the light of the old lighthouse", "see"),
            ("the sound of a bell", "hear"),
            ("a seagull that flew ahead", "see"),
            ("a lamp that somebody held on the shore", "see"),
            ("somebody who sang on the shore", "hear"),
        )
    )
    cast.roles.update(guide=guide, sense=sense)
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
hero/excited: There! I [can|] {sense} something!
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
- friend>hero: I was not really afraid.
  hero>friend: Neither was I.
- friend>hero: I was not really afraid.
-
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
