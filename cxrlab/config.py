"""Configurations: frozen, checked when made, JSON both ways."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
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
            raise ValueError(_what_is_wrong(cls, data) or f"{cls.__name__} is incomplete: {error}.") from error


def _what_is_wrong(config: type, data: Mapping[str, Any]) -> str:
    """The sentence for the first value of another kind than its field's default; empty when none is."""
    for spec in fields(config):
        value, default = data.get(spec.name, spec.default), spec.default
        if default is MISSING:
            continue
        if isinstance(default, int | float) and not isinstance(value, int | float):
            return f"{spec.name} must be a number such as {default!r}, got {value!r}."
        if isinstance(default, tuple) and not isinstance(value, list | tuple):
            return f"{spec.name} must be a list such as {json.dumps(default)}, got {value!r}."
    return ""


@dataclass(frozen=True)
class Preprocessing(JsonConfig):
    """How pixels become a network's input, as data, so that nobody guesses mean and std.

    Args:
        size: side of the square input in pixels.
        resize: ``stretch`` (aspect ratio ignored), ``crop`` (shorter side to ``size``, centre crop) or ``pad``
            (longer side to ``size``, black borders).
        interpolation: ``bilinear`` or ``bicubic``, both anti-aliased when shrinking (Pillow's definition).
        mean, std: per channel, for pixels scaled to [0, 1].
        resize_to: side of the square before its centre of side ``size`` is cut out, with the offset rounded down;
            0: no such crop. While training, :class:`Augmentation` decides where the crop lies.
    """

    size: int = 224
    resize: str = "stretch"
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize_to: int = 0

    def __post_init__(self) -> None:
        in_range("size", self.size, 32, 1024)
        if self.resize_to:
            in_range("resize_to", self.resize_to, self.size, 1024)
        one_of("resize", self.resize, ("stretch", "crop", "pad"))
        one_of("interpolation", self.interpolation, ("bilinear", "bicubic"))
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("mean and std must have 3 values each and std must be positive.")

    @property
    def whole(self) -> Preprocessing:
        """How the squares are made that training cuts its crops from; itself where nothing is cut."""
        return replace(self, size=self.resize_to, resize_to=0) if self.resize_to else self


@dataclass(frozen=True)
class Augmentation(JsonConfig):
    """Random changes of training images that a radiograph could have had; ranges are half-widths.

    Args:
        rotation_deg: patients stand askew. translation: share of the side. scale: relative zoom.
        flip: probability of a left-right flip (turns the heart to the right; the papers use .5).
        brightness, contrast: in units of the [0, 1] grey range and relative. gamma: log-scale half-width.
        noise: standard deviation of added Gaussian noise in [0, 1] grey units, see ``noise_probability``.
        blur: probability that an image is shrunk and enlarged again, so that resolution does not tell the source.
        erase: probability that one rectangle of 2-15 % of the area is set to the mean grey.
        noise_probability: of exactly that noise; 0: every image gets a standard deviation drawn from [0, ``noise``].
        vertical_flip: probability of an upside-down flip. shear_deg: as Keras' ``shear_range``.
        zoom: how ``scale`` is meant: ``log`` (zoom exp(±scale)), ``linear`` (1 ± scale) or ``inwards`` (1 to
            1 + scale: only enlarged).
        fill: outside the picture: its ``border`` repeated, a mirror image (``reflect``) or ``black``.
        crop: where training cuts the input from a larger square (``Preprocessing.resize_to``): ``centre``,
            ``jitter`` (the centre moved by up to ``crop_jitter`` px) or ``uniform`` (anywhere).
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
    noise_probability: float = 0.0
    vertical_flip: float = 0.0
    shear_deg: float = 0.0
    zoom: str = "log"
    fill: str = "border"
    crop: str = "centre"
    crop_jitter: int = 8

    def __post_init__(self) -> None:
        in_range("rotation_deg", self.rotation_deg, 0, 180)
        for name in ("translation", "scale", "flip", "brightness", "contrast", "noise", "blur", "erase"):
            in_range(name, getattr(self, name), 0, 1)
        in_range("gamma", self.gamma, 0, 2)
        in_range("noise_probability", self.noise_probability, 0, 1)
        in_range("vertical_flip", self.vertical_flip, 0, 1)
        in_range("shear_deg", self.shear_deg, 0, 60)
        in_range("crop_jitter", self.crop_jitter, 0, 1024)
        one_of("zoom", self.zoom, ("log", "linear", "inwards"))
        one_of("fill", self.fill, ("border", "reflect", "black"))
        one_of("crop", self.crop, ("centre", "jitter", "uniform"))

    @classmethod
    def none(cls, **given: Any) -> Self:
        """No random change, but for those given."""
        still = dict.fromkeys(
            ("rotation_deg", "translation", "scale", "flip", "brightness", "contrast", "gamma", "noise", "blur",
             "erase"), 0.0
        )  # fmt: skip
        return cls(**{**still, **given})

    @property
    def changes_nothing(self) -> bool:
        """True when every draw would leave the image as it is."""
        cropped = replace(self, crop="centre", crop_jitter=8, zoom="log", fill="border", noise_probability=0.0)
        return cropped == Augmentation.none() and (
            self.crop == "centre" or (self.crop == "jitter" and not self.crop_jitter)
        )


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
        schedule: ``constant``, ``step`` (x 0.1 at ``milestones``), ``plateau`` (x ``plateau_factor`` after
            ``plateau_patience`` epochs without gain), ``cosine`` (to 0, after ``warmup`` share of the steps) or
            ``one_cycle`` (Smith and Topin 2018).
        loss: ``cross_entropy`` or ``focal`` (Lin et al. 2017) with ``focal_gamma``.
        class_weights: a scheme of :func:`cxrlab.losses.class_weights`, from the counts as they are sampled.
        label_smoothing: cross entropy only.
        clip_norm: largest gradient norm; 0 = no clipping.
        size_schedule: sides in pixels, spread evenly over the epochs; the last should be the input size.
            Empty: always the input size. Small pictures first is 1.5-2 times cheaper (Tan and Le 2021).
        monitor: metric that picks the best epoch, ``macro_f1``, ``balanced_accuracy``, ``accuracy``, ``loss`` (cross
            entropy) or ``objective`` (the loss that is trained, on the validation images).
        patience: epochs without gain before training stops; 0 = never.
        precision: ``fp32`` or ``bf16`` (autocast). channels_last: memory layout, same numbers, faster on CPU.
        threads: CPU threads for torch; 0 = torch's choice.
        reduction: ``weighted_mean`` (divided by the sum of the images' weights), ``mean`` or ``sum`` over the batch.
        milestones: epochs of the ``step`` schedule; empty: 50 % and 80 % of the steps.
        plateau_factor, plateau_patience: of that schedule; a patience of p is p + 1 in Keras' counting.
        sampling: over- and undersampling rules CLASS:FACTOR of :class:`cxrlab.sampling.Sampler`.
        augmented: which training images are changed at random, ``all`` or those of the ``minority`` class only.
        unfreeze: share of the backbone's layers that is trained with the head, from the end: 1 = all, 0 = the head.
        aux_weight: of the loss of Inception's auxiliary head, when the network has one; 0 = it is not trained.
        l1, l2: factors of the sums of absolute and squared weights in the loss; penalty_on: ``linear`` layers' weights
            or ``all`` parameters that are trained.
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
    reduction: str = "weighted_mean"
    milestones: tuple[int, ...] = ()
    plateau_factor: float = 0.3
    plateau_patience: int = 2
    sampling: tuple[str, ...] = ()
    augmented: str = "all"
    unfreeze: float = 1.0
    aux_weight: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    penalty_on: str = "linear"

    def __post_init__(self) -> None:
        for name, (low, high) in _TRAIN_RANGES.items():
            in_range(name, getattr(self, name), low, high)
        for name, allowed in _TRAIN_CHOICES.items():
            one_of(name, getattr(self, name), allowed)
        if list(self.milestones) != sorted(set(self.milestones)) or min(self.milestones, default=1) < 1:
            raise ValueError(f"milestones must be ascending epochs from 1 on, got {self.milestones}.")


_TRAIN_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 10_000),
    "batch_size": (1, 4096),
    "learning_rate": (1e-9, 100),
    "weight_decay": (0, 10),
    "warmup": (0, 0.9),
    "focal_gamma": (0, 20),
    "label_smoothing": (0, 0.5),
    "clip_norm": (0, 1e6),
    "patience": (0, 10_000),
    "plateau_factor": (0.001, 0.999),
    "plateau_patience": (0, 10_000),
    "unfreeze": (0, 1),
    "aux_weight": (0, 10),
    "l1": (0, 10),
    "l2": (0, 10),
}
_TRAIN_CHOICES: dict[str, tuple[object, ...]] = {
    "optimiser": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "step", "plateau", "cosine", "one_cycle"),
    "loss": ("cross_entropy", "focal"),
    "class_weights": ("none", "balanced", "sqrt", "inverse_frequency", "release", "normalised"),
    "reduction": ("weighted_mean", "mean", "sum"),
    "monitor": ("macro_f1", "balanced_accuracy", "accuracy", "loss", "objective"),
    "precision": ("fp32", "bf16"),
    "augmented": ("all", "minority"),
    "penalty_on": ("linear", "all"),
}
