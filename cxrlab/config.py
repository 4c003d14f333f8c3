"""Configurations: frozen, checked when made, JSON both ways."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Activation = Literal["softmax", "binary_sigmoid", "multilabel_sigmoid"]


def home() -> Path:
    """Where everything a user makes is kept: ``CXRLAB_HOME``, default ``~/.local/share/cxrlab``. Not created here."""
    return Path(os.environ.get("CXRLAB_HOME") or Path.home() / ".local" / "share" / "cxrlab").expanduser()


def repository() -> Path:
    """The folder that holds ``checkpoints/`` and ``sample_images/``."""
    return Path(__file__).resolve().parent.parent


def one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raise ValueError unless ``value`` is among ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}.")


def in_range(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless ``low <= value <= high``."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value!r}.")


class JsonConfig:
    """JSON both ways for frozen dataclasses; an unknown or missing field is an error that names it."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        known = {spec.name for spec in fields(cls)}  # type: ignore[arg-type]
        if unknown := set(data) - known:
            raise ValueError(
                f"{cls.__name__} has no field {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}."
            )
        try:
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})
        except TypeError as error:
            raise ValueError(f"{cls.__name__} is incomplete: {error}.") from error


@dataclass(frozen=True)
class Preprocessing(JsonConfig):
    """How pixels become a network's input, as data, so that nobody guesses mean and std.

    Args:
        size: side of the square input in pixels.
        resize: ``stretch`` (aspect ratio ignored), ``crop`` (shorter side to ``size``, centre crop) or ``pad``
            (longer side to ``size``, black borders).
        interpolation: ``bilinear`` or ``bicubic``, both anti-aliased when shrinking (Pillow's definition).
        mean, std: per channel, for pixels scaled to [0, 1].
    """

    size: int = 224
    resize: str = "stretch"
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        in_range("size", self.size, 32, 1024)
        one_of("resize", self.resize, ("stretch", "crop", "pad"))
        one_of("interpolation", self.interpolation, ("bilinear", "bicubic"))
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("mean and std must have 3 values each and std must be positive.")


@dataclass(frozen=True)
class Augmentation(JsonConfig):
    """Random changes of training images that a radiograph could have had; ranges are half-widths.

    Args:
        rotation_deg: patients stand askew. translation: share of the side. scale: relative zoom.
        flip: probability of a left-right flip (turns the heart to the right; the papers use .5).
        brightness, contrast: in units of the [0, 1] grey range and relative. gamma: log-scale half-width.
        noise: largest standard deviation of added Gaussian noise in [0, 1] grey units.
        blur: probability that an image is shrunk and enlarged again, so that resolution does not tell the source.
        erase: probability that one rectangle of 2-15 % of the area is set to the mean grey.
    """

    rotation_deg: float = 10.0
    translation: float = 0.06
    scale: float = 0.12
    flip: float = 0.5
    brightness: float = 0.10
    contrast: float = 0.25
    gamma: float = 0.25
    noise: float = 0.03
    blur: float = 0.2
    erase: float = 0.25

    def __post_init__(self) -> None:
        in_range("rotation_deg", self.rotation_deg, 0, 180)
        for name in ("translation", "scale", "flip", "brightness", "contrast", "noise", "blur", "erase"):
            in_range(name, getattr(self, name), 0, 1)
        in_range("gamma", self.gamma, 0, 2)


@dataclass(frozen=True)
class ModelConfig(JsonConfig):
    """Which network: a registered name and the arguments of its builder."""

    name: str
    num_classes: int
    pretrained: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        in_range("num_classes", self.num_classes, 1, 1000)


@dataclass(frozen=True)
class TrainConfig(JsonConfig):
    """How to train. Everything that decides the weights is here, with the seed.

    Args:
        epochs, batch_size, learning_rate, weight_decay: as usual; ``learning_rate`` is the peak of the schedule.
        optimiser: ``adam`` (coupled L2), ``adamw`` or ``sgd`` (Nesterov momentum .9).
        schedule: ``constant``, ``step`` (x 0.1 at 50 % and 80 %), ``plateau`` (x 0.3 after 2 epochs without gain),
            ``cosine`` (to 0, after ``warmup`` share of the steps) or ``one_cycle`` (Smith and Topin 2018).
        loss: ``cross_entropy`` or ``focal`` (Lin et al. 2017) with ``focal_gamma``.
        class_weights: ``none``, ``balanced`` (N / (C n_c)) or ``sqrt`` (its square root, gentler on rare classes).
        label_smoothing: cross entropy only.
        clip_norm: largest gradient norm; 0 = no clipping.
        size_schedule: sides in pixels, spread evenly over the epochs; the last should be the input size.
            Empty: always the input size. Small pictures first is 1.5-2 times cheaper (Tan and Le 2021).
        monitor: metric that picks the best epoch, ``macro_f1``, ``balanced_accuracy``, ``accuracy`` or ``loss``.
        patience: epochs without gain before training stops; 0 = never.
        precision: ``fp32`` or ``bf16`` (autocast). channels_last: memory layout, same numbers, faster on CPU.
        threads: CPU threads for torch; 0 = torch's choice.
    """

    epochs: int = 14
    batch_size: int = 32
    optimiser: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    schedule: str = "one_cycle"
    warmup: float = 0.2
    loss: str = "cross_entropy"
    focal_gamma: float = 2.0  # the value of the focal-loss paper
    class_weights: str = "balanced"
    label_smoothing: float = 0.0
    clip_norm: float = 1.0
    size_schedule: tuple[int, ...] = ()
    monitor: str = "macro_f1"
    patience: int = 0
    precision: str = "fp32"
    channels_last: bool = True
    threads: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        in_range("epochs", self.epochs, 1, 10_000)
        in_range("batch_size", self.batch_size, 1, 4096)
        in_range("learning_rate", self.learning_rate, 1e-9, 100)
        in_range("weight_decay", self.weight_decay, 0, 10)
        in_range("warmup", self.warmup, 0, 0.9)
        in_range("focal_gamma", self.focal_gamma, 0, 20)
        in_range("label_smoothing", self.label_smoothing, 0, 0.5)
        in_range("clip_norm", self.clip_norm, 0, 1e6)
        one_of("optimiser", self.optimiser, ("adam", "adamw", "sgd"))
        one_of("schedule", self.schedule, ("constant", "step", "plateau", "cosine", "one_cycle"))
        one_of("loss", self.loss, ("cross_entropy", "focal"))
        one_of("class_weights", self.class_weights, ("none", "balanced", "sqrt"))
        one_of("monitor", self.monitor, ("macro_f1", "balanced_accuracy", "accuracy", "loss"))
        one_of("precision", self.precision, ("fp32", "bf16"))
