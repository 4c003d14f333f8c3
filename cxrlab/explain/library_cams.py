"""Grad-CAM++, LayerCAM, EigenCAM and ScoreCAM by the formulas of pytorch-grad-cam.

Only the library's formulas are used, on our own feature maps and gradients: its hooks store a map that an in-place
ReLU overwrites (torchvision's DenseNet), and its scaling subtracts the smallest value, which hides missing evidence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from cxrlab.inference import forward

_CLASSES = {
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "layer_cam": "LayerCAM",
    "eigen_cam": "EigenCAM",
    "score_cam": "ScoreCAM",
}


def library_map(
    method: str,
    *,
    model: nn.Module,
    images: torch.Tensor,
    features: torch.Tensor,
    gradients: torch.Tensor,
    classes: torch.Tensor,
) -> torch.Tensor:
    """Maps (N, h, w), not scaled, may be negative.

    ScoreCAM runs the model once for every channel of the map (512-1280 forwards an image, batches of 16) and needs
    the memory of as many input images.

    Args:
        model: in evaluation mode. images: its input (N, 3, S, S).
        features, gradients: (N, K, h, w). classes: (N,).
    """
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    formula = _formula(method, model)
    maps = [np.empty((0, *features.shape[2:]), dtype=np.float32)]
    for row, class_index in enumerate(classes.tolist()):
        one = slice(row, row + 1)  # image by image: ScoreCAM's memory grows with the batch
        targets = [ClassifierOutputTarget(class_index)]
        found = formula.get_cam_image(images[one], None, targets, _array(features[one]), _array(gradients[one]), False)
        maps.append(np.asarray(found, dtype=np.float32))
    return torch.from_numpy(np.concatenate(maps))


def _formula(method: str, model: nn.Module) -> Any:
    """The library's object for a method: without hooks, and with evidence for every class (see ``explain.cam``)."""
    import pytorch_grad_cam
    from pytorch_grad_cam import score_cam

    def evidence(batch: torch.Tensor) -> torch.Tensor:
        outputs = forward(model, batch)
        return torch.cat([-outputs, outputs], dim=1) if outputs.shape[1] == 1 else outputs

    score_cam.tqdm = _NoBar  # its bar would fill the log of a server
    formula = getattr(pytorch_grad_cam, _CLASSES[method])(model, [])  # no target layers: no hooks
    formula.model = evidence
    return formula


class _NoBar:
    """Stands where pytorch_grad_cam.score_cam expects the module tqdm."""

    @staticmethod
    def tqdm(steps: Any) -> Any:
        return steps


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
