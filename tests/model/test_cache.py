"""A cache of rows that join, leave, move and are cut gives the logits of texts read anew."""

import pytest
import torch
from torch import Tensor

from lilliput.model import FAMILIES, Decoder
from lilliput.model.cache import SPARE_COLUMNS, piece_of

VOCABULARY = 60
FAMILIES_TRIED = ("llama", "mistral", "gemma2", "gpt2", "bloom", "llama4", "deepseek-v3", "apple")


def decoder_of(family: str) -> Decoder:
    config = FAMILIES[family].shape(
        n_layers=4, d_model=32, vocabulary_size=VOCABULARY, context_length=96
    )
    torch.manual_seed(1)
    decoder = Decoder(config)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return decoder.eval().requires_grad_(False)


def ids_of(length: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY, (length,), generator=generator)


def check(decoder: Decoder, logits: Tensor, text: Tensor) -> None:
    torch.testing.assert_close(logits, decoder(text[None])[0, -1], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("family", FAMILIES_TRIED)
def test_rows_join_and_leave(family: str) -> None:
    decoder = decoder_of(family)
    batch = decoder.make_cache(0, 0)
    texts: list[Tensor] = []
    for round_number, length in enumerate((3, 40, 7, 55, 1, 30)):
        text = ids_of(length, round_number)
        alone = decoder.make_cache(1, length)
        decoder(text[None], cache=alone)
        batch.adopt([piece_of(alone, 0, length)])
        texts.append(text)
        if round_number in (2, 4):
            batch.drop_row(0)
            texts[0] = texts[-1]
            texts.pop()
            unused = batch.length - max(map(len, texts))
            batch.drop_first(unused)
        for step in range(9):
            token = ids_of(len(texts), 100 * round_number + step)
            starts = torch.tensor([[batch.length - len(one)] for one in texts])
            logits = decoder(token[:, None], cache=batch, document_starts=starts)
            texts = [torch.cat((one, new[None])) for one, new in zip(texts, token, strict=True)]
        for row, text in enumerate(texts):
            check(decoder, logits[row, -1], text)


@pytest.mark.parametrize("family", FAMILIES_TRIED)
def test_tokens_are_taken_back(family: str) -> None:
    decoder = decoder_of(family)
    cache = decoder.make_cache(1, 4)
    text = ids_of(60, 1)
    decoder(text[None], cache=cache)
    for step in range(8):
        wrong = ids_of(3, 50 + step)
        decoder(wrong[None], cache=cache)
        assert cache.can_cut(len(text))
        cache.cut(len(text))
        more = ids_of(2, 20 + step)
        text = torch.cat((text, more))
        check(decoder, decoder(more[None], cache=cache)[0, -1], text)


@pytest.mark.parametrize("family", FAMILIES_TRIED)
def test_rows_are_put_in_another_order(family: str) -> None:
    decoder = decoder_of(family)
    cache = decoder.make_cache(2, 3)
    texts = torch.stack([ids_of(40, 1), ids_of(40, 2)])
    decoder(texts, cache=cache)
    order = torch.tensor([1, 1, 0, 1])
    cache.reorder(order)
    token = ids_of(4, 3)[:, None]
    logits = decoder(token, cache=cache)
    for row in range(4):
        check(decoder, logits[row, -1], torch.cat((texts[order[row]], token[row])))


@pytest.mark.parametrize("family", ("llama", "gpt2", "deepseek-v3"))
def test_a_text_is_put_together_from_pieces(family: str) -> None:
    decoder = decoder_of(family)
    text = ids_of(30, 1)
    whole = decoder.make_cache(1, 30)
    decoder(text[None], cache=whole)
    assert whole.divisible
    first, second = decoder.make_cache(0, 0), decoder.make_cache(0, 0)
    first.adopt([piece_of(whole, 0, 30)._replace(stop=11)])
    second.adopt([piece_of(whole, 0, 30)._replace(start=11)])
    joined = decoder.make_cache(0, 0)
    joined.adopt([piece_of(first, 0, 11), piece_of(second, 0, 19)])
    token = ids_of(1, 2)
    check(decoder, decoder(token[None], cache=joined)[0, -1], torch.cat((text, token)))


def test_a_layer_with_a_window_remembers_no_more() -> None:
    decoder = decoder_of("mistral")
    window = decoder.config.window
    cache = decoder.make_cache(1, 96)
    text = ids_of(90, 1)
    for piece in text[None].split(5, dim=1):
        decoder(piece, cache=cache)
    columns = cache.memory_bytes // (4 * decoder.config.cached_per_token)
    assert columns <= 2 * window + SPARE_COLUMNS
    keys = torch.zeros(1, decoder.config.n_kv_heads, 1, decoder.config.head_dim)
    assert cache.extend(0, keys, keys)[0].shape[2] == window
    assert not cache.divisible


def test_memory_is_finite_where_nothing_was_stored() -> None:
    """A mask hides a number, not what is none: a row's padding must hold numbers."""
    decoder = decoder_of("llama")
    batch = decoder.make_cache(0, 0)
    long, short = decoder.make_cache(1, 20), decoder.make_cache(1, 2)
    decoder(ids_of(20, 1)[None], cache=long)
    batch.adopt([piece_of(long, 0, 20)])
    batch.adopt([piece_of(long, 0, 20)])
    for keys, values in batch._tracks[0].stored.values():  # as a row of damaged numbers leaves it
        keys[1], values[1] = torch.nan, torch.nan
    batch.drop_row(1)
    text = ids_of(2, 2)
    decoder(text[None], cache=short)
    batch.adopt([piece_of(short, 0, 2)])
    token = ids_of(2, 3)[:, None]
    logits = decoder(token, cache=batch, document_starts=torch.tensor([[0], [18]]))
    check(decoder, logits[1, -1], torch.cat((text, token[1])))
