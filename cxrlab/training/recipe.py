"""The settings of one system, as a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cxrlab.config import Activation, Augmentation, ModelConfig, Preprocessing, TrainConfig

PROFILES = ("paper", "release")


@dataclass(frozen=True)
class Recipe:
    """All settings of one system.

    Args:
        name: of the recipe. profile: ``paper`` (what the text says) or ``release`` (what the authors' code does).
        system: as the paper calls it. paper: authors, title, venue, year.
        model: network and head; its ``num_classes`` are outputs: 1 for one sigmoid node.
        labels: class ids of the paper's task, in the order of the outputs.
        pretrained: start from ImageNet weights.
        validation: share of the training images that picks the best epoch.
        notes: what is assumed, and where the profiles differ, for people.
    """

    name: str
    profile: str
    system: str
    paper: str
    model: ModelConfig
    config: TrainConfig
    preprocessing: Preprocessing
    augmentation: Augmentation
    labels: tuple[str, ...]
    pretrained: bool
    validation: float
    notes: tuple[str, ...] = ()

    @property
    def activation(self) -> Activation:
        """``binary_sigmoid`` for one node, else ``softmax``."""
        return "binary_sigmoid" if self.model.num_classes == 1 else "softmax"

    def to_json(self) -> dict[str, Any]:
        """Plain values, as a card stores them."""
        return asdict(self)
