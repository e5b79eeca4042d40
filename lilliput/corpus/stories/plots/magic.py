"""Plots with magic, which always has its limits; giants, dragons, the moon and a cloud."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot


@plot("magic thing with limits")
def magic_thing(cast: Cast) -> Plan:
    cast.child()
    cast.place(noun="attic,market,forest,beach,garden,hill")
    kind = cast.dice.pick(
        (
            (
                "pot",
                "gave soup to anyone who sang to it",
                "The soup ran over the floor, out of the door and down the street",
            ),
            (
                "paintbrush",
                "made real whatever it painted",
                "{hero} painted a lion, and the lion opened its eyes and roared",
            ),
            (
                "hat",
                "made you as small as a bug",
                "A beetle looked at {hero.him} and opened its mouth",
            ),
            (
                "whistle",
                "called all the birds when you blew it",
                "The birds covered the roof, the trees and the table, and they ate everything",
            ),
            (
                "lamp",
                "made it day in the middle of the night",
                "Nobody could sleep, the hens were confused, and the flowers did not know when to close",
            ),
            (
                "shoes",
                "danced by themselves",
                "The shoes danced over the tables, over the roofs and did not stop",
            ),
            (
                "spoon",
                "turned everything it touched into sugar",
                "Even the bed was sugar, and it was hard and sticky",
            ),
            (
                "umbrella",
                "lifted you up into the air",
                "The houses were as small as buttons, and the wind was cold",
            ),
        )
    )
    noun, power, trouble = kind
    cast.prop(
        "thing", noun, "old,strange,dusty,little", number="many" if noun == "shoes" else "one"
    )
    cast.roles["power"] = power
    cast.grown_up("helper", "fairy", "wizard") if cast.dice.chance(0.5) else cast.kin(
        "helper", "grandma", "grandpa"
    )
    script = """
@open
{day}, {hero} found {thing.a} {place.at}. It [was|looked] very old.
- On it was written: "Use me three times and no more."
- A voice whispered: "Three times, and no more."
- Next to it was a note: "Three times only."
?30 @foreshadow
[Soon {hero} found out what was special. It was magic!|{hero} tried it at once. It was magic!|It did not look like much, but it was magic.] It {power}.
@surprised hero
The first time, {hero} [showed it to a friend|laughed with joy|used it very carefully]. The second time, {hero} used it to [help a neighbor|make a sad baby laugh|cheer up a friend].
- The third time, {hero} used it just for fun.
- The third time was so much fun that {hero} forgot to count.
- hero: Who cares about a rule? [One more time|I want more]!
[So {hero} used it a fourth time. That was too much.|Then {hero.he} did it once more, for the fourth time.|The fourth time was one time too many.] TROUBLE.
@afraid hero
hero/afraid: Stop! [Please stop|That is enough|Stop it]!
[But it did not stop.|It only got worse.|Nothing helped.]

- Then {helper} came.
- Just in time, there was {helper}.
helper>hero/wise: [It only stops when you give it away|You must say that you are sorry|Say thank you, and let it go|Magic does not like greedy hands].
- {hero} <close> {hero.his} eyes >> <say> it with all {hero.his} heart.
- {hero} did it at once.
Slowly, everything [became quiet|was as before|went back to how it had been].
hero>helper/sorry: [I wanted too much|Three times was enough|I am sorry. I did not listen].
* {hero} put {thing.the} back where it came from.
* {hero} buried {thing.the} under a tree, and it may still be there.
* The next morning, {thing.the} {thing.was} gone.
  ?50 {#twist}But a new note lay in its place: "Well done."
@moral hero
?40 @the_end hero
""".replace("TROUBLE", trouble)
    return cast.plan(
        script,
        summary="{hero} finds a magic {thing.bare} and uses it too often.",
        wish="to have fun with the magic {thing.bare}",
        obstacle="the magic gets out of control",
        turn="{helper} tells {hero} what to do",
        resolution="the magic stops",
        moral=(
            "enough is enough",
            "more is not always better",
            "magic needs a careful hand",
            "it is good to know when to stop",
        ),
        ending="mixed",
    )


@plot("the lonely giant")
def giant(cast: Cast) -> Plan:
    cast.child()
    cast.grown_up("giant", "giant")
    cast.prop(
        "gift",
        cast.dice.pick(("cake", "flower", "letter", "drawing", "blanket")),
        "big,little,pretty",
    )
    cast.choose(
        "fear",
        "ate children for breakfast",
        "could crush a house with one foot",
        "hated everybody",
        "threw rocks at people",
    )
    cast.choose("noise", "a deep sob", "a loud sigh", "a long, sad song", "somebody crying")
    cast.choose(
        "reason",
        "Nobody ever comes to see me",
        "Everyone runs away when I say hello",
        "Today is my birthday, and nobody knows it",
        "I only want a friend",
    )
    return cast.plan(
        """
@open
On a hill above the village stood a [huge|dark|tall] castle, and in it lived {giant}. People said that {giant.he} {fear}.
- Nobody ever went there.
- At night, the people closed their windows.
- The children ran past the hill as fast as they could.
?40 {#foreshadowing}But {hero} had once seen {giant.him} smile at a bird.

{day}, {hero} heard {noise} from the castle.
- @afraid hero
  But {hero} was also curious.
- hero: That does not sound like a monster. That sounds [sad|lonely].
@bravely hero
{hero} <walk> up the hill >> <knock> on the big door. [Boom, boom, boom.|The ground shook.] [The door opened.|Slowly, the door opened.|Heavy steps came closer, and the door opened.]
- {giant} was as tall as a tree.
- {hero} had to look up, and up, and up.
giant>hero: [Who is there|What do you want|Why are you not afraid]?
hero>giant/brave: [I am {hero.call}|My name is {hero.call}]. [I heard you cry. What is wrong?|You sounded so sad. Can I help you?|Why are you crying?]
{#twist}{giant} sat down, and a tear as big as a bucket fell to the ground.
giant>hero/sad: {reason}.
- hero>giant/kind: [I can be your friend|Now somebody knows|I am here now].
- {hero} ran home and came back with {gift.a}.
  hero>giant/kind: This is for you.
- @idea hero
  {hero} <go> down to the village >> <tell> everyone what had happened.
@happy giant
After that, {giant} [carried heavy stones for the people|held an umbrella over the village when it rained|let the children slide down {giant.his} arms|lifted kites out of the trees].
- And nobody was afraid of {giant.him} anymore.
- The people were sorry that they had believed [the old stories|such silly things].
@moral hero
?50 @the_end hero
""",
        summary="{hero} visits a giant that everyone fears and finds that {giant.he} is only lonely.",
        wish="to find out why the giant is sad",
        obstacle="people say that the giant {fear}",
        turn="{hero} knocks on the door of the castle",
        resolution="{hero} and the giant become friends",
        moral=(
            "you cannot know somebody from what others say",
            "big people can be lonely too",
            "a kind word opens big doors",
        ),
    )


@plot("little dragon")
def dragon(cast: Cast) -> Plan:
    cast.child()
    cast.place(noun="garden,forest,meadow,hill,yard")
    cast.being("dragon", "dragon", "tiny,little,green", "Smoky", "Spark", "Flame", "Puff")
    cast.kin("elder", "mom", "dad", "grandma", "grandpa")
    cast.choose(
        "burned",
        "the curtain",
        "the newspaper",
        "the dinner",
        "the fence",
        "all the socks on the line",
    )
    cast.choose(
        "useful",
        "lit the fire in the stove",
        "warmed the cold classroom",
        "melted the ice on the road",
        "dried all the wet clothes",
        "baked bread for the whole street",
    )
    return cast.plan(
        """
@open
{day}, {hero} found an egg {place.at}. It was [green and warm|blue with golden spots|as big as a melon, and it was warm].
- {hero} kept it under a blanket. On the third night, it went crack.
- {hero} put it in {hero.his} hat and carried it home. Crack! It opened.
Out came {dragon.a}, no bigger than a [shoe|cat]! It looked at {hero.him} and [sneezed a small flame|blew a little ring of smoke|burned a hole in the rug].
@surprised hero
hero/excited: [I will call you {dragon.call}|Your name will be {dragon.call}]!
{dragon.call} was [very sweet|funny and friendly], but every time {dragon.call} sneezed, something caught fire. First it was {burned}.
elder>hero/cross: [A dragon cannot live in a house|This cannot go on|That dragon has to go]!
- @sad hero
- hero>elder/sad: But {dragon} is my friend! [It was not on purpose|Please, let us keep {dragon}]!
- hero>elder/sad: Please, give us one more day!
- {#conflict}{hero} was so angry that {hero.he} wanted to run away with {dragon.call}.

@idea hero
- hero>dragon: What if a flame can be useful?
- hero>dragon/kind: We only have to find the right job for you.
[That winter was very cold.|Then the winter came, and it was a hard one.|They tried this and that. Then it worked.] {dragon.call} {useful}.
- Everyone [was amazed|came to say thank you|wanted to meet the little dragon].
- Soon everybody wanted {dragon.call} to come to their house too.
* elder>hero/sorry: I was wrong. [{dragon} can stay|This dragon is a treasure].
* Even {elder} smiled and brought {dragon.call} some hot peppers, which dragons love.
{dragon.call} [curled up|lay down] at {hero.his} feet and [blew a ring of smoke|began to snore].
?70 @moral hero
?40 @the_end hero
""",
        summary="{hero} finds a little dragon, {dragon}, that burns things until it becomes useful.",
        wish="to keep the little dragon",
        obstacle="the dragon burns {burned}",
        turn="{hero} looks for a job for the dragon",
        resolution="the dragon {useful}, so it can stay",
        moral=("everyone is good at something", "a fault can become a gift", "friends find a way"),
    )


@plot("wish on a star")
def star_wish(cast: Cast) -> Plan:
    cast.hero()
    cast.friend()
    wish = cast.dice.pick(
        (
            (
                "to be big",
                "as tall as a tree",
                "did not fit through the door, and the others were afraid",
                "small",
            ),
            (
                "to be able to fly",
                "as light as a feather",
                "could not come down, and the wind blew harder and harder",
                "on the ground",
            ),
            (
                "that it would be summer forever",
                "warm every day",
                "saw how the flowers dried and the stream became thin",
                "in the rain",
            ),
            (
                "to eat only sweet things",
                "in front of a mountain of candy",
                "felt sick and wanted a simple piece of bread",
                "in front of a plain dinner",
            ),
            (
                "that nobody would tell {hero.him} what to do",
                "all alone, and free to do anything",
                "had nobody to play with and nobody to say good night",
                "with everybody else",
            ),
        )
    )
    cast.roles.update(dream=wish[1], trouble=wish[2], back=wish[3])
    script = """
@open
[Every night, {hero} had the same wish.|But {hero} was not happy.|There was something {hero} thought about all day long.] What {hero.he} wanted most was WISH.
- {friend} did not understand it.
  friend>hero: But you are fine just as you are!
- {friend} only laughed about it.
?50 {#foreshadowing}friend>hero/wise: Be careful what you wish for.

[One night, a star fell from the sky.|Then, one clear night, a star fell over the hill.|One evening, {hero} saw a star that moved.]
- {hero} <close> {hero.his} eyes >> <make> a wish.
- hero: Little star, please make my wish come true!
[In the morning, {hero.his} wish had come true.|When the sun came up, everything was different.|The next day, it had really happened.] {hero} was {dream}!
- @happy hero
- At first, it was wonderful.
- hero/excited: It worked! It really worked!
[But soon it was not so good.|But it did not stay that way.|Then the trouble began.] {hero} {trouble}.
- @sad hero
- @worried hero
- hero/sad: This is not what I wanted!
?50 {friend} called {hero.his} name, but {friend.he} sounded far away.
[All day|For hours], {hero} waited for the night. When the first star came out, {hero.he} [made another wish|looked up and spoke to it].
hero/sorry: Please, [make everything as it was|take it back|I want to be just me again].
{#twist}When {hero} woke up, everything was [as before|as it had always been]. [Had it been a dream?|Was it only a dream?|It must have been a dream. Or not?]
- There was a little dust on the pillow, and it was shining.
- {hero} did not know. But how good it was to be {back}!
@hug hero friend
@moral hero
""".replace("WISH", wish[0])
    return cast.plan(
        script,
        summary="{hero} makes a wish on a star and is glad when it is over.",
        wish=wish[0],
        obstacle="the wish is not as good as {hero} thought",
        turn="{hero} makes another wish",
        resolution="everything is as before",
        moral=(
            "it is good to be careful what you wish for",
            "it is good to be just who you are",
            "not every wish should come true",
        ),
    )


@plot("cloud friend")
def cloud(cast: Cast) -> Plan:
    cast.hero()
    cast.being("cloud", "cloud", "small,little,white", "Puff", "Cotton", "Wisp", "Fluff")
    field, healed = cast.dice.pick(
        (
            ("the corn was thin and brown", "The corn stood up again"),
            ("the flowers hung their heads", "The flowers lifted their heads"),
            ("the pond was almost empty", "The pond was full again"),
            ("the old apple tree lost its leaves", "The old apple tree grew green leaves"),
        )
    )
    cast.roles.update(field=field, healed=healed)
    return cast.plan(
        """
@open
{day}, {cloud.a} came down from the sky and stopped right over {hero.his} head.
hero: [Hello|Good morning], little cloud! [Are you lost|Why are you so low]?
- The cloud [shook|trembled]. It was too small, and the other clouds had left it behind.
- cloud>hero: I am {cloud}. The others are too fast for me.
After that, the cloud [followed {hero.him} everywhere|came every day|was always near]. {hero} called it {cloud.call}.
- When {hero} was hot, {cloud.call} gave some shade.
- They played chase over the fields.
- {cloud.call} turned into a sheep, a ship and a hat to make {hero.him} laugh.
* Nobody had ever had such a friend.
* When {hero} was sad, {cloud.call} [danced in the air|made funny faces].
* Every evening, {cloud.call} turned pink and said good night.

[But that summer, it did not rain for a long time.|But then came a long, hot summer.|Then the weather changed. For weeks, there was no rain.] It was so dry that {field}.
?50 @worried hero
cloud>hero/sad: I could rain. But then I will be gone.
- {#conflict}{hero} did not want that. {hero.he} wanted to keep {cloud.call} forever.
- hero>cloud/sad: No! You are my friend. You must not go!
- @sad hero
cloud>hero/kind: [That is what clouds are for|It is the thing I can do best|They need me more than you do].
[So it began to rain|Then the rain came down|And then it rained], drop by drop. {healed}. And {cloud.call} was [gone|no longer there].
[{hero} stood in the rain and did not know if {hero.his} face was wet from the rain or from tears.|{hero} held out both arms, to catch as much of it as {hero.he} could.|Everybody danced in the wet grass. Only {hero} looked up and cried a little.]
?50 @time_passes
{#twist}[Then, one morning, a small white cloud stopped right over {hero.his} head.|One day in autumn, a shadow fell on {hero.his} nose. It was a very small shadow.|And then, when {hero} had almost stopped looking, there was something white above the hill.]
hero>cloud/excited: {cloud}! [You came back!|Is it you?]
cloud>hero/happy: [Water always comes back. It only takes some time.|I was a river, and I was the sea. Now I am here again.|It was a long way, but I know the road now.]
?60 @happy hero
?60 @moral hero
""",
        summary="{hero} is friends with a little cloud, {cloud}, that rains itself away and comes back.",
        wish="to keep the little cloud",
        obstacle="it is so dry that {field}",
        turn="the cloud decides to rain",
        resolution="the cloud comes back",
        moral=(
            "real friends come back",
            "giving is a kind of love",
            "saying goodbye is not the end",
        ),
    )
