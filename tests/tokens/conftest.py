"""A small corpus and a tokenizer trained on it."""

from pathlib import Path

import pytest
from token_samples import make_corpus, make_texts

from lilliput.tokens import Tokenizer, train_tokenizer


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return make_texts(1000)


@pytest.fixture(scope="session")
def tokenizer(texts: list[str]) -> Tokenizer:
    return train_tokenizer(texts, vocabulary_size=400)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> Path:
    """1,000 documents in 3 parts and some 30 row groups."""
    return make_corpus(tmp_path_factory.mktemp("corpus") / "corpus", texts, 5000)
