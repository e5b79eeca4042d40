"""Tiny random models of every family, saved as model folders, with a small trained tokenizer."""

from pathlib import Path

import pytest
import torch
from tiny_models import TRIED, random_decoder

from lilliput.generate import LanguageModel, load
from lilliput.model import save_model
from lilliput.tokens import Tokenizer, train_tokenizer

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    texts = ["Once upon a time, the cat sat on the mat. The dog saw it — naïve café 😀."] * 20
    return train_tokenizer(texts, vocabulary_size=300)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> dict[str, Path]:
    made = {}
    for family in TRIED:
        folder = tmp_path_factory.mktemp("models") / family
        save_model(
            random_decoder(family, tokenizer.vocabulary_size),
            folder,
            end_of_text=tokenizer.end_of_text,
            padding=tokenizer.padding,
        )
        tokenizer.save(folder)
        made[family] = folder
    return made


@pytest.fixture(scope="session")
def model(folders: dict[str, Path]) -> LanguageModel:
    return load(folders["lilliput"], "cpu")


@pytest.fixture(scope="session")
def endless(model: LanguageModel) -> LanguageModel:
    """The same model, whose texts end only at a stop string or a limit."""
    return LanguageModel(model.decoder, model.tokenizer, end_tokens=())
