"""Prediction with Grad-CAM: in forwards, and against a prediction followed by pytorch-grad-cam."""

from __future__ import annotations

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from benchmarks.measure import Row, interleaved
from benchmarks.networks import SIDE, noise, one_thread, untrained
from cxrlab.explain.cam import grad_cam
from cxrlab.inference import forward
from cxrlab.models.registry import model_spec

# The library's map of densenet121 is wrong (an in-place ReLU overwrites it), but it takes as long as a right one.
NETWORKS = ("mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0", "resnet18", "densenet121")


def rows() -> list[Row]:
    """Two rows a network, the same unchanged network on both sides, one picture."""
    with one_thread():
        return [row for name in NETWORKS for row in _rows_of(name)]


def _rows_of(name: str) -> list[Row]:
    model, images, layer = untrained(name), noise(1), model_spec(name).cam_layer

    def ours() -> torch.Tensor:
        return grad_cam(model, images, layer=layer)[1]

    def library() -> np.ndarray:
        return _library(model, images, layer)

    forwards = interleaved(ours, lambda: forward(model, images))
    faster = interleaved(library, ours)
    note = "" if name == "densenet121" else f"largest difference of the maps {_difference(ours(), library()):.0e}"
    return [
        Row("Grad-CAM", f"forwards for a prediction and its map: {name}", forwards, 1.3, at_most=True),
        Row("Grad-CAM", f"prediction, then pytorch-grad-cam / ours: {name}", faster, 2.3, note=note),
    ]


def _library(model: nn.Module, images: torch.Tensor, layer: str) -> np.ndarray:
    predicted = int(forward(model, images).argmax())
    with GradCAM(model, [model.get_submodule(layer)]) as cam:
        return cam(images, [ClassifierOutputTarget(predicted)])


def _difference(ours: torch.Tensor, library: np.ndarray) -> float:
    scaled = scale_cam_image(scale_cam_image(ours.numpy(), (SIDE, SIDE)), (SIDE, SIDE))
    return float(np.abs(scaled - library).max())
