"""The perplexity stage, against the model's own word on each text."""

import math
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from lilliput.errors import UserError
from lilliput.evaluate.perplexity import Perplexity
from lilliput.generate import load
from lilliput.model import FAMILIES, Decoder, save_model
from lilliput.tokens import train_tokenizer

_TEXTS = ["The cat sat on the mat.", "", "naïve café 😀 " * 60, "the dog", "The dog saw the cat."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    tokenizer = train_tokenizer([" ".join(_TEXTS)] * 20, vocabulary_size=300)
    config = FAMILIES["lilliput"].shape(
        n_layers=1, d_model=16, vocabulary_size=tokenizer.vocabulary_size, context_length=64
    )
    torch.manual_seed(5)
    decoder = Decoder(config)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    path: Path = tmp_path_factory.mktemp("perplexity") / "model"
    save_model(decoder, path, end_of_text=tokenizer.end_of_text, padding=tokenizer.padding)
    tokenizer.save(path)
    return str(path)


def batch_of(texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch({"id": [str(n) for n in range(len(texts))], "text": texts})


def test_it_says_what_the_model_says(folder: str) -> None:
    model = load(folder, "cpu")
    outcome = Perplexity(folder, device="cpu")(batch_of(_TEXTS))
    assert not outcome.dropped
    for text, bits, perplexity in zip(
        _TEXTS,
        outcome.batch.column("bits_per_byte").to_pylist(),
        outcome.batch.column("token_perplexity").to_pylist(),
        strict=True,
    ):
        if not text:
            assert bits is None
            assert perplexity is None
            continue
        nats = [-score for _, _, score in model.token_scores(text)]
        assert bits == pytest.approx(sum(nats) / math.log(2) / len(text.encode()), rel=1e-4)
        assert perplexity == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-4)


def test_it_drops_both_ends(folder: str) -> None:
    scored = Perplexity(folder, device="cpu")(batch_of(_TEXTS)).batch
    bits = scored.column("bits_per_byte").to_pylist()
    low, *_, high = sorted(value for value in bits if value is not None)
    stage = Perplexity(folder, lowest=low + 1e-9, highest=high - 1e-9, device="cpu")
    outcome = stage(batch_of(_TEXTS))
    assert {one.row: one.rule for one in outcome.dropped} == {
        bits.index(low): "lowest_bits_per_byte",
        bits.index(high): "highest_bits_per_byte",
    }
    assert outcome.batch.num_rows == 3
    assert stage(batch_of([])).batch.num_rows == 0


def test_only_the_beginning_is_read_where_asked(folder: str) -> None:
    short = Perplexity(folder, most_characters=10, device="cpu")(batch_of(_TEXTS)).batch
    cut = Perplexity(folder, device="cpu")(batch_of([text[:10] for text in _TEXTS])).batch
    assert short.column("bits_per_byte").equals(cut.column("bits_per_byte"))
    assert short.column("text").to_pylist() == _TEXTS


def test_settings_are_checked(folder: str) -> None:
    with pytest.raises(UserError, match="lowest"):
        Perplexity(folder, lowest=2.0, highest=1.0)
    with pytest.raises(UserError, match="most_characters"):
        Perplexity(folder, most_characters=0)
