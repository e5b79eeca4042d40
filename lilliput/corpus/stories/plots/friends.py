"""Plots between friends: sharing, trading, quarrels, promises, kindness."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot


@plot("sharing")
def sharing(cast: Cast) -> Plan:
    cast.child()
    cast.friend()
    cast.thing("toy", "toy", owner="hero")
    cast.place("play")
    cast.group("both", "hero", "friend", noun="the two friends")
    return cast.plan(
        """
@open
{hero} had [just got|] {toy.a}, and {hero.he} was very proud of it.
{day}, {hero} took {toy} [to {place}|with {hero.him} to {place}].
?40 @weather
- {friend} was there too. {friend} looked at {toy} with big eyes.
- There {hero.he} met {friend.him}.
friend>hero: [Can I play with it too|May I have a turn|Can I try it, please]?
hero>friend/cross: [No! It is mine!|No! You will break it.|Go away. I had it first.|It is mine, all mine!]
?60 {#conflict}{friend} tried to take {toy}, and {both} pulled [hard|and pulled].
- {friend} walked away and sat down alone.
- {friend} looked at the ground and said nothing more.
- {friend} went to [play in the sand|look at the ducks|sit under a tree].

[{hero} played alone.|Now {hero} had it all to {hero.himself}.] But {hero.he} soon found that it was [no fun|not much fun|boring] without a friend.
- There was no one to laugh with.
- {toy} was nice, but it could not talk.
- {hero} tried to {toy.use}, but it did not feel the same.
* {hero} looked at {friend.him} and felt bad.
* {hero} thought about it for a while.
* {hero} sat down and looked at {toy}.
- {hero} <go> to {friend.him} >> <hold> out {toy}.
  hero>friend/sorry: [You can have a turn.|Here, you can try it.|Do you want to play with me?] It is more fun with two.
- {hero} walked over to {friend.him}.
  hero>friend/sorry: I am sorry. [Let us play together|We can take turns].
* friend>hero/happy: [Yes, please|Oh, thank you|I would love to]!
* {friend} smiled and jumped up.
?50 First {hero} took a turn, and then it was {friend.call}'s turn.
@play_together both
?60 @moral hero
?60 @friends_end hero friend both
""",
        summary="{hero} does not want to share {hero.his} {toy.bare} with {friend}, but then {hero.he} does.",
        wish="to keep the {toy.bare} to {hero.himself}",
        obstacle="playing alone is no fun",
        turn="{hero} lets {friend} have a turn",
        resolution="{hero} and {friend} play together",
        moral=(
            "sharing makes everything more fun",
            "a toy is more fun with a friend",
            "it feels good to share",
        ),
    )


@plot("trading")
def trading(cast: Cast) -> Plan:
    cast.child()
    cast.friend()
    cast.thing("mine", "small", "gift", "one", owner="hero")
    cast.thing("theirs", "toy", "gift", owner="friend")
    cast.place("play")
    cast.group("both", "hero", "friend", noun="the two friends")
    return cast.plan(
        """
@open
{hero} had {mine.a}, but {hero.he} was a little tired of it.
{day}, {hero} met {friend.him} {place.at}. {friend} had {theirs.a}.
- {hero} looked at {theirs}. How {hero.he} wanted to have it!
- hero>friend/excited: Oh, what a nice {theirs.bare}!
- To {hero.him}, {theirs} looked much better than {mine.his}.
hero>friend: [Do you want to trade|Shall we trade]? I will give you {mine.my} for {theirs.your}.
- friend>hero/happy: [All right|Yes|Good idea]!
- {friend} thought for a moment and nodded.

[At first, {hero} was happy.|{hero} was very happy with the trade.|For a few hours, everything was fine.] {hero.he} [ran home with {theirs}|showed {theirs} to everyone|played with {theirs} all afternoon].
But [that night|in the evening], {hero} [missed|began to miss] {mine}.
- {hero} lay in bed and could not sleep.
- {hero.his} grandma had given it to {hero.him} a long time ago.
- It was old, but it was full of good memories.
hero/sad: [Why did I give it away?|I want it back!|I should not have done that!]
The next [day|morning], {hero} <run> to {friend.him} // <carry> {theirs}.
hero>friend/sorry: [I am sorry|I made a mistake|Please do not be angry]. Can we trade back?
- {#twist}{friend} began to laugh.
  friend>hero/happy: I was just coming to ask you the same thing! I missed mine too.
- friend>hero/kind: [Yes, we can|Of course]. I missed mine a little too.
[So each of them got back what was theirs.|And so they traded again.|Now everything was as before.]
?50 Then {both} had a better idea. From now on, they would play with both.
?60 @moral hero
@friends_end hero friend both
""",
        summary="{hero} trades {hero.his} {mine.bare} for {friend}'s {theirs.bare} and then wants it back.",
        wish="to have the {theirs.bare}",
        obstacle="{hero} misses the {mine.bare}",
        turn="{hero} asks to trade back",
        resolution="{hero} and {friend} trade back",
        moral=(
            "new is not always better",
            "some things are worth more than they look",
            "it is good to think before you trade",
        ),
    )


@plot("quarrel over a tower")
def tower(cast: Cast) -> Plan:
    cast.child()
    if cast.dice.chance(0.5):
        cast.friend()
    else:
        cast.sibling("friend", "older")
    cast.choose(
        "work",
        "a tower of blocks",
        "a castle of boxes",
        "a house of cards",
        "a fort of pillows",
        "a bridge of sticks",
    )
    cast.group("both", "hero", "friend")
    return cast.plan(
        """
@open
{day}, {hero} wanted to build {work}, the biggest one in the world.
{friend} wanted to help.
- hero>friend: First we need a [strong|wide] base.
- friend>hero/excited: Let us make it [as tall as the door|so high that it touches the lamp]!
{both} worked [all morning|for an hour|very hard]. [But soon they could not agree.|Then the trouble began.|It went well for a while. Then it did not.]
hero>friend/cross: [I want a door here|It must be round|Put the big ones here]!
friend>hero/cross: No! [A window is better|It must be square|My way is better]!
- {#conflict}{hero} pushed, and {friend} pushed back.
- {#conflict}{both} shouted louder and louder.
- {#conflict}{friend} pulled at one side, and {hero} pulled at the other.
[Bang!|Crash!|Boom!] [Everything fell down.|It all came down.|A moment later, there was only a big mess.]
[For a moment, it was very quiet.|Nobody moved.|Both of them held their breath.]
- @sad hero
- {hero} looked at {friend.him}, and {friend} looked at {hero.him}.
- Nobody had won, and nothing was left.

- hero>friend/sorry: [I am sorry I pushed|I should have listened to you|It was my fault too].
- friend>hero/sorry: [I am sorry I pushed|I should have listened to you|It was my fault].
- @idea hero
hero>friend/kind: What if we do it both ways? [You make that side and I make this side|One side can be yours and one side can be mine|First your idea, then mine].
- friend>hero/happy: [Yes|That is a great idea|Good thinking]!
- {friend} liked that.
[So {both} began again.|{both} started from the beginning.|And so the work began again.] This time, they [listened to each other|took turns|talked first and built after that].
- When it was done, it was better than the first one.
- In the evening, it was taller than [a chair|the table|the cat on the table].
- It had a round part and a square part, and it was [beautiful|wonderful|a bit strange and very nice].
?70 @moral hero
?60 @the_end hero
""",
        summary="{hero} and {friend} fight over {work} until it falls, and then build it together.",
        wish="to build {work}",
        obstacle="{hero} and {friend} cannot agree",
        turn="{hero} has an idea that uses both plans",
        resolution="they build it again together",
        moral=(
            "two ideas can be better than one",
            "it is better to talk than to push",
            "working together makes better things",
        ),
    )


@plot("broken promise")
def broken_promise(cast: Cast) -> Plan:
    cast.child()
    cast.friend()
    water = cast.dice.chance(0.5)
    cast.roles["task"] = "water the plants" if water else "feed the fish"
    cast.roles["thing"] = "the plants" if water else "the fish"
    cast.roles["state"] = "were dry and brown" if water else "were thin and slow"
    cast.roles["saved"] = (
        "got some water, and one by one they stood up again"
        if water
        else "got some food, and soon they swam around again"
    )
    cast.choose(
        "fun",
        "a new game",
        "a trip to the lake",
        "a long book",
        "the circus in town",
        "the first snow",
        "a new swing in the park",
    )
    cast.choose("days", "three days", "a week", "five days", "a few days")
    return cast.plan(
        """
@open
{day}, {friend} had to go away for {days}.
friend>hero: [Will you|Can you] {task} for me[, please|]? [You must do it every day|They need it every day].
hero>friend/happy: [I promise|Yes, I promise|Of course I will]!
?40 {#foreshadowing}{friend} smiled, but {friend.he} looked back twice on the way.

[On the first day, {hero} did it. On the second day, there was {fun}.|The first day went well. But then there was {fun}.|At first, {hero} was very careful. Then came {fun}.]
- {hero} <play> and played >> <forget> all about {thing}.
- hero: I can do it [tomorrow|later].
  But {hero} forgot.
- {hero} was so busy that {hero.he} forgot {hero.his} promise.
[Then {hero} remembered. {hero.he} ran as fast as {hero.he} could.|On the last evening, it came back to {hero.him}. {hero} dropped everything and ran.|Only when {hero} was already in bed did {hero.he} remember. {hero.he} jumped up and ran.] But {thing} {state}.
@sorry_inside hero
- hero/sad: What have I done?
- hero/sad: Oh no! I broke my promise!
- {hero} wanted to [hide|run away|say that it was not {hero.his} fault].
{hero} worked [all day|until dark]. {thing} {saved}[, all but one|].
When {friend} came home, {hero} told {friend.him} [everything|the truth].
- friend>hero/sad: You promised!
  hero>friend/sorry: I know. I am very sorry. [I will make it good|I did not keep my word].
- @sorry hero friend
?50 {#conflict}For a day, {friend} did not want to talk to {hero.him}.
- After that, {hero} came every day to {task}, even when nobody asked.
- To make up for it, {hero} helped to {task} for a whole month.
@moral hero
""",
        summary="{hero} promises to {task} for {friend} but forgets.",
        wish="to {task} for {friend}",
        obstacle="{hero} forgets because of {fun}",
        turn="{hero} remembers and runs to help",
        resolution="{hero} tells the truth and makes up for it",
        moral=(
            "a promise must be kept",
            "when you promise something, you have to do it",
            "a friend must be able to trust you",
        ),
        ending="mixed",
    )
