"""Training: exact sizes, the merges of Hugging Face's trainer, bounded samples."""

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import rustbpe
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from lilliput.errors import UserError
from lilliput.tokens import Tokenizer, suggested_vocabulary_size, train_tokenizer
from lilliput.tokens.definition import FIRST_ORDINARY_ID
from lilliput.tokens.encoders import DIFFICULT_TEXTS
from lilliput.tokens.pattern import SPLIT_PATTERNS
from lilliput.tokens.trainer import merges_of_ranks


@pytest.mark.parametrize("size", [272, 273, 300, 512])
def test_the_vocabulary_has_exactly_the_size_asked(texts: list[str], size: int) -> None:
    made = train_tokenizer(texts, vocabulary_size=size)
    assert made.vocabulary_size == size
    assert sorted(made.definition["model"]["vocab"].values()) == list(range(size))


@pytest.mark.parametrize("pattern", list(SPLIT_PATTERNS))
def test_ids_are_those_of_the_trainer(texts: list[str], pattern: str) -> None:
    trained = rustbpe.Tokenizer()
    trained.train_from_iterator(iter(texts), 400, pattern=SPLIT_PATTERNS[pattern])
    made = train_tokenizer(texts, vocabulary_size=400 + FIRST_ORDINARY_ID, pattern=pattern)
    for text in [*DIFFICULT_TEXTS, *texts]:
        assert made.encode(text) == [FIRST_ORDINARY_ID + rank for rank in trained.encode(text)]


@pytest.mark.parametrize("pattern", list(SPLIT_PATTERNS))
def test_merges_are_those_of_hugging_face_but_for_ties(texts: list[str], pattern: str) -> None:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = pre_tokenizers.Split(tokenizers.Regex(SPLIT_PATTERNS[pattern]), "isolated")
    reference = tokenizers.Tokenizer(models.BPE())
    reference.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=356, initial_alphabet=alphabet, show_progress=False, special_tokens=[]
    )
    reference.train_from_iterator(texts, trainer)
    merges = json.loads(reference.to_str())["model"]["merges"]
    expected = {" ".join(merge) if isinstance(merge, list) else merge for merge in merges}
    made = train_tokenizer(texts, vocabulary_size=356 + FIRST_ORDINARY_ID, pattern=pattern)
    own = set(made.definition["model"]["merges"])
    assert len(own) == len(expected) == 100
    assert len(own & expected) >= 90


def test_merges_of_ranks_undoes_ranks() -> None:
    merges = [(b"a", b"b"), (b"ab", b"c"), (b"b", b"c"), (b"ab", b"ab"), (b"abab", b"abc")]
    ranks = [(bytes([byte]), byte) for byte in range(256)]
    ranks += [(left + right, 256 + place) for place, (left, right) in enumerate(merges)]
    assert merges_of_ranks(ranks) == merges


def test_training_is_deterministic(texts: list[str], tokenizer: Tokenizer) -> None:
    assert train_tokenizer(iter(texts), vocabulary_size=400).hash == tokenizer.hash


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("bpe", 271, "at least 272"),
        ("byte", 100, "at least 272"),
        ("byte", 300, "always 272"),
        ("character", 17, "at least 18"),
        ("nonsense", 300, "kind 'nonsense' is unknown"),
    ],
)
def test_impossible_sizes_are_refused(kind: Any, size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_tokenizer(["text"], vocabulary_size=size, kind=kind)


def test_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(UserError, match="there are gpt2, gpt4, qwen2"):
        train_tokenizer(["text"], pattern="gpt5")


@pytest.mark.parametrize("kind", ["bpe", "character", "word"])
def test_no_text_is_refused(kind: Any) -> None:
    with pytest.raises(UserError, match="no text"):
        train_tokenizer([], vocabulary_size=500, kind=kind)


def test_a_text_too_small_gives_a_smaller_vocabulary_and_says_so() -> None:
    with pytest.warns(UserWarning, match=r"yields only 273 of 1,000 tokens"):
        made = train_tokenizer(["aa"], vocabulary_size=1000)
    assert made.vocabulary_size == 273
    assert made.encode("aaa") == [272, 16 + ord("a")]


def test_only_the_sample_is_read() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "some words and more words. "

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = train_tokenizer(endless(), vocabulary_size=280, sample_bytes=1000)
    assert made.vocabulary_size == 280


def test_characters_and_words_are_kept_by_frequency() -> None:
    made = train_tokenizer(["bbb aa c"], vocabulary_size=FIRST_ORDINARY_ID + 3, kind="character")
    assert made.token_of[FIRST_ORDINARY_ID:] == ["\ufffd", "b", " "]
    made = train_tokenizer(["x y y"], kind="word")
    assert made.token_of[FIRST_ORDINARY_ID:] == ["\ufffd", " y", "x"]


def test_the_suggested_size_grows_with_the_text() -> None:
    assert [suggested_vocabulary_size(size) for size in (0, 10**5, 6 * 10**6, 6 * 10**7)] == [
        512,
        512,
        4096,
        8192,
    ]
    assert suggested_vocabulary_size(10**9) == suggested_vocabulary_size(10**12) == 32768
