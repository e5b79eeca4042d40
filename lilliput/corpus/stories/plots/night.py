"""Plots of evening and night: noises, bedtime, the moon."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot


@plot("noise in the night")
def night_noise(cast: Cast) -> Plan:
    cast.child()
    cast.thing("toy", "small", "soft", "one", owner="hero")
    noise, guess, cause = cast.dice.pick(
        (
            (
                "Tap, tap, tap",
                "a long finger on the window",
                "a branch that the wind moved against the window",
            ),
            (
                "Scratch, scratch",
                "claws on the floor",
                "a little mouse that was looking for crumbs",
            ),
            ("Hoo, hoo", "a ghost on the roof", "an owl on the chimney"),
            ("Drip, drop, drip", "a wet monster on the stairs", "the tap in the bathroom"),
            (
                "Creak, creak",
                "somebody on the stairs",
                "{elder.call}, who was looking for a cookie in the dark",
            ),
            ("Thump, thump", "a giant in the attic", "the cat, who jumped from the shelf and back"),
            (
                "Crunch, crunch",
                "somebody with big teeth",
                "the dog, who was eating a bone in the kitchen",
            ),
        )
    )
    cast.kin("elder", "mom", "dad", "grandma", "grandpa")
    cast.roles.update(noise=noise, guess=guess)
    script = """
- It was late, and {hero} was lying in bed.
- {hero} could not sleep. The room was dark, and the house was quiet.
- One night, {hero} woke up. It was very dark.
- @open_child hero
  But at night, when the lamp was out, {hero} was not so brave.
?50 [The moon was behind the clouds.|The wind was blowing outside.|There was no moon that night.]
{noise}.
- hero/afraid: What was that?
- {hero} sat up. What was that?
?40 {noise}. There it was again!
@afraid hero
- It sounded like {guess}!
- {hero} thought of {guess}.
{hero} <hold> {toy.his} tightly >> <pull> the blanket up to {hero.his} nose.
- hero: Maybe it will go away.
  But it did not go away.
- {hero} counted to twenty. {noise}.
- hero>elder/afraid: {elder}! {elder}!
  Nobody came.

@bravely hero
{hero} [put on {hero.his} slippers|took a small lamp] and went to look, step by step.
- The floor was cold, and every shadow looked like a monster.
- {hero.his} heart was so loud that {hero.he} could hear it.
- {toy.his} came along, because two are braver than one.
{#twist}[Then {hero} saw what it was.|{hero} held up the light.|{hero} opened the door and looked.] It was CAUSE!
- {hero} [laughed|had to laugh] out loud.
- hero/happy: So it was you!
- {hero} let out a long breath.
* {elder} came and [gave {hero.him} some warm milk|took {hero.him} back to bed|listened to the whole story].
  ?60 elder>hero/kind: [You went to look all by yourself|That was brave].
* Then {hero} went back to bed.
- Soon {hero} was asleep.
- Now the noise was almost like a song, and {hero} fell asleep to it.
- @moral hero
- {hero} slept until the sun came up.
""".replace("CAUSE", cause)
    return cast.plan(
        script,
        summary="{hero} hears a noise in the night and goes to look; it is " + cause + ".",
        wish="to know what the noise is",
        obstacle="{hero} is afraid of the dark",
        turn="{hero} gets up to look",
        resolution="it is " + cause,
        moral=(
            "most noises have a simple reason",
            "it is better to look than to be afraid",
            "the dark is just the day without light",
        ),
    )


@plot("not tired at bedtime")
def bedtime(cast: Cast) -> Plan:
    cast.hero()
    cast.kin("elder", "mom", "dad", "grandma", "grandpa")
    cast.choose(
        "who",
        "the birds",
        "the bees",
        "the sheep on the hill",
        "the fish in the pond",
        "the flowers",
    )
    return cast.plan(
        """
@open
[But {hero} did not like to go to bed.|But every evening, it was the same. {hero} did not want to sleep.|There was only one thing {hero} did not like. It was bedtime.]
elder>hero/kind: It is time to sleep, {hero.call}.
- hero>elder/cross: I am not tired [at all|one bit]!
- hero>elder: Only one more [game|story|song], please!
- {hero} shook {hero.his} head.
?60 First {hero} was thirsty. Then {hero.he} was hungry. Then {hero.he} needed [one more hug|another blanket|to say something important].
?40 hero>elder: What do you do when I am asleep? [Do you have a party|Do you eat all the good things]?

elder>hero/wise: [Come with me|Look out there]. Let us see who else is awake.
So {hero} and {elder} went outside.
- All around, {who} were asleep. The sun had gone to bed long ago.
- {hero} looked for {who}. They were already asleep.
- It was so quiet that {hero} could hear {hero.his} own breath.
The [moon|stars] looked down, and the [wind|grass] only whispered.
- hero>elder: Is the wind asleep too?
  elder>hero/kind: Almost. [It is only saying good night|Listen. It is getting slower].
- elder>hero/kind: They all rest now, so that they can play tomorrow.
- hero: Good night, {who}.
  {hero} said good night to the trees, too, and to every star.
{hero} [yawned|began to yawn]. {hero.he} put {hero.his} head on {elder.his} shoulder, only for a moment.
?50 hero>elder: I am still not tired.
- By the time they were back, {hero} was asleep.
- {elder} carried {hero.him} in, and {hero} did not notice it.
- {elder} <smile> >> <carry> {hero.him} to bed.
?40 In the dream, {hero} flew over the hills with {who}.
?60 elder>hero/kind: {#moral}Sleep well, {hero}. You see, {moral}.
""",
        summary="{hero} does not want to sleep until {hero.he} sees that everyone else is asleep.",
        wish="to stay awake",
        obstacle="it is time to sleep",
        turn="{elder} takes {hero} outside",
        resolution="{hero} falls asleep",
        moral=(
            "everyone needs to rest",
            "sleep comes by itself when it is quiet",
            "the best days begin with a good night",
        ),
    )


@plot("catching the moon")
def moon(cast: Cast) -> Plan:
    cast.hero()
    cast.friend()
    cast.group("both", "hero", "friend", noun="the two friends")
    cast.choose(
        "way",
        "climbed the highest hill",
        "climbed to the top of the tallest tree",
        "put one box on top of another",
        "made a long ladder of sticks",
    )
    cast.choose(
        "why",
        "it looked so round and sweet",
        "it looked so lonely up there",
        "it would make a good lamp",
        "nobody had ever done it",
    )
    return cast.plan(
        """
@open
[One night, the moon was big and round.|There was a full moon, as big as a wheel.|One evening, the moon came up behind the trees, yellow and round.] {hero} wanted to have it, because {why}.
- hero>friend: Let us catch the moon!
- {hero} told {friend.him} about it.
* friend>hero: [Nobody can catch the moon|It is too far away|It is much too big]!
* friend>hero/excited: Yes! [It cannot be so hard|We only need to go high enough]!
{both} {way}. {hero} [stretched up as high as {hero.he} could|stood on the tips of {hero.his} toes|reached out into the dark]. But the moon was [still far, far away|as far away as before|no closer at all].
- {friend} jumped, but {friend.he} came down again with a bump.
- They tried to catch it with a rope, but the rope came back alone.
- The higher they went, the higher it seemed to be.
@sad hero
?40 {#conflict}friend>hero/cross: I told you so! Now I am tired and cold.

On the way home, they came to the [pond|lake|well]. [{hero} looked down and could not believe it.|{hero} stopped and stared.|Something was shining down there.]
{#twist}There was the moon, [round and white|shining and quiet], right in the water!
- hero>friend/excited: Look! [It came down to us|It fell in]!
- {hero} put one foot into the water. The moon broke into a hundred pieces, and then it was whole again.
- {hero} wanted to take it out, but it slipped away every time.
* friend>hero/wise: It does not want to be caught. [It wants to swim|It belongs to everybody].
* friend>hero/kind: Maybe we can just look at it.
So {both} sat down and looked at the moon until [they were sleepy|it was very late|the frogs stopped singing].
- hero>friend: We have it, [in a way|all the same].
- It was better than having it in a box.
- {hero} waved, and it looked as if the moon waved back.
?70 @moral hero
?50 @friends_end hero friend both
""",
        summary="{hero} and {friend} try to catch the moon and find it in the water.",
        wish="to catch the moon",
        obstacle="the moon is too far away",
        turn="they come to the water on the way home",
        resolution="they look at the moon in the water together",
        moral=(
            "not all beautiful things can be owned",
            "some things are best when you only look",
            "the best things belong to everyone",
        ),
    )
