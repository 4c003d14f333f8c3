"""Losses and class weights, against torch and against the formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from cxrlab.losses import FocalLoss, binary_focal_loss, class_weights, focal_loss, make_loss

# The worked values of the specification, sections 3.2 and 3.3.
COUNTS = (77, 1194, 2237, 898)
LOGITS = [[2.0, 0.5, -1.0, 0.1], [0.2, 1.5, 0.3, -0.7], [-1.0, 0.4, 2.2, 0.0], [0.0, 0.0, 0.0, 0.0]]
S3_ALPHA = 1341 / 5216


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
    torch.testing.assert_close(balanced, torch.tensor([2.0, 2 / 3], dtype=torch.float64))
    gentle = class_weights([10, 30], "sqrt")
    assert gentle is not None
    torch.testing.assert_close(gentle**2, balanced)
    assert class_weights([10, 30], "none") is None


def test_refusals() -> None:
    for counts in ([3, 0], []):
        with pytest.raises(ValueError, match="at least 1 training image, got counts"):
            class_weights(counts, "balanced")
    with pytest.raises(ValueError, match=r"must be one of none, balanced, .*, got 'much'"):
        class_weights([3, 3], "much")
    with pytest.raises(ValueError, match="gamma must be at least 0"):
        FocalLoss(gamma=-1)
    with pytest.raises(ValueError, match="reduction must be mean or sum"):
        FocalLoss(reduction="all")
    with pytest.raises(ValueError, match="loss must be cross_entropy or focal, got 'l2'"):
        make_loss("l2", weights=None)


def double(values: list[list[float]] | list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def loss_of(
    target: int, gamma: float, scheme: str = "none", logits: tuple[float, ...] = (2.0, 0.5, -1.0, 0.1)
) -> float:
    alpha = class_weights(COUNTS, scheme)
    return focal_loss(double([list(logits)]), torch.tensor([target]), gamma=gamma, alpha=alpha).item()


@pytest.mark.parametrize(
    ("scheme", "values"),
    [
        ("inverse_frequency", (57.22077922, 3.69011725, 1.96960215, 4.90645880)),
        ("release", (12.98701299, 0.83752094, 0.44702727, 1.11358575)),
        ("balanced", (14.30519481, 0.92252931, 0.49240054, 1.22661470)),
        ("normalised", (0.84412668, 0.05443698, 0.02905577, 0.07238057)),
    ],
)
def test_class_weights_are_those_of_the_specification(scheme: str, values: tuple[float, ...]) -> None:
    weights = class_weights(COUNTS, scheme)
    assert weights is not None
    assert weights.dtype == torch.float64
    assert weights.tolist() == pytest.approx(values, abs=5e-9)


@pytest.mark.parametrize(
    ("target", "gamma", "scheme", "value"),
    [
        (0, 0, "none", 0.352405938103),
        (0, 3, "none", 0.009232851531),
        (2, 3, "none", 3.012579252645),
        (2, 0, "none", 3.352405938103),
        (0, 3, "inverse_frequency", 0.528310959035),
        (0, 3, "release", 0.119907162741),
        (0, 3, "balanced", 0.132077739759),
        (2, 3, "inverse_frequency", 5.933582560193),
        (2, 3, "release", 1.346705074942),
        (2, 3, "balanced", 1.483395640048),
    ],
)
def test_focal_loss_of_one_image(target: int, gamma: float, scheme: str, value: float) -> None:
    assert loss_of(target, gamma, scheme) == pytest.approx(value, abs=1e-11)


@pytest.mark.parametrize(
    ("gamma", "value"), [(0, 0.356674943939), (1, 0.107002483182), (2, 0.032100744954), (3, 0.009630223486)]
)
def test_focal_loss_at_a_probability_of_seven_tenths(gamma: float, value: float) -> None:
    logits = (math.log(0.7), math.log(0.1), math.log(0.1), math.log(0.1))
    assert loss_of(0, gamma, logits=logits) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(("target", "value"), [(0, 2.444525684923e-05), (2, 1.049454333861)])
def test_focal_loss_with_the_published_code_s_settings(target: int, value: float) -> None:
    """That code takes log(p + 1e-9), which moves the value by 3e-8 at most here."""
    assert loss_of(target, 10, "release") == pytest.approx(value, rel=1e-8)


def test_focal_loss_of_a_batch_and_its_reductions() -> None:
    def loss(scheme: str, reduction: str) -> torch.Tensor:
        alpha = class_weights(COUNTS, scheme)
        return focal_loss(double(LOGITS), torch.arange(4), gamma=3, alpha=alpha, reduction=reduction)

    terms = (0.119907162741, 0.029307493067, 0.001714207241, 0.651272754563)
    assert loss("release", "none").tolist() == pytest.approx(terms, abs=1e-11)
    assert loss("release", "sum").item() == pytest.approx(0.802201617611, abs=1e-11)
    assert loss("release", "mean").item() == pytest.approx(0.200550404403, abs=1e-11)
    assert loss("balanced", "mean").item() == pytest.approx(0.220906270450, abs=1e-11)
    assert loss("none", "mean").item() == pytest.approx(0.158225903362, abs=1e-11)


@pytest.mark.parametrize(
    ("p", "y", "gamma", "value"),
    [
        (0.8, 1, 2, 0.002294750785),
        (0.8, 0, 2, 0.765223547323),
        (0.3, 1, 2, 0.151671489646),
        (0.3, 0, 2, 0.023847850210),
        (0.8, 1, 0, 0.057368769615),
        (0.8, 0, 0, 1.195661792692),
    ],
)
def test_binary_focal_loss(p: float, y: int, gamma: float, value: float) -> None:
    loss = binary_focal_loss(double([p]), torch.tensor([y]), alpha=S3_ALPHA, gamma=gamma)
    assert loss.item() == pytest.approx(value, abs=1e-12)
    weights = class_weights((1341, 3875), "normalised")
    as_logits = double([[0.0, math.log(p / (1 - p))]])
    again = focal_loss(as_logits, torch.tensor([y]), gamma=gamma, alpha=weights)
    assert again.item() == pytest.approx(value, abs=1e-12)


def test_three_classes_of_pepx_resnet_and_the_gradient() -> None:
    three = double([[1.0, 2.0, 0.5]])
    assert focal_loss(three, torch.tensor([1]), gamma=1).item() == pytest.approx(0.172498273884, abs=1e-12)
    assert focal_loss(three, torch.tensor([2]), gamma=1).item() == pytest.approx(1.688877095670, abs=1e-12)
    logits = double(LOGITS[:1]).requires_grad_()
    focal_loss(logits, torch.tensor([0]), gamma=3).backward()
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx((-0.02725332, 0.01439347, 0.00321162, 0.00964823), abs=5e-9)
    assert logits.grad.sum().item() == pytest.approx(0, abs=1e-12)


def test_two_node_binary_cross_entropy_is_cross_entropy() -> None:
    logits, target = double([[0.3, -1.2]]), torch.tensor([1])
    p = logits.softmax(dim=1)
    keras = functional.binary_cross_entropy(p, double([[0.0, 1.0]]))
    assert keras.item() == pytest.approx(1.701413277983, abs=1e-12)
    assert focal_loss(logits, target, gamma=0).item() == pytest.approx(1.701413277983, abs=1e-12)


def test_inverse_weights_are_the_frequencies_of_the_specification() -> None:
    weights = class_weights(COUNTS, "inverse_frequency")
    assert weights is not None
    assert (1 / weights).tolist() == pytest.approx((0.01747617, 0.27099410, 0.50771675, 0.20381298), abs=5e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("gamma", [0.0, 2.0, 10.0])
def test_half_precision_logits_do_not_overflow(dtype: torch.dtype, gamma: float) -> None:
    """Logits of 6e4 are legal in float16, a loss of 1.2e5 times a weight is not."""
    logits = torch.tensor([[6e4, -6e4, 0, 0], [-6e4, 6e4, 0, 0]], dtype=dtype, requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0, 0]), gamma=gamma, alpha=class_weights(COUNTS, "release"))
    loss.backward()
    exact = logits.detach()[1].double()
    assert loss.item() == pytest.approx((exact[1] - exact[0]).item() * 12.98701299 / 2, rel=1e-6)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 10.0])
def test_nothing_overflows_at_extreme_logits(dtype: torch.dtype, gamma: float) -> None:
    logits = torch.tensor([[1e4, -1e4, 0, 0], [-1e4, 1e4, 0, 0]], dtype=dtype, requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0, 0]), gamma=gamma, alpha=class_weights(COUNTS, "release"))
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    p = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=dtype, requires_grad=True)
    binary = binary_focal_loss(p, torch.tensor([0, 0, 1, 1]), alpha=0.25, gamma=gamma)
    binary.backward()
    assert p.grad is not None
    assert torch.isfinite(binary)
    assert torch.isfinite(p.grad).all()


def test_reductions_of_the_training_losses() -> None:
    logits, target = double(LOGITS), torch.arange(4)
    weights = class_weights(COUNTS, "balanced")
    assert weights is not None
    mean = make_loss("focal", weights=weights, focal_gamma=3, reduction="mean")(logits.float(), target)
    assert mean.item() == pytest.approx(0.220906270450, abs=1e-6)
    total = make_loss("cross_entropy", weights=weights, reduction="sum")(logits.float(), target)
    torch.testing.assert_close(
        total, functional.cross_entropy(logits.float(), target, weight=weights.float(), reduction="sum")
    )
    for name in ("focal", "cross_entropy"):
        by_weight = make_loss(name, weights=weights, focal_gamma=0)(logits.float(), target)
        torch.testing.assert_close(by_weight, functional.cross_entropy(logits.float(), target, weight=weights.float()))


def test_refusals_of_the_functions() -> None:
    logits, target = double(LOGITS), torch.arange(4)
    with pytest.raises(ValueError, match=r"Logits must be \(N, C\) with one target each, got \(4, 4\) and \(3,\)"):
        focal_loss(logits, target[:3], gamma=1)
    with pytest.raises(ValueError, match="one weight for each of 4 classes"):
        focal_loss(logits, target, gamma=1, alpha=torch.ones(3))
    with pytest.raises(ValueError, match="gamma must be at least 0, got -1"):
        focal_loss(logits, target, gamma=-1)
    with pytest.raises(ValueError, match="gamma must be at least 0, got nan"):
        focal_loss(logits, target, gamma=math.nan)
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, none, got 'all'"):
        focal_loss(logits, target, gamma=1, reduction="all")
    with pytest.raises(ValueError, match="apply a sigmoid first"):
        binary_focal_loss(double([1.5]), torch.tensor([1]), alpha=0.5, gamma=1)
    for wrong in (0.5, 2.0):
        with pytest.raises(ValueError, match=f"Targets must be 0 or 1, got {wrong:g}; for more classes use focal_loss"):
            binary_focal_loss(double([0.5]), torch.tensor([wrong]), alpha=0.5, gamma=1)
    with pytest.raises(ValueError, match="must have one shape"):
        binary_focal_loss(double([0.5]), torch.tensor([1, 0]), alpha=0.5, gamma=1)
    with pytest.raises(ValueError, match=r"alpha must be a number in \[0, 1\] or 2 weights, got 3"):
        binary_focal_loss(double([0.5]), torch.tensor([1]), alpha=3, gamma=1)
    with pytest.raises(ValueError, match="reduction must be weighted_mean, mean or sum, got 'none'"):
        make_loss("focal", weights=None, reduction="none")
