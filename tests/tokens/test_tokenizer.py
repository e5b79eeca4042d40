"""Tokenizers: lossless, and equal to tokenizers, transformers and tiktoken."""

import json
import pickle
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lilliput.errors import UserError
from lilliput.tokens import Tokenizer, encoders, train_tokenizer
from lilliput.tokens.encoders import (
    DIFFICULT_TEXTS,
    GigatokenEncoder,
    HuggingFaceEncoder,
    TableEncoder,
    TiktokenEncoder,
    choose_encoder,
)
from lilliput.tokens.pattern import SPLIT_PATTERNS
from lilliput.tokens.special import SPECIAL_TOKENS

any_text = st.text() | st.lists(
    st.sampled_from(
        [" ", "\n", "\r", "\t", "a", "don't", "'S", "12", "é", "🙂", "<|endoftext|>", "_"]
    )
).map("".join)
# Libraries know different versions of Unicode, so splits at the newest letters may differ.
OLD_CHARACTERS = [
    character
    for character in map(chr, [*range(0xD800), *range(0xE000, 0x30000)])
    if unicodedata.ucd_3_2_0.category(character) != "Cn"
]
old_text = st.text(st.sampled_from(OLD_CHARACTERS)) | any_text.filter(
    lambda text: all(unicodedata.ucd_3_2_0.category(c) != "Cn" or c == "🙂" for c in text)
)


@pytest.fixture(scope="module", params=list(SPLIT_PATTERNS))
def patterned(request: pytest.FixtureRequest, texts: list[str]) -> Tokenizer:
    return train_tokenizer(texts, vocabulary_size=400, pattern=request.param)


@pytest.fixture(scope="module", params=["bpe", "byte"])
def lossless(request: pytest.FixtureRequest, texts: list[str]) -> Tokenizer:
    return train_tokenizer(texts[:200], kind=request.param)


@given(text=any_text)
@settings(deadline=None)
def test_round_trip(lossless: Tokenizer, text: str) -> None:
    ids = lossless.encode(text)
    assert lossless.decode(ids) == text
    assert b"".join(map(lossless.token_bytes, ids)) == text.encode()
    assert lossless.encode_batch([text])[0].tolist() == ids
    assert all(number >= len(SPECIAL_TOKENS) for number in ids)


@given(batch=st.lists(old_text, max_size=5))
@settings(deadline=None)
def test_every_encoder_gives_the_ids_of_the_definition(
    patterned: Tokenizer, batch: list[str]
) -> None:
    reference = tokenizers.Tokenizer.from_str(json.dumps(patterned.definition))
    reference.encode_special_tokens = True
    expected = [encoded.ids for encoded in reference.encode_batch(batch)]
    for encoder in (HuggingFaceEncoder, TiktokenEncoder, GigatokenEncoder):
        if encoder is GigatokenEncoder and sys.platform == "win32":
            continue
        ids = encoder(patterned.definition).encode_batch(batch)
        assert [one.tolist() for one in ids] == expected, encoder.name
        assert all(one.dtype == np.uint32 for one in ids)


def test_transformers_loads_it_with_equal_ids(
    tmp_path: Path, patterned: Tokenizer, texts: list[str]
) -> None:
    patterned.save(tmp_path)
    # A model folder's config must not make transformers build another tokenizer.
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}', encoding="utf-8")
    for loaded in (
        AutoTokenizer.from_pretrained(tmp_path),
        PreTrainedTokenizerFast.from_pretrained(tmp_path),
    ):
        for text in [*DIFFICULT_TEXTS, *texts[:20]]:
            ids = patterned.encode(text, special=True)
            assert loaded(text)["input_ids"] == ids
            assert loaded.decode(ids) == patterned.decode(ids, special=True)
        assert (loaded.eos_token_id, loaded.pad_token_id) == (
            patterned.end_of_text,
            patterned.padding,
        )
        assert len(loaded) == patterned.vocabulary_size


def test_tiktoken_with_its_bytes_gives_equal_ids(patterned: Tokenizer, texts: list[str]) -> None:
    pattern = SPLIT_PATTERNS["gpt2"]
    stages = patterned.definition["pre_tokenizer"].get("pretokenizers")
    if stages:
        pattern = stages[0]["pattern"]["Regex"]
    ranks = {token: number for number, token in enumerate(patterned.bytes_of) if token}
    encoding = tiktoken.Encoding(
        "test", pat_str=pattern, mergeable_ranks=ranks, special_tokens=patterned.special_tokens
    )
    for text in [*DIFFICULT_TEXTS, *texts[:50]]:
        assert encoding.encode_ordinary(text) == patterned.encode(text)
        assert encoding.encode(text, allowed_special="all") == patterned.encode(text, special=True)


def test_special_tokens_are_plain_text_unless_asked_for(tokenizer: Tokenizer) -> None:
    text = "a<|endoftext|>b<|end|>"
    assert 0 not in tokenizer.encode(text)
    assert 0 not in tokenizer.encode_batch([text])[0]
    ids = tokenizer.encode(text, special=True)
    assert (ids[1], ids[-1]) == (tokenizer.end_of_text, tokenizer.special_tokens["<|end|>"])
    assert tokenizer.decode(ids) == "ab"
    assert tokenizer.decode(ids, special=True) == text
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_special_tokens_come_first_in_every_kind(texts: list[str]) -> None:
    for kind in ("bpe", "byte", "character", "word"):
        made = train_tokenizer(texts, kind=kind)
        assert list(made.special_tokens) == list(SPECIAL_TOKENS)
        assert list(made.special_tokens.values()) == list(range(len(SPECIAL_TOKENS)))
        assert (made.end_of_text, made.padding) == (0, 1)
        assert made.bytes_of[: len(SPECIAL_TOKENS)] == [b""] * len(SPECIAL_TOKENS)
        assert len(made.bytes_of) == made.vocabulary_size


@pytest.mark.parametrize("kind", ["character", "word"])
def test_whole_pieces_round_trip_and_mark_the_unknown(
    kind: Any, texts: list[str], tmp_path: Path
) -> None:
    made = train_tokenizer(texts, kind=kind)
    for text in texts[:50]:
        assert made.decode(made.encode(text)) == text
    strange = "ka \u2581 Ж."
    unknown = made.decode(made.encode(strange)).count("\ufffd")
    assert unknown == (2 if kind == "character" else 3)
    made.save(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for text in [*texts[:20], strange, *DIFFICULT_TEXTS]:
        ids = made.encode(text)
        assert made.encode_batch([text])[0].tolist() == ids
        if "<|" not in text:
            assert loaded(text)["input_ids"] == ids
            assert loaded.decode(ids) == made.decode(ids)


def test_a_character_that_sentencepiece_means_as_a_space_stays(texts: list[str]) -> None:
    made = train_tokenizer(["a\u2581b"], kind="character")
    assert made.decode(made.encode("a\u2581b")) == "a\u2581b"


def test_save_and_load(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(tmp_path / "folder")
    tokenizer.save_definition(tmp_path / "tok.json")
    copies = [
        Tokenizer.load(tmp_path / "folder"),
        Tokenizer.load(str(tmp_path / "folder" / "tokenizer.json")),
        Tokenizer.load(tmp_path / "tok.json"),
        pickle.loads(pickle.dumps(tokenizer)),
    ]
    for copy in copies:
        assert copy.hash == tokenizer.hash
        assert copy.encode("ka lo 12 mi") == tokenizer.encode("ka lo 12 mi")
        assert (copy.end_of_text, copy.padding) == (0, 1)
    assert (tmp_path / "folder" / "tokenizer.json").read_bytes() == (
        tmp_path / "tok.json"
    ).read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1"),
        ("[]", "not a tokenizer.json"),
        ('{"model": {}}', "not a tokenizer.json"),
        ('{"model": {"type": "BPE", "vocab": {"a": 0}}}', "no <|endoftext|> token"),
    ],
)
def test_load_refuses_what_is_none(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "tok.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        Tokenizer.load(tmp_path / "tok.json")
    assert message in str(caught.value)
    with pytest.raises(UserError, match="no such file"):
        Tokenizer.load(tmp_path / "none.json")


def test_half_a_surrogate_pair_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match="surrogate"):
        tokenizer.encode("a\ud800")


def test_a_foreign_byte_fallback_tokenizer_is_read() -> None:
    vocabulary = {"<s>": 0, "<0x41>": 1, "\u2581hi": 2, "</s>": 3}
    definition = {
        "added_tokens": [
            {"id": 0, "content": "<s>", "special": True},
            {"id": 3, "content": "</s>", "special": True},
        ],
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    loaded = Tokenizer(definition, {"eos_token": {"content": "</s>"}})
    assert (loaded.end_of_text, loaded.padding) == (3, 3)
    assert loaded.bytes_of == [b"", b"A", b" hi", b""]


# The choice of encoder


def test_the_fastest_encoder_is_chosen(patterned: Tokenizer, texts: list[str]) -> None:
    fastest = "tiktoken" if sys.platform == "win32" else "gigatoken"
    assert patterned.encoder_name == fastest
    assert train_tokenizer(texts, kind="byte").encoder_name == "numpy"
    assert train_tokenizer(texts, kind="character").encoder_name == "numpy"
    assert train_tokenizer(texts, kind="word").encoder_name == "tokenizers"


def test_an_encoder_that_cannot_be_imported_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer
) -> None:
    monkeypatch.setitem(sys.modules, "gigatoken.gigatoken_rs", None)
    assert choose_encoder(tokenizer.definition).name == "tiktoken"
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert choose_encoder(tokenizer.definition).name == "tokenizers"


def test_an_encoder_with_other_ids_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer
) -> None:
    class Wrong(TiktokenEncoder):
        name = "gigatoken"

        def encode_batch(self, texts: Any) -> Any:
            return [ids[:-1] if "rare" in text else ids for text, ids in self._all(texts)]

        def _all(self, texts: Any) -> Any:
            return zip(texts, super().encode_batch(texts), strict=True)

    monkeypatch.setattr(encoders, "GigatokenEncoder", Wrong)
    assert choose_encoder(tokenizer.definition).name == "gigatoken"
    assert choose_encoder(tokenizer.definition, ["a rare text"]).name == "tiktoken"


def test_a_table_is_not_used_for_longer_tokens(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="longer"):
        TableEncoder(tokenizer.definition)
