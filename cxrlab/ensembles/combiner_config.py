"""Settings of learned combiners, with the published ones by name, and the bound of their scores; without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

from cxrlab.config import JsonConfig, in_range, one_of

KINDS = ("flannel", "mlp_l1", "mlp_l2")
PROFILES = ("paper", "release")
FOCAL_GAMMA = {"paper": 3.0, "release": 10.0}


@dataclass(frozen=True)
class CombinerConfig(JsonConfig):
    """How a combiner is fitted (stage 2). Everything that decides its weights is here, with the seed.

    Args:
        kind: ``flannel`` (:class:`NeuralWeightModule`), ``mlp_l1`` or ``mlp_l2`` (:class:`EnsembleMLP`).
        loss: ``focal`` with ``gamma``, or ``cross_entropy``.
        class_weights: scheme of :func:`cxrlab.losses.class_weights`, from the counts before oversampling.
        reduction: ``mean`` or ``sum`` over a batch; neither divides by the class weights.
        epochs, batch_size, learning_rate, weight_decay: of Adam with coupled L2, constant rate, rows shuffled anew
            every epoch.
        oversample: pairs (class index, factor): rows of the class are repeated so often. Fitting rows only.
        activation: of ``mlp_l2`` between its layers, ``relu`` or ``none``.
        seed: of start values and shuffling.
    """

    kind: str = "flannel"
    loss: str = "focal"
    gamma: float = 3.0
    class_weights: str = "inverse_frequency"
    reduction: str = "mean"
    epochs: int = 200
    batch_size: int = 20
    learning_rate: float = 1e-5
    weight_decay: float = 1e-4
    oversample: tuple[tuple[int, int], ...] = ()
    activation: str = "relu"
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("loss", self.loss, ("focal", "cross_entropy"))
        one_of("class_weights", self.class_weights, ("none", "balanced", "inverse_frequency", "release"))
        one_of("reduction", self.reduction, ("mean", "sum"))
        one_of("activation", self.activation, ("relu", "none"))
        in_range("gamma", self.gamma, 0, 20)
        in_range("epochs", self.epochs, 1, 10_000)
        in_range("batch_size", self.batch_size, 1, 100_000)
        in_range("learning_rate", self.learning_rate, 1e-9, 100)
        in_range("weight_decay", self.weight_decay, 0, 10)
        object.__setattr__(self, "oversample", tuple((int(row[0]), int(row[1])) for row in self.oversample))
        for index, factor in self.oversample:
            in_range("oversampled class", index, 0, 999)
            in_range("oversampling factor", factor, 1, 1000)

    @classmethod
    def of(cls, kind: str, profile: str = "paper") -> Self:
        """The published settings (FLANNEL's text: ``paper``, its code: ``release``).

        FLANNEL: focal with gamma 3, weights N / n_c, mean, 200 epochs; released code: gamma 10, 1000 / n_c, sum, 40
        epochs. Perceptrons: cross entropy without weights, mean, the same optimiser and number of epochs.

        Raises:
            ValueError: for an unknown kind or profile.
        """
        one_of("kind", kind, KINDS)
        one_of("profile", profile, PROFILES)
        epochs = 200 if profile == "paper" else 40
        if kind != "flannel":
            return cls(kind=kind, epochs=epochs).without_focal()
        scheme, reduction = ("inverse_frequency", "mean") if profile == "paper" else ("release", "sum")
        return cls(kind=kind, gamma=FOCAL_GAMMA[profile], class_weights=scheme, reduction=reduction, epochs=epochs)

    def without_focal(self) -> Self:
        """The same with plain cross entropy, mean over the batch (FLANNEL "w/o focal")."""
        return replace(self, loss="cross_entropy", gamma=0.0, class_weights="none", reduction="mean")

    def with_sampling(self, class_index: int = 0, factor: int = 10) -> Self:
        """The same with rows of one class repeated ("+ sampling": COVID-19 ten times)."""
        return replace(self, oversample=(*self.oversample, (class_index, factor)))


def largest_score(num_learners: int, num_classes: int) -> float:
    """The bound e^N / (e^N + M - 1) of a FLANNEL score: .980187 for 5 learners and 4 classes.

    It is reached in the limit where all learners give the class probability 1 and all weights go to 1; a score close
    to it is as sure as the ensemble can be.
    """
    return 1 / (1 + (num_classes - 1) * math.exp(-num_learners))
