"""Losses and class weights, against torch and against the formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from cxrlab.losses import FocalLoss, class_weights, make_loss


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(16, 4, generator=generator, requires_grad=True), torch.randint(0, 4, (16,), generator=generator)


def test_focal_with_gamma_zero_is_cross_entropy() -> None:
    logits, target = batch()
    torch.testing.assert_close(FocalLoss(gamma=0)(logits, target), functional.cross_entropy(logits, target))
    alpha = torch.tensor([1.0, 2.0, 3.0, 0.5])
    torch.testing.assert_close(
        FocalLoss(gamma=0, alpha=alpha)(logits, target), functional.cross_entropy(logits, target, weight=alpha)
    )


def test_focal_is_its_formula_and_its_gradient_is_right() -> None:
    logits, target = batch()
    p = logits.softmax(dim=1)[torch.arange(16), target]
    by_hand = (-((1 - p) ** 3) * p.log()).sum()
    torch.testing.assert_close(FocalLoss(gamma=3, reduction="sum")(logits, target), by_hand)
    double = logits.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: FocalLoss(gamma=2)(z, target), double)


def test_focal_looks_less_at_easy_images_and_is_finite_on_sure_ones() -> None:
    sure, target = torch.tensor([[40.0, 0, 0, 0]], requires_grad=True), torch.tensor([0])
    loss = FocalLoss(gamma=0.5)(sure, target)
    loss.backward()
    assert sure.grad is not None
    assert torch.isfinite(sure.grad).all()
    logits, truth = batch()
    assert FocalLoss(gamma=5)(logits, truth) < FocalLoss(gamma=1)(logits, truth)


def test_class_weights() -> None:
    balanced = class_weights([10, 30], "balanced")
    assert balanced is not None
    torch.testing.assert_close(balanced, torch.tensor([2.0, 2 / 3]))
    gentle = class_weights([10, 30], "sqrt")
    assert gentle is not None
    torch.testing.assert_close(gentle**2, balanced)
    assert class_weights([10, 30], "none") is None


def test_refusals() -> None:
    with pytest.raises(ValueError, match="at least 1 training image, got counts"):
        class_weights([3, 0], "balanced")
    with pytest.raises(ValueError, match="must be none, balanced or sqrt, got 'much'"):
        class_weights([3, 3], "much")
    with pytest.raises(ValueError, match="gamma must be at least 0"):
        FocalLoss(gamma=-1)
    with pytest.raises(ValueError, match="reduction must be mean or sum"):
        FocalLoss(reduction="all")
    with pytest.raises(ValueError, match="loss must be cross_entropy or focal, got 'l2'"):
        make_loss("l2", weights=None)
