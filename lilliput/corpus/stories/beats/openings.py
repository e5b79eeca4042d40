"""Openings: `@open_child hero`, `@open_animal hero` introduce the hero; `@open` fits either."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.script import beat

beat("open", "", "@open_{world} hero")

beat(
    "open_child",
    "hero",
    """
- Once upon a time, there was {hero.new}.
  @about_child hero
- Once upon a time, in a [small|quiet|busy|little] [town|village] [by the sea|near a forest|at the foot of a hill|], there lived {hero.new}.
  @about_child hero
- Once there was {hero.new} who loved to {hobby}.
- There once was {hero.new}. {hero} liked to {hobby}.
- {hero} was a {hero.trait} {hero.kind} who loved to {hobby}.
- {hero} was {hero.age} years old[ and very {hero.trait}|].
  ?60 More than anything, {hero.he} loved to {hobby}.
- {hero} lived in a [little|tall|yellow|white|small] house [with a red door|with a green roof|at the end of a long street|next to a bakery|on top of a hill|near the river].
  @about_child hero
- Everybody in [the village|the town|the street] knew {hero.call}, {hero.a} who loved to {hobby}.
- This is a story about {hero.new}.
  ?70 @about_child hero
- [Every day|Every morning|All day long|After school|On most days], {hero} liked to {hobby}.
  ?50 {hero} was a {hero.trait} {hero.kind}.
- {hero} loved to {hobby}. {hero.he} [did it every day|could do it for hours|did it whenever {hero.he} could].
- Long ago, in a [tiny|faraway|quiet] [village|land|town], there was {hero.new}.
  @about_child hero
- At the edge of [the forest|a big town|a green meadow], {hero.new} lived with {hero.his} family.
  ?60 @about_child hero
- Some children are loud and some are quiet. {hero} was a {hero.trait} {hero.kind}.
- {hero} was the [smallest|youngest|tallest] child in the [street|village|class].
  ?60 @about_child hero
- Have you ever met {hero.a} who loves to {hobby}? {hero.call} was just like that.
- In a house full of [books|cats|music|plants|laughter] lived {hero.new}.
  ?60 @about_child hero
- Not so long ago, there was {hero.new}.
  @about_child hero
""",
)

beat(
    "about_child",
    "hero",
    """
- {hero} loved to {hobby}.
- {hero} was {hero.age} years old[ and very {hero.trait}|].
- {hero} was very {hero.trait}.
- {hero} was a {hero.trait} {hero.kind}, and {hero.he} liked to {hobby}.
- {hero} had [many toys|two big dreams|bright eyes|curly hair|a happy laugh|a lot of questions] and loved to {hobby}.
- Everyone said that {hero} was very {hero.trait}.
- {hobby.ing} was what {hero} liked [best|most].
- {hero} was {hero.trait}, [most of the time|and everyone liked {hero.him}|just like {hero.his} grandma].
""",
)

beat(
    "open_animal",
    "hero",
    """
- Once upon a time, there was {hero.new}.
  @about_animal hero
- Once upon a time, in a [deep|green|quiet|big] [forest|valley|wood], there lived {hero.new}.
  @about_animal hero
- {hero} was {hero.a}. {hero} loved to {hobby}.
- {hero.new} lived in a [cozy|warm|small|little] {hero.home}.
  @about_animal hero
- [Far away|Not far from here|Long ago], there was {hero.new} who loved to {hobby}.
- In a {hero.home} [near the old mill|by the stream|under the big hill|at the edge of the meadow] lived {hero.new}.
  @about_animal hero
- There was once {hero.new}. {hero} ate {hero.food} every day and liked to {hobby}.
- {hero.call} was the [smallest|youngest|bravest] {hero.kind} in the [family|valley].
  @about_animal hero
- Of all the animals in the valley, {hero.call} the {hero.kind} was the {hero.most}.
- Every morning, {hero.new} woke up in {hero.his} {hero.home} and looked at the sky.
  ?50 @about_animal hero
- The sun came up over the [meadow|forest|valley|hill]. In a {hero.home}, {hero.new} opened {hero.his} eyes.
- Everybody in the valley knew {hero.new}.
  @about_animal hero
- This is the story of {hero.new}.
  @about_animal hero
""",
)

beat(
    "about_animal",
    "hero",
    """
- {hero} loved to {hobby}.
- {hero} was very {hero.trait}.
- {hero} liked {hero.food}, and {hero.he} liked to {hobby}.
- All the other animals said that {hero} was {hero.trait}.
- {hero} was a {hero.trait} {hero.kind}, and {hero.his} {hero.home} was the [tidiest|coziest|warmest] of all.
- Every day, {hero} looked for {hero.food}. When {hero.he} was full, {hero.he} liked to {hobby}.
- {hobby.ing} was what {hero} liked [best|most].
""",
)

beat(
    "weather",
    "",
    """
- The sun was [shining|warm|bright] and the sky was blue.
- A [soft|warm|gentle] wind was blowing.
- The birds were singing[ in the trees|].
- The air smelled [of flowers|fresh|sweet].
- There was not a cloud in the sky.
- White clouds moved slowly across the sky.
- Everything was [quiet|green|bright].
- It was [a perfect day|a good day] to be outside.
""",
)
