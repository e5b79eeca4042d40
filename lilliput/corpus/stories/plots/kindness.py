"""Plots of kind and unkind deeds among friends."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot


@plot("shy new friend")
def shy_friend(cast: Cast) -> Plan:
    cast.hero()
    animal = cast.roles["world"] == "animal"
    if animal:
        cast.animal("friend")
        cast.place("wild")
    else:
        cast.child("friend")
        cast.place("play")
    cast.group("both", "hero", "friend", noun="the two of them")
    cast.choose(
        "secret",
        "could whistle like a bird",
        "knew a hundred jokes",
        "knew the name of every flower",
        "could draw anything in the sand",
        "could stand on one leg for an hour",
        "knew where the best berries were",
    )
    return cast.plan(
        """
@open
{day}, {hero} went to {place} to look for somebody to play with.
- There, all alone, sat {friend.new}.
- Somebody new was there. It was {friend.new}.
{hero} [said hello|smiled and said hello], but {friend} did not [answer|say anything].
- {hero} told a joke, but {friend} only looked at the ground.
- {friend} hid [behind a tree|in the grass|behind a rock].
- {friend} only looked at {hero.him} and then looked away.
?60 hero: [Maybe you do not like me.|Do you not like me?|Are you cross with me?]
?50 {friend} shook [a little|as if it were cold].

[The next day, {hero} came back.|The day after that, {hero} was there again.|{hero} thought about it all night and went back in the morning.] This time, {hero.he} did not [talk|ask any questions]. {hero.he} just [sat down close by|lay down in the grass|sat there] and [began to hum|ate an apple|watched the clouds|made a crown of flowers].
- After a while, {friend} came a little closer. Then a little closer still.
- They sat like that for a long time. It was quiet and nice.
- {hero} put half of a cookie on a stone between them. Soon it was gone.
[At last, {friend} opened {friend.his} mouth.|Then {friend} said the first words.|After a long time, {friend} looked up.]
friend>hero/sorry: I am [sorry|not cross]. I am only shy. [I did not know what to say|New things make me quiet].
- hero>friend/kind: That is all right. [We do not have to talk|I can wait|I talk enough for two]!
- hero>friend/kind: [I was shy once too|I am shy too sometimes]. It gets better.
{#twist}Soon {hero} found out that {friend} {secret}!
@surprised hero
?50 hero>friend/excited: [Show me again!|How do you do that?|Teach me, please!]
?60 @play_together both
?60 @moral hero
@friends_end hero friend both
""",
        summary="{hero} waits until the shy {friend} is ready to be a friend.",
        wish="to find somebody to play with",
        obstacle="{friend} is too shy to talk",
        turn="{hero} sits quietly and waits",
        resolution="{hero} and {friend} become friends",
        moral=(
            "a shy friend needs a little time",
            "it is good to be patient",
            "quiet friends can be the best friends",
        ),
    )


@plot("surprise party")
def surprise_party(cast: Cast) -> Plan:
    cast.hero()
    cast.friend()
    cast.roles["secretly"] = cast.dice.pick(
        ("whispered with the others", "hid something in a bag", "ran away with a big box")
    )
    cast.thing("gift", "gift", "small")
    cast.group("both", "hero", "friend", noun="the two friends")
    return cast.plan(
        """
@open
[It was {hero.call}'s birthday, but nobody said anything about it.|Today was {hero.call}'s birthday. But it looked like any other day.]
- In the morning, {hero} waited for somebody to say happy birthday. Nobody did.
- {hero} woke up early and waited. Nobody came.
Then {hero} saw {friend.him}.
hero>friend/happy: [Good morning!|Hello, {friend.call}!] [Do you know what day it is?|Is there anything special today?|Have you forgotten something?]
friend>hero: It is [Tuesday, I think|just a day|a good day to wash the windows]. [I have to go|I am very busy]!
?70 Later, {hero} saw that {friend} {secretly}.
- @sad hero
- hero/sad: They have all forgotten my birthday.
- {#conflict}{hero} was so angry that {hero.he} did not want to see {friend.him} ever again.
{hero} [went for a walk alone|sat alone all afternoon|walked around until it got dark].

[In the evening, {hero} came home. It was dark and very quiet.|When it got dark, {hero} went home. There was no light in the window.|At last, {hero} was tired and went home. Everything was dark.]
- {hero} <open> the door >> <step> inside.
- {hero} went in slowly.
{#twist}[Surprise!|Suddenly, there was light!|Then a hundred candles were shining.] All {hero.his} friends jumped up and [shouted|sang|cheered].
- There was a [big cake|table full of food|cake with candles], and there were [flowers|paper stars|colored lamps] everywhere.
- There were [lights|flowers|paper stars] all around, and a cake as [big as a wheel|tall as a hat].
@surprised hero
friend>hero/happy: Happy birthday, {hero.call}! We [worked on this all day|did not forget|wanted to surprise you]!
- hero>friend/sorry: And I thought you did not like me anymore!
- hero>friend/happy: This is the best birthday ever!
{friend} gave {hero.him} {gift.a}.
?50 @happy hero
?50 @moral hero
@friends_end hero friend both
""",
        summary="{hero} thinks everyone forgot {hero.his} birthday, but {friend} made a surprise party.",
        wish="to have a happy birthday",
        obstacle="everyone seems to have forgotten it",
        turn="{hero} comes home in the evening",
        resolution="there is a surprise party",
        moral=(
            "friends do not forget you",
            "things are not always as they look",
            "a surprise needs a secret",
        ),
    )


@plot("unkind words")
def unkind_words(cast: Cast) -> Plan:
    cast.child()
    cast.child("friend")
    cast.thing("wear", "wear", "small", "one", owner="friend")
    cast.kin("elder")
    cast.place("play")
    return cast.plan(
        """
@open
{day}, {hero} saw {friend.new} {place.at}. {friend} was wearing {wear.a}.
hero/happy: Look at that silly {wear.bare}!
?60 The other children laughed too.
- {friend} turned red and ran away.
- {friend} <take> off {wear} >> <walk> away.
- {friend} did not say anything, but there were tears in {friend.his} eyes.
?50 For a moment, {hero} thought it was funny. Then it did not feel funny at all.

At home, {hero} told {elder.him} about it.
elder>hero/wise: How would you feel if somebody laughed at [you|something you love]?
- {hero} did not answer. {hero.he} knew.
- hero>elder/sorry: [Bad|Sad|Very sad].
- hero>elder/sorry: I would want to go home and cry.
?60 elder>hero/kind: [Words can hurt like stones|A word is like a bird. You cannot catch it again|A kind word costs nothing].

The next day, {hero} <look> for {friend.him} >> <find> {friend.him} behind the big tree.
hero>friend/sorry: I am sorry about yesterday. I was not kind.
friend>hero/sad: [My grandma made it for me|It was a gift from my brother|It was the last thing my grandpa made].
- hero>friend/kind: Then it is very special. [It is nice|It looks warm|You look good].
- @sorry_inside hero
  hero>friend/kind: [It is really nice.|Will you wear it again?|I wish I had one like it.]
{friend} [smiled a little|wiped {friend.his} eyes and smiled].
- After that, when somebody laughed at {friend.him}, {hero} said stop.
- From that day on, {hero} thought before {hero.he} spoke.
- {hero} asked {friend.him} to play, and {friend} said yes.
?80 @moral hero
""",
        summary="{hero} laughs at {friend}'s {wear.bare} and then says sorry.",
        wish="to be funny",
        obstacle="{hero.his} words hurt {friend}",
        turn="{elder} asks {hero} how it would feel",
        resolution="{hero} says sorry to {friend}",
        moral=(
            "words can hurt",
            "it is better to be kind than to be funny",
            "a kind word can make things right",
        ),
    )


@plot("greedy")
def greedy(cast: Cast) -> Plan:
    cast.hero()
    cast.thing("food", "snack")
    cast.friend()
    cast.kin("elder", "mom", "grandma")
    return cast.plan(
        """
@open
[{hero} loved to eat. Most of all, {hero.he} loved {food.many}.|Nothing in the world was better than {food.many}, thought {hero.name}.|{hero} could never get enough of {food.many}.]
{day}, {elder} brought home a big basket of {food.many}.
elder>hero: These are for everyone. [Take only one|You may have two|Leave some for the others], {hero.call}.
- But when nobody was looking, {hero} ate one. And then one more.
- {hero} took one. It was so good that {hero.he} took another.
{hero} ate and ate until the basket was [almost empty|empty].
- Then {friend} came to the door.
  friend>hero: [I smell something good|Hello! I am hungry]. May I have one too?
  hero: There is nothing left.
- {friend} asked for some too.
  hero>friend/cross: [No, they are all mine|Go away]!

[Soon|Before long|In the evening], {hero.call}'s belly began to [hurt|ache].
- Oh, how it hurt! {hero} could not [run|stand up|play].
- It felt [as heavy as a stone|like a big drum].
- It made funny noises, and {hero} had to lie down.
hero/sad: [Ow, ow, ow|Oh, my belly]! I ate too [much|many]!
{friend} [came back and heard it|heard this].
- {friend} could have laughed, but {friend.he} [brought some warm tea|sat down with {hero.him} and told a story].
- {friend} <bring> a warm blanket >> <stay> until it was better.
hero>friend/sorry: You are so kind, and I gave you nothing. I am sorry.
elder>hero/wise: [Your belly is telling you something|Too much of a good thing is not good].
The next time there was something good to eat, {hero} gave the [first|biggest] piece to {friend.him}.
?80 @moral hero
""",
        summary="{hero} eats all the {food.many}, gets a sore belly, and learns to share.",
        wish="to eat all the {food.many}",
        obstacle="{hero.his} belly hurts",
        turn="{friend} is kind to {hero}",
        resolution="{hero} learns to share",
        moral=(
            "too much is not good for you",
            "it is better to share than to be greedy",
            "greedy bellies hurt",
        ),
        ending="mixed",
    )
