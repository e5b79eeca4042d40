"""The hand-written gradients against PyTorch's own."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.model import attention, linear_cross_entropy
from lilliput.model.kernels import Reach, explicit_attention, rms_norm, rotate, visible_to


def assert_attends_alike(
    shape: tuple[int, int, int, int, int],
    ours: Callable[..., torch.Tensor],
    theirs: Callable[..., torch.Tensor],
) -> None:
    """Same output and gradients for random heads of (batch, key heads, groups, time, width)."""
    batch, kv_heads, groups, time, head_dim = shape
    inputs = [
        torch.randn(batch, time, heads, head_dim, dtype=torch.float64).transpose(1, 2)
        for heads in (kv_heads * groups, kv_heads, kv_heads)
    ]
    mine = [tensor.clone().requires_grad_() for tensor in inputs]
    other = [tensor.clone().requires_grad_() for tensor in inputs]
    output, expected = ours(*mine), theirs(*other)
    torch.testing.assert_close(output, expected)
    direction = torch.randn_like(expected)
    output.backward(direction)
    expected.backward(direction)
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one.grad, two.grad)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 300), st.integers(1, 9)
)
def test_attention_equals_scaled_dot_product_attention(
    batch: int, kv_heads: int, groups: int, time: int, head_dim: int
) -> None:
    torch.manual_seed(time)
    assert_attends_alike(
        (batch, kv_heads, groups, time, head_dim),
        attention,
        lambda *heads: F.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True),
    )


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 300))
def test_attention_inside_documents_equals_a_mask(
    data: st.DataObject, batch: int, kv_heads: int, groups: int, time: int
) -> None:
    torch.manual_seed(time)
    begins = torch.rand(batch, time) < data.draw(st.sampled_from([0.0, 0.01, 0.3, 1.0]))
    starts = torch.where(begins, torch.arange(time), 0).cummax(dim=1).values
    visible = visible_to(starts, 0, time, starts.device)
    assert (visible is None) == bool((starts == 0).all())
    keys = torch.arange(time)
    mask = ((keys <= keys[:, None]) & (keys >= starts[:, :, None]))[:, None]
    with torch.no_grad():
        masked = visible_to(starts, 0, time, starts.device)
    assert masked is not None
    assert torch.equal(masked.mask, mask)
    assert_attends_alike(
        (batch, kv_heads, groups, time, 6),
        lambda *heads: attention(*heads, visible),
        lambda *heads: F.scaled_dot_product_attention(*heads, attn_mask=mask, enable_gqa=True),
    )


def test_one_query_after_a_cache_sees_every_key_also_with_gradients() -> None:
    torch.manual_seed(0)
    query = torch.randn(2, 3, 1, 8, requires_grad=True)
    key, value = torch.randn(2, 3, 20, 8), torch.randn(2, 3, 20, 8)
    expected = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attention(query, key, value), expected)


def test_documents_keep_to_themselves_in_a_frozen_model_too() -> None:
    torch.manual_seed(0)
    heads = [torch.randn(1, 2, 6, 4) for _ in range(3)]
    starts = torch.tensor([[0, 0, 0, 3, 3, 3]])
    together = attention(*heads, visible_to(starts, 0, 6, starts.device))
    alone = attention(*(part[:, :, 3:] for part in heads))
    torch.testing.assert_close(together[:, :, 3:], alone)


@pytest.mark.parametrize("ignored", [False, True])
def test_loss_equals_cross_entropy(ignored: bool) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(700, 24, requires_grad=True)
    weight = torch.randn(3000, 24, requires_grad=True)
    targets = torch.randint(0, 3000, (700,))
    if ignored:
        targets[::3] = -100
    expected = F.cross_entropy(hidden @ weight.t(), targets, reduction="sum", ignore_index=-100)
    wanted = torch.autograd.grad(expected * 0.25, (hidden, weight))
    loss = linear_cross_entropy(hidden, weight, targets)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-3)
    for mine, other in zip(torch.autograd.grad(loss * 0.25, (hidden, weight)), wanted, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(
            linear_cross_entropy(hidden, weight, targets), expected, rtol=1e-5, atol=1e-3
        )


def test_loss_is_finite_for_an_impossible_target() -> None:
    hidden = torch.tensor([[1000.0, -1000.0]], requires_grad=True)
    loss = linear_cross_entropy(hidden, torch.eye(2), torch.tensor([1]))
    assert loss.item() == pytest.approx(2000.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("strided", [False, True])
def test_norm_equals_pytorchs(dtype: torch.dtype, strided: bool) -> None:
    torch.manual_seed(0)
    rows = torch.randn(3, 40, 2, 16, dtype=dtype) * 3
    weight = torch.randn(16, dtype=dtype)
    ours = [tensor.clone().requires_grad_() for tensor in (rows, weight)]
    theirs = [tensor.to(torch.float64).requires_grad_() for tensor in (rows, weight)]
    output = rms_norm(*ours, 1e-6)
    expected = F.rms_norm(theirs[0], (16,), theirs[1], 1e-6)
    direction = torch.randn_like(rows)
    if strided:
        output, expected, direction = (
            tensor.transpose(1, 2) for tensor in (output, expected, direction)
        )
        direction = direction.reshape(3, 2, 40, 16)
    close = (
        {"rtol": 2e-2, "atol": 1e-1} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    )
    torch.testing.assert_close(output.double(), expected, **close)
    output.backward(direction)
    expected.backward(direction.double())
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.grad is not None
        torch.testing.assert_close(mine.grad.double(), other.grad, **close)
    with torch.no_grad():
        torch.testing.assert_close(rms_norm(rows, weight, 1e-6), rms_norm(*ours, 1e-6), **close)


def test_rotation_turns_pairs_and_its_gradient_turns_back() -> None:
    torch.manual_seed(0)
    heads = torch.randn(2, 7, 3, 8, dtype=torch.float64, requires_grad=True)
    angles = torch.rand(7, 1, 4, dtype=torch.float64) * 6
    cosine = torch.cat((angles.cos(), angles.cos()), -1)
    sine = torch.cat((-angles.sin(), angles.sin()), -1)
    plane = torch.complex(heads[..., :4], heads[..., 4:]) * torch.polar(
        torch.ones_like(angles), angles
    )
    expected = torch.cat((plane.real, plane.imag), -1)
    turned = rotate(heads, cosine, sine)
    torch.testing.assert_close(turned, expected)
    direction = torch.randn_like(expected)
    (mine,) = torch.autograd.grad(turned, heads, direction)
    (other,) = torch.autograd.grad(expected, heads, direction)
    torch.testing.assert_close(mine, other)


@settings(max_examples=30, deadline=None)
@given(
    st.data(), st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.integers(1, 300),
    st.integers(1, 5), st.integers(1, 5),
)  # fmt: skip
def test_windows_chunks_and_documents_equal_the_explicit_form(
    data: st.DataObject, batch: int, kv_heads: int, groups: int, time: int, width: int, value: int
) -> None:
    torch.manual_seed(time)
    reach = data.draw(
        st.sampled_from([Reach(), Reach(window=1), Reach(window=7), Reach(window=70),
                         Reach(chunk=5), Reach(chunk=100), Reach(window=9, chunk=13)])
    )  # fmt: skip
    begins = torch.rand(batch, time) < data.draw(st.sampled_from([0.0, 0.02, 0.3]))
    starts = torch.where(begins, torch.arange(time), 0).cummax(dim=1).values
    device = starts.device
    blocked = visible_to(starts, 0, time, device, reach=reach)
    masked = visible_to(starts, 0, time, device, reach=reach, blocked=False)
    shapes = ((groups * kv_heads, width), (kv_heads, width), (kv_heads, value))
    inputs = [torch.randn(batch, heads, time, size, dtype=torch.float64) for heads, size in shapes]
    mine = [tensor.clone().requires_grad_() for tensor in inputs]
    other = [tensor.clone().requires_grad_() for tensor in inputs]
    output = attention(*mine, blocked, scale=0.3)
    expected = explicit_attention(*other, masked, 0.3)
    torch.testing.assert_close(output, expected)
    direction = torch.randn_like(expected)
    output.backward(direction)
    expected.backward(direction)
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one.grad, two.grad)
    with torch.no_grad():
        fused = attention(*inputs, masked, scale=0.3)
    torch.testing.assert_close(fused, expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(0, 20), st.sampled_from([0, 1, 6]), st.booleans())
def test_the_explicit_form_is_attention_as_defined(
    time: int, past: int, window: int, sinks: bool
) -> None:
    """Against a loop over queries that only knows softmax; bias, cap and sinks included."""
    torch.manual_seed(time)
    size = past + time
    query = torch.randn(1, 2, time, 3, dtype=torch.float64)
    key, value = torch.randn(2, 1, 1, size, 3, dtype=torch.float64).unbind()
    bias = torch.randn(1, 2, time, size, dtype=torch.float64)
    aside = torch.randn(2, dtype=torch.float64) if sinks else None
    visible = visible_to(None, past, time, query.device, reach=Reach(window=window), blocked=False)
    found = explicit_attention(query, key, value, visible, 0.7, bias, 2.0, aside)
    for head in range(2):
        for at in range(time):
            first = max(0, past + at - window + 1) if window else 0
            seen = range(first, past + at + 1)
            scores = [
                2.0 * torch.tanh((query[0, head, at] @ key[0, 0, place]) * 0.7 / 2.0)
                + bias[0, head, at, place]
                for place in seen
            ]
            scores += [aside[head]] if aside is not None else []
            weights = torch.stack(scores).softmax(0)[: len(seen)]
            torch.testing.assert_close(found[0, head, at], weights @ value[0, 0, list(seen)])


def test_norms_without_gain_have_pytorchs_gradients() -> None:
    torch.manual_seed(0)
    mine = torch.randn(5, 3, 8, dtype=torch.float64, requires_grad=True)
    other = mine.detach().clone().requires_grad_()
    one, two = rms_norm(mine, None, 1e-5), F.rms_norm(other, (8,), None, 1e-5)
    torch.testing.assert_close(one, two)
    direction = torch.randn_like(one)
    one.backward(direction)
    two.backward(direction)
    torch.testing.assert_close(mine.grad, other.grad)


def test_partial_rotation_leaves_the_rest_alone() -> None:
    heads = torch.randn(2, 5, 3, 8, dtype=torch.float64, requires_grad=True)
    angles = torch.randn(5, 1, 2, dtype=torch.float64)
    cosine = torch.cat((angles.cos(),) * 2, -1)
    sine = torch.cat((-angles.sin(), angles.sin()), -1)
    turned = rotate(heads, cosine, sine)
    assert torch.equal(turned[..., 4:], heads[..., 4:])
    torch.testing.assert_close(turned[..., :4], rotate(heads[..., :4], cosine, sine))
    assert torch.autograd.gradcheck(rotate, (heads, cosine, sine))


def test_capped_logits_have_the_loss_and_gradients_of_the_definition() -> None:
    torch.manual_seed(1)
    targets = torch.tensor([1, 0, -100, 4, 2, 2, 6])
    inputs = (torch.randn(7, 5, dtype=torch.float64), torch.randn(9, 5, dtype=torch.float64) * 2)
    mine = [tensor.clone().requires_grad_() for tensor in inputs]
    other = [tensor.clone().requires_grad_() for tensor in inputs]
    loss = linear_cross_entropy(*mine, targets, softcap=3.0)
    logits = 3.0 * torch.tanh(F.linear(*other) / 3.0)
    expected = F.cross_entropy(logits, targets, reduction="sum", ignore_index=-100)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    loss.backward()
    expected.backward()
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-5, atol=1e-7)
    with torch.no_grad():
        torch.testing.assert_close(
            linear_cross_entropy(*inputs, targets, softcap=3.0).double(), expected.detach(),
            rtol=1e-5, atol=1e-6,
        )  # fmt: skip
