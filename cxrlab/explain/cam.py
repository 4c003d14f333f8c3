"""Class activation maps: where on an image the evidence for a class lies, from one forward.

The feature map A (N, K, h, w) is **what the head pools**. Where the head is global average pooling and one linear
layer, with weights w_c, the gradient of a class's logit is w_c / (h w) at every place: no backward is needed, Grad-CAM,
HiResCAM and CAM are the same map, and its places sum to the logit less the bias. Where the head pools the ReLU of the
layer's output (torchvision's DenseNet), A is the map after that ReLU. For every other head or layer, A is the output of
the layer as it left it, before any in-place operation, and gradients come from a backward that starts at the logits and
stops at A.

A one-node head's z is read as the logits [0, z], and evidence is evidence for one class against the other: z speaks
for class 1, -z for class 0.

The hooks sit on the model during a call, so one thread a model at a time; the pool's ``turn()`` sees to that. The model
is left as found: hooks, train or evaluation mode, ``requires_grad`` and ``grad``, also after an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from cxrlab.explain.methods import cam_method
from cxrlab.inference import Classifier, checked_map, class_logits, module_named
from cxrlab.results import Heatmap

ClassIndex = int | Sequence[int] | None


@dataclass(frozen=True, eq=False)
class Trace:
    """One forward from which the maps of any class can be made, without the model.

    Args:
        outputs: (N, C) logits, or (N, 1) of a one-node head.
        features: (N, K, h, w), what the class's evidence is looked for in; see the module's text.
        head: (C, K) weights of the linear head where it follows global average pooling directly, else None.
        leaf: start of the gradients where ``head`` is None.
    """

    outputs: torch.Tensor
    features: torch.Tensor
    head: torch.Tensor | None
    leaf: torch.Tensor

    @property
    def logits(self) -> torch.Tensor:
        """(N, C): a one-node head's z as [0, z]."""
        return class_logits(self.outputs.detach(), "binary_sigmoid" if self.outputs.shape[1] == 1 else "softmax")

    def classes(self, class_index: ClassIndex) -> torch.Tensor:
        """(N,) class to explain for each image; None: the predicted one.

        Raises:
            ValueError: for an index out of range, or neither one index nor one for each image.
        """
        n, c = self.logits.shape
        if class_index is None:
            return self.logits.argmax(dim=1)
        indices = [class_index] * n if isinstance(class_index, int) else list(class_index)
        if len(indices) != n or not all(0 <= index < c for index in indices):
            raise ValueError(f"class_index must be 0 to {c - 1}, one for all or one for each image, got {class_index}.")
        return torch.tensor(indices, dtype=torch.long, device=self.outputs.device)

    def gradients(self, classes: torch.Tensor) -> torch.Tensor:
        """(N, K, h, w): how the evidence for each image's class changes with its feature map."""
        if self.outputs.shape[1] == 1:
            sign = classes * 2.0 - 1.0  # class 0 -> -z, class 1 -> z
            evidence = (self.outputs[:, 0] * sign).sum()
            weights = None if self.head is None else self.head[torch.zeros_like(classes)] * sign[:, None]
        else:
            evidence = self.outputs.gather(1, classes[:, None]).sum()
            weights = None if self.head is None else self.head[classes]  # (C, K) -> (N, K)
        if weights is None:
            return torch.autograd.grad(evidence, self.leaf, retain_graph=True)[0]
        h, w = self.features.shape[2:]
        return (weights / (h * w))[:, :, None, None].expand_as(self.features)


def trace(model: nn.Module, images: torch.Tensor, *, layer: str | None = None) -> Trace:
    """Run the model once and keep what maps need.

    Args:
        model: a classifier; it computes in evaluation mode and is left as found.
        images: (N, 3, S, S) on the model's device.
        layer: dotted name; None: the last layer that gives a map larger than 1 x 1, found by a second forward.

    Raises:
        ValueError: for an unknown layer, one that gives no feature map, or one that the logits do not depend on.
    """
    with _as_found(model):
        layer = layer or _last_map_layer(model, images)
        with torch.inference_mode(False), torch.enable_grad(), _watched(model, layer) as seen:
            outputs = model(images)
    if seen.leaf is None:
        raise ValueError(f"Layer {layer!r} must run in every forward, but it did not; choose another layer.")
    if not outputs.requires_grad:
        raise ValueError(f"The logits must depend on layer {layer!r}, but they do not; choose another layer.")
    features, head = _pooled_by_head(seen, outputs)
    return Trace(outputs if head is None else outputs.detach(), features, head, seen.leaf)


def grad_cam(
    model: nn.Module, images: torch.Tensor, *, class_index: ClassIndex = None, layer: str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Grad-CAM: ReLU(sum over k of mean(dy_c/dA_k) A_k).

    Args:
        model, images, layer: see :func:`trace`.
        class_index: one class for all images, one for each, or None for the predicted ones.

    Returns:
        Logits (N, C), a one-node head's as [0, z]; maps (N, h, w) >= 0, not scaled.

    Example:
        >>> from cxrlab.models.registry import create_model
        >>> logits, maps = grad_cam(create_model("resnet18", num_classes=4), torch.zeros(1, 3, 64, 64), layer="layer4")
        >>> logits.shape, maps.shape
        (torch.Size([1, 4]), torch.Size([1, 2, 2]))

    Reference:
        Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017.
    """
    return explained(model, images, method="grad_cam", class_index=class_index, layer=layer)


def explain(
    classifier: Classifier, batch: torch.Tensor, method: str = "grad_cam", class_index: ClassIndex = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`explained`, for a loaded checkpoint, at its card's layer."""
    return explained(
        classifier.model, batch, method=method, class_index=class_index, layer=classifier.cam_layer or None
    )


def explained(
    model: nn.Module, images: torch.Tensor, *, method: str, class_index: ClassIndex = None, layer: str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Class logits (N, C) and maps (N, h, w) >= 0, not scaled, by one of ``CAM_METHODS``.

    Raises:
        ValueError: as :func:`trace` and :func:`cam`.
    """
    name = cam_method(method).name
    traced = trace(model, images, layer=layer)
    if name != "score_cam":
        return traced.logits, cam(traced, name, class_index)
    from cxrlab.explain.library_cams import score_cam

    with _as_found(model):
        maps = score_cam(model, images, features=traced.features, classes=traced.classes(class_index))
    return traced.logits, maps.relu()


def cam(traced: Trace, method: str, class_index: ClassIndex = None) -> torch.Tensor:
    """Maps (N, h, w) >= 0, not scaled, from a forward done before, by a method that does not run the model again.

    Raises:
        ValueError: for an unknown method, a class out of range, ScoreCAM, or ``class_weights`` on a head that has none.
    """
    name, classes = cam_method(method).name, traced.classes(class_index)
    if name == "score_cam":
        raise ValueError("ScoreCAM runs the model once for every channel; use explained() with the model instead.")
    if name == "class_weights" and traced.head is None:
        raise ValueError("CAM needs a head of global average pooling and one linear layer; use grad_cam instead.")
    features, gradients = traced.features, traced.gradients(classes)
    if name in _OWN_METHODS:
        return _OWN_METHODS[name](features, gradients).relu().detach()
    from cxrlab.explain.library_cams import library_map

    return library_map(name, features=features, gradients=gradients).relu()


def _grad_cam(features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    weights = gradients.mean(dim=(2, 3))  # (N, K, h, w) -> (N, K)
    return torch.einsum("nk,nkhw->nhw", weights, features)


def _hires_cam(features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    return (gradients * features).sum(dim=1)  # (N, K, h, w) -> (N, h, w)


_OWN_METHODS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "grad_cam": _grad_cam,
    "hires_cam": _hires_cam,
    "class_weights": _grad_cam,
}


def to_heatmap(values: torch.Tensor | np.ndarray, *, class_id: str, method: str, layer: str) -> Heatmap:
    """A map (h, w) scaled to [0, 1] by its largest value; without a positive value, all zero and no evidence."""
    raw = np.maximum(np.nan_to_num(np.asarray(torch.as_tensor(values).detach().cpu(), dtype=np.float32)), 0)
    peak = float(raw.max(initial=0.0))
    scaled = raw / peak if peak > 0 else np.zeros_like(raw)
    return Heatmap(scaled, class_id, method, layer, has_evidence=peak > 0, peak=peak)


@dataclass
class _Seen:
    """What the hooks of one forward caught."""

    leaf: torch.Tensor | None = None
    linear: nn.Linear | None = None
    pooled: torch.Tensor | None = None
    linear_output: torch.Tensor | None = None


@contextmanager
def _watched(model: nn.Module, layer: str) -> Iterator[_Seen]:
    """Hooks on ``layer``, where gradients shall stop, and on the last linear layer, for the length of one forward."""
    seen = _Seen()

    def at_layer(_module: nn.Module, _inputs: Any, output: Any) -> torch.Tensor:
        seen.leaf = checked_map(output, layer).detach().requires_grad_(True)
        return seen.leaf.clone()  # an in-place ReLU that follows must not change the map

    def at_head(module: nn.Linear, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        seen.linear, seen.pooled, seen.linear_output = module, inputs[0].detach(), output.detach()

    hooks = [module_named(model, layer).register_forward_hook(at_layer)]
    try:
        linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
        hooks += [module.register_forward_hook(at_head) for module in linears[-1:]]
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _pooled_by_head(seen: _Seen, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The feature map that the head pools, and the head's weights; the layer's own output and None for other heads."""
    assert seen.leaf is not None  # the caller has looked
    own = seen.leaf.detach()
    if seen.linear is None or seen.pooled is None or seen.pooled.shape != own.shape[:2]:
        return own, None
    if seen.linear_output is None or not torch.equal(seen.linear_output, outputs.detach()):
        return own, None
    for features in (own, own.relu()):
        if torch.allclose(features.mean(dim=(2, 3)), seen.pooled, rtol=1e-3, atol=1e-5):
            return features, seen.linear.weight.detach()
    return own, None


@contextmanager
def _as_found(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and frozen parameters inside; every module's mode and every parameter's flag restored after."""
    modes = {module: module.training for module in model.modules()}
    flags = {parameter: parameter.requires_grad for parameter in model.parameters()}
    try:
        model.eval()
        model.requires_grad_(False)
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)


def _last_map_layer(model: nn.Module, images: torch.Tensor) -> str:
    """Name of the last module to finish with a map larger than 1 x 1."""
    found: list[str] = []

    def note(name: str) -> Callable[..., None]:
        def noted(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
                found.append(name)

        return noted

    hooks = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        with torch.inference_mode():
            model(images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise ValueError("No layer gives a feature map larger than 1 x 1; use larger images or name a layer.")
    return found[-1]
