"""Openings: `@open_child hero`, `@open_animal hero` introduce the hero; `@open` fits either."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.script import beat

beat("open", "", "@open_{world} hero\n?40 @detail_{world} hero")

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
- [Some children are loud and some are quiet.|Some children love noise and some love quiet.|There are many kinds of children.|Everyone is good at something.|No two children are the same.] {hero} was a {hero.trait} {hero.kind}.
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
- {hero.call} was {hero.a} who loved to {hobby}.
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
    "detail_child",
    "hero",
    """
- {hero} always wore [a red cap|blue boots|a yellow scarf|two different socks|a green coat with big buttons|a striped shirt|shoes that were too big].
- {hero.his} favorite food was [soup|rice|bread with honey|noodles|pancakes|cheese|apple pie|fish], and {hero.his} favorite color was [red|blue|green|yellow|orange|purple].
- In {hero.his} pocket, {hero.he} always had [a button|a marble|a piece of string|an empty shell|a pencil] and [an old nut|a smooth stone|a bent nail|half a cookie|a feather].
- {hero.his} hair was [as red as a fox|as black as the night|as yellow as straw|brown and very short|long and full of knots].
- {hero.his} bed stood [under the roof|by the window|next to the stove|behind a blue curtain].
- From {hero.his} window, {hero.he} could see [the sea|a hill with three trees|the roofs of the town|a field of corn|the old mill].
- {hero} could [whistle louder than anyone|count to a thousand|stand on {hero.his} head|run faster than the neighbor's dog|sing the whole day].
- {hero.his} [best|favorite] day of the week was [Monday|Tuesday|Friday|Saturday|Sunday], because there was [cake|music|no school|time to play|soup with noodles].
- Most of all, {hero} liked [foxes|horses|owls|dogs|trains|ships|dragons|the moon|the rain|snow].
""",
)

beat(
    "detail_animal",
    "hero",
    """
- {hero.his} bed was made of [dry leaves|soft moss|warm hay|old feathers].
- {hero} had [one white ear|a white spot on the nose|very big eyes|a short tail|a funny little voice].
- In the morning, {hero} liked to [look at the dew|wash in the stream|listen to the birds|sit on a warm stone].
- {hero} knew every [path|stone|tree|flower] in the valley.
- When it was cold, {hero} stayed at home and [told stories|hummed a tune|counted {hero.food}|looked at the snow].
- {hero.his} [best|favorite] time of the year was [spring|summer|autumn], when there was [plenty to eat|sun all day long|so much to see].
- Near {hero.his} {hero.home} stood [an old oak|a crooked pine|a big gray stone|a broken fence|a wild apple tree].
- Most of all, {hero} liked [the smell of rain|the first snow|warm evenings|the sound of the stream|early mornings].
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
