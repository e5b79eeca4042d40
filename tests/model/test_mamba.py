"""Mamba against transformers' own class, and its selective scan against a loop over time."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from lilliput.errors import UserError
from lilliput.model.kernels import scan
from lilliput.model.kernels.convolution import causal_convolution
from lilliput.model.kernels.scan import selective_scan
from lilliput.model.mamba.config import MambaConfig
from lilliput.model.mamba.exchange import (
    check_mamba_exchangeable,
    foreign_mamba_config,
    from_foreign_mamba,
    own_mamba_config,
    to_foreign_mamba,
)
from lilliput.model.mamba.trunk import Mamba, initialise_mamba

SHAPES = {
    "small": MambaConfig(vocabulary_size=97, context_length=64, n_layers=2, d_model=32),
    "odd": MambaConfig(
        vocabulary_size=97, context_length=64, n_layers=3, d_model=24, d_inner=72, d_state=5,
        d_conv=3, dt_rank=7, norm_eps=1e-4, tied=False,
    ),
}  # fmt: skip


def random_model(config: MambaConfig) -> Mamba:
    """Every parameter random, so that nothing is checked at zero or one."""
    torch.manual_seed(3)
    model = Mamba(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.3)
            if "norm" in name:
                parameter.add_(1.0)
    return model.requires_grad_(False).eval()


def save(model: Mamba, folder: Path) -> None:
    tensors = to_foreign_mamba(dict(model.state_dict()), model.config)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    values = foreign_mamba_config(model.config, end_of_text=0, padding=1)
    (folder / "config.json").write_text(json.dumps(values))


def load(folder: Path) -> Mamba:
    values = json.loads((folder / "config.json").read_text())
    model = Mamba(own_mamba_config(values, "config.json"))
    tensors = load_file(folder / "model.safetensors")
    model.load_state_dict(from_foreign_mamba(tensors, model.config))
    return model.requires_grad_(False).eval()


def assert_same_logits(ours: Tensor, theirs: Tensor) -> None:
    assert (ours - theirs).abs().max() <= 2e-5 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("name", SHAPES)
def test_logits_equal_transformers(name: str, tmp_path: Path) -> None:
    config = SHAPES[name]
    model = random_model(config)
    save(model, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert type(theirs).__name__ == "MambaForCausalLM"
    assert sum(p.numel() for p in theirs.parameters()) == config.parameters
    ids = torch.randint(2, 97, (3, 40))
    with torch.no_grad():
        expected = theirs(ids).logits
        assert expected.std() > 0.5
        assert_same_logits(model(ids), expected)

        cache = model.make_cache(3, 64)
        pieces = [model(ids[:, :1], cache=cache), model(ids[:, 1:17], cache=cache)]
        pieces.append(model(ids[:, 17:19], cache=cache))
        pieces += [model(ids[:, t : t + 1], cache=cache) for t in range(19, 40)]
        assert cache.length == 40
        assert_same_logits(torch.cat(pieces, dim=1), expected)

        padded, mask = ids.clone(), torch.ones_like(ids)
        padded[0, :11], mask[0, :11] = 1, 0
        padded[1, :2], mask[1, :2] = 1, 0
        expected = theirs(padded, attention_mask=mask).logits
        starts = torch.tensor([[11], [2], [0]])
        found = model(padded, document_starts=starts)
        for row, start in enumerate([11, 2, 0]):
            assert_same_logits(found[row, start:], expected[row, start:])


@pytest.mark.parametrize("name", SHAPES)
def test_weights_go_both_ways(name: str, tmp_path: Path) -> None:
    model = random_model(SHAPES[name])
    save(model, tmp_path)
    same = load(tmp_path)
    assert same.config == model.config
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[key])
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    ids = torch.randint(0, 97, (2, 16))
    with torch.no_grad():
        assert_same_logits(load(tmp_path / "theirs")(ids), theirs(ids).logits)


@pytest.mark.parametrize("name", SHAPES)
def test_left_padding_leaves_no_trace(name: str) -> None:
    model = random_model(SHAPES[name])
    ids = torch.randint(2, 97, (2, 20))
    alone = model(ids)
    padded = torch.cat((torch.ones(2, 5, dtype=torch.long), ids), dim=1)
    starts = torch.tensor([[5], [5]])
    assert_same_logits(model(padded, document_starts=starts)[:, 5:], alone)
    for first in (3, 5, 7, 12):
        cache = model.make_cache(2, 32)
        pieces = [model(padded[:, :first], cache=cache, document_starts=starts)]
        pieces += [
            model(padded[:, t : t + 1], cache=cache, document_starts=starts)
            for t in range(first, 25)
        ]
        assert_same_logits(torch.cat(pieces, 1)[:, 5:], alone)


def test_packed_documents_equal_unpacked_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(SHAPES["small"])
    monkeypatch.setitem(scan._PIECE_ELEMENTS, "cpu", 16 * 64 * 8)
    lengths = [1, 2, 9, 1, 30]
    ids = torch.randint(2, 97, (1, sum(lengths)))
    begins = torch.tensor([0, *lengths[:-1]]).cumsum(0)
    starts = begins.repeat_interleave(torch.tensor(lengths))[None]
    alone = torch.cat([model(piece) for piece in ids.split(lengths, dim=1)], dim=1)
    assert_same_logits(model(ids, document_starts=starts), alone)
    cache = model.make_cache(1, 64)
    pieces = [
        model(part, cache=cache, document_starts=begun)
        for part, begun in zip(ids.split(5, 1), starts.split(5, 1), strict=True)
    ]
    assert_same_logits(torch.cat(pieces, dim=1), alone)

    model.requires_grad_()
    loss_of(model, ids, starts).backward()
    packed = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    for piece in ids.split(lengths, dim=1):
        if piece.shape[1] > 1:
            loss_of(model, piece, None).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, rtol=1e-3, atol=1e-4)


def loss_of(model: Mamba, ids: Tensor, starts: Tensor | None) -> Tensor:
    """Sum of next-token losses; none across documents."""
    targets = F.pad(ids[:, 1:], (0, 1), value=-100)
    if starts is not None:
        targets[:, :-1].masked_fill_(starts[:, 1:] != starts[:, :-1], -100)
    return model.loss(model.hidden(ids, document_starts=starts), targets)


def test_state_has_one_size_and_moves_by_rows() -> None:
    model = random_model(SHAPES["small"])
    config = model.config
    cache = model.make_cache(4, 64)
    assert cache.memory_bytes == model.make_cache(4, 1 << 20).memory_bytes
    assert cache.memory_bytes == 4 * 4 * config.cached_per_row
    half = model.make_cache(4, 64, dtype=torch.bfloat16)
    assert half.states(0).dtype == torch.float32
    assert half.inputs(0).dtype == torch.bfloat16

    ids = torch.randint(2, 97, (3, 20))
    alone = model(ids)
    prompts = model.make_cache(2, 64)
    model(ids[:2, :9], cache=prompts)
    cache.fill_from(prompts, torch.tensor([0, 1, 0, 1]))
    before = cache.memory_bytes
    cache.drop_row(0)
    assert (cache.rows, cache.length, cache.memory_bytes) == (3, 9, before)
    cache.drop_first(4)
    assert cache.length == 5
    rest = model(ids[[1, 1, 0], 9:], cache=cache)
    assert_same_logits(rest, alone[[1, 1, 0], 9:])
    assert (cache.length, cache.memory_bytes) == (16, before)


def loop_over_time(
    values: Tensor,
    steps: Tensor,
    decay: Tensor,
    write: Tensor,
    read: Tensor,
    state: Tensor,
    restarts: Tensor,
) -> tuple[Tensor, Tensor]:
    """The recurrence as it is written."""
    outputs = []
    for time in range(values.shape[1]):
        state = torch.where(restarts[:, time, None, None], 0.0, state)
        step = steps[:, time, None]
        written = write[:, time, :, None] * (step * values[:, time, None])
        state = torch.exp(step * decay.t()) * state + written
        outputs.append((read[:, time, :, None] * state).sum(1))
    return torch.stack(outputs, dim=1), state


def scan_inputs(
    batch: int, time: int, channels: int, states: int, dtype: torch.dtype, largest: float = 1.0
) -> list[Tensor]:
    torch.manual_seed(time)
    steps = largest * torch.rand(batch, time, channels, dtype=dtype)
    decay = -torch.rand(channels, states, dtype=dtype) * 16
    others = [(batch, time, channels), (batch, time, states), (batch, time, states)]
    values, write, read = (torch.randn(shape, dtype=dtype) for shape in others)
    return [tensor.requires_grad_() for tensor in (values, steps, decay, write, read)]


@pytest.mark.parametrize("time", [1, 2, 5, 13, 37])
@pytest.mark.parametrize("piece", [1, 4, 8, 64])
def test_scan_equals_the_loop(time: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, channels, states = 2, 3, 4
    monkeypatch.setitem(scan._PIECE_ELEMENTS, "cpu", piece * batch * channels * states)
    inputs = scan_inputs(batch, time, channels, states, torch.float64)
    state = torch.randn(batch, states, channels, dtype=torch.float64)
    restarts = torch.rand(batch, time) < 0.2
    expected, last = loop_over_time(*inputs, state, restarts)
    found, found_last = selective_scan(*inputs, state=state, restarts=restarts)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_last, last)
    direction = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, inputs, direction, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(found, inputs, direction), wanted)
    with torch.no_grad():
        torch.testing.assert_close(
            selective_scan(*inputs, state=state, restarts=restarts), (expected, last)
        )


def test_scan_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scan._PIECE_ELEMENTS, "cpu", 4 * 2 * 2 * 3)
    inputs = scan_inputs(2, 6, 2, 3, torch.float64)
    restarts = torch.rand(2, 6) < 0.3
    assert torch.autograd.gradcheck(
        lambda *tensors: selective_scan(*tensors, restarts=restarts)[0], inputs
    )


@pytest.mark.parametrize("largest", [1e-4, 1.0, 100.0, 1e6])
def test_scan_is_safe_for_steps_of_any_size(largest: float) -> None:
    inputs = scan_inputs(2, 70, 40, 16, torch.float32, largest)
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    state, restarts = torch.zeros(2, 16, 40), torch.zeros(2, 70, dtype=torch.bool)
    expected, _ = loop_over_time(*exact, state.double(), restarts)
    found, _ = selective_scan(*inputs)
    scale = float(expected.detach().abs().max())
    assert (found - expected).abs().max() <= 1e-6 * scale
    found.sum().backward()
    expected.sum().backward()
    for mine, other in zip(inputs, exact, strict=True):
        assert mine.grad is not None and other.grad is not None
        assert mine.grad.isfinite().all()
        assert (mine.grad - other.grad).abs().max() <= 1e-5 * max(float(other.grad.abs().max()), 1)


@pytest.mark.parametrize("time", [1, 2, 4, 11])
@pytest.mark.parametrize("taps", [1, 2, 4])
def test_convolution_equals_pytorch(time: int, taps: int) -> None:
    torch.manual_seed(0)
    values = torch.randn(2, time, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, taps, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)
    inputs = (values, weight, bias)
    before = F.pad(values.transpose(1, 2), (taps - 1, 0))
    torch.testing.assert_close(
        causal_convolution(*inputs), F.conv1d(before, weight, bias, groups=3).transpose(1, 2)
    )
    reach = torch.randint(-1, time + 1, (2, time))
    assert torch.autograd.gradcheck(causal_convolution, inputs)
    assert torch.autograd.gradcheck(lambda *given: causal_convolution(*given, reach), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_lowers_the_loss(dtype: torch.dtype) -> None:
    config = SHAPES["small"]
    model = Mamba(config)
    initialise_mamba(model, seed=1)
    generator = torch.Generator().manual_seed(0)
    start = torch.randint(0, 97, (8, 1), generator=generator)
    ids = (start + 5 * torch.arange(33)) % 97
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model.to(dtype)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = model.loss(model.hidden(ids[:, :-1]), ids[:, 1:]) / ids[:, 1:].numel()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert 4.4 < losses[0] < 4.8
    assert losses[-1] < 2.0


def test_initialisation_is_the_papers_and_repeats() -> None:
    config = SHAPES["small"].with_(tied=False)
    models = [Mamba(config), Mamba(config)]
    for model in models:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(float("nan"))
        initialise_mamba(model, seed=5)
    first, second = (dict(model.named_parameters()) for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    block: Mapping[str, Tensor] = dict(models[0].blocks[0].named_parameters())
    assert torch.allclose(block["decay_log"].exp()[7], torch.arange(1.0, 17.0))
    steps = F.softplus(block["step.bias"])
    assert 0.00099 < steps.min() < 0.003 < 0.03 < steps.max() < 0.101
    assert not block["output.weight"].any()
    assert config.parameters == sum(p.numel() for p in models[0].parameters())


def test_flops_count_the_weights_and_the_scan() -> None:
    config = MambaConfig(vocabulary_size=512, n_layers=3, d_model=64)
    assert (config.d_inner, config.dt_rank) == (128, 4)
    matrices = 3 * (64 * 256 + 128 * (4 + 32) + 4 * 128 + 128 * 64 + 128 * 4) + 512 * 64
    assert config.flops_per_token() == 6 * matrices + 3 * 7 * 3 * 128 * 16
    assert config.flops_per_token(16) == config.flops_per_token(4096)


def test_refusals() -> None:
    config = SHAPES["small"]
    assert MambaConfig.from_dict(config.to_dict()) == config
    with pytest.raises(UserError, match=r"model\.d_state is 0"):
        config.with_(d_state=0)
    with pytest.raises(UserError, match=r"model\.d_inner is -1"):
        config.with_(d_inner=-1)
    with pytest.raises(UserError, match=r"model\.norm_eps"):
        config.with_(norm_eps=0.0)
    with pytest.raises(UserError, match=r"model\.family"):
        config.with_(family="llama")
    with pytest.raises(UserError, match=r"model\.n_heads: no such field"):
        MambaConfig.from_dict({"n_heads": 2})
    with pytest.raises(UserError, match=r"model\.d_inner is 40"):
        check_mamba_exchangeable(config.with_(d_inner=40))
    values = foreign_mamba_config(config, end_of_text=0, padding=1)
    with pytest.raises(UserError, match="use_bias"):
        own_mamba_config(values | {"use_bias": True}, "config.json")
    del values["num_hidden_layers"]
    with pytest.raises(UserError, match="num_hidden_layers"):
        own_mamba_config(values, "config.json")
