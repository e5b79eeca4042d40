"""Plots among animals, and of animals that need help."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot

# kind, looks, what is wrong, what is done, how it ends
_IN_NEED = (
    ("bird", "little,small,blue", "could not fly. One wing was hurt", "made a soft nest in a box and brought seeds and water", "flew up into the sky, turned around once and sang"),
    ("kitten", "little,gray,wet", "was sitting on a high branch and did not dare to come down", "put a ladder against the tree and held out some fish", "came down, one paw after the other"),
    ("duckling", "yellow,tiny,lost", "was all alone and called for its mother", "listened for the other ducks and walked slowly along the water", "saw its mother and ran to her as fast as it could"),
    ("puppy", "thin,brown,wet", "had no home and nothing to eat", "brought a bowl of food and an old blanket", "ate everything, curled up and fell asleep"),
    ("hedgehog", "small,cold,little", "was cold, and winter was near", "made a big pile of dry leaves in a quiet corner", "crept into the leaves and slept until spring"),
    ("bee", "tired,wet,little", "was lying on its back in the rain", "held out a leaf and put a drop of honey on it", "drank the honey, shook its wings and flew away"),
    ("turtle", "small,old,green", "was lying on its back and could not turn over", "pushed with both arms until it rolled over", "looked around, blinked and walked slowly to the water"),
    ("butterfly", "blue,yellow,pretty", "was stuck in a big web", "broke the threads one by one, as gently as possible", "opened its wings and danced in the air"),
    ("frog", "little,dry,green", "was sitting on the hot road, far from the water", "carried it to the pond in a wet cloth", "jumped into the water with a loud splash"),
    ("lamb", "white,little,lost", "was stuck in a fence and cried for its mother", "pulled the bars apart, a little at a time", "jumped up and ran back to the others"),
    ("rabbit", "small,brown,scared", "had one foot caught in a piece of wire", "sat very still, spoke softly and took off the wire", "hopped in a circle and was gone"),
)  # fmt: skip


@plot("helping an animal")
def helping(cast: Cast) -> Plan:
    cast.child()
    kind, looks, trouble, care, end = cast.dice.pick(_IN_NEED)
    cast.creature("animal", kind, looks=looks)
    cast.roles["animal"].pronoun = "it"
    cast.roles.update(trouble=trouble, care=care, end=end)
    cast.place(noun="park,garden,meadow,farm,river bank,forest")
    cast.kin("elder")
    return cast.plan(
        """
@open
{day}, {hero} was [walking|playing|looking for flowers] {place.at}.
?50 @weather
- Then {hero.he} heard a [small|soft|sad] sound.
- Then {hero.he} saw something move.
- {hero} stopped. Something was not right.
There was {animal}. It {trouble}.
- hero/kind: Oh, you poor thing! [I will help you|Do not be afraid].
- hero/kind: [Hello, little one|Do not be afraid]. I will not hurt you.
- @sad hero
  {hero} wanted to help.
?50 {animal} looked at {hero.him} with [big|dark|frightened] eyes.
- {hero} did not know what to do, so {hero.he} ran to get {elder.him}.
  elder>hero/wise: We must be [very gentle|slow and quiet|careful]. [It is more afraid than you are|Watch me and do the same].
  Together, they {care}.
- {hero} called {elder.him}.
  elder>hero/kind: You can do it. [Be gentle|Go slowly|Do not make any noise].
  So {hero} {care}.
- At first, it tried to [get away|hide]. {hero} <sit> down >> <wait> quietly.
  Then {hero.he} {care}.

- [It took a long time.|It was not easy.|Nothing happened at first.]
- {hero} hardly dared to breathe.
- {hero} waited and hoped.
- For [two days|a whole week], {hero} came to look every morning.
At last, {animal.name} {end}.
@happy hero
?40 hero/happy: Goodbye, little friend!
* {#twist}The next [day|spring], {hero} found a [feather|white stone|small flower] on the doorstep. Who had put it there?
* Sometimes, when {hero} walked by, {hero.he} thought {hero.he} saw {animal.name} again.
* @moral hero
* @the_end hero
""",
        summary="{hero} finds a {animal.kind} in trouble {place.at} and helps it.",
        wish="to help the {animal.kind}",
        obstacle="the {animal.kind} {trouble}",
        turn="{hero} finds a way to help",
        resolution="the {animal.kind} {end}",
        moral=(
            "small animals need big hearts",
            "it feels good to help",
            "you must be gentle with those who are smaller",
        ),
    )


@plot("small and brave")
def small_brave(cast: Cast) -> Plan:
    cast.animal(
        "hero",
        "mouse",
        "rabbit",
        "squirrel",
        "duckling",
        "frog",
        "hedgehog",
        "chick",
        "sparrow",
        "mole",
        "kitten",
    )
    cast.creature("big", "bear", "horse", "cow", "deer", "fox", "owl", looks="big,huge,tall")
    trap = cast.dice.pick(
        (
            (
                "was stuck in a net that a hunter had left",
                "bit the ropes, one after another, until the net fell open",
            ),
            (
                "was sitting at the bottom of a deep hole and could not get out",
                "crept under a root, found a long vine and pushed it over the edge",
            ),
            (
                "had a long thorn in one foot and cried with pain",
                "pulled and pulled, until the thorn came out",
            ),
            (
                "was shut in a barn, and the key hung on a tiny hook inside a small hole",
                "went through the hole and came back with the key",
            ),
            ("was caught between two rocks", "dug the sand away from below, little by little"),
        )
    )
    cast.roles.update(trap=trap[0], rescue=trap[1])
    return cast.plan(
        """
@open
[{hero} was very small, and the others often laughed about it.|{hero} was the smallest of all, and nobody let {hero.him} forget it.|When the others played, they often forgot {hero.him}, because {hero} was so small.]
- {big} laughed the loudest.
  big>hero/happy: [What can you do|Who needs you]? You are no bigger than a [nut|crumb|leaf]!
- {big} lived nearby.
  big>hero/cross: [Out of my way|Move over], little one! You are too small to be of any use.
- hero: Can I come with you?
  {big} shook {big.his} head.
  big>hero: You are too small. [Stay at home|You would only be in the way].
- @sad hero
- {hero} did not answer, but it hurt.
- {hero} went home without a word.
?40 {#foreshadowing}hero: One day, small will be just right.

{day}, {hero} heard a loud cry. {hero} {hero.went} closer and saw {big.him}. {big} {trap}.
big/sad: Help! [Is anybody there?|Please, somebody help me!]
?60 The others came and looked, but they were too [big|heavy|afraid] to help.
- @afraid hero
  But {hero} did not run away.
- {hero} thought of the unkind words. But only for a moment.
- @bravely hero
hero>big/brave: [Hold still|Do not move|I am here]. I will try.
{hero} {rescue}. It took [a long time|all morning], and it was hard work.
[At last|In the end|When the sun went down], {big} was free.
- big>hero/sorry: You saved me, and I was not kind to you. [I am sorry|Please forgive me].
  ?60 hero>big/kind: [That is all right|I forgive you|We all say silly things].
- @sorry big hero
- {big} bowed down low before {hero.him}.
  big>hero/kind: You may be small, but you have the biggest heart of all.
* After that, nobody laughed at {hero.him} anymore.
* From that day on, {hero} often rode on {big.his} back.
* @proud hero
@moral hero
""",
        summary="The small {hero.kind} {hero} saves the big {big.kind}.",
        wish="to be of use",
        obstacle="the {big.kind} {trap}",
        turn="{hero} is brave and helps",
        resolution="the {big.kind} is free and says thank you",
        moral=(
            "you do not have to be big to be brave",
            "even the smallest can help",
            "size is not everything",
        ),
    )


@plot("afraid of it")
def afraid(cast: Cast) -> Plan:
    kinds = {
        "duckling": ("swim", "the water", "jumped into the pond"),
        "bird": ("fly", "the sky", "opened both wings and jumped"),
        "sparrow": ("fly", "the sky", "spread both wings and let go"),
        "frog": ("jump into deep water", "the deep water", "closed both eyes and jumped"),
        "kitten": ("climb down from a tree", "high places", "put one paw down, and then another"),
        "squirrel": (
            "jump from tree to tree",
            "the gap between the trees",
            "ran along the branch and jumped",
        ),
        "mole": (
            "come out into the light",
            "the bright day",
            "stuck out one nose and then one foot",
        ),
        "bear": ("cross the river", "the loud river", "stepped from one stone to the next"),
        "lamb": (
            "walk over the bridge",
            "the old bridge",
            "put one foot on the wood, then another",
        ),
    }
    noun = cast.dice.pick(sorted(kinds))
    cast.animal("hero", noun)
    skill, fear, deed = kinds[noun]
    cast.do("skill", skill)
    cast.roles.update(fear=fear, deed=deed)
    cast.friend()
    cast.kin("elder", "mom", "grandma", "grandpa", "dad")
    return cast.plan(
        """
@open
[But there was one thing that {hero} did not dare to do. {hero.he} did not dare to {skill}.|Only one thing was wrong. {hero} was too scared to {skill}.|All the others could {skill}, but {hero} was afraid to try.|But when the others began to {skill}, {hero} always found a reason to stay behind.]
- {hero} was afraid of {fear}.
- When {hero} thought of {fear}, {hero.he} shook all over.
- Every time {hero} came near {fear}, {hero.his} heart beat like a drum.
?50 The others called {hero.him} a baby.
elder>hero/kind: [One day you will be ready|Everyone is afraid of something|You can wait until you are ready].
- hero>elder/sad: What if I never am?
- hero>elder/afraid: What if I fall?
- {hero} was not so sure.

{day}, {hero} was playing with {friend.him}. [Suddenly|Then|All at once], {friend} [called for help|cried out|gave a loud cry]!
- {friend} was in trouble, and {hero} could only get there if {hero.he} was brave enough to {skill}.
- {friend} was stuck, and nobody else was near. To get to {friend.him}, somebody had to {skill}.
@afraid hero
- But there was no time to think.
- hero: Do not think. Just do it.
- hero/brave: Hold on, {friend.call}! I am coming!
{hero} {deed}.
{#twist}[And it worked!|And look!|And nothing bad happened!] {hero} could {skill}!
- It was not so bad. It even felt [wonderful|good].
- {hero} almost forgot to be surprised.
- [Was that all?|So this was what it was like!] {hero} laughed out loud.
[In no time, {hero} was there and helped {friend.him}.|Soon {hero} reached {friend.him}, and together they got out of trouble.|A moment later, {friend} was safe.]
@thanks friend hero
?40 @proud hero
- elder>hero/proud: I [saw everything|heard what you did]. You were afraid, and you did it all the same. That is what brave means.
- After that, nobody could stop {hero.him}. {hero.he} wanted to {skill} all day long.
- @moral hero
?40 @the_end hero
""",
        summary="{hero} the {hero.kind} is afraid of {fear} until {friend} needs help.",
        wish="to be brave enough to {skill}",
        obstacle="{hero} is afraid of {fear}",
        turn="{friend} needs help",
        resolution="{hero} dares to {skill} and helps {friend}",
        moral=(
            "being brave means doing it even when you are afraid",
            "you can do more than you think",
            "fear gets smaller when you face it",
        ),
    )


@plot("crossing the river")
def crossing(cast: Cast) -> Plan:
    cast.animal("hero", "rabbit", "mouse", "fox", "bear", "squirrel", "hedgehog", "piglet", "lamb")
    cast.friend()
    cast.group("both", "hero", "friend", noun="the two friends")
    cast.roles["other"] = cast.dice.pick(
        (
            "the sweetest berries",
            "a field full of clover",
            "a tree full of red apples",
            "the summer fair",
        )
    )
    way = cast.dice.pick(
        (
            (
                "a long log",
                "rolled a long log to the water and pushed it across",
                "walked over it, one behind the other",
            ),
            (
                "a row of stones",
                "threw big stones into the water, one after the other",
                "jumped from stone to stone",
            ),
            (
                "a raft",
                "tied some branches together and made a raft",
                "sat on it and held on tightly",
            ),
            (
                "a rope",
                "threw a strong vine over a branch on the other side",
                "held on to it and swung across",
            ),
        )
    )
    cast.roles.update(bridge=way[0], work=way[1], cross=way[2])
    return cast.plan(
        """
@open
{day}, {hero} and {friend} heard about {other} on the other side of the river.
- friend>hero/excited: Let us go there!
- hero>friend/excited: We must see that!
But the river was wide, and [the bridge was broken|there was no bridge].
- friend>hero/sad: We will never get there. Let us go home.
- hero>friend: [I cannot swim so far|The water is too cold and fast].
- {friend} put one foot in the water and pulled it back. It was cold!
* {hero} tried to jump. Splash! {hero} came out wet and cold.
* {hero} <want> to swim >< the water was too fast.
* {both} <sit> down on the bank >> <look> at the water for a long time.
@idea hero
hero>friend: What if we [use|had] {bridge}?
{both} {work}. [It was hard work.|Twice it went wrong.|It took all afternoon.] [But they did not stop.|But in the end, it was done.]
?50 {#conflict}friend>hero/cross: Not like that! You are doing it wrong!
?40 hero>friend/kind: Then show me how, and I will help.
Then {both} {cross}.
- {friend} almost fell in, but {hero} caught {friend.him} just in time.
- In the middle, everything shook. {hero} <close> {hero.his} eyes >> <go> on.
- It was a little scary, and it was great fun.
On the other side, they found {other}, just as they had heard.
- {both} stayed until the sun went down.
- They laughed, ate and rested in the grass.
* friend>hero/happy: I am glad that we did not go home.
* {#twist}In the evening, others came to the river and used {bridge} too. Soon everybody could cross.
* @moral hero
?50 @friends_end hero friend both
""",
        summary="{hero} and {friend} cross a river with the help of {bridge}.",
        wish="to see {other} on the other side",
        obstacle="the river is wide and there is no bridge",
        turn="{hero} has the idea to use {bridge}",
        resolution="they cross the river and find {other}",
        moral=(
            "where there is a will, there is a way",
            "two heads are better than one",
            "it is good to try before you give up",
        ),
    )
