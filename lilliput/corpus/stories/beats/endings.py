"""Endings: the moral, and the last lines."""

# ruff: noqa: E501 (one sentence or one row to a line)

from lilliput.corpus.stories.script import beat

beat(
    "moral",
    "who",
    """
- {#moral}{who} learned that {moral}.
- {#moral}That was the day when {who} learned that {moral}.
- {#moral}And that is how {who} learned that {moral}.
- {#moral}{who} thought about it for a long time. Now {who.he} knew that {moral}.
- {#moral}{who} never forgot that {moral}.
- who/kind: {#moral}Now I know that {moral}.
- {#moral}Later, {who} told everyone that {moral}.
""",
)
beat(
    "moral_from",
    "elder who",
    """
- elder>who/wise: {#moral}Always remember that {moral}.
- elder>who/kind: {#moral}You see, {moral}.
  ?50 {who} nodded.
- elder>who/wise: {#moral}Do you know now that {moral}?
  who>elder: [Yes, I do|Yes, I will not forget it|I do now].
- elder>who/kind: {#moral}I am glad you learned that {moral}.
""",
)
beat(
    "the_end",
    "who",
    """
- From then on, {who} [was happy|smiled more often].
- {who} went home with a [big smile|happy heart|light heart].
- It was the best day of [the year|the whole summer|all].
- {who} <fall> asleep with a smile that night.
- That evening, {who} [told everyone at home about it|slept very well|was tired but happy].
- It was a day to remember.
- And every time {who} thought of it, {who.he} smiled.
- {who} could not wait for the next day.
- When the moon came up, {who} was already [asleep|dreaming].
- And that was the end of a [long|good|strange|lovely] day.
- What a day it had been!
-
""",
)
beat(
    "friends_end",
    "who friend both",
    """
- From that day on, {both} were [the best of friends|good friends|best friends].
- {both} [played together every day|were always together after that|stayed friends for a long, long time].
- And {both} lived happily ever after.
- {both} walked home [side by side|together|in the evening sun].
- Now {who} had a friend, and so did {friend.him}.
- who>friend/happy: Will you come again tomorrow?
  friend>who/happy: [Of course|Yes, I will|Every day, if you like]!
- who>friend/happy: You are my best friend.
  friend>who/happy: And you are mine!
- {both} shared everything after that.
- The two of them laughed about it for a long time.
""",
)
beat(
    "bad_end",
    "who",
    """
- {who} cried all the way home.
- {who} went to bed without a [word|smile|story] that night.
- It was a sad day for {who.him}.
- {who} wished that {who.he} could [start the day again|turn back the clock].
- There was nothing {who.he} could do.
- {who} sat alone for a long time.
- The house was very quiet that night.
""",
)
