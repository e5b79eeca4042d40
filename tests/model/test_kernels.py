"""The hand-written gradients against PyTorch's own; attention has a page of its own."""

import pytest
import torch
import torch.nn.functional as F

from lilliput.model import attention, linear_cross_entropy
from lilliput.model.kernels import rms_norm, rotate, visible_to


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
