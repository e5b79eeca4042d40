"""Split patterns: where a text is cut before merges are learned, so that no token spans a cut.

Each is the published regular expression of the tokenizer it is named after. `qwen2` takes digits
one by one, and llama.cpp knows it by that name.
"""

from lilliput.errors import UserError

_LETTERS_AND_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

SPLIT_PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "gpt4": rf"{_LETTERS_AND_CONTRACTIONS}|\p{{N}}{{1,3}}|{_REST}",
    "qwen2": rf"{_LETTERS_AND_CONTRACTIONS}|\p{{N}}|{_REST}",
}
DEFAULT_PATTERN = "qwen2"


def split_pattern(name: str) -> str:
    """The regular expression of that name. Raises UserError if there is none."""
    if name not in SPLIT_PATTERNS:
        raise UserError(f"split pattern {name!r} is unknown; there are {', '.join(SPLIT_PATTERNS)}")
    return SPLIT_PATTERNS[name]
