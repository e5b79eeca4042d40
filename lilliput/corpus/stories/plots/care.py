"""Plots of care: the sick, the old, gifts, waiting and letting go."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.plan import Cast, Plan, plot


@plot("sick friend")
def sick_friend(cast: Cast) -> Plan:
    cast.hero()
    cast.friend()
    cast.kin("elder", "mom", "grandma", "dad")
    idea = cast.dice.pick(
        (
            ("drew a big picture and held it up at the window", "the picture"),
            ("sang a funny song under the window", "the song"),
            ("made a little theater with two socks", "the funny socks"),
            ("wrote a letter and tied it to a long string", "the letter"),
            ("picked flowers of every color and made a crown", "the flowers"),
            ("cooked some soup with many carrots", "the soup"),
        )
    )
    cast.roles.update(idea=idea[0], gift=idea[1])
    return cast.plan(
        """
@open
{day}, {hero} wanted to play with {friend.him}. [But {friend} was sick and had to stay in bed.|But nobody came to the door. {friend} was sick.|But {friend} lay in bed and could not get up.]
- {friend} had a [cold|sore throat|bad cough] and a hot face.
- {friend.his} nose was red, and {friend.his} voice was gone.
- @sad hero
* elder>hero: You cannot visit {friend} today. [Rest is the best medicine|You could get sick too].
* hero>elder: When can we play again?
  elder>hero/kind: When {friend} is better. [It will take some days|We must be patient].
?40 Without {friend.him}, the day was very long.

[{hero} wanted to do something.|There had to be a way to help.|{hero} could not just do nothing.]
@idea hero
{hero} {idea}.
?50 It took all morning. {hero} did not stop until everything was [right|ready|perfect].
- {friend} looked out from the bed and smiled for the first time in days.
- When {friend} saw it, {friend.he} laughed so much that {friend.he} forgot the [cough|pain].
- {friend} sat up in bed. There was a bit of pink in {friend.his} face again.
* friend>hero/happy: Thank you, {hero.call}! [I feel better already|That is the best medicine].
* friend>hero/sad: I thought that you had forgotten me.
  hero>friend/kind: I could never forget you!
The next day, {friend} could [eat again|sit in the sun], and after [three days|a week], they could play again.
- {#twist}But then {hero} began to sneeze! Now it was {friend.call}'s turn to come to the window.
- friend>hero/happy: It was {gift} that helped me most.
- They had a lot of games to catch up on.
?60 @moral hero
?40 @the_end hero
""",
        summary="{friend} is sick, and {hero} cheers {friend} up.",
        wish="to cheer up {friend}",
        obstacle="{friend} is sick and cannot play",
        turn="{hero} {idea}",
        resolution="{friend} feels better",
        moral=(
            "a smile is good medicine",
            "there is always a way to be kind",
            "friends help each other to get well",
        ),
    )


@plot("a birthday gift")
def birthday_gift(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "grandma", "grandpa", "mom", "dad")
    cast.thing("wanted", noun="clock,lamp,scarf,hat,umbrella,vase")
    cast.choose(
        "made",
        "a book of drawings",
        "a crown of yellow leaves",
        "a bowl of clay",
        "a song with six lines",
        "a box with a shell on top",
        "a warm blanket of old socks",
    )
    cast.choose("coins", "two coins", "one coin", "three small coins", "only a button")
    return cast.plan(
        """
@open
It was almost {elder.his} birthday, and {hero} had no gift yet.
- In the window of a shop, there was {wanted.a}. But {hero} had {coins}.
- {hero} looked at {wanted.a} in the shop. It was much too expensive.
* @sad hero
* hero/sad: What can I give with so little money?
* {hero} counted {hero.his} money again. It was still not enough.
?50 Everyone else had a gift [already|in a shiny box], and {hero} felt small.

@idea hero
[All day|All week|Every evening|For three days], {hero} worked in secret. When {elder} came near, {hero} hid everything [under the bed|behind a chair|in a box].
- elder>hero: What are you doing in there?
  hero>elder: Nothing!
- Twice it went wrong, and {hero} had to start again.
- There was paint on {hero.his} nose and glue in {hero.his} hair.
[On the birthday, everybody brought big presents.|Then the day came. The table was full of big boxes with ribbons.|On the big day, there were so many boxes that one could not see the table.] [At last|Last of all|Then], it was {hero.his} turn.
hero>elder/sorry: It is only small. I made it myself.
It was {made}. {elder} [did not say anything|was quiet|looked at it for a long time|opened the paper slowly and said nothing].
- Then {hero} saw that {elder.his} eyes were wet.
- {hero} was afraid that it was not good enough.
elder>hero/happy: [This is the best gift of all|Nobody ever made me such a thing|I will keep it forever].
@hug elder hero
?50 {#twist}Many years later, it was still [on the shelf|next to the bed], and it was still the best gift of all.
?50 @happy hero
?70 @moral hero
""",
        summary="{hero} has no money for a gift, so {hero.he} makes {made} for {elder}.",
        wish="to give {elder} a gift",
        obstacle="{hero} has no money",
        turn="{hero} decides to make something",
        resolution="{elder} loves {made}",
        moral=(
            "the best gifts come from the heart",
            "a gift does not have to cost money",
            "it is the love that counts",
        ),
    )


@plot("letting go of a balloon")
def balloon(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "mom", "dad", "grandma", "grandpa")
    cast.place(noun="park,market,zoo,beach")
    cast.prop("balloon", "balloon", "red,blue,yellow,green")
    cast.child("other")
    cast.choose(
        "where",
        "in a garden far away",
        "on the other side of the river",
        "in the yard of a hospital",
        "on a small farm behind the hills",
    )
    return cast.plan(
        """
@open
{day}, {elder} bought {hero.him} {balloon.a} {place.at}.
- {hero} held the string tightly. {balloon} danced in the wind.
- {hero} gave it a name and drew a face on it.
elder>hero: Shall I tie it to your hand? [It could fly away|The wind is strong].
- hero>elder/proud: No, I can hold it myself!
- {hero} shook {hero.his} head. {hero.he} was big enough.
?70 {#foreshadowing}{balloon.the} pulled a little at the string, as if it [wanted to go somewhere|had a plan of its own|knew the way to the sky].
- Then {hero} saw a [clown|duck|puppy] and wanted to [wave|clap]. The string slipped out of {hero.his} hand!
- Then {hero} had to sneeze. The string slipped away!
- Then {hero} tripped over a stone and let go of the string!
[{balloon.the} flew over the trees. It got smaller and smaller, until it was only a dot.|Up it went, over the trees and over the roofs.|{hero} jumped, but it was too late. {balloon.the} was already as high as the birds.]
@sad hero
- hero>elder/sad: Come back! Please come back!
- {hero} did not want another one. {hero.he} wanted this one.
elder>hero/kind: [Maybe it has somewhere to go|Some things are only ours for a while|Let us wave. It is going on a trip].
[So {hero} waved until it was gone.|{hero} waved with both hands.|They stood there until they could not see it anymore.]

[But {balloon.the} did not get lost. It flew on and on.|{balloon.the} flew all day and all night.|And {balloon.the}? It flew over fields and rivers.]
{#twist}At last, it came down {where}, where {other.new} was [sad and alone|sick in bed|looking at the sky].
- {other} laughed for the first time that day.
- other/happy: Did you come to visit me?
[And somehow, that night, {hero} dreamed of it and smiled.|{hero} never heard of it. But that night, {hero.he} had a good dream.|Far away, at home, {hero} thought of {balloon.the} and was not sad anymore.]
?60 @moral hero
""",
        summary="{hero} loses a balloon, and it makes {other} happy.",
        wish="to keep the balloon",
        obstacle="the string slips away",
        turn="{hero} waves goodbye",
        resolution="the balloon comes down {where} and makes {other} happy",
        moral=(
            "what you lose can make somebody else happy",
            "it is all right to let go",
            "every goodbye is also a hello",
        ),
        ending="mixed",
    )


@plot("the grumpy neighbor")
def neighbor(cast: Cast) -> Plan:
    cast.child()
    cast.grown_up("neighbor", "neighbor", looks="old,grumpy,tall")
    cast.thing("ball", noun="ball,kite,toy plane", owner="hero")
    cast.choose(
        "secret",
        "a garden full of birds",
        "a room full of old toys",
        "a piano under a white sheet",
        "a wall of photos of ships",
        "a tiny train that ran through the whole house",
    )
    cast.choose("job", "rake the leaves", "water the roses", "carry the wood", "paint the fence")
    return cast.plan(
        """
@open
Next door lived {neighbor.a}. [{neighbor.he} never smiled, and {neighbor.he} shouted when children were loud.|{neighbor.he} never said hello, and {neighbor.his} curtains were always closed.|Nobody had ever heard {neighbor.him} laugh.]
- The children called {neighbor.him} the grump.
- Nobody dared to ring {neighbor.his} bell.
{day}, {ball.his} flew over the fence and broke one of {neighbor.his} windows.
- @afraid hero
- hero/afraid: Oh no! Not that window!
- {hero} wanted to hide under the bed.
* But {ball.his} was over there, and running away was not right.
* Everyone else ran away. {hero} stayed.
@bravely hero
{hero} <walk> to the door >> <ring> the bell.
hero>neighbor/sorry: [I broke your window|It was me. I broke the window]. [I am very sorry|I did not mean to do it]. [I have no money, but I can work.|Can I do something for you?]
neighbor>hero/cross: [Hm|Well]! [Nobody ever says sorry to me|The others always run away]. You can {job}.

So {hero} came every afternoon to {job}.
- At first, they did not talk. After some days, {neighbor} brought out a glass of milk. After a week, there was cake.
- {neighbor} watched from the window. One day {neighbor.he} came out to help.
- Slowly, {neighbor} began to talk a little, and then a little more.
{#twist}One day, {neighbor.he} opened a door and showed {hero.him} {secret}.
@surprised hero
neighbor>hero/kind: [Nobody has seen this for years|I have not shown it to anyone for a long, long time|It is no fun to have it all alone].
- hero>neighbor/kind: [You are not a grump at all|You can show it to me every day|It is wonderful].
- {hero} asked if the other children could come and see it too. {neighbor} thought about it, and then {neighbor.he} nodded.
After that, there was often laughter [in that house|behind that fence].
?80 @moral hero
""",
        summary="{hero} breaks the window of a grumpy neighbor, says sorry, and makes a friend.",
        wish="to make things right",
        obstacle="{hero} broke a window",
        turn="{hero} rings the bell and says sorry",
        resolution="the neighbor becomes a friend",
        moral=(
            "it is good to say sorry",
            "behind a grumpy face, there can be a lonely heart",
            "people are often kinder than they look",
        ),
    )


@plot("waiting for someone")
def waiting(cast: Cast) -> Plan:
    cast.child()
    cast.kin("elder", "dad", "mom", "grandpa", "uncle")
    cast.kin("other", "grandma", "aunt")
    cast.choose("far", "a ship", "a long trip", "a job in the city", "the mountains")
    cast.thing("gift", "gift", "small")
    return cast.plan(
        """
@open
{elder} had been away for a long time, because of {far}. [Then a letter came.|But now there was a letter on the table.|Then, one morning, a letter came.] On Sunday, {elder.he} would be home!
- hero>other: How many days is that?
  other>hero: [Five|Three|Six] more nights.
- {hero} made a mark on the wall for every day.
- {hero} was so happy that {hero.he} ran three times around the house.
* {hero} helped {other.him} to [bake a cake|clean the house|hang up paper stars].
* {hero} painted a big sign to say welcome.
* Every evening, {hero} looked down the road.

[On Sunday, {hero} sat at the window from early morning.|When Sunday came, {hero} was the first one to get up.|On Sunday, {hero} put on {hero.his} best clothes and waited.] A [truck|bike|horse] came by. [A dog came by.|Two old men came by.|A cat crossed the road.] But {elder} did not come.
- @worried hero
- It got late. The soup got cold.
- hero>other/sad: What if the letter was wrong?
  other>hero/kind: [Roads are long|Wait a little more]. A promise is a promise.
?50 {#conflict}hero/cross: Then I do not care anymore!
@sad hero
[At last|In the end], {hero} fell asleep on the chair by the window.
- Then somebody [carried {hero.him} to bed|put a coat over {hero.him}|kissed {hero.him} on the nose]. It smelled of [rain|the sea|snow].
- {hero} dreamed of a big, warm coat.
{#twist}In the morning, there was {gift.a} on the pillow, and a voice was singing in the kitchen!
hero/excited: {elder}! [You are here!|You came back!|Is it really you?]
@hug hero elder
elder>hero/kind: [The bridge was broken, so I walked|I missed the train, so I walked all night|It snowed, but nothing could stop me].
- They had {hero.his} sign and cold soup for breakfast.
- {hero} did not let go of {elder.his} hand all day.
- @happy hero
?60 @moral hero
""",
        summary="{hero} waits for {elder}, who comes home late in the night.",
        wish="to see {elder} again",
        obstacle="{elder} does not come on Sunday",
        turn="{hero} falls asleep by the window",
        resolution="{elder} is there in the morning",
        moral=(
            "waiting is hard, but it can be worth it",
            "love finds its way home",
            "a promise is a promise",
        ),
    )
