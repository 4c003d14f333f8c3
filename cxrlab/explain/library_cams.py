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

_CLASSES = {"grad_cam_plus_plus": "GradCAMPlusPlus", "layer_cam": "LayerCAM", "eigen_cam": "EigenCAM"}


def library_map(method: str, *, features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Maps (N, h, w), not scaled, may be negative, from maps and gradients (N, K, h, w); EigenCAM uses no gradients."""
    formula = _formula(_CLASSES[method])
    found = formula.get_cam_image(None, None, None, _array(features), _array(gradients), False)
    return torch.from_numpy(np.asarray(found, dtype=np.float32))


def score_cam(model: nn.Module, images: torch.Tensor, *, features: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """ScoreCAM's maps (N, h, w), not scaled, may be negative.

    Runs the model once for every channel of the map (512-1280 forwards an image, batches of 16) and needs the memory
    of as many input images. A one-node head's evidence is -z and z, see :mod:`cxrlab.explain.cam`.

    Args:
        model: in evaluation mode. images: its input (N, 3, S, S). features: (N, K, h, w). classes: (N,).
    """
    from pytorch_grad_cam import score_cam as library
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def evidence(batch: torch.Tensor) -> torch.Tensor:
        outputs = forward(model, batch)
        return torch.cat([-outputs, outputs], dim=1) if outputs.shape[1] == 1 else outputs

    library.tqdm = _NoBar  # its bar would fill the log of a server
    formula = _formula("ScoreCAM")
    formula.model, formula.device = evidence, images.device
    maps = [np.empty((0, *features.shape[2:]), dtype=np.float32)]
    for row, class_index in enumerate(classes.tolist()):  # image by image: the memory grows with the batch
        one, targets = slice(row, row + 1), [ClassifierOutputTarget(class_index)]
        maps.append(formula.get_cam_image(images[one], None, targets, _array(features[one]), None))
    return torch.from_numpy(np.concatenate(maps).astype(np.float32))


def _formula(name: str) -> Any:
    """The library's object for a method. It gets a model to look at but no layer, so it sets no hooks."""
    import pytorch_grad_cam

    return getattr(pytorch_grad_cam, name)(nn.Linear(1, 1), [])


class _NoBar:
    """Stands where pytorch_grad_cam.score_cam expects the module tqdm."""

    @staticmethod
    def tqdm(steps: Any) -> Any:
        return steps


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
