"""Every way of computing attention against its definition: masks, caps, sinks and slopes too."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import random_decoder
from torch import Tensor
from torch.nn.attention import flex_attention as flex

from lilliput.model import Decoder, attention, shape_of_size
from lilliput.model.attention import Attention, LatentAttention
from lilliput.model.kernels import Reach, Visible, explicit_attention, visible_to
from lilliput.model.kernels import flexible as flexible_module
from lilliput.model.kernels import visible as visible_module
from lilliput.model.kernels.flexible import block_mask

CPU = torch.device("cpu")
WAYS = ("blocked", "dense", "flexible")
REACHES = (
    Reach(), Reach(window=1), Reach(window=7), Reach(window=70), Reach(chunk=5), Reach(chunk=100),
    Reach(window=9, chunk=13),
)  # fmt: skip
quietly = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.fixture
def flexible_on_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """FlexAttention as it runs without a compiler, gradients too, which it refuses on a CPU."""
    monkeypatch.setattr(flexible_module, "_kernel", lambda: flex.flex_attention)
    monkeypatch.setattr(flex, "_validate_device", lambda *_: None)
    monkeypatch.setattr(flex, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    yield


def take_way(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `visible_to` choose a way whatever the device and length."""
    monkeypatch.setattr(visible_module, "_runs_flexible", lambda *_: way == "flexible")
    monkeypatch.setattr(visible_module, "_runs_blocks", lambda _: way == "blocked")


@dataclass(frozen=True)
class Case:
    """Heads of random numbers, and what is asked of them."""

    heads: tuple[Tensor, Tensor, Tensor]
    starts: Tensor | None
    past: int
    reach: Reach
    slopes: Tensor | None
    scores: dict[str, Any]

    def visible(self, **how: Any) -> Visible | None:
        plain = not (self.scores["softcap"] or self.scores["sinks"] is not None)
        time = self.heads[0].shape[2]
        return visible_to(
            self.starts, self.past, time, CPU,
            reach=self.reach, slopes=self.slopes, plain=plain, **how,
        )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn, *, longest: int, cached: bool) -> Case:
    torch.manual_seed(draw(st.integers(0, 2**16)))
    batch, kv_heads, groups = (draw(st.integers(1, 3)) for _ in range(3))
    time = draw(st.integers(1, longest))
    width, value = (draw(st.integers(1, 9)) for _ in range(2))
    past = draw(st.integers(0, 40)) if cached else 0
    heads = (
        torch.randn(batch, kv_heads * groups, time, width, dtype=torch.float64),
        torch.randn(batch, kv_heads, past + time, width, dtype=torch.float64),
        torch.randn(batch, kv_heads, past + time, value, dtype=torch.float64),
    )
    kind = draw(st.sampled_from(["none", "documents", "padding"]))
    starts = None
    if kind == "documents":
        begins = torch.rand(batch, past + time) < draw(st.sampled_from([0.0, 0.02, 0.3, 1.0]))
        places = torch.where(begins, torch.arange(past + time), 0)
        starts = places.cummax(dim=1).values[:, past:]
    elif kind == "padding":
        starts = torch.randint(0, past + time, (batch, 1))
    slopes = torch.rand(kv_heads * groups) if draw(st.booleans()) else None
    sinks = torch.randn(kv_heads * groups, dtype=torch.float64) if draw(st.booleans()) else None
    softcap = draw(st.sampled_from([0.0, 2.0]))
    scores = {"scale": 0.3, "softcap": softcap, "sinks": sinks}
    return Case(heads, starts, past, draw(st.sampled_from(REACHES)), slopes, scores)


def assert_equals_the_definition(case: Case, visible: Visible | None) -> None:
    """Output and gradients, of sinks too, are those of the explicit form over a mask."""
    mask = Visible(mask=visible.dense()) if visible else None

    def run(compute: Any, seen: Visible | None) -> list[Tensor | None]:
        heads = [tensor.clone().requires_grad_() for tensor in case.heads]
        scores, wanted = dict(case.scores), list(heads)
        if scores["sinks"] is not None:
            scores["sinks"] = scores["sinks"].clone().requires_grad_()
            wanted.append(scores["sinks"])
        output = compute(*heads, seen, **scores)
        direction = torch.sin(torch.arange(output.numel(), dtype=torch.float64))
        output.backward(direction.view(output.shape))
        return [output, *(tensor.grad for tensor in wanted)]

    for found, expected in zip(run(attention, visible), run(explicit_attention, mask), strict=True):
        torch.testing.assert_close(found, expected)
    with torch.no_grad():
        torch.testing.assert_close(
            attention(*case.heads, visible, **case.scores),
            explicit_attention(*case.heads, mask, **case.scores),
        )


@settings(quietly, max_examples=40)
@given(case=cases(longest=300, cached=False))
def test_blocks_are_attention_as_defined(case: Case) -> None:
    assert_equals_the_definition(case, case.visible())


@settings(quietly, max_examples=40)
@given(case=cases(longest=40, cached=True))
def test_masked_attention_is_attention_as_defined(case: Case) -> None:
    assert_equals_the_definition(case, case.visible(dense=True))


@settings(quietly, max_examples=25)
@given(case=cases(longest=150, cached=True))
def test_flexible_attention_is_attention_as_defined(case: Case, flexible_on_cpu: None) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        take_way("flexible", monkeypatch)
        visible = case.visible()
    assert visible is None or visible.blocks is not None
    assert_equals_the_definition(case, visible)


@settings(quietly, max_examples=20)
@given(case=cases(longest=300, cached=True))
def test_what_each_way_sees_is_what_the_words_say(case: Case) -> None:
    """Documents, windows, chunks and padding, one query and key at a time."""
    case = replace(case, slopes=None)
    visible = case.visible(dense=True)
    batch, _, time, _ = case.heads[0].shape
    size, window, chunk = case.past + time, case.reach.window, case.reach.chunk
    places = torch.arange(size)
    for row in range(0, batch, 2):
        for at in range(0, time, 7):
            starts = case.starts[row] if case.starts is not None else torch.zeros(1)
            start, query = int(starts[at if len(starts) > 1 else 0]), case.past + at
            seen = (places >= start) & (places <= query)
            if window:
                seen &= places > query - window
            if chunk:
                seen &= (places - start) // chunk == (query - start) // chunk
            seen |= places == query
            mask = (
                visible.dense().expand(batch, -1, -1, -1)[row, 0, at] if visible
                else places <= query
            )  # fmt: skip
            assert torch.equal(mask, seen)
    if visible is None:
        return
    queries = torch.arange(case.past, size)
    spans = visible_module._spans(case.starts, case.past, time, CPU, case.reach)
    assert torch.equal(spans.last, queries)
    blocks = block_mask(spans.first, spans.last, size)
    listed = blocks.to_dense().bool()
    full = flex._ordered_to_dense(
        blocks.full_kv_num_blocks, blocks.full_kv_indices, listed.shape[-1]
    )
    missing = (-time % 128, -size % 128)
    mask = F.pad(visible.dense(), (0, missing[1], 0, missing[0]))
    tiles = mask.unflatten(3, (-1, 128)).unflatten(2, (-1, 128)).transpose(3, 4)
    assert not (tiles.any(-1).any(-1) & ~listed).any()  # nothing that is seen is left out
    inside = F.pad(torch.ones(time, size, dtype=torch.bool), (0, missing[1], 0, missing[0]))
    outside = ~inside.unflatten(1, (-1, 128)).unflatten(0, (-1, 128)).transpose(1, 2)
    assert ((tiles | outside).all(-1).all(-1) | ~full.bool()).all()  # full blocks are full


@settings(quietly, max_examples=20)
@given(st.integers(1, 40), st.integers(0, 20), st.sampled_from([0, 1, 6]), st.booleans())
def test_the_explicit_form_is_attention_as_defined(
    time: int, past: int, window: int, sinks: bool
) -> None:
    """Against a loop over queries that only knows softmax; bias, slopes, cap and sinks included."""
    torch.manual_seed(time)
    size = past + time
    query = torch.randn(1, 2, time, 3, dtype=torch.float64)
    key, value = torch.randn(2, 1, 1, size, 3, dtype=torch.float64).unbind()
    bias = torch.randn(1, 2, time, size, dtype=torch.float64)
    slopes = torch.tensor([0.5, 0.125], dtype=torch.float64)
    aside = torch.randn(2, dtype=torch.float64) if sinks else None
    visible = visible_to(
        None, past, time, CPU, reach=Reach(window=window), slopes=slopes, dense=True
    )
    found = explicit_attention(query, key, value, visible, 0.7, bias, 2.0, aside)
    for head in range(2):
        for at in range(time):
            first = max(0, past + at - window + 1) if window else 0
            seen = range(first, past + at + 1)
            scores = [
                2.0 * torch.tanh((query[0, head, at] @ key[0, 0, place]) * 0.7 / 2.0)
                + bias[0, head, at, place]
                - slopes[head] * (past + at - place)
                for place in seen
            ]
            scores += [aside[head]] if aside is not None else []
            weights = torch.stack(scores).softmax(0)[: len(seen)]
            torch.testing.assert_close(found[0, head, at], weights @ value[0, 0, list(seen)])


@settings(quietly, max_examples=20)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 300), st.booleans())
def test_causal_attention_equals_pytorchs(
    kv_heads: int, groups: int, time: int, graded: bool
) -> None:
    torch.manual_seed(time)
    heads = [
        torch.randn(2, time, count, 6, requires_grad=graded).transpose(1, 2)
        for count in (kv_heads * groups, kv_heads, kv_heads)
    ]
    expected = F.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(attention(*heads), expected)


def test_one_query_after_a_cache_sees_every_key_also_with_gradients() -> None:
    torch.manual_seed(0)
    query = torch.randn(2, 3, 1, 8, requires_grad=True)
    key, value = torch.randn(2, 3, 20, 8), torch.randn(2, 3, 20, 8)
    expected = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attention(query, key, value), expected)


SWITCHES: dict[str, dict[str, Any]] = {
    "plain": {},
    "windows": {"layer_pattern": "GL", "window": 9},
    "chunks": {"layer_pattern": "CN", "window": 9},
    "soft caps": {"attention_softcap": 5.0, "layer_pattern": "LG", "window": 9},
    "sinks": {"attention_sinks": True, "layer_pattern": "LG", "window": 9},
    "alibi": {"positions": "alibi"},
    "alibi, all else": {
        "positions": "alibi", "attention_sinks": True, "attention_softcap": 5.0,
        "layer_pattern": "LC", "window": 9,
    },
    "relative": {"positions": "relative"},
    "relative, all else": {
        "positions": "relative", "attention_sinks": True, "attention_softcap": 5.0,
        "layer_pattern": "LG", "window": 9,
    },
    "latent": {
        "latent_rank": 12, "latent_rope_dim": 8, "latent_value_dim": 12, "n_kv_heads": 4,
        "attention_softcap": 5.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SWITCHES)
def test_packed_documents_have_the_loss_of_documents_alone(
    name: str, way: str, monkeypatch: pytest.MonkeyPatch, flexible_on_cpu: None
) -> None:
    take_way(way, monkeypatch)
    config = shape_of_size(
        "xs", vocabulary_size=64, n_layers=2, n_heads=4, context_length=96,
        **{"n_kv_heads": 2, "qk_norm": "none", **SWITCHES[name]},
    )  # fmt: skip
    model = random_decoder(config, deviation=0.3, gains=0.0)
    lengths = (40, 3, 17, 20)
    ids = torch.randint(0, 64, (2, sum(lengths) + 1))
    begins = torch.tensor([0, *lengths[:-1]]).cumsum(0)
    starts = torch.repeat_interleave(begins, torch.tensor(lengths)).expand(2, -1)
    together = model.loss(model.hidden(ids[:, :-1], document_starts=starts), ids[:, 1:])
    together.backward()
    packed = {key: weight.grad.clone() for key, weight in model.named_parameters()}
    model.zero_grad()
    take_way("reference", monkeypatch)
    for kind in (Attention, LatentAttention):
        monkeypatch.setattr(kind, "attend", staticmethod(by_definition))
    total = 0.0
    for start, length in zip(begins.tolist(), lengths, strict=True):
        piece = ids[:, start : start + length + 1]
        loss = model.loss(model.hidden(piece[:, :-1]), piece[:, 1:])
        loss.backward()
        total += loss.item()
    assert together.item() == pytest.approx(total, rel=1e-5)
    for key, weight in model.named_parameters():
        scale = float(weight.grad.abs().max()) + 1e-3
        assert (packed[key] - weight.grad).abs().max() <= 2e-4 * scale, key


def by_definition(
    query: Tensor, key: Tensor, value: Tensor, visible: Visible | None, **scores: Any
) -> Tensor:
    return explicit_attention(query, key, value, visible, **scores)


@pytest.mark.slow
def test_compiled_flexible_attention_is_attention_as_defined() -> None:
    """The fused kernel of a CPU, which has neither gradients nor what sinks need."""
    torch.manual_seed(0)
    starts = torch.tensor([0] * 90 + [90] * 110).expand(2, -1)
    heads = [torch.randn(2, count, 200, 16) for count in (4, 2, 2)]
    slopes = torch.rand(4)
    for reach, cap in ((Reach(window=50), 2.0), (Reach(chunk=64), 2.0)):
        with pytest.MonkeyPatch.context() as monkeypatch, torch.no_grad():
            take_way("flexible", monkeypatch)
            visible = visible_to(starts, 0, 200, CPU, reach=reach, slopes=slopes)
            assert visible is not None
            found = attention(*heads, visible, softcap=cap)
            expected = explicit_attention(*heads, visible, softcap=cap)
        torch.testing.assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sinks", "alibi, all else", "shared keys"])
def test_a_decoder_compiles_with_flexible_attention(
    name: str, monkeypatch: pytest.MonkeyPatch, flexible_on_cpu: None
) -> None:
    """In one graph, whose values and gradients are those of the uncompiled decoder."""
    shared = {"layer_pattern": "L", "window": 9, "shared_kv_layers": 1}
    config = shape_of_size(
        "xs", vocabulary_size=64, n_layers=3, n_heads=4, n_kv_heads=2, context_length=96,
        **SWITCHES.get(name, shared),
    )  # fmt: skip
    model = random_decoder(config)
    ids = torch.randint(0, 64, (2, 80))
    starts = torch.tensor([0] * 50 + [50] * 30).expand(2, -1)
    compiled = torch.compile(Decoder.hidden, dynamic=False, backend="aot_eager", fullgraph=True)
    found = []
    for way, compute in (("dense", Decoder.hidden), ("flexible", compiled)):
        take_way(way, monkeypatch)
        model.zero_grad()
        hidden = compute(model, ids, document_starts=starts)
        hidden.sin().sum().backward()
        gradients = {key: weight.grad for key, weight in model.named_parameters()}
        found.append((hidden.detach(), gradients))
    (one, expected), (two, gradients) = found
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-4)
    for key, gradient in expected.items():
        assert (gradient is None) == (gradients[key] is None), key
        if gradient is not None:
            torch.testing.assert_close(gradients[key], gradient, rtol=1e-3, atol=1e-3)


def test_accelerators_run_flexible_attention_where_it_pays() -> None:
    gpu = torch.device("cuda")
    assert visible_module._runs_flexible(gpu, 128)
    assert not visible_module._runs_flexible(gpu, 127)
    assert not visible_module._runs_flexible(CPU, 4096)
    with torch.no_grad():
        assert visible_module._runs_flexible(gpu, 2048)
        assert not visible_module._runs_flexible(gpu, 2047)
