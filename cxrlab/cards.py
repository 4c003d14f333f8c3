"""The card of a checkpoint: everything that is needed to use its weights and to judge them, as one checked record."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from cxrlab.config import Activation, JsonConfig, ModelConfig, Preprocessing, one_of
from cxrlab.labels import LabelSet
from cxrlab.predictions import Task

CARD_FORMAT = 1
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]*")
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
ACTIVATIONS = ("softmax", "binary_sigmoid", "multilabel_sigmoid")
DTYPES = ("float16", "float32")
COMBINERS = ("flannel", "mlp_l1", "mlp_l2")  # ensembles whose folder holds the weights of a learned combiner

_TEXTS = (
    *("name", "title", "kind", "activation", "task", "domain", "domain_text", "cam_layer", "voting"),
    *("weights_sha256", "combiner_sha256", "dtype", "created", "licence", "intended_use"),
)
_LISTS = ("labels", "members", "references", "limits")
_MAPPINGS = ("training_data", "training", "metrics", "thresholds", "versions")
_NUMBERS = ("temperature", "parameters", "size_bytes", "seconds_per_image")


class CheckpointError(ValueError):
    """A checkpoint can not be read, written or used; the text is one sentence for the user."""


def checked_name(name: str) -> str:
    """A checkpoint's name as it is. Raises CheckpointError unless it matches ``[a-z0-9][a-z0-9._-]*``."""
    if not NAME_PATTERN.fullmatch(name):
        raise CheckpointError(
            "A checkpoint's name must be lower-case letters, digits, '.', '_', '-', beginning with a letter or digit, "
            f"got {name!r}."
        )
    return name


@dataclass(frozen=True)
class ModelCard(JsonConfig):
    """What a checkpoint is. A ``model`` has weights of its own, an ``ensemble`` names its members.

    Args:
        name: folder name of the checkpoint, ``[a-z0-9][a-z0-9._-]*``. title: the name for people.
        kind: ``model`` or ``ensemble``.
        labels: class ids in the order of the outputs.
        activation: ``softmax``; ``binary_sigmoid`` (two labels, one output z, read as the logits [0, z]);
            ``multilabel_sigmoid`` (every class for itself).
        task: ``multiclass``, or ``multilabel`` which goes with ``multilabel_sigmoid`` only.
        normalised: do the scores of an image sum to 1? False for ``multilabel_sigmoid`` only.
        domain: kind of images it was trained on, one word: ``real``, ``phantom`` …; domain_text: in words for people.
        model, preprocessing: network and input, for kind ``model`` only.
        cam_layer: dotted name of the layer whose feature map is shown; empty: the architecture's usual one.
        members: names of single-model checkpoints, for kind ``ensemble`` only; member_weights: one positive number
            each (their sum is scaled to 1), empty: equal; voting: ``soft``, ``hard``, or one of ``COMBINERS``: learned.
        training_data: data set, images, patients, counts per class and source, split name and seed.
        training: settings, augmentation and a summary of the history. metrics: measured figures with their data set.
        thresholds: class id to decision threshold in [0, 1]. temperature: logits are divided by it.
        weights_sha256: of ``model.safetensors``; of an ensemble: of its members' hashes, weights, voting and combiner.
        combiner_sha256: of the ``model.safetensors`` of an ensemble whose voting is learned; empty for all others.
        dtype: ``float16`` or ``float32`` on disk; models always compute in float32.
        parameters, size_bytes, seconds_per_image: 0 where unknown; the time is for one image on one CPU thread.
        versions: of cxrlab, Python, torch. created: ISO 8601 in UTC.
        licence, references, intended_use, limits: for people.

    Raises:
        CheckpointError: when a field is missing, of the wrong type, or fields contradict each other.
    """

    name: str
    title: str
    kind: Literal["model", "ensemble"]
    labels: tuple[str, ...]
    activation: Activation = "softmax"
    task: Task = "multiclass"
    normalised: bool = True
    domain: str = "unknown"
    domain_text: str = ""
    model: ModelConfig | None = None
    preprocessing: Preprocessing | None = None
    cam_layer: str = ""
    members: tuple[str, ...] = ()
    member_weights: tuple[float, ...] = ()
    voting: Literal["soft", "hard", "flannel", "mlp_l1", "mlp_l2", ""] = ""
    training_data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    weights_sha256: str = ""
    combiner_sha256: str = ""
    dtype: str = ""
    parameters: int = 0
    size_bytes: int = 0
    seconds_per_image: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    licence: str = ""
    references: tuple[str, ...] = ()
    intended_use: str = ""
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            self._check_types()
            self._check_values()
            self._check_activation()
            self._check_model() if self.kind == "model" else self._check_ensemble()
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"Card of {self.name!r}: {error}") from error

    def _check_types(self) -> None:
        def check(names: tuple[str, ...], kind: type | tuple[type, ...], words: str) -> None:
            for name in names:
                value = getattr(self, name)
                if not isinstance(value, kind) or (isinstance(value, bool) and bool is not kind):
                    raise ValueError(f"{name} must be {words}, got {value!r}.")

        check(_TEXTS, str, "a text")
        check(("normalised",), bool, "true or false")
        check((*_LISTS, "member_weights"), tuple, "a list")
        check(_MAPPINGS, Mapping, "an object")
        check(_NUMBERS, (int, float), "a number")
        for name in _LISTS:
            if not all(isinstance(item, str) for item in getattr(self, name)):
                raise ValueError(f"{name} must be a list of texts, got {getattr(self, name)!r}.")
        for number in (*self.member_weights, *self.thresholds.values()):
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ValueError(f"member_weights and thresholds must be numbers, got {number!r}.")

    def _check_values(self) -> None:
        checked_name(self.name)
        if not self.title.strip():
            raise ValueError("title must not be empty.")
        one_of("kind", self.kind, ("model", "ensemble"))
        one_of("dtype", self.dtype, ("", *DTYPES))
        LabelSet.from_ids(self.labels)
        for name in ("weights_sha256", "combiner_sha256"):
            if getattr(self, name) and not SHA256_PATTERN.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} must be 64 hexadecimal digits, got {getattr(self, name)!r}.")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature must be positive, got {self.temperature!r}.")
        for name in ("parameters", "size_bytes", "seconds_per_image"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}.")
        for label, threshold in self.thresholds.items():
            if label not in self.labels or not 0 <= threshold <= 1:
                raise ValueError(f"thresholds must map labels to numbers in [0, 1], got {label!r}: {threshold!r}.")

    def _check_activation(self) -> None:
        one_of("activation", self.activation, ACTIVATIONS)
        one_of("task", self.task, ("multiclass", "multilabel"))
        multilabel = self.activation == "multilabel_sigmoid"
        if (self.task == "multilabel") != multilabel or self.normalised == multilabel:
            raise ValueError(
                f"activation {self.activation} goes with task {'multilabel' if multilabel else 'multiclass'} and "
                f"normalised {not multilabel}, got {self.task} and {self.normalised}."
            )
        if self.activation == "binary_sigmoid" and len(self.labels) != 2:
            raise ValueError(f"binary_sigmoid needs exactly 2 labels, got {len(self.labels)}.")

    def _check_model(self) -> None:
        if not isinstance(self.model, ModelConfig) or not isinstance(self.preprocessing, Preprocessing):
            raise ValueError("a model's card must have the fields model and preprocessing.")
        if self.members or self.member_weights or self.voting or self.combiner_sha256:
            raise ValueError("only an ensemble's card may have members, member_weights, voting and combiner_sha256.")
        outputs = 1 if self.activation == "binary_sigmoid" else len(self.labels)
        if self.model.num_classes != outputs:
            raise ValueError(
                f"labels and head must agree: {len(self.labels)} labels with {self.activation} need a head of "
                f"{outputs}, got num_classes {self.model.num_classes}."
            )

    def _check_ensemble(self) -> None:
        if self.model is not None or self.preprocessing is not None:
            raise ValueError("an ensemble's card must not have model or preprocessing; its members have them.")
        if len(self.members) < 2 or len(set(self.members)) != len(self.members):
            raise ValueError(f"an ensemble must name at least 2 different members, got {list(self.members)}.")
        for member in self.members:
            checked_name(member)
        one_of("voting", self.voting, ("soft", "hard", *COMBINERS))
        if self.voting != "soft" and self.task == "multilabel":
            raise ValueError(f"{self.voting} voting needs one class an image; use soft voting for a multilabel task.")
        if self.is_learned and self.member_weights:
            raise ValueError(f"an ensemble with {self.voting} voting has no member_weights; its combiner decides.")
        if self.combiner_sha256 and not self.is_learned:
            raise ValueError(f"only learned voting has a combiner_sha256, got one with {self.voting} voting.")
        weights = self.member_weights
        if weights and (len(weights) != len(self.members) or not all(math.isfinite(w) and w > 0 for w in weights)):
            raise ValueError(
                f"member_weights must be {len(self.members)} positive numbers or none, got {list(weights)}."
            )

    @property
    def is_learned(self) -> bool:
        """Is this an ensemble whose combiner was fitted, so that its folder holds weights?"""
        return self.voting in COMBINERS

    @property
    def label_set(self) -> LabelSet:
        """The labels with their names and colours."""
        return LabelSet.from_ids(self.labels)

    @property
    def weights(self) -> tuple[float, ...]:
        """An ensemble's member weights with sum 1, equal ones where the card has none; empty for a model.

        Of learned voting they mean nothing: the combiner weighs the members anew for each image.
        """
        given = self.member_weights or (1.0,) * len(self.members)
        return tuple(weight / sum(given) for weight in given)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, ``format`` first; undefined numbers (NaN, infinite) become null."""
        return {"format": CARD_FORMAT, **_plain(super().to_json())}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """A card from what :meth:`to_json` gave. Raises CheckpointError naming the field at fault."""
        if not isinstance(data, Mapping):
            raise CheckpointError(f"A card must be a JSON object, got {type(data).__name__}.")
        if data.get("format") != CARD_FORMAT:
            raise CheckpointError(
                f"A card's format must be {CARD_FORMAT}, got {data.get('format')!r}; it may come from a newer cxrlab."
            )
        values = {name: value for name, value in data.items() if name != "format"}
        try:
            if isinstance(values.get("model"), Mapping):
                values["model"] = ModelConfig.from_json(values["model"])
            if isinstance(values.get("preprocessing"), Mapping):
                values["preprocessing"] = Preprocessing.from_json(values["preprocessing"])
            return super().from_json(values)
        except CheckpointError:
            raise
        except (ValueError, TypeError) as error:
            raise CheckpointError(str(error)) from error

    def to_text(self) -> str:
        """The text of ``card.json``: indented, fields in the order of this class."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """A card from the text of ``card.json``. Raises CheckpointError when it is no JSON or no card."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"card.json must be JSON, but it is not: {error}.") from error
        return cls.from_json(data)


def _plain(value: Any) -> Any:
    """The value with lists for tuples, Python numbers for numpy's, and null for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
