"""Plots at home: lost and broken things, tidying, baking, brothers and sisters."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot

MENDING = {
    "wood": "glue and a small hammer",
    "cloth": "a needle and thread",
    "paper": "tape and glue",
    "clay": "strong glue",
    "": "a tiny screw and some oil",
}


@plot("lost toy")
def lost_toy(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder")
    cast.thing("toy", "toy", "small", owner="hero")
    cast.spot("spot", cast.place(noun="bedroom,garden,living room,yard,park,playground,library"))
    cast.choose(
        "wrong", "behind the door", "under the rug", "in the big basket", "under the stairs",
        "in every drawer", "on the top shelf", "behind the curtain",
    )  # fmt: skip
    return cast.plan(
        """
@open
- {hero} had {toy.a}. {hero} loved to {toy.use}.
- {hero.his} favorite thing was {toy.a}. Every day, {hero.he} liked to {toy.use}.
- {hero} had {toy.a}, and {hero.he} took {toy.one} everywhere.
?25 @foreshadow

* {day}, {toy.his} was gone.
* {day}, {hero} wanted to {toy.use}, but {toy} was not there.
* {day}, {hero} could not find {toy.his} anywhere.
@sad hero
hero>elder/sad: I have lost {toy.my}. [Have you seen it|Did you see it anywhere|Can you help me find it]?
- elder>hero/kind: No, but [we can look together|I will help you look]. Where did you play last?
  hero>elder: I played {place.at} yesterday.
- elder>hero/kind: [Think about it|Close your eyes and think]. Where did you have it last?
  ~after a while~ {hero} remembered {place}.
- {elder} had not seen {toy.it}, but {elder.he} said they could look for it together.

- {hero} <look> {wrong} >> <open> every box. [Nothing!|It was no use.]
- {hero} looked {wrong}, but found only [dust|an old sock|a lost button|a dead fly].
- First, {hero} looked {wrong}. Then {hero.he} looked [in the closet|on the shelf|in the hall]. [Nothing!|No luck.]
Then {hero} and {elder} went to look {place.at}.
- {hero} looked {spot}. There was {toy}!
- At last, {elder} pointed. There, {spot}, was {toy}!
- {hero} <bend> down >> <look> {spot}. There was {toy.his}!
?60 @happy hero
- hero/excited: I found it! I found it!
- {hero} held {toy} tightly.
- @thanks hero elder
?40 @moral hero
@the_end hero
""",
        summary="{hero} loses {hero.his} {toy.bare} and finds it {spot} {place.at}.",
        wish="to find {hero.his} {toy.bare}",
        obstacle="the {toy.bare} cannot be found",
        turn="{hero} looks {place.at}",
        resolution="the {toy.bare} is found {spot}",
        moral=(
            "it helps to think about where you played last", "two can find more than one",
            "it is good to put your things away",
        ),
    )  # fmt: skip


@plot("thief in the house")
def thief(cast: Cast) -> Plan:
    cast.child()
    cast.pet("pet", "puppy", "kitten", "dog", "cat")
    cast.thing("toy", "small", "cloth", owner="hero")
    cast.kin("elder", "mom", "dad")
    cast.choose(
        "nest", "under the bed", "behind the sofa", "in the laundry basket", "under the porch"
    )
    return cast.plan(
        """
@open
{hero} lived with {elder.him} and {pet.him}.
{hero} had [got|just got] {toy.a} [from {hero.his} aunt|for {hero.his} birthday|from a friend].
?60 {#foreshadowing}{pet} [sniffed|looked] at {toy} and [wagged|did not look away].

- {day}, {toy} {toy.was} gone. The next day, a sock was gone too.
- {day}, things began to disappear: first a sock, then a glove, and then {toy}!
@surprised hero
hero>elder/afraid: There is a thief in our house!
elder>hero/kind: What kind of thief wants [one sock|an old sock]? [Let us watch tonight|We will find out].
- That night, {hero} <hide> behind the door >> <wait> in the dark.
- {hero} put some flour on the floor to catch the thief. In the morning, there were small tracks!
[Soon,|At last,|Then] {hero} saw the thief. {#twist}It was {pet.call}!
{pet} <carry> a slipper {nest} // <look> very proud.
- There {pet.he} had made a soft bed of all the things {pet.he} had taken. {toy} {toy.was} there too.
- {hero} looked {nest}. There {toy.was} {toy}, the sock and [a glove|a hat|a towel], all in one soft pile.
- hero/happy: {pet}, you are the thief!
- {hero} laughed so hard that {hero.he} had to sit down.
hero>elder: Why did {pet.he} do it?
elder>hero/wise: {pet} [was cold|wanted a soft bed|missed you when you were at school].
So {hero} gave {pet.him} [an old blanket|a warm pillow], and nothing was ever stolen again.
?50 @the_end hero
""",
        summary="Things disappear in {hero.call}'s house, and the thief is {hero.his} pet {pet}.",
        wish="to catch the thief",
        obstacle="things disappear from the house",
        turn="{hero} watches for the thief",
        resolution="{pet} was making a soft bed",
    )


@plot("broken toy mended")
def broken_toy(cast: Cast) -> Plan:
    cast.child()
    cast.thing("toy", "toy", "fragile", owner="hero")
    cast.kin("elder")
    cast.bind("tool", MENDING[cast.roles["toy"].material])
    return cast.plan(
        """
@open
- {hero} had {toy.a}. {hero} loved to {toy.use} [every day|after breakfast|before bed].
- On {hero.his} last birthday, {hero} got {toy.a}. It was {hero.his} favorite thing in the world.

- {day}, {hero} dropped {toy.his} by mistake. Crack! It broke.
- {day}, {hero} was running too fast. {hero} <trip> over a shoe >> <drop> {toy.his}. It broke into two pieces.
- {day}, somebody sat on {toy.his}, and it broke.
- {day}, {hero} was not careful, and {toy.his} fell down the stairs. It was broken.
@sad hero
- hero/sad: Oh no! It is broken!
- hero/sad: My poor {toy.bare}! Now I cannot play with it anymore.
?40 {hero} tried to put the pieces together, but they fell apart again.
- {elder} heard {hero.him} and came [to look|into the room|at once].
- {hero} brought the pieces to {elder.him}.
elder>hero/kind: [Let me see|Show me]. [I think we can fix it|It is not so bad|We can mend this together].

{elder} took {tool} and [sat down at the table|turned on a bright lamp|cleared the table].
- {hero} held the pieces [very still|tightly], and {elder} worked slowly.
- {elder} showed {hero.him} how to do it, and {hero} did the last part alone.
?40 It took [a long time|all afternoon|one hour], but they did not give up.
- At last, {toy} was whole again. [It looked as good as new.|There was only a small line where it had been broken.|It even looked better than before.]
- In the end, {toy} was mended. You could still see where it had broken, but {hero} liked it even more.
@thanks hero elder
?50 @proud hero
?45 @moral hero
?60 @the_end hero
""",
        summary="{hero.call}'s {toy.bare} breaks, and {elder} helps to mend it.",
        wish="to play with {hero.his} {toy.bare} again",
        obstacle="the {toy.bare} is broken",
        turn="{elder} takes {tool}",
        resolution="the {toy.bare} is mended",
        moral=(
            "many broken things can be fixed", "it is good to be careful with your things",
            "it is better to fix a thing than to cry about it",
        ),
    )  # fmt: skip


@plot("tidy up")
def tidy_up(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad", "grandma")
    cast.thing("toy", "toy", "small", owner="hero")
    cast.choose(
        "floor",
        "blocks, books and socks",
        "cars, crayons and paper",
        "toys and clothes",
        "dolls, boxes and one banana",
    )
    return cast.plan(
        """
- @open
  {hero} never liked to clean up.
- {hero.call}'s room was always a mess.
  ?50 {hero} was {hero.a} who loved to {hobby}, but {hero.he} did not like to clean.
There were {floor} all over {hero.his} floor.
elder>hero: [Please clean your room|Please put your things away|It is time to tidy up], {hero.call}.
- hero>elder/cross: [Later|Not now|I do not want to]!
- hero>elder: I will do it tomorrow.
But {hero} only [played|sat down to draw|looked out of the window].

- {day}, {hero} wanted to {toy.use}. But where was {toy}? {hero} could not see it in the mess.
- {day}, {hero} <step> on a block >> <fall> down. Ouch!
- That night, {hero} got up to drink some water. In the dark, {hero.he} stepped on something sharp. Ouch!
@angry hero
?60 hero/cross: This mess is too big!
- elder>hero/wise: A big job is only many small jobs. Start with one thing.
- elder>hero/kind: [Let us make it a game|We can sing while we work]. [How many things can you put away before I count to fifty|Who is faster, you or I]?
- @idea hero
  {hero} <put> on some music >> <begin> to work.
{hero} put [the books on the shelf|the blocks in a box|the socks in the drawer]. Then {hero.he} put [the toys in the basket|the clothes in the closet|the paper in the bin].
- Under the last [sock|shirt|book], {hero} found {toy.his}!
- And there, at the bottom of a pile, was {toy.his}!
- [Behind the bed|Under a chair], {hero.he} even found {toy.his}, which {hero.he} had been missing for weeks.
@happy hero
- Now there was room to {toy.use}.
- The room looked [big|bright|lovely], and there was room to dance.
elder>hero/happy: [Well done|What a clean room|I am proud of you]!
?60 @moral hero
?50 @the_end hero
""",
        summary="{hero} does not want to tidy up, but does it in the end and finds {hero.his} {toy.bare}.",
        wish="to play and not to tidy up",
        obstacle="{hero.his} room is a mess",
        turn="{hero} starts with one thing",
        resolution="the room is clean and {hero} finds {hero.his} {toy.bare}",
        moral=("cleaning up can be fun", "it is easier to find things in a clean room", "a big job is done one step at a time"),
    )  # fmt: skip


@plot("baking")
def baking(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "grandma", "mom", "dad", "grandpa")
    cast.thing("cake", "bake")
    cast.choose("missing", "sugar", "salt", "butter", "milk")
    cast.grown_up("neighbor", "neighbor")
    cast.choose(
        "reason",
        "it was a rainy day",
        "guests were coming",
        "it was a holiday",
        "they were both hungry",
        "it was Sunday",
    )
    return cast.plan(
        """
@open
{day}, {hero} and {elder} wanted to bake {cake.a}, because {reason}.
- They put on [aprons|big aprons] and washed their hands.
- {hero} <put> on an apron >> <climb> onto a chair.
{hero} [broke the eggs|got the bowl|got the big spoon], and {elder} [turned on the oven|looked for the flour|opened the old book].
?40 {hero} got flour on {hero.his} nose, and {elder} laughed.

But when they looked for the {missing}, there was none left.
- hero/sad: Oh no! Now we cannot bake.
- hero>elder: What can we do now?
* elder>hero/kind: [Go and ask the neighbor|Maybe the neighbor has some].
* @idea hero
  hero: I can ask the neighbor!
{hero} <run> next door >> <knock> on the door. {neighbor} opened it.
hero>neighbor: [Hello|Good morning]! May I have some {missing}, please? We want to bake {cake.a}.
neighbor>hero/kind: [Of course|Yes, here you are]. But only if I get a [piece|taste|bite]!
- hero>neighbor/happy: I promise!
- {hero} laughed and said yes.

Back [at home|in the kitchen], {hero} put the {missing} in the bowl and mixed [for a long time|until {hero.his} arm hurt|slowly].
- [Soon|After an hour], the whole house smelled [sweet|wonderful|so good].
- {hero} sat in front of the oven and waited. It was hard to wait!
- While they waited, {elder} told {hero.him} a story.
At last, {cake} {cake.was} ready.
- {hero} did not forget {hero.his} promise. {hero} took the first piece to {neighbor.him}.
- First of all, {hero} took some to {neighbor.him}, just as {hero.he} had said.
neighbor>hero/happy: [Mmm|Oh]! I never had better {cake.bare}!
?50 @moral hero
?60 @the_end hero
""",
        summary="{hero} and {elder} bake; {hero} borrows {missing} from a neighbor and shares.",
        wish="to bake with {elder.him}",
        obstacle="there is no {missing} left",
        turn="{hero} asks the neighbor for {missing}",
        resolution="the {cake.bare} {cake.is} baked and shared with the neighbor",
        moral=("it is good to keep a promise", "food tastes better when it is shared", "neighbors can help each other"),
    )  # fmt: skip


@plot("new baby")
def new_baby(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad")
    cast.sibling("baby", "baby")
    cast.thing("toy", "small", "soft", "one", owner="hero")
    cast.bind("sib", "sister" if cast.roles["hero"].pronoun == "she" else "brother")
    return cast.plan(
        """
@open
{day}, there was a new baby in the house. [It was|The baby was] {baby.him}.
Everybody [came to see|wanted to hold|looked at] the baby. Nobody [looked at|played with|had time for] {hero.him}.
- @sad hero
- @angry hero
- hero>elder/cross: Can we take the baby back?
  elder>hero/kind: No, {hero.call}. Babies are here to stay.
?60 hero/sad: [Nobody loves me anymore|Everyone has forgotten me|The baby gets everything].
?40 {hero} <go> to {hero.his} room >> <close> the door.

[That night|One evening|The next day], the baby began to cry. {elder} sang a song, but the baby [cried and cried|did not stop|cried even louder].
- {hero} put {hero.his} hands over {hero.his} ears. Then {hero.he} had an idea.
- {hero} looked at the small red face. Then {hero.he} had an idea.
- @idea hero
* {hero} got {toy.his} and put it next to the baby.
* {hero} held {toy.his} up and made it dance.
* {hero} <bring> {toy.his} >> <sing> very softly.
[The baby stopped crying.|All at once, it was quiet.|The crying stopped.] {baby} looked at {hero.him} and [smiled|laughed|held on to {hero.his} finger].
@surprised hero
elder>hero/happy: Look! [The baby loves you|You are the first one to get a smile|You are a wonderful big {sib}].
hero>baby/kind: [You can have it tonight|Do not cry. I am here|When you are big, I will show you everything].
- @proud hero
- From then on, when the baby cried, everyone called for {hero.him}.
- After that, {hero} liked to [sing to|sit next to|tell stories to] the baby.
?50 @moral hero
?30 @the_end hero
""",
        summary="{hero} is jealous of the new baby until {hero.he} makes {baby} smile.",
        wish="to be noticed again",
        obstacle="everyone looks at the new baby",
        turn="{hero} shares {hero.his} {toy.bare} with the baby",
        resolution="the baby smiles at {hero}",
        moral=("there is enough love for everyone", "big children can help little ones", "a baby needs a friend too"),
    )  # fmt: skip


@plot("moving house")
def moving(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad")
    cast.child("friend")
    cast.thing("toy", "toy", "small")
    cast.choose(
        "missed",
        "the old apple tree",
        "the swing in the yard",
        "the cat next door",
        "the blue door",
        "the little window under the roof",
    )
    cast.group("both", "hero", "friend", noun="the two children")
    return cast.plan(
        """
@open
{day}, {elder} had big news.
elder>hero: We are going to move to a new house[, {hero.call}|].
- hero>elder/sad: But I like this house!
- hero>elder/sad: I do not want to go! Who will play with me there?
- {hero} did not like this news at all.
They put [everything|all their things] in boxes. {hero} said goodbye to the kitchen, to the stairs and to {missed}.

The new house was [big and quiet|empty and cold|clean and strange]. [Nothing smelled like home.|Even the light was different.|Every step sounded too loud.]
@sad hero
- At night, {hero} heard new noises and could not sleep.
- {hero} sat on a box and thought of {missed}.
The next [day|morning], {hero} <go> outside >> <sit> on the steps.
- Then {toy.a} came over the fence and landed at {hero.his} feet.
- Then {hero} heard a voice on the other side of the fence. It was {friend.new}.
friend>hero: Hello! [Are you the new neighbor|Do you live here now|Who are you]? I am {friend.call}.
- hero>friend/sorry: Yes, we came yesterday. I am {hero.call}. I do not know anyone here.
- hero>friend: Yes. My name is {hero.call}.
friend>hero/happy: Now you know me! [Do you want to see my tree house?|Come, I will show you the best tree to climb.|There is a pond with frogs behind our house.]
@play_together both
- [That night|In the evening], {hero} did not hear the strange noises anymore.
- When {elder} called, {hero} did not want to come in.
elder>hero: Do you still want to go back?
hero>elder/happy: [Only to visit|No, I like it here now|Not today. I have a friend here]!
?50 @moral hero
?50 @the_end hero
""",
        summary="{hero} does not want to move, but finds a new friend, {friend}, at the new house.",
        wish="to stay in the old house",
        obstacle="the family moves and {hero} knows no one",
        turn="{friend} says hello",
        resolution="{hero} has a new friend",
        moral=("a new place can become a home", "one friend can change everything", "new things are only new for a little while"),
    )  # fmt: skip


@plot("telling a lie")
def a_lie(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad", "grandma")
    cast.thing("vase", "clay", "fragile")
    cast.thing("ball", noun="ball,toy plane,drum,yo-yo")
    cast.pet("pet", "cat", "dog")
    return cast.plan(
        """
@open
?50 {elder} had {vase.a}, and {elder.he} loved it very much.
?40 {#foreshadowing}{elder} always said not to play in the living room.
{day}, {hero} was playing with {ball.a} in the living room, and {ball} hit {vase}. [Crash!|Oh no!|Clink!] {vase} broke into [many|a hundred|small] pieces.
@afraid hero
Then {elder} came in.
elder>hero: [Who did this|What happened here|Who broke it]?
- hero>elder/afraid: It was {pet.call}!
- {hero} pointed at {pet.him}.
  hero/sorry: {pet} did it.
{#conflict}{elder} sent {pet.him} outside, [in the rain|into the cold yard|all alone].

@sorry_inside hero
[Through the window, {hero} could see {pet.call}.|Outside, {pet} sat in front of the door and waited.|From outside came a small, sad sound. It was {pet.call}.] {pet} looked so [sad|small|lonely].
- {hero} could not eat {hero.his} dinner.
- {hero} tried to play, but it was no fun.
@bravely hero
hero>elder/sorry: I have to tell you something. It was not {pet.call}. I broke it, and I told a lie.
- {elder} was quiet for a moment.
- {elder} looked at {hero.him} for a long time.
elder>hero/kind: [I am sad about it|It is only a thing], but I am glad that you told the truth. That was [brave|hard to do].
- {hero} let {pet.him} in and gave {pet.him} [a big hug|some milk|a warm towel].
- Then {hero} ran to the door to say sorry to {pet.him}.
?50 Together, {hero} and {elder} [swept the floor|picked up the pieces|glued the pieces together].
@moral hero
""",
        summary="{hero} breaks {elder.call}'s {vase.bare}, blames {pet}, and then tells the truth.",
        wish="not to be found out",
        obstacle="{hero} broke the {vase.bare} and lied about it",
        turn="{hero} sees {pet} all alone outside",
        resolution="{hero} tells the truth and is forgiven",
        moral=("the truth is better than a lie", "a lie can hurt someone else", "it is brave to tell the truth"),
    )  # fmt: skip
