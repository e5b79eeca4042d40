from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from tiny_models import CONTEXT_LENGTH, EXCHANGED, TRIED, random_decoder

from lilliput.errors import UserError, WorkFailed
from lilliput.generate import Completion, Engine, LanguageModel, Sampling, load
from lilliput.generate import writing as writing_module

PROMPTS = ["Once upon a time", "The", "the cat sat on the mat. The dog", "", "a 😀"]
GREEDY = Sampling(temperature=0, max_tokens=20)


def ids_of(model: LanguageModel, *prompts: str) -> list[tuple[int, ...]]:
    return [model.prompt_ids(prompt) for prompt in prompts]


def written(
    model: LanguageModel, prompts: list[str], sampling: Sampling, n: int = 1
) -> list[list[Completion]]:
    return model.complete(ids_of(model, *prompts), sampling, n=n)


@pytest.mark.parametrize("family", EXCHANGED)
def test_greedy_tokens_equal_those_of_transformers(family: str, folders: dict[str, Path]) -> None:
    ours = load(folders[family], "cpu")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folders[family]).eval()
    for prompt, [completion] in zip(PROMPTS, written(ours, PROMPTS, GREEDY), strict=True):
        ids = torch.tensor([ours.prompt_ids(prompt)])
        expected = theirs.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=20
        )
        assert list(completion.ids) == expected[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("family", TRIED)
def test_cached_logits_equal_uncached(family: str, tokenizer: object) -> None:
    decoder = random_decoder(family, 300)
    ids = torch.randint(0, 300, (3, 20), generator=torch.Generator().manual_seed(1))
    cache = decoder.make_cache(3, 20)
    pieces = [decoder(piece, cache=cache) for piece in ids.split([7, 1, 1, 5, 6], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), decoder(ids), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", TRIED)
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_text_does_not_depend_on_its_batch(
    family: str, temperature: float, folders: dict[str, Path]
) -> None:
    model = load(folders[family], "cpu")
    sampling = Sampling(temperature=temperature, seed=5, max_tokens=60, top_p=0.95)
    together = written(model, PROMPTS, sampling, n=3)
    for prompt, completions in zip(PROMPTS, together, strict=True):
        assert written(model, [prompt], sampling, n=3) == [completions]
        assert written(model, [prompt], sampling) == [completions[:1]]


def test_batches_cut_by_memory_change_nothing(
    endless: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = Sampling(seed=5, max_tokens=12)
    whole = written(endless, PROMPTS, sampling, n=3)
    for options in ({"most_rows": 4}, {"cache_bytes": 1}, {"prefill_chunk": 3}):
        making = partial(Engine, **options)
        monkeypatch.setattr(writing_module, "Engine", making)
        assert written(endless, PROMPTS, sampling, n=3) == whole


def test_the_seed_makes_the_text(endless: LanguageModel) -> None:
    def texts(seed: int | None) -> list[list[Completion]]:
        return written(endless, ["The"], Sampling(seed=seed, max_tokens=15), n=4)

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)
    assert texts(None) != texts(None)
    assert len({completion.text for completion in texts(1)[0]}) == 4


def test_more_tokens_only_add(endless: LanguageModel) -> None:
    [[few]] = written(endless, ["The"], Sampling(seed=3, max_tokens=9))
    [[more]] = written(endless, ["The"], Sampling(seed=3, max_tokens=30))
    assert more.ids[:9] == few.ids
    assert (few.finish, len(few.ids)) == ("length", 9)


def test_rows_run_to_the_end_of_the_context_each(endless: LanguageModel) -> None:
    prompts = ids_of(endless, "", "The cat sat", "Once upon a time, the cat sat on the mat.")
    sampling = Sampling(temperature=0, max_tokens=1000)
    for prompt, [completion] in zip(prompts, endless.complete(prompts, sampling), strict=True):
        assert completion.finish == "context"
        assert len(prompt) + len(completion.ids) == CONTEXT_LENGTH
        # Rows that outlast the longest move to the left in the cache; nothing else changes.
        assert endless.complete([prompt], sampling) == [[completion]]


def test_an_end_token_ends_the_text_and_is_no_part_of_it(endless: LanguageModel) -> None:
    [[whole]] = written(endless, ["The"], Sampling(seed=1, max_tokens=30))
    end = whole.ids[10]
    ending = LanguageModel(endless.decoder, endless.tokenizer, end_tokens=(end,))
    [[cut]] = written(ending, ["The"], Sampling(seed=1, max_tokens=30))
    position = whole.ids.index(end)
    assert cut.finish == "end"
    assert cut.ids == whole.ids[: position + 1]


def test_a_repetition_penalty_avoids_what_is_in_the_text(endless: LanguageModel) -> None:
    [[plain]] = written(endless, ["The cat"], GREEDY)
    strong = Sampling(temperature=0, max_tokens=20, repetition_penalty=1e6)
    [[penalised]] = written(endless, ["The cat"], strong)
    assert len(set(plain.ids)) < 20
    assert len(set(penalised.ids)) == 20
    assert not set(penalised.ids) & set(endless.tokenizer.encode("The cat"))


def test_greedy_with_repetition_penalty_equals_transformers(
    endless: LanguageModel, folders: dict[str, Path]
) -> None:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folders["lilliput"]).eval()
    ids = torch.tensor([endless.prompt_ids("The cat")])
    expected = theirs.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=20,
        repetition_penalty=1.3,
        eos_token_id=None,
    )
    sampling = Sampling(temperature=0, max_tokens=20, repetition_penalty=1.3)
    [[completion]] = written(endless, ["The cat"], sampling)
    assert list(completion.ids) == expected[0, ids.shape[1] :].tolist()


def test_presence_and_frequency_penalties_count_what_was_written(endless: LanguageModel) -> None:
    """Each step is checked against logits read anew; the prompt does not count."""
    for penalty in ({"presence_penalty": 1.5}, {"frequency_penalty": 0.8}):
        sampling = Sampling(temperature=0, max_tokens=30, **penalty)  # type: ignore[arg-type]
        [[completion]] = written(endless, ["The cat"], sampling)
        ids = [*endless.prompt_ids("The cat")]
        start = len(ids)
        for token in completion.ids:
            logits = endless.logits(torch.tensor([ids]))[0, -1]
            said = torch.bincount(torch.tensor(ids[start:], dtype=torch.long), minlength=300)
            logits -= penalty.get("presence_penalty", 0) * (said > 0)
            logits -= penalty.get("frequency_penalty", 0) * said
            assert token == int(logits.argmax())
            ids.append(token)


def test_a_bias_forbids_and_prefers(endless: LanguageModel) -> None:
    [[plain]] = written(endless, ["The cat"], GREEDY)
    without = {token: float("-inf") for token in plain.ids}
    [[other]] = written(endless, ["The cat"], Sampling(temperature=0, logit_bias=without))
    assert not set(other.ids) & set(plain.ids)
    [[only]] = written(endless, ["The"], Sampling(logit_bias={77: 1e4}, max_tokens=5, seed=1))
    assert only.ids == (77,) * 5


def test_the_best_of_several(endless: LanguageModel) -> None:
    prompt = [endless.prompt_ids("The cat")]
    sampling = Sampling(seed=1, max_tokens=10)
    [all_of_them] = endless.complete(prompt, sampling, n=6, log_probabilities=True)
    [best] = endless.complete(prompt, sampling, n=2, best_of=6)
    ranked = sorted(all_of_them, key=lambda one: -one.log_probability / len(one.ids))
    assert [one.ids for one in best] == [one.ids for one in ranked[:2]]
    with pytest.raises(UserError, match="best_of is 1"):
        endless.generate("The", n=2, best_of=1)


def test_a_prompt_that_leaves_no_room_is_refused(model: LanguageModel) -> None:
    ids = [[5] * CONTEXT_LENGTH]
    with pytest.raises(UserError, match=f"{CONTEXT_LENGTH} tokens long"):
        model.complete(ids, GREEDY)
    [[completion]] = model.complete([ids[0][:-1]], GREEDY)
    assert len(completion.ids) == 1
    with pytest.raises(UserError, match="no token"):
        model.complete([[]], GREEDY)


def test_ids_the_tokenizer_does_not_know_are_never_chosen(tokenizer: object) -> None:
    decoder = random_decoder("lilliput", 512)
    model = LanguageModel(decoder, tokenizer, end_tokens=())  # type: ignore[arg-type]
    [completions] = written(model, ["The"], Sampling(temperature=5.0, max_tokens=50, seed=1), n=8)
    assert max(max(one.ids) for one in completions) < model.tokenizer.vocabulary_size


def test_damaged_weights_are_a_clear_failure(tokenizer: object) -> None:
    decoder = random_decoder("lilliput", 300)
    decoder.embedding.weight.fill_(float("nan"))
    model = LanguageModel(decoder, tokenizer)  # type: ignore[arg-type]
    with pytest.raises(WorkFailed, match="not finite"):
        model.generate("The")


def test_the_number_of_threads_is_put_back(model: LanguageModel) -> None:
    torch.set_num_threads(2)
    try:
        model.generate("The", max_tokens=3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
