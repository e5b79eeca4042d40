"""Small episodes: thinking, searching, helping, thanking, saying sorry, eating together."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.script import beat

beat(
    "idea",
    "who",
    """
- Then {who} had an idea.
- {who} <sit> down and thought[ for a while| hard|]. At last, {who.he} had [an idea|a plan].
- {who} thought and thought. Then {who.his} eyes [grew bright|lit up].
- Suddenly, {who} knew what to do.
- {who} looked around and saw a way.
- A [clever|good|bright] idea came to {who.him}.
""",
)
beat(
    "thanks",
    "who whom",
    "who>whom/happy: Thank you[ so much|, {whom.call}| for your help|]!",
    "who>whom/happy: Thank you! [You are the best|You are so kind|That was so nice of you|I will never forget this].",
    "{who} thanked {whom.him}[ again and again| with a full heart|].",
    "{who} gave {whom.him} a [big|warm|long] hug[ to say thank you|].",
    """
who>whom/happy: You saved the day!
?50 {whom} [smiled|only smiled].
""",
    """
who>whom/kind: How can I ever thank you?
whom>who/kind: [A smile is enough|You just did|That is what friends are for|It was nothing]!
""",
)
beat(
    "sorry",
    "who whom",
    """
who>whom/sorry: I am [so sorry|sorry|very sorry][, {whom.call}|]. [I was wrong|I will not do it again|I should not have done that|I did not mean to hurt you].
- whom>who/kind: [I forgive you|It is all right|Thank you for saying that]. [Let us be friends again|We all make mistakes|We can fix it together].
- {whom} gave {who.him} a hug, and all was well again.
- {whom} [nodded|smiled] and forgave {who.him}.
""",
    """
{who} <go> to {whom.him} >> <say> sorry.
- {whom} forgave {who.him} at once.
- whom>who/kind: [I am not angry anymore|It is all right|I am glad you told me].
- {whom} thought about it. Then {whom.he} smiled.
""",
)
beat(
    "comfort",
    "who whom",
    """
who>whom/kind: Do not [cry|be sad|worry], {whom.call}. [I will help you|It will be all right|We will find a way|We can think of something].
""",
    """
{who} sat down next to {whom.him}.
who>whom/kind: [What is wrong|Why are you so sad|Can I help you]?
?60 {whom} told {who.him} everything.
""",
    """
{who} <put> an arm around {whom.him} // <wait> until {whom} was calm.
""",
    """
who>whom/kind: [Take a deep breath|Come here|Tell me all about it], {whom.call}.
""",
)
beat(
    "ask_help",
    "who whom",
    "who>whom: [Can|Could] you help me[, please|]?\nwhom>who/kind: [Of course|Yes, of course|I will try|Sure]! [What is it|What do you need|Tell me what is wrong][?|, {who.call}?]",
    "{who} ran to {whom.him} and asked for help.",
    "who>whom/sad: Please help me, {whom.call}. I do not know what to do.",
)
beat(
    "try_hard",
    "who",
    """
- {who} tried once. {who} tried twice. [It did not work.|Nothing happened.]
- {who} tried [again and again|as hard as {who.he} could|for a long time].
- The first time, it did not work. The second time, it [almost|nearly] worked.
- It was harder than it looked.
- {who} <want> to stop >< {who.he} tried one more time.
- Little by little, it got better.
""",
)
beat(
    "snack",
    "both",
    """
- They shared [some bread and cheese|a big red apple|a bowl of berries|a warm muffin|some nuts and a pear].
- After that, {both} were hungry, so they ate [a big lunch|some warm soup|some sweet berries|bread with honey].
- {both} sat down in the shade and had something to eat.
- They drank cool water and [rested|talked|laughed] for a while.
""",
)
beat(
    "play_together",
    "both",
    """
- {both} played [all day|all afternoon|until the sun went down|for hours].
- {both} laughed and played until {both} were tired.
- {both} ran, jumped and laughed together.
- {both} made up a new game and gave it a funny name.
- They played hide and seek, and then they played it again.
""",
)
beat(
    "on_the_way",
    "who",
    """
- On the way, {who} saw [a row of ants|a fat green frog|two white butterflies|a bird with a long tail|a cloud like a whale].
- On the way, {who} [hummed a tune|counted the trees|picked a flower|stopped to smell a flower].
- {who} went [over a small bridge|down a long path|up a steep hill|past an old mill|along the stream].
- {who} stopped only once, to look at [a snail|a funny mushroom|a shiny beetle|a big web].
""",
)
beat(
    "mystery",
    "who",
    """
- {who} heard a [small|strange|soft|funny] sound.
- Something moved [in the grass|behind a bush|in the leaves].
- Suddenly, there was a [loud|soft|strange] noise.
- {who} stopped. What was that?
""",
)
beat(
    "hug",
    "who whom",
    """
- {who} gave {whom.him} a [big|long|warm] hug.
- {who} <smile> >> <hug> {whom.him} tightly.
- {who} held {whom.him} close.
- {who} ran into {whom.his} arms.
""",
)
beat(
    "foreshadow",
    "",
    """
- {#foreshadowing}[Nobody|No one] knew yet how important that would be.
- {#foreshadowing}It was a small thing, but it would [matter later|change the whole day].
- {#foreshadowing}Little did {hero.he} know what would happen next.
- {#foreshadowing}It would not be the last time {hero.he} thought of it.
""",
)
beat(
    "time_passes",
    "",
    """
- [The days went by|Days passed|A week went by|One week later, nothing had changed].
- The sun [moved across the sky|went up and down again].
- Time went by [slowly|very slowly].
- [Hours went by|An hour passed].
""",
)
