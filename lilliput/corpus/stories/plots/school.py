"""Plots of learning: school, new skills, the stage, a tooth."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.lexicon.activities import SKILLS
from lilliput.corpus.stories.plan import Cast, Plan, plot


@plot("first day at school")
def first_day(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad")
    cast.child("friend")
    cast.grown_up("teacher", "teacher", definite=True)
    cast.thing("toy", "small", "soft", "one", owner="hero")
    cast.group("both", "hero", "friend")
    return cast.plan(
        """
@open
[It was {hero.his} first day at school.|Today {hero} was going to school for the first time.|The summer was over, and school began.]
- {hero} woke up very early. There was a funny feeling in {hero.his} belly.
- hero>elder/sad: I do not want to go. [What if nobody likes me|Can I stay with you|Do I have to]?
  elder>hero/kind: [Everybody there is new today|Give it one day|I will be back before you know it].
- {hero} put {toy.his} into {hero.his} bag, just in case.
In front of the school, {hero} held {elder.his} hand tightly. Then {elder} [had to go|waved and was gone|gave {hero.him} one last kiss and left].
?60 @afraid hero
teacher>hero/kind: Good morning! [You can sit here by the window.|Come in, we were waiting for you.|What is your name?]
- {hero} <sit> down >> <look> at the floor.
- {hero} only whispered.
The room was [full of noise|big and bright]. There were [tables, books and paints|pictures on every wall|children everywhere].

- Next to {hero.him} sat {friend.new}. {friend} had red eyes.
- At the next table, {friend.new} was crying quietly.
- Then {hero} saw {friend.new}, who looked even more afraid.
[{hero} forgot to be afraid.|Now {hero} did not think of {hero.himself} anymore.|Suddenly, {hero} felt a little braver.]
- hero>friend/kind: [Do you want to share my crayons?|You can hold my hand.|Do not cry. I am new too.]
- {hero} took out {toy.his} and put it on the table between them.
- hero>friend/kind: [I am scared too|It is my first day too]. Shall we be scared together?
{friend} [smiled a little|wiped {friend.his} face|nodded].
They [painted a big house|counted to one hundred|sang a song about a frog|built a long train], and at lunch they shared [a pear|a sandwich|some cookies].
- When the bell rang, {hero} was surprised. Was it over already?
- The day went by in no time.
elder>hero: [How was it|Was it very bad|Do you want to go back tomorrow]?
hero>elder/happy: [I have a friend now!|Can we come earlier tomorrow?|It was great, and there is a frog song!]
?50 @moral hero
?50 @friends_end hero friend both
""",
        summary="{hero} is afraid on the first day at school and makes a friend, {friend}.",
        wish="to stay at home",
        obstacle="{hero} is afraid of school",
        turn="{hero} sees that {friend} is afraid too",
        resolution="{hero} has a friend and likes school",
        moral=(
            "everybody is new at first",
            "helping somebody makes you forget your fear",
            "new things can be good things",
        ),
    )


@plot("learning a skill")
def learning(cast: Cast) -> Plan:
    cast.child()
    cast.do("skill", *SKILLS)
    cast.kin("elder", "grandma", "grandpa", "dad", "mom", "uncle", "aunt")
    cast.sibling("other", "big") if cast.dice.chance(0.4) else cast.friend("other")
    return cast.plan(
        """
@open
[There was one thing that {hero} could not do yet. {hero.he} could not {skill}.|But {hero} could not {skill}.|What {hero} wanted most was to {skill}.|Everyone thought that {hero} could {skill}. But it was not true.]
- {other} could {skill} very well, and {other.he} let everyone know.
  {#conflict}other>hero/proud: You will never learn it!
- {other} had learned it long ago.
- Everybody else in {hero.his} street could {skill}.
hero>elder: Can you teach me to {skill}?
elder>hero/kind: [Of course|I can], but you will have to [practice|try many times|be patient].

[The first time, it went [all wrong|very badly|wrong]. The second time, it went wrong too.|It looked so easy. It was not easy at all.|On the first day, {hero} only learned how it does not work.|The first try was bad. The next one was worse.]
- hero/cross: [I cannot do it|It is too hard|I give up]!
- {hero} wanted to cry.
- @sad hero
* elder>hero/wise: When I was little, I tried [twenty|fifty|a hundred] times.
* elder>hero/kind: Every time you fail, you learn a little. [Try once more|Rest a little, and try again].
* elder>hero/wise: You cannot do it yet. Yet is a very good word.
- So {hero} tried again. [And again.|And the next day, again.]
- Every day after [school|lunch|breakfast], {hero} practiced.
- {hero} practiced in the morning, at noon and in the evening.
?40 @time_passes
?30 Once it almost worked, and {hero} shouted with joy.

Then, {day}, it happened. {hero} could {skill}!
- hero/excited: Look! [Look at me|I can do it|I did it]!
- {hero} <run> to tell {elder.him} // <laugh> all the way.
@proud hero
- {other} saw it and clapped.
  other>hero/sorry: I was wrong. You are really good!
- {#twist}Then {other} came with a red face.
  other>hero/sorry: Can you show me how you did it? I never learned it so well.
- elder>hero/proud: You did it all by yourself.
?60 @moral hero
?40 @the_end hero
""",
        summary="{hero} learns to {skill} with the help of {elder}.",
        wish="to learn to {skill}",
        obstacle="it goes wrong many times",
        turn="{hero} keeps trying",
        resolution="{hero} can {skill}",
        moral=(
            "trying again makes you better",
            "nobody can do everything at once",
            "you should never say never",
            "it takes time to learn something new",
        ),
    )


@plot("on the stage")
def stage(cast: Cast) -> Plan:
    cast.child()
    cast.grown_up("teacher", "teacher", definite=True)
    cast.friend()
    cast.kin("elder")
    part = cast.dice.pick(
        (
            ("a tree", "stand very still and then say one line"),
            ("a bear", "growl three times and then dance"),
            ("the moon", "come up slowly and sing a song"),
            ("a king", "sit on a big chair and give away all the gold"),
            ("a mouse", "run across the stage with a piece of cheese"),
            ("the wind", "blow and blow until the house fell down"),
        )
    )
    cast.roles.update(part=part[0], act=part[1], part_noun=part[0].split()[1])
    return cast.plan(
        """
@open
[The children wanted to put on a play. {teacher} gave everyone a part.|There was going to be a play at school, and everyone had a part.|Every year, the children put on a play for their families.] {hero} was {part}. {hero.he} had to {act}.
- {hero} practiced every day, in the bath and in bed.
- {hero} said {hero.his} words to the cat, to the wall and to {hero.his} soup.
- {elder} helped {hero.him} to practice.
?40 friend>hero: [You are really good|I could not do that|I hope that I do not forget my words].

[Then the big evening came. The room was full of people.|At last, it was time. Every chair was taken.|When the evening came, all the families were there.] [Behind the curtain, {hero} looked out.|{hero} looked through a hole in the curtain.|{hero} could hear them all, talking and laughing.]
- @afraid hero
- {hero.his} mouth was dry, and {hero.his} knees shook.
hero>friend/afraid: I cannot do it! [I forgot everything|They are all looking|My legs do not move]!
- friend>hero/kind: [Look only at me|Take my hand|Breathe in, breathe out]. We will do it together.
- friend>hero/kind: I am scared too. [Let us be scared together|But I think that it will be fun].
- {friend} <take> {hero.his} hand >> <hold> it tightly.
{hero} [stepped out into the light|took one step, and then another|walked onto the stage].
- For a moment, it was very quiet. Then {hero} saw {elder.him} in the first row, and the words came back.
- {#twist}{hero} fell over {hero.his} own feet! Everyone laughed. {hero} got up and bowed, as if it were part of the play. Now they laughed even more.
- {hero} opened {hero.his} mouth. At first, only a squeak came out. Then the words came, louder and louder.
At the end, all the people [clapped|cheered] for a long time.
@proud hero
elder>hero/happy: You were the best {part_noun} I have ever seen!
?40 teacher>hero/kind: I knew that you could do it.
?50 @moral hero
?50 @the_end hero
""",
        summary="{hero} is afraid to be {part} in the school play but does well.",
        wish="to be {part} in the play",
        obstacle="{hero} is too scared to go on the stage",
        turn="{friend} helps {hero}",
        resolution="{hero} plays {part} well",
        moral=(
            "a friend makes you brave",
            "it is all right to be nervous",
            "mistakes can be funny",
        ),
    )


@plot("loose tooth")
def tooth(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad", "grandma", "grandpa")
    cast.thing("food", noun="apple,pear,sandwich,cookies")
    cast.choose(
        "coin", "a shiny coin", "a new book", "a tiny letter", "a little star of gold paper"
    )
    return cast.plan(
        """
@open
[{hero} had a loose tooth.|One of {hero.his} teeth was loose.|It began with a tooth. It was loose.] It [moved|wiggled] when {hero.he} [ate|talked|touched it].
- {hero} wanted it to come out, but {hero.he} was also afraid.
- hero>elder/afraid: Will it hurt when it comes out?
  elder>hero/kind: [Only a little|Not much|You will hardly feel it].
- All the other children had lost one already.
{hero} [pulled at it|pushed it with {hero.his} tongue], but it did not come out.
- {elder} tied a thread to it, but {hero} ran away before {elder} could pull.
- {hero} jumped up and down to make it fall. It stayed where it was.
- hero/cross: [I will never lose it|This tooth is stuck forever]!

{day}, {hero} took a bite of {food.a}. [Crack!|Oh!] [Something was hard.|There was something that did not belong there.|That was no seed.]
{#twist}The tooth was out! It was in {food.the}!
@surprised hero
hero/excited: [It is out|Look, a hole]! [And it did not hurt at all!|I did not feel a thing!|At last!]
- But then the tooth fell [under the stove|into a crack in the floor|out of {hero.his} hand]. {hero} and {elder} looked for a long time until they found it[ behind the bin| in the dust|].
- {hero} looked in the mirror and laughed at the big hole.
- Now {hero} could whistle through the hole.
That night, {hero} put the tooth [under the pillow|in a little box under the pillow|in a sock under the pillow].
?50 {#foreshadowing}The window was open a little.
In the morning, the tooth was gone, and there was {coin}.
- hero>elder/happy: Was it you?
  elder>hero: [I slept all night|I do not know what you mean|Me? No]!
  But {elder} smiled.
- {hero} ran to show it to everyone.
?40 @happy hero
?50 @moral hero
?50 @the_end hero
""",
        summary="{hero} has a loose tooth that comes out in {food.the}.",
        wish="to lose the loose tooth",
        obstacle="the tooth does not come out",
        turn="{hero} takes a bite of {food.the}",
        resolution="the tooth comes out, and {hero} finds {coin}",
        moral=(
            "things come when it is time",
            "most things hurt less than you think",
            "it is good to be patient",
        ),
    )
