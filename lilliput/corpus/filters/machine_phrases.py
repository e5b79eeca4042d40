"""Phrases that language models like: a statistic, never a reason to drop.

The first seven are FineWeb's proxy for model-written text (arXiv 2406.17557): flat in crawls until
2023, steeply rising since, and not shown to do harm.
"""

from collections.abc import Mapping

FINEWEB_PHRASES = (
    "delve",
    "as a large language model",
    "it's important to note",
    "rich tapestry",
    "intertwined",
    "certainly!",
    "dive into",
)
MORE_PHRASES = (
    "as an ai language model",
    "as of my last update",
    "as of my last knowledge update",
    "i cannot fulfill",
    "a testament to",
    "it's worth noting",
    "in today's fast-paced world",
    "in the ever-evolving",
    "plays a crucial role",
    "i hope this helps",
)
PHRASES = FINEWEB_PHRASES + MORE_PHRASES


def machine_phrases(text: str) -> Mapping[str, int]:
    """How often each of PHRASES stands in the text; those that do not are left out.

    Capitals and the shape of apostrophes do not matter; "delve" is found in "delves" too.
    """
    lowered = text.lower().replace("’", "'")
    counts = {phrase: lowered.count(phrase) for phrase in PHRASES}
    return {phrase: count for phrase, count in counts.items() if count}
