"""llama.cpp's names for ways to cut a text before merging, and ours.

llama.cpp has no regular expressions in its files: it knows pre-tokenizers by name
(`tokenizer.ggml.pre`, `src/llama-vocab.cpp`). A name is used only where its expression is ours.
"""

from collections.abc import Mapping
from typing import Any

from lilliput.tokens.pattern import SPLIT_PATTERNS

_DIGITS = r"\p{N}"
_GPT2, _GPT4, _QWEN2 = (SPLIT_PATTERNS[name] for name in ("gpt2", "gpt4", "qwen2"))

# Name → the expressions, each cutting what the one before left.
_EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "gpt-2": (_GPT2,),
    "smollm": (_DIGITS, _GPT2),
    "qwen2": (_QWEN2,),
    "llama-bpe": (_GPT4,),
    "dbrx": (_GPT4,),
}
# Other names of the same expressions, met in files.
_ALIASES = {
    "gpt-2": ("phi-2", "mpt", "olmo", "jais", "roberta-bpe", "gigachat", "trillion"),
    "smollm": ("starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"),
    "qwen2": ("stablelm2", "deepseek-r1-qwen", "hunyuan", "solar-open", "megrez", "grok-2"),
    "llama-bpe": ("llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
    "dbrx": ("smaug-bpe",),
}
_NAME_OF = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}
_TAKES_WHOLE_WORDS = "llama-bpe"
"""A piece that is a token as it stands is taken without merging (`ignore_merges`)."""


def name_of_split(definition: Mapping[str, Any]) -> str:
    """llama.cpp's name for the way a tokenizer.json cuts text. Raises ValueError: why none."""
    expressions = _expressions(definition)
    whole_words = bool(definition["model"].get("ignore_merges"))
    for name, known in _EXPRESSIONS.items():
        if known == expressions and whole_words == (name == _TAKES_WHOLE_WORDS):
            return name
    if whole_words:
        raise ValueError("llama.cpp knows ignore_merges only with GPT-4's split pattern")
    raise ValueError(
        f"llama.cpp has no name for its split pattern {' then '.join(expressions)!r}; "
        f"train the tokenizer with one of {', '.join(SPLIT_PATTERNS)}"
    )


def split_of_name(name: object) -> tuple[list[dict[str, Any]], bool]:
    """The stages of a `pre_tokenizer` for llama.cpp's name, and `ignore_merges`.

    Raises ValueError if the name is not known here.
    """
    known = _NAME_OF.get(str(name))
    if known is None:
        raise ValueError(
            f"its way to cut text, {name!r}, is not known here (known: {', '.join(_NAME_OF)})"
        )
    *before, last = _EXPRESSIONS[known]
    stages = [_split(expression) for expression in before]
    if last != _GPT2:
        stages.append(_split(last))
    return [*stages, byte_level(use_regex=last == _GPT2)], known == _TAKES_WHOLE_WORDS


def begins_texts(name: object) -> bool:
    """Whether llama.cpp puts the beginning token before a text when the file does not say."""
    return _NAME_OF.get(str(name)) == _TAKES_WHOLE_WORDS


def byte_level(*, use_regex: bool = False) -> dict[str, Any]:
    """The stage that spells bytes; with `use_regex` it cuts by GPT-2's expression too."""
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": use_regex,
    }


def _split(expression: str) -> dict[str, Any]:
    if expression == _DIGITS:
        return {"type": "Digits", "individual_digits": True}
    return {
        "type": "Split",
        "pattern": {"Regex": expression},
        "behavior": "Isolated",
        "invert": False,
    }


def _expressions(definition: Mapping[str, Any]) -> tuple[str, ...]:
    stages = definition["pre_tokenizer"] or {}
    stages = stages["pretokenizers"] if stages.get("type") == "Sequence" else [stages]
    expressions: list[str] = []
    for stage in stages:
        kind = stage.get("type")
        if kind == "ByteLevel":
            if stage.get("add_prefix_space"):
                raise ValueError("it adds a space before every text, llama.cpp does not")
            if stage.get("use_regex", True):
                expressions.append(_GPT2)
        elif kind == "Digits" and stage.get("individual_digits"):
            expressions.append(_DIGITS)
        elif kind == "Split" and stage.get("behavior") == "Isolated" and not stage.get("invert"):
            expressions.append(str(stage["pattern"].get("Regex")))
        else:
            raise ValueError(f"llama.cpp knows no way to cut text like {kind!r}")
    return tuple(expressions)
