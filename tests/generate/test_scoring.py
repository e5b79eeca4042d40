import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import CONTEXT_LENGTH, EXCHANGED

from lilliput.generate import (
    LanguageModel,
    Target,
    load,
    log_probabilities,
)
from lilliput.generate import scoring as scoring_module
from lilliput.generate.scoring import windows
from lilliput.model import Decoder

LONG = "Once upon a time, the cat sat on the mat. The dog saw it — naïve café 😀. " * 4


def reference(folder: Path, ids: list[int], first: int) -> float:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        scores = theirs(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(float(scores[place - 1, ids[place]]) for place in range(first, len(ids)))


@pytest.mark.parametrize("family", EXCHANGED)
def test_scores_equal_transformers(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family], "cpu")
    prompt, completions = "Once upon a time, the cat sat on", [" the mat", " it", " a dog — 😀."]
    before = [model.tokenizer.end_of_text, *model.tokenizer.encode(prompt)]
    for completion, score in zip(completions, model.score(prompt, completions), strict=True):
        ids = [model.tokenizer.end_of_text, *model.tokenizer.encode(prompt + completion)]
        assert ids[: len(before)] == before  # the boundary falls between tokens here
        assert score == pytest.approx(reference(folders[family], ids, len(before)), abs=1e-3)


@given(st.integers(2, 300), st.integers(1, 299), st.integers(1, 40))
def test_windows_cover_each_token_once_with_enough_before_it(
    length: int, first: int, context_length: int
) -> None:
    first = min(first, length - 1)
    covered = windows(length, first, context_length)
    scored = [token for window in covered for token in range(window.first, window.stop)]
    assert scored == list(range(first, length))
    for window in covered:
        assert 0 <= window.start < window.first < window.stop
        assert window.stop - 1 - window.start <= context_length
        assert window.first - window.start >= min(window.first, context_length // 2)


def test_short_targets_take_one_window() -> None:
    assert len(windows(CONTEXT_LENGTH + 1, 1, CONTEXT_LENGTH)) == 1
    assert len(windows(CONTEXT_LENGTH + 2, 1, CONTEXT_LENGTH)) == 2


@given(st.data())
def test_batches_and_shared_prefixes_change_nothing(
    model: LanguageModel, data: st.DataObject
) -> None:
    token = st.integers(0, 299)
    prefix = data.draw(st.lists(token, min_size=1, max_size=40))
    targets = []
    for _ in range(data.draw(st.integers(1, 5))):
        ids = prefix + data.draw(st.lists(token, max_size=70))
        targets.append(Target(ids, data.draw(st.integers(1, len(ids)))))
    for target, scores in zip(targets, log_probabilities(model.decoder, targets), strict=True):
        assert scores.shape == (len(target.ids) - target.first,)
        [alone] = log_probabilities(model.decoder, [target])
        torch.testing.assert_close(scores, alone, rtol=1e-4, atol=1e-4)


def test_a_long_shared_prompt_is_read_once(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    hidden = model.decoder.hidden

    def counting(ids: torch.Tensor, **rest: object) -> torch.Tensor:
        nonlocal read
        read += ids.numel()
        return hidden(ids, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(model.decoder, "hidden", counting)
    prompt, completions = LONG[:90], [" the mat", " the dog", " the cat", " a time"]
    model.score(prompt, completions)
    longest = max(len(model.completion_target(prompt, one).ids) for one in completions)
    tokens = len(model.prompt_ids(prompt))
    assert read <= tokens + len(completions) * (longest - tokens + 1)


def test_beginnings_shared_at_several_depths_are_read_once(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header before all, a question before some, an answer of each."""
    generator = torch.Generator().manual_seed(1)

    def some(count: int) -> list[int]:
        return torch.randint(0, 300, (count,), generator=generator).tolist()

    header = some(20)
    targets = []
    for question in [some(20), some(22), some(17)]:
        start = len(header) + len(question)
        targets += [Target(header + question + some(4), start) for _ in range(4)]
    targets.append(Target(header + some(30), 25))
    alone = [log_probabilities(model.decoder, [target])[0] for target in targets]
    read = 0
    hidden = model.decoder.hidden

    def counting(ids: torch.Tensor, **rest: object) -> torch.Tensor:
        nonlocal read
        read += ids.numel()
        return hidden(ids, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(model.decoder, "hidden", counting)
    for scores, expected in zip(log_probabilities(model.decoder, targets), alone, strict=True):
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)
    assert read <= 20 + (20 + 22 + 17) + 12 * (4 + 3) + 30


def test_a_token_across_the_boundary_counts_to_the_completion(model: LanguageModel) -> None:
    encode = model.tokenizer.encode
    prompt, completion = "the ca", "t sat"
    assert encode(prompt + completion)[: len(encode(prompt))] != encode(prompt)
    target = model.completion_target(prompt, completion)
    whole = model.token_scores(prompt + completion)
    expected = sum(score for _, _, score in whole[target.first - 1 :])
    assert model.score(prompt, [completion])[0] == pytest.approx(expected, abs=1e-4)


def test_the_chain_rule_holds(model: LanguageModel) -> None:
    whole = model.log_probability("The cat sat on the mat.")
    parts = model.log_probability("The cat"), model.score("The cat", [" sat on the mat."])[0]
    assert whole == pytest.approx(sum(parts), abs=1e-4)
    assert model.score("", ["The cat"])[0] == pytest.approx(parts[0], abs=1e-4)
    assert model.score("The cat", [""]) == [0.0]


def test_long_documents_equal_their_windows(model: LanguageModel, folders: dict[str, Path]) -> None:
    ids = [model.tokenizer.end_of_text, *model.tokenizer.encode(LONG)]
    assert len(ids) > 2 * CONTEXT_LENGTH
    expected = sum(
        reference(folders["lilliput"], ids[one.start : one.stop], one.first - one.start)
        for one in windows(len(ids), 1, CONTEXT_LENGTH)
    )
    assert model.log_probability(LONG) == pytest.approx(expected, abs=2e-3)


def test_documents_together_equal_documents_alone(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring_module, "TOKENS_PER_BATCH", 200)
    monkeypatch.setattr(scoring_module, "LOGITS_PER_CHUNK", 3000)
    texts = [LONG, "The", "", "café 😀", LONG[5:200]]
    for text, score in zip(texts, model.score_documents(texts), strict=True):
        assert score.bytes == len(text.encode())
        assert score.log_probability == pytest.approx(model.log_probability(text), abs=1e-3)
    assert model.score_documents([]) == []


def test_bits_per_byte_of_a_uniform_model(model: LanguageModel) -> None:
    class Uniform(torch.nn.Module):
        config = model.decoder.config
        device = model.decoder.device

        def hidden(self, ids: torch.Tensor, **_: object) -> torch.Tensor:
            return torch.zeros(*ids.shape, 1)

        def logits_of(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden.expand(*hidden.shape[:-1], 1024)

    uniform = LanguageModel(Uniform(), model.tokenizer)  # type: ignore[arg-type]
    [score] = uniform.score_documents([LONG])
    tokens = len(model.tokenizer.encode(LONG))
    assert score.bits_per_byte == pytest.approx(10 * tokens / len(LONG.encode()))


def test_an_uncertain_start_is_scored_after_the_end_of_text(model: LanguageModel) -> None:
    bare = LanguageModel(model.decoder, model.tokenizer, beginning=())
    assert bare.log_probability("The") == model.log_probability("The")


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("two_threads")
def test_many_batches_on_two_threads_score_as_one_does(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches go to the threads; each computes on its own, and the number is as before after."""
    monkeypatch.setattr(scoring_module, "TOKENS_WORTH_A_BATCH", 16)
    monkeypatch.setattr(scoring_module, "TOKENS_PER_BATCH", 32)
    draw = random.Random(5)
    targets = []
    for _ in range(12):
        context = [draw.randrange(299) for _ in range(draw.randrange(18, 30))]
        for _ in range(3):
            ids = context + [draw.randrange(299) for _ in range(draw.randrange(1, 30))]
            targets.append(Target(ids, len(context)))
    used = set()
    hidden = type(model.decoder).hidden

    def watched(decoder: Decoder, *arguments: Any, **options: Any) -> torch.Tensor:
        used.add((threading.get_ident(), torch.get_num_threads()))
        return hidden(decoder, *arguments, **options)

    monkeypatch.setattr(type(model.decoder), "hidden", watched)
    together = log_probabilities(model.decoder, targets)
    assert len({thread for thread, _ in used}) == 2
    assert {count for _, count in used} == {1}
    assert torch.get_num_threads() == 2
    for target, scores in zip(targets, together, strict=True):
        [alone] = log_probabilities(model.decoder, [target])
        assert torch.allclose(scores, alone, atol=1e-5)

    def failing(decoder: Decoder, *arguments: Any, **options: Any) -> torch.Tensor:
        raise MemoryError("no room")

    monkeypatch.setattr(type(model.decoder), "hidden", failing)
    with pytest.raises(MemoryError, match="no room"):
        log_probabilities(model.decoder, targets)
    assert torch.get_num_threads() == 2
