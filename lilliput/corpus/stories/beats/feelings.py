"""Feelings, shown in one line: `@sad who`, `@happy who`, …"""

from lilliput.corpus.stories.script import beat

beat(
    "sad",
    "who",
    """
- {who} felt [sad|very sad|so sad].
- {who} wanted to cry.
- A [big|small|single] tear rolled down {who.his} face.
- {who} sat down and [began to cry|did not say a word|looked at the ground].
- {who.his} heart felt heavy.
- {who} was so sad that {who.he} did not want to play anymore.
- All the joy went out of {who.him}.
- {who} <try> not to cry >< a tear fell anyway.
""",
)
beat(
    "happy",
    "who",
    """
- {who} was [so happy|very happy|full of joy].
- {who} felt warm inside.
- {who.his} heart jumped for joy.
- {who} [smiled from ear to ear|laughed out loud|danced around and around].
- {who} could not stop smiling.
- {who} had never felt such joy.
- {who} was so happy that {who.he} [jumped up and down|sang a little song|danced on the spot].
- What a [good|wonderful] feeling it was!
""",
)
beat(
    "afraid",
    "who",
    """
- {who} was [scared|very scared|afraid].
- {who.his} heart began to beat fast.
- {who} shook [with fear|like a leaf].
- {who} wanted to run away.
- {who} [held {who.his} breath|stood very still|did not dare to move].
- A cold feeling ran down {who.his} back.
- {who.his} legs felt weak.
""",
)
beat(
    "angry",
    "who",
    """
- {who} was [angry|very angry|so angry].
- {who} stamped {who.his} foot.
- {who.his} face turned red.
- {who} felt hot inside.
- {who} [turned away|walked off] without a word.
- {who} did not want to talk to anyone.
""",
)
beat(
    "surprised",
    "who",
    """
- {who} could not believe {who.his} eyes.
- {who.his} eyes grew [wide|big|round].
- {who} was [so|very] surprised.
- {who} opened {who.his} mouth, but no words came out.
- {who} looked once, and then {who.he} looked again.
- What a surprise!
""",
)
beat(
    "proud",
    "who",
    """
- {who} felt [proud|very proud|so proud].
- {who} stood [up tall|a little taller].
- {who} had never felt so proud.
- {who.his} eyes were shining.
- {who} smiled a proud smile.
""",
)
beat(
    "worried",
    "who",
    """
- {who} was worried.
- {who} did not know what to do.
- {who} had a bad feeling.
- {who} looked [left and right|all around], but there was no help.
- {who} walked up and down and thought hard.
""",
)
beat(
    "sorry_inside",
    "who",
    """
- {who} felt [bad|very bad|sorry] about it.
- {who} could not sleep that night, because {who.he} felt so bad.
- {who} had a heavy feeling in {who.his} belly.
- {who} wished that it had never happened.
- {who} knew that it was wrong.
""",
)
beat(
    "bravely",
    "who",
    """
- At last, {who} <take> a deep breath >> <come> closer.
- Then {who} took a deep breath.
- {who} knew what {who.he} had to do.
- {who} gathered all {who.his} courage.
- {who} was scared, but {who.he} stood up.
""",
)
