"""Fables: animals that show how people are."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot


@plot("race")
def race(cast: Cast) -> Plan:
    cast.animal("hero", "turtle", "hedgehog", "duckling", "mole", "piglet", "frog")
    cast.animal("rival", "rabbit", "fox", "squirrel", "puppy", "foal")
    cast.choose(
        "goal",
        "the old bridge",
        "the top of the hill",
        "the big oak",
        "the other side of the meadow",
        "the red barn",
    )
    cast.roles["rest"] = cast.dice.pick(
        (
            "fell asleep under a tree",
            "stopped to eat some berries",
            "stopped to look at a mirror in the grass",
            "did tricks for the others",
            "ran after a butterfly",
        )
    )
    return cast.plan(
        """
@open
In the same place lived {rival.new}. {rival} [liked to boast|talked about only one thing|was very fast and never let anyone forget it].
rival/proud: I am the fastest of all! [Nobody can beat me|No one runs like me]!
- hero/brave: I will race you.
- hero>rival: Let us have a race to {goal}.
- Everybody was tired of hearing it.
  hero>rival/brave: Then let us have a race.
{rival} [laughed so hard that {rival.he} fell over|could not stop laughing|looked at {hero.him} and laughed].
?50 rival>hero: You? [You cannot even catch a snail|I can win on one leg]!

{day}, all the animals came to watch. [An old crow called, "One, two, three, go!"|When the first leaf fell, the race began.|A goose counted to three, and off they went.|The owl clapped its wings, and the race began.]
[{rival} ran off like the wind. {hero} started slowly.|{rival} shot away. {hero} took one step, and then the next.|In a flash, {rival} was gone. {hero} was still close to the start.]
- Soon {rival} was far ahead and could not see {hero.him} anymore.
- The others shook their heads.
- Dust was all that {hero} could see in front of {hero.him}.
So {rival} {rest}.
?40 rival: There is plenty of time.
[But {hero} did not stop.|{hero} just went on.|{hero} did not look left or right.] [Step by step|On and on|Bit by bit], {hero.he} went, past [a stone|the stream|a fence] and [up a hill|through the grass|around a bend].
- {hero.his} legs hurt, but {hero.he} [went on|did not stop].
- hero: One more step. And one more.
- {hero} <want> to rest >< {hero.he} thought of {goal}.
{#twist}When {rival} looked up, {hero.name} was almost at {goal}! {rival} [ran as fast as {rival.he} could|flew over the ground|jumped up and ran], but it was [too late|no use].
{hero} had won!
- Everyone [cheered|shouted {hero.his} name].
- @proud hero
- @surprised rival
- rival>hero/sorry: You won. [I should not have laughed|I will not boast again].
- rival>hero/sorry: How did you do it?
  hero>rival/kind: I just did not stop.
- {rival} was angry at first. Then {rival.he} came and said well done.
?60 @moral hero
""",
        summary="The slow {hero.kind} {hero} wins a race against {rival} the {rival.kind}.",
        wish="to win the race to {goal}",
        obstacle="{rival} is much faster",
        turn="{rival} {rest}",
        resolution="{hero} wins the race",
        moral=(
            "slow and steady wins the race",
            "it is not good to boast",
            "you should never give up",
            "you should not laugh at others",
        ),
    )


@plot("winter store")
def winter_store(cast: Cast) -> Plan:
    cast.animal("hero", "squirrel", "mouse", "rabbit", "badger", "hedgehog")
    cast.friend()
    cast.group("both", "hero", "friend")
    kind = cast.dice.chance(0.65)
    cast.choose(
        "idle",
        "sang in the sun",
        "slept in the sun",
        "played all day",
        "danced in the leaves",
        "told jokes to the flowers",
    )
    bad = """
friend>hero/sad: Please, {hero.call}, can I have some food? I have nothing.
hero>friend/cross: [You had fun|You played] when I worked. [Now play in the snow|Go away]!
{hero} shut the door. {friend} walked away [through the snow|into the cold wind].
All winter, {hero} had enough to eat. But {hero} had nobody to talk to, and the [long|dark] evenings were very [quiet|lonely].
- hero/sad: What good is all this food, when I am alone?
- @sorry_inside hero
In spring, {hero} looked for {friend.him} everywhere. But {friend} had gone far away and did not come back.
@bad_end hero
?60 @moral hero
"""
    good = """
friend>hero/sad: Please, {hero.call}, can I come in? I am so cold and so hungry.
- At first, {hero} was angry.
  hero>friend/cross: [I worked while you played|I told you so]!
  Then {hero} saw how thin {friend} was.
- {hero} looked at {hero.his} food. Was there enough for two?
hero>friend/kind: Come in. [There is enough for two|You can sit by the fire].
In return, {friend} [sang songs|told funny stories|made up games] all winter, and the long evenings were [never dark|full of laughter].
- In spring, they went out together.
  friend>hero/happy: This year, I will help you.
- The next autumn, both of them worked, and both of them sang.
?80 @moral hero
"""
    return cast.plan(
        """
@open
[It was autumn, and {hero} was very busy.|The leaves were turning red, and {hero} had a lot to do.|When the nights grew cold, {hero} began to work.] Every day, {hero.he} [gathered|collected|carried home] {hero.food} for the winter.
{friend} did not work at all. {friend} {idle}.
- friend>hero/happy: Why do you work so hard? [The sun is shining|Come and play with me]!
- friend>hero/happy: Winter is far away. [Come and play|Let us have fun]!
- hero>friend: [Winter is coming|Soon there will be snow]. You should do the same!
  friend>hero: There is time enough for that.
?50 {#foreshadowing}A cold wind blew a yellow leaf across the grass.

[Then the snow came.|One morning, everything was white.|The days got short, and winter came.] It [snowed for three days|covered everything]. {hero} sat in {hero.his} warm {hero.home} and ate {hero.food}.
[One night|One cold evening], there was a knock. It was {friend.call}, [blue with cold|white with snow].
""".rstrip("\n")
        + (good if kind else bad),
        summary="{hero} works for the winter while {friend} plays; "
        + ("{hero} shares." if kind else "{hero} does not share and is lonely."),
        wish="to have enough food for the winter",
        obstacle="{friend} has no food",
        turn="{friend} comes to the door in the snow",
        resolution="{hero} lets {friend} in" if kind else "{hero} sends {friend} away",
        moral=("it is good to work and good to play", "there is always enough to share")
        if kind
        else ("a full table is sad without a friend", "it is lonely to be right and unkind"),
        ending="good" if kind else "bad",
    )


@plot("the proud crow")
def flattery(cast: Cast) -> Plan:
    cast.animal("hero", "bird", "sparrow", "squirrel", "kitten", "mouse")
    cast.creature("sly", "fox", "crow", looks="sly,clever,hungry")
    cast.thing("food", "snack")
    return cast.plan(
        """
@open
{day}, {hero} found {food.a}. {hero} carried {food.one} up to a high branch to eat in peace.
{sly} came by and smelled {food.the}. [How hungry {sly.he} was!|{sly} had eaten nothing all day.|It smelled wonderful.]
- {#foreshadowing}{sly} sat down below the branch and smiled a [thin|strange] smile.
- {sly} began to think of a trick.
sly>hero/kind: Good [morning|day], {hero.call}! [You look beautiful today|What lovely eyes you have|How your coat shines]!
[{hero} did not answer. But it was nice to hear.|{hero} looked away, but {hero.he} listened.|Nobody had ever said such a thing to {hero.him}.]
- sly>hero/kind: They say that nobody [sings|dances] as well as you. [Is it true|May I see it|Will you show me]?
- sly>hero/kind: I hear that you can [dance|sing] better than anyone. But I do not believe it.
- {hero} felt [very proud|warm all over].
- @proud hero
- hero/proud: Of course I can!
{hero} put down {food.the} and began. [Plop!|Oh no!] {food.the} fell off the branch, right at {sly.his} feet.
sly>hero/happy: Thank you! [You do it very well|That was a fine show], but you should [think more|trust less].
- {sly} <eat> every bit >> <walk> away.
- {sly} ran off with {food.one} and was not seen again.
@sad hero
?40 {hero} looked down at the empty place in the grass.
?40 @bad_end hero
@moral hero
""",
        summary="{sly} tricks {hero} with sweet words and gets the {food.bare}.",
        wish="to eat the {food.bare} in peace",
        obstacle="{sly} wants the {food.bare} too",
        turn="{hero} believes the sweet words",
        resolution="{sly} gets the {food.bare}",
        moral=(
            "not all sweet words are true",
            "you should be careful when somebody says only nice things",
            "pride can cost you your dinner",
        ),
        ending="bad",
    )
