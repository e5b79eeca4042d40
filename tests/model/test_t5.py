"""T5 against transformers' own class, who sees what, and that it learns and writes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import T5ForConditionalGeneration

from lilliput.errors import UserError
from lilliput.generate import Engine, Request
from lilliput.generate.sampling import Sampling
from lilliput.model.t5 import exchange as exchange_t5
from lilliput.model.t5.config import T5_SWITCHES, T5Config, t5_of_depth
from lilliput.model.t5.trunk import T5, initialise_t5
from lilliput.training.text_to_text import (
    text_to_text,
)

START, END = 1, 0
SHAPE = {"n_encoder_layers": 3, "d_model": 48, "n_heads": 5, "head_dim": 12, "d_ff": 80}
SHAPES = {
    family: t5_of_depth(
        2,
        tokenizer_vocabulary_size=90,
        start_token=START,
        family=family,
        context_length=200,
        **SHAPE,
    )
    for family in T5_SWITCHES
}
SHAPES["odd"] = SHAPES["t5"].with_(
    activation="silu", relative_buckets=12, relative_distance=20, norm_eps=1e-5
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small wait longer for a second thread than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_model(config: T5Config) -> T5:
    """Every parameter random, so that nothing is checked at zero; logits of some size."""
    torch.manual_seed(3)
    model = T5(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.5 if "_bias" in name else 0.12)
            if "norm" in name:
                parameter.add_(1.0)
            if name == "embedding.weight" and config.tied:
                parameter.mul_(10)
    return model.requires_grad_(False).eval()


def save(model: T5, folder: Path) -> None:
    config = exchange_t5.foreign_config(model.config, end_of_text=END, padding=START)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = exchange_t5.to_foreign(model.state_dict(), model.config)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path) -> T5:
    config = exchange_t5.own_config(json.loads((folder / "config.json").read_text()), str(folder))
    model = T5(config)
    tensors = load_file(folder / "model.safetensors")
    model.load_state_dict(exchange_t5.from_foreign(tensors, config))
    return model.requires_grad_(False).eval()


def theirs_of(folder: Path) -> T5ForConditionalGeneration:
    model = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model.eval().requires_grad_(False)


def some_ids(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(2, 90, shape, generator=torch.Generator().manual_seed(seed))


def assert_near(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    bound = 2e-5 * max(1.0, float(theirs.abs().max()))
    assert float((ours - theirs).abs().max()) <= bound


def padded_left(rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    starts = torch.tensor([[longest - len(row)] for row in rows])
    return torch.stack(
        [torch.cat((row.new_zeros(longest - len(row)), row)) for row in rows]
    ), starts


@pytest.mark.parametrize("name", SHAPES)
def test_logits_equal_transformers(name: str, tmp_path: Path) -> None:
    model = random_model(SHAPES[name])
    save(model, tmp_path)
    theirs = theirs_of(tmp_path)
    assert sum(p.numel() for p in theirs.parameters()) == SHAPES[name].parameters
    assert sum(p.numel() for p in model.parameters()) == SHAPES[name].parameters
    # Longer than the distance from which all fall into one bucket.
    ids, answers = some_ids(3, 170), some_ids(3, 150, seed=2)
    expected = theirs(input_ids=ids, decoder_input_ids=answers).logits
    assert expected.abs().max() > 3
    assert_near(model(ids, answers), expected)

    cache = model.make_cache(3, 150)
    begun = torch.cat((torch.full((3, 1), START), answers[:, :-1]), dim=1)
    expected = theirs(input_ids=ids, decoder_input_ids=begun).logits
    steps = [model(ids, cache=cache), model(answers[:, :7], cache=cache)]
    steps += [model(answers[:, t : t + 1], cache=cache) for t in range(7, 149)]
    assert_near(torch.cat(steps, dim=1), expected)
    assert cache.length == 150


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_equal_transformers(name: str, tmp_path: Path) -> None:
    model = random_model(SHAPES[name]).requires_grad_()
    save(model, tmp_path)
    theirs = theirs_of(tmp_path).requires_grad_()
    ids, targets = some_ids(3, 40), some_ids(3, 20, seed=2)
    targets[0, 15:] = -100
    begun = torch.cat((torch.full((3, 1), START), targets[:, :-1].clamp_min(START)), dim=1)
    theirs(input_ids=ids, decoder_input_ids=begun, labels=targets).loss.backward()
    total, count = text_to_text(model, (ids, begun, targets))
    (total / count).backward()
    gradients = {key: weight.grad for key, weight in model.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values())
    expected = dict(theirs.named_parameters())
    for key, gradient in exchange_t5.to_foreign(gradients, model.config).items():
        their_gradient = expected[key].grad
        torch.testing.assert_close(
            gradient, their_gradient, rtol=1e-3, atol=1e-4 * float(their_gradient.abs().max())
        )


@pytest.mark.parametrize("name", SHAPES)
def test_weights_go_there_and_back(name: str, tmp_path: Path) -> None:
    model = random_model(SHAPES[name])
    (tmp_path / "ours").mkdir()
    save(model, tmp_path / "ours")
    reloaded = load(tmp_path / "ours")
    theirs_of(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    returned = load(tmp_path / "theirs")
    for other in (reloaded, returned):
        assert other.config == SHAPES[name]
        assert all(
            torch.equal(weight, other.state_dict()[key])
            for key, weight in model.state_dict().items()
        )


@pytest.mark.parametrize("name", T5_SWITCHES)
def test_left_padding_changes_nothing(name: str, tmp_path: Path) -> None:
    model = random_model(SHAPES[name])
    save(model, tmp_path)
    rows = [some_ids(length, seed=length) for length in (23, 9, 16)]
    answers = some_ids(3, 12, seed=5)
    padded, starts = padded_left(rows)
    together = model(padded, answers, document_starts=starts)
    cache = model.make_cache(3, 20)
    first = model(padded, cache=cache, document_starts=starts)
    later = model(answers[:, :4], cache=cache)
    for row, ids in enumerate(rows):
        alone = model(ids[None], answers[row : row + 1])
        assert_near(together[row : row + 1], alone)
        begun = torch.cat((torch.tensor([START]), answers[row, :4]))[None]
        cached = torch.cat((first[row], later[row]))[None]
        assert_near(cached, model(ids[None], begun))
    present = (torch.arange(23) >= starts).long()
    expected = theirs_of(tmp_path)(
        input_ids=padded, attention_mask=present, decoder_input_ids=answers
    )
    assert_near(together, expected.logits)
    on_the_right = torch.stack([torch.cat((row, row.new_zeros(23 - len(row)))) for row in rows])
    memory = model.memory_of(on_the_right, present.flip(1).bool())
    assert_near(model.logits_of(model.decode(answers, memory)), together)


@pytest.mark.parametrize("name", T5_SWITCHES)
def test_who_sees_what(name: str) -> None:
    model = random_model(SHAPES[name])
    ids, answers = some_ids(2, 30), some_ids(2, 25, seed=2)
    logits = model(ids, answers)
    for place in (0, 13, 29):
        changed = ids.clone()
        changed[:, place] = (changed[:, place] + 1) % 90
        assert ((model(changed, answers) - logits).abs().amax(-1) > 1e-4).all()
    for place in (0, 11, 24):
        changed = answers.clone()
        changed[:, place] = (changed[:, place] + 1) % 90
        other = model(ids, changed)
        assert torch.equal(other[:, :place], logits[:, :place])
        assert ((other - logits)[:, place:].abs().amax(-1) > 1e-4).all()


@pytest.mark.parametrize("name", T5_SWITCHES)
def test_the_engine_writes_what_transformers_does(name: str, tmp_path: Path) -> None:
    model = random_model(SHAPES[name])
    save(model, tmp_path)
    theirs = theirs_of(tmp_path)
    theirs.generation_config.eos_token_id = 17
    prompts = [tuple(some_ids(length, seed=length).tolist()) for length in (5, 31, 12, 12)]
    sampling = Sampling(temperature=0, max_tokens=40)
    requests = [Request(prompts[index], sampling, seed=0) for index in (0, 1, 2, 3, 1)]
    engine = Engine(
        model,  # type: ignore[arg-type]
        end_tokens=[17],
        vocabulary_size=model.config.vocabulary_size,
        prefill_chunk=30,
    )
    written: list[list[int]] = [[] for _ in requests]
    place = {engine.submit(request): number for number, request in enumerate(requests)}
    while not engine.idle:
        for event in engine.step():
            written[place[event.ticket]] += [one.id for one in event.written]
    for request, tokens in zip(requests, written, strict=True):
        ids = torch.tensor([request.ids])
        expected = theirs.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40
        )
        assert tokens == expected[0, 1:].tolist()


def test_rows_leave_the_cache() -> None:
    model = random_model(SHAPES["t5"])
    rows = [some_ids(length, seed=length) for length in (7, 15, 11)]
    padded, starts = padded_left(rows)
    once = model.make_cache(3, 10)
    model(padded, cache=once, document_starts=starts)
    cache = model.make_cache(4, 10)
    cache.fill_from(once, torch.tensor([2, 0, 1, 0]))
    order = [2, 0, 1, 0]
    said = some_ids(4, 1)
    model(said, cache=cache)
    cache.drop_row(0)
    cache.drop_row(2)
    order, said = [0, 0], said[[3, 1]]
    token = some_ids(2, 1, seed=9)
    logits = model(token, cache=cache)
    for row, which in enumerate(order):
        answer = torch.cat((torch.tensor([START]), said[row], token[row]))[None]
        assert_near(logits[row], model(rows[which][None], answer)[0, -1:])
    assert once.memory is not None
    assert once.memory.rows(slice(0, 1)).keys[0].shape[0] == 1


def test_initialisation_is_t5s_and_of_the_seed() -> None:
    config = t5_of_depth(4, tokenizer_vocabulary_size=500, start_token=1)
    first, second, other = T5(config), T5(config), T5(config)
    initialise_t5(first, 1)
    initialise_t5(second, 1)
    initialise_t5(other, 2)
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    assert not torch.equal(first.head.weight, other.head.weight)
    deviations = {name: float(weight.detach().std()) for name, weight in first.named_parameters()}
    width, head = config.d_model, config.head_dim
    for name, expected in {
        "blocks.decoder.3.cross_attention.query.weight": (width * head) ** -0.5,
        "blocks.encoder.0.attention.value.weight": width**-0.5,
        "blocks.decoder.0.attention.output.weight": (config.n_heads * head) ** -0.5,
        "blocks.encoder.2.feed_forward.gate.weight": width**-0.5,
        "blocks.encoder.2.feed_forward.down.weight": config.d_ff**-0.5,
        "decoder_bias.weight": width**-0.5,
        "embedding.weight": 1.0,
        "head.weight": width**-0.5,
    }.items():
        assert deviations[name] == pytest.approx(expected, rel=0.2)


def test_flops_are_those_of_the_matrices() -> None:
    """As PyTorch counts them, who also counts the half of causal attention that is masked out."""
    config = SHAPES["t5"]
    model = T5(config)
    initialise_t5(model, 0)
    # It does not know the fused kernel of CPUs.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(some_ids(1, 100), some_ids(1, 20))
    inner = config.n_heads * config.head_dim
    halved = 2 * inner * config.n_layers * 20 * 20  # causal: half of the square is not needed
    assert counter.get_total_flops() == pytest.approx(config.flops(100, 20) / 3 + halved)
    # What the loop multiplies by the tokens it counts, those scored, is the windows' compute.
    read, written = 200 - 30 + 10, 30 + 10 + 1
    assert config.flops_per_token() * written == pytest.approx(config.flops(read, written))


def test_configuration() -> None:
    config = SHAPES["t5"]
    assert T5Config.from_dict(config.to_dict()) == config
    assert config.first_sentinel == config.vocabulary_size - 1
    assert config.first_sentinel - config.n_sentinels + 1 == 90
    assert config.parameters == config.block_parameters + config.embedding_parameters
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"family": "bart"}, "model.family"),
        ({"n_encoder_layers": 0}, "model.n_encoder_layers is 0"),
        ({"activation": "gelu"}, "model.activation"),
        ({"relative_buckets": 7}, "model.relative_buckets"),
        ({"relative_distance": 16}, "model.relative_distance"),
        ({"start_token": 10_000}, "model.start_token"),
        ({"first_sentinel": 10_000}, "model.first_sentinel"),
        ({"n_sentinels": 1000}, "model.n_sentinels"),
    ]
    for changes, message in wrong:
        with pytest.raises(UserError, match=message):
            config.with_(**changes)
    with pytest.raises(UserError, match="no such field"):
        T5Config.from_dict({"width": 3})
    with pytest.raises(UserError, match="vocabulary_size"):
        T5Config.from_dict({"n_layers": 3})
    with pytest.raises(UserError, match=r"model.family 'bart'"):
        t5_of_depth(2, tokenizer_vocabulary_size=9, start_token=0, family="bart")


def test_published_configurations() -> None:
    """As T5-small and FLAN-T5-small state themselves on the hub, in what matters here."""
    common = {"model_type": "t5", "vocab_size": 32128, "d_model": 512, "d_kv": 64, "num_layers": 6}
    common |= {"decoder_start_token_id": 0, "pad_token_id": 0, "n_positions": 512}
    first = exchange_t5.own_config({**common, "d_ff": 2048, "num_heads": 8}, "")
    assert (first.family, first.gated, first.activation, first.tied) == (
        "t5-v1.0", False, "relu", True,
    )  # fmt: skip
    assert first.parameters == 60_506_624
    flan = {"num_layers": 8, "num_decoder_layers": 8, "num_heads": 6, "d_ff": 1024}
    flan |= {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    second = exchange_t5.own_config({**common, **flan}, "")
    assert (second.family, second.gated, second.activation, second.tied) == (
        "t5", True, "gelu_tanh", False,
    )  # fmt: skip
    assert second.parameters == 76_961_152
    assert (second.first_sentinel, second.n_sentinels, second.start_token) == (32_099, 100, 0)
    refusals: list[tuple[Callable[[], T5Config], str]] = [
        (lambda: exchange_t5.own_config({"model_type": "mt5"}, "here"), "here: model_type 'mt5'"),
        (lambda: exchange_t5.own_config(common, "here"), "here: field 'num_heads' is missing"),
        (
            lambda: exchange_t5.own_config({**common, "feed_forward_proj": "gelu"}, "here"),
            "here: feed_forward_proj 'gelu'",
        ),
    ]
    for refused, message in refusals:
        with pytest.raises(UserError, match=message):
            refused()
