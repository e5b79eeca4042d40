"""Lilliput: grow tiny language models from your own text, on your own machine.

The verbs of the command line, as functions:

    import lilliput
    lilliput.build_corpus(["notes/"], "corpus")
    lilliput.train_tokenizer("corpus", "tok.json", vocabulary_size=2048)
    lilliput.tokenize("corpus", "tok.json", "tokens")
    run = lilliput.train("tokens", train__minutes=5)
    print(run.model.generate("Once upon a time", max_tokens=100)[0])
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lilliput.generate.language_model import LanguageModel, load
    from lilliput.verbs.corpus_building import build_corpus
    from lilliput.verbs.data import tokenize, train_tokenizer, write_stories
    from lilliput.verbs.exporting import export, import_gguf
    from lilliput.verbs.training import Run, plan, resume, train

# Loaded when first used, so that `import lilliput` is instant.
_MODULE_OF = {
    "LanguageModel": "lilliput.generate.language_model",
    "load": "lilliput.generate.language_model",
    "build_corpus": "lilliput.verbs.corpus_building",
    "tokenize": "lilliput.verbs.data",
    "train_tokenizer": "lilliput.verbs.data",
    "write_stories": "lilliput.verbs.data",
    "export": "lilliput.verbs.exporting",
    "import_gguf": "lilliput.verbs.exporting",
    "Run": "lilliput.verbs.training",
    "plan": "lilliput.verbs.training",
    "resume": "lilliput.verbs.training",
    "train": "lilliput.verbs.training",
}

__all__ = [
    "LanguageModel",
    "Run",
    "build_corpus",
    "export",
    "import_gguf",
    "load",
    "plan",
    "resume",
    "tokenize",
    "train",
    "train_tokenizer",
    "write_stories",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'lilliput' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)
