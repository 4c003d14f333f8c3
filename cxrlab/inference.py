"""From images to scores: forwards in batches, on the CPU or a GPU, with the last feature map where it is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from cxrlab.config import Activation, Preprocessing
from cxrlab.data.transforms import resize_pixels, to_batch
from cxrlab.data.xray import Xray
from cxrlab.progress import Cancel, Progress, check, never, silent

BATCH_SIZE = {"cpu": 16, "cuda": 64}  # beyond 8-25 images a CPU gains nothing and only needs more memory

Array = TypeVar("Array", np.ndarray, torch.Tensor)
Result = TypeVar("Result")

Engine = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Whatever computes a network: batch (N, 3, S, S) -> logits (N, outputs) and last feature map (N, K, h, w)."""


class Classifier(Protocol):
    """What inference needs of a checkpoint. ``turn()`` is held while the network computes, so that users alternate."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def preprocessing(self) -> Preprocessing: ...
    @property
    def activation(self) -> Activation: ...
    @property
    def temperature(self) -> float: ...
    @property
    def cam_layer(self) -> str: ...
    def turn(self) -> AbstractContextManager[Any]: ...


@dataclass(frozen=True, eq=False)
class Predicted:
    """Scores of N images.

    Args:
        scores: (N, C) float64 in [0, 1].
        device: where they were computed in the end, ``cpu`` or ``cuda``.
        notes: sentences for the user, e.g. that the GPU's memory did not suffice.
        seconds: time of the forwards, without decoding and waiting.
    """

    scores: np.ndarray
    device: str
    notes: tuple[str, ...]
    seconds: float


def class_logits(logits: Array, activation: Activation) -> Array:
    """One logit a class: (N, outputs) -> (N, C). A one-node head's z is read as [0, z], whose softmax is the sigmoid.

    Raises:
        ValueError: when ``logits`` are not 2-D, or not one column for ``binary_sigmoid``.
    """
    if logits.ndim != 2 or (activation == "binary_sigmoid" and logits.shape[1] != 1):
        wanted = "(N, 1)" if activation == "binary_sigmoid" else "(N, C)"
        raise ValueError(f"Logits must have shape {wanted} for {activation}, got {tuple(logits.shape)}.")
    if activation != "binary_sigmoid":
        return logits
    if isinstance(logits, torch.Tensor):
        return torch.cat([torch.zeros_like(logits), logits], dim=1)  # (N, 1) -> (N, 2)
    return np.concatenate([np.zeros_like(logits), logits], axis=1)  # (N, 1) -> (N, 2)


def scores_from_logits(
    logits: np.ndarray | torch.Tensor, activation: Activation, *, temperature: float = 1.0
) -> np.ndarray:
    """(N, outputs) logits -> (N, C) float64 scores in [0, 1]; rows sum to 1 but for ``multilabel_sigmoid``."""
    values = torch.as_tensor(logits).detach().double().cpu()
    per_class = class_logits(values, activation) / temperature
    scores = per_class.sigmoid() if activation == "multilabel_sigmoid" else per_class.softmax(dim=1)
    return scores.numpy()


def resolve_device(device: str) -> torch.device:
    """``auto`` (a GPU if there is one), ``cpu`` or ``cuda`` as a torch device.

    Raises:
        ValueError: for another word, or for ``cuda`` on a machine without a usable GPU.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"The device must be auto, cpu or cuda, got {device!r}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("The device cuda needs a GPU that torch can use, and there is none here; choose auto or cpu.")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def squares_of(images: np.ndarray | Sequence[Xray], preprocessing: Preprocessing) -> np.ndarray:
    """X-rays, or squares made before, as (N, S, S) uint8 squares of the card's size.

    Raises:
        ValueError: when squares are not (N, S, S) uint8.
    """
    side = preprocessing.size
    if not isinstance(images, np.ndarray):
        resized = [resize_pixels(xray.pixels, preprocessing) for xray in images]
        return np.stack(resized) if resized else np.empty((0, side, side), dtype=np.uint8)
    if images.ndim != 3 or images.shape[1:] != (side, side) or images.dtype != np.uint8:
        raise ValueError(f"Squares must be (N, {side}, {side}) uint8, got {images.shape} {images.dtype}.")
    return images


def predict(
    classifier: Classifier,
    images: np.ndarray | Sequence[Xray],
    *,
    device: str = "auto",
    batch_size: int = 0,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Predicted:
    """Scores of one network on N images.

    Args:
        classifier: a loaded checkpoint with a network of its own.
        images: (N, S, S) uint8 squares, e.g. of an image cache, or X-rays.
        device: see :func:`resolve_device`. batch_size: images a forward; 0 = 16 on the CPU, 64 on a GPU.
        progress: called after each batch. cancel: asked before each batch.

    Raises:
        ValueError: for an unknown device or squares of another size. Cancelled: when the user stopped it.
    """
    target, notes, seconds = resolve_device(device), [], 0.0
    preprocessing, total = classifier.preprocessing, len(images)
    count = batch_size or BATCH_SIZE[target.type]
    scores: list[np.ndarray] = []
    for start in range(0, max(total, 1), count):
        check(cancel, "The prediction")
        batch = to_batch(squares_of(images[start : start + count], preprocessing), preprocessing)
        with classifier.turn():
            started = time.perf_counter()
            logits, target, note = on_device(classifier.model, batch, target, forward)
            scores.append(scores_from_logits(logits, classifier.activation, temperature=classifier.temperature))
            seconds += time.perf_counter() - started
        notes += [note] if note else []
        done = min(start + count, total)
        progress(done, total, f"{done} of {total} images")
    return Predicted(np.concatenate(scores), target.type, tuple(notes), seconds)


def forward(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Logits (N, outputs) of a batch (N, 3, S, S), without anything kept for gradients."""
    with torch.inference_mode():
        return model(batch)


def forward_with_features(model: nn.Module, batch: torch.Tensor, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
    """One forward: logits (N, outputs) and the output (N, K, h, w) of ``layer``, as it left the layer.

    What follows works on a copy, so that an in-place ReLU (torchvision's DenseNet) does not change the map. The hook
    sits on the model during the call: one thread a model at a time.

    Raises:
        ValueError: for an unknown layer, or one that has not run or gives no 4-D map.
    """
    kept: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> torch.Tensor:
        kept.append(checked_map(output, layer))
        return kept[-1].clone()

    hook = module_named(model, layer).register_forward_hook(keep)
    try:
        logits = forward(model, batch)
    finally:
        hook.remove()
    if not kept:
        raise ValueError(f"Layer {layer!r} must run in every forward, but it did not; choose another layer.")
    return logits, kept[-1]


def module_named(model: nn.Module, layer: str) -> nn.Module:
    """A module by its dotted name. Raises ValueError saying where the name goes wrong."""
    try:
        return model.get_submodule(layer)
    except AttributeError as error:
        top = ", ".join(name for name, _ in model.named_children())
        raise ValueError(f"The network has no layer {layer!r} ({error}); its parts are {top}.") from error


def checked_map(output: Any, layer: str) -> torch.Tensor:
    """The output of a layer when it is a feature map (N, K, h, w). Raises ValueError otherwise."""
    if not isinstance(output, torch.Tensor) or output.ndim != 4:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ValueError(f"Layer {layer!r} must give a feature map (N, K, h, w), got {shape}; choose another layer.")
    return output


def on_device(
    model: nn.Module, batch: torch.Tensor, device: torch.device, work: Callable[[nn.Module, torch.Tensor], Result]
) -> tuple[Result, torch.device, str]:
    """``work(model, batch)`` with both on ``device``; when a GPU's memory does not suffice, on the CPU.

    Returns:
        Result, the device it was computed on, and a sentence for the user, empty when all went as asked.
    """
    try:
        return work(model.to(device), _laid_out(batch, device)), device, ""
    except torch.OutOfMemoryError:
        if device.type == "cpu":
            raise
    cpu = torch.device("cpu")  # outside the except block: the error holds on to the GPU's tensors
    model.to(cpu)
    torch.cuda.empty_cache()
    note = f"The GPU's memory did not suffice for {len(batch)} images at once; computed on the CPU instead."
    return work(model, _laid_out(batch, cpu)), cpu, note


def _laid_out(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    return batch.to(device).contiguous(memory_format=torch.channels_last)
