"""Losses and class weights for unbalanced classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

REDUCTIONS = ("mean", "sum", "none")
SCHEMES = ("none", "balanced", "sqrt", "inverse_frequency", "release", "normalised")


def focal_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    gamma: float,
    alpha: torch.Tensor | None = None,
    reduction: str = "mean",
) -> torch.Tensor:
    """Multi-class focal loss, FL = -alpha_y (1 - p_y)^gamma log p_y with p = softmax(logits).

    gamma = 0 without alpha is cross entropy. Finite, with finite gradients, at any finite logits whose loss float32
    (float64 for float64 logits) can hold.

    Args:
        logits: (N, C) floating point; half precision is computed in float32. targets: (N,) class indices.
        gamma: at least 0; larger values look more at hard images.
        alpha: (C,) weights of the classes, see :func:`class_weights`; None: all 1.
        reduction: ``mean`` over the images (not divided by the sum of the weights, unlike
            ``torch.nn.functional.cross_entropy``), ``sum``, or ``none``.

    Returns:
        A scalar at least 0, or (N,) for ``none``.

    Raises:
        ValueError: for shapes that do not fit, a negative gamma or an unknown reduction.

    Example:
        >>> round(focal_loss(torch.tensor([[2.0, 0.5, -1.0, 0.1]]), torch.tensor([0]), gamma=3.0).item(), 6)
        0.009233

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5; FLANNEL, equation 7.
    """
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(
            f"Logits must be (N, C) with one target each, got {tuple(logits.shape)} and {tuple(targets.shape)}."
        )
    if alpha is not None and alpha.shape != logits.shape[1:]:
        raise ValueError(f"alpha must have one weight for each of {logits.shape[1]} classes, got {tuple(alpha.shape)}.")
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # a loss of 65,520 is infinite in float16
    log_p = functional.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]  # (N, C) -> (N,)
    losses = _modulated(log_p, gamma)
    if alpha is not None:
        losses = losses * alpha.to(logits)[targets]
    return _reduced(losses, reduction)


def binary_focal_loss(
    probabilities: torch.Tensor,
    targets: torch.Tensor,
    *,
    alpha: float | torch.Tensor | None,
    gamma: float,
    reduction: str = "mean",
) -> torch.Tensor:
    """Focal loss of one sigmoid node: y = 1: -alpha (1-p)^gamma log p; y = 0: -(1-alpha) p^gamma log(1-p).

    A network's logit z is better given as the logits [0, z] to :func:`focal_loss` with the weights
    [1 - alpha, alpha]: equal, and exact where p would round to 0 or 1.

    Args:
        probabilities: (N,) in [0, 1], of class 1; 0 and 1 are moved inside by the machine's precision.
        targets: (N,) 0 or 1.
        alpha: weight of class 1 in [0, 1], or (2,) weights of class 0 and 1; None: both 1.
        gamma, reduction: as in :func:`focal_loss`.

    Raises:
        ValueError: for shapes that do not fit, values out of range, or an unknown reduction.
    """
    if probabilities.shape != targets.shape:
        raise ValueError(
            f"Probabilities and targets must have one shape, got {tuple(probabilities.shape)} and "
            f"{tuple(targets.shape)}."
        )
    if probabilities.numel() and not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise ValueError(
            "Probabilities must be in [0, 1], "
            f"got {probabilities.min().item():g} to {probabilities.max().item():g}; apply a sigmoid first."
        )
    positive = targets.bool()
    if not torch.equal(positive.to(targets.dtype), targets):
        wrong = targets[positive.to(targets.dtype) != targets][0].item()
        raise ValueError(f"Targets must be 0 or 1, got {wrong:g}; for more classes use focal_loss.")
    smallest = torch.finfo(probabilities.dtype).eps
    p = torch.where(positive, probabilities, 1 - probabilities).clamp(smallest, 1)  # of the true class
    return _reduced(_modulated(p.log(), gamma) * _binary_weights(alpha, probabilities)[positive.long()], reduction)


def _binary_weights(alpha: float | torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    if alpha is None:
        return torch.ones(2).to(like)
    given = torch.as_tensor(alpha, dtype=like.dtype, device=like.device)
    if given.numel() == 2:
        return given.flatten()
    if given.numel() != 1 or not 0 <= given.item() <= 1:
        raise ValueError(f"alpha must be a number in [0, 1] or 2 weights, got {alpha!r}.")
    return torch.stack([1 - given.reshape(()), given.reshape(())])


def _modulated(log_p: torch.Tensor, gamma: float) -> torch.Tensor:
    """-(1 - p)^gamma log p, (N,); 1 - p by expm1, so that it keeps its digits near p = 1."""
    if not gamma >= 0:  # NaN too
        raise ValueError(f"gamma must be at least 0, got {gamma}.")
    # clamp: the gradient of (1 - p)^gamma at p = 1 is infinite for gamma < 1
    missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
    return -(missing**gamma) * log_p


def _reduced(losses: torch.Tensor, reduction: str) -> torch.Tensor:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}.")
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


class FocalLoss(nn.Module):
    """The focal loss whose mean divides by the sum of the weights, as torch's cross entropy does.

    gamma = 0 and no alpha is cross entropy. :func:`focal_loss` has the plain mean over the images.

    Args:
        gamma: at least 0; larger values look more at hard images.
        alpha: (C,) weights of the classes; None: all 1.
        reduction: ``mean`` (by weight) or ``sum``.
    """

    alpha: torch.Tensor | None

    def __init__(self, gamma: float = 2.0, alpha: torch.Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"gamma must be at least 0, got {gamma}.")
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction must be mean or sum, got {reduction!r}.")
        self.gamma = gamma
        self.reduction = reduction
        self.register_buffer("alpha", alpha)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, C), target (N,) class indices -> a scalar."""
        log_p = functional.log_softmax(logits, dim=1).gather(1, target[:, None])[:, 0]  # (N, C) -> (N,)
        weight = torch.ones_like(log_p) if self.alpha is None else self.alpha[target]
        # clamp: the gradient of (1 - p)^gamma at p = 1 is infinite for gamma < 1
        losses = -weight * (1 - log_p.exp()).clamp_min(1e-12) ** self.gamma * log_p
        return losses.sum() if self.reduction == "sum" else losses.sum() / weight.sum()


def class_weights(counts: Sequence[int], scheme: str) -> torch.Tensor | None:
    """Weights (C,) float64 for the classes of a training set of N images, n_c of class c.

    Args:
        counts: images per class.
        scheme: ``none``; ``balanced`` N / (C n_c); ``sqrt``, the square root of that, gentler on rare classes;
            ``inverse_frequency`` N / n_c (FLANNEL's text); ``release`` 1000 / n_c (FLANNEL's code);
            ``normalised`` 1 / n_c scaled to sum 1, whose second value is the alpha of a binary focal loss.

    Raises:
        ValueError: when a class has no image or the scheme is unknown.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"class_weights must be one of {', '.join(SCHEMES)}, got {scheme!r}.")
    if scheme == "none":
        return None
    if min(counts, default=0) < 1:
        raise ValueError(f"Every class needs at least 1 training image, got counts {list(counts)}.")
    n = torch.as_tensor(counts, dtype=torch.float64)
    balanced = n.sum() / (len(n) * n)
    return {
        "balanced": balanced,
        "sqrt": balanced.float().sqrt().double(),  # float32, as the shipped checkpoints were trained with
        "inverse_frequency": n.sum() / n,
        "release": 1000 / n,
        "normalised": (1 / n) / (1 / n).sum(),
    }[scheme]


class ImageLoss(nn.Module):
    """A loss of single images, summed or averaged over them.

    Args:
        losses: (logits (N, C), targets (N,), weights (C,) or None) -> (N,).
        weights: (C,) or None. reduction: ``mean`` or ``sum``.
    """

    weights: torch.Tensor | None

    def __init__(self, losses: Callable[..., torch.Tensor], weights: torch.Tensor | None, reduction: str) -> None:
        super().__init__()
        self.losses, self.reduction = losses, reduction
        self.register_buffer("weights", weights)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, C), target (N,) class indices -> a scalar."""
        return _reduced(self.losses(logits, target, self.weights), self.reduction)


def make_loss(
    name: str,
    *,
    weights: torch.Tensor | None,
    focal_gamma: float = 2.0,
    label_smoothing: float = 0.0,
    reduction: str = "weighted_mean",
) -> nn.Module:
    """``cross_entropy`` or ``focal`` of logits (N, C) with the given class weights (C,).

    Args:
        reduction: ``weighted_mean`` (divided by the sum of the images' weights), ``mean`` or ``sum`` over the images.

    Raises:
        ValueError: for another name or reduction.
    """
    if name not in ("cross_entropy", "focal"):
        raise ValueError(f"loss must be cross_entropy or focal, got {name!r}.")
    if reduction not in ("weighted_mean", "mean", "sum"):
        raise ValueError(f"reduction must be weighted_mean, mean or sum, got {reduction!r}.")
    weights = None if weights is None else weights.float()
    if reduction == "weighted_mean":
        if name == "focal":
            return FocalLoss(gamma=focal_gamma, alpha=weights)
        return nn.CrossEntropyLoss(weight=weights, label_smoothing=label_smoothing)

    def each(logits: torch.Tensor, target: torch.Tensor, alpha: torch.Tensor | None) -> torch.Tensor:
        if name == "focal":
            return focal_loss(logits, target, gamma=focal_gamma, alpha=alpha, reduction="none")
        return functional.cross_entropy(logits, target, weight=alpha, label_smoothing=label_smoothing, reduction="none")

    return ImageLoss(each, weights, reduction)
