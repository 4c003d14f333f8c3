"""The networks by name: one decorator, three public verbs."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrlab.models.specs import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    Builder = Callable[..., nn.Module]


_BUILDERS: dict[str, Builder] = {}
_SPECS: dict[str, ModelSpec] = {}


def register(spec: ModelSpec) -> Callable[[Builder], Builder]:
    """Decorator: make ``builder(*, num_classes, pretrained, **options)`` available under ``spec.name``.

    Raises:
        ValueError: when the name is taken.
    """

    def registered(builder: Builder) -> Builder:
        if spec.name in _SPECS:
            raise ValueError(f"A model named {spec.name!r} is registered already; choose another name.")
        _SPECS[spec.name] = spec
        _BUILDERS[spec.name] = builder
        return builder

    return registered


def create_model(
    name: str,
    *,
    num_classes: int,
    pretrained: bool = False,
    weights_file: str | Path | None = None,
    head: str = "linear",
    **options: Any,
) -> nn.Module:
    """Build a network with a head of ``num_classes`` outputs (logits).

    Args:
        name: one of :func:`list_models`.
        num_classes: outputs of the head; 1 for one sigmoid node, whose logits are read as [0, z].
        pretrained: start from ImageNet weights, which downloads them; only ever when the user asked.
        weights_file: start from a local .safetensors, .pt or .pth file of the same network; what belongs to a head of
            another size stays as drawn.
        head: ``linear`` or another of :data:`cxrlab.models.heads.HEADS`.
        **options: arguments of the builder, e.g. ``dropout``.

    Raises:
        ValueError: for an unknown name (with the nearest ones), fewer than 1 class, an unknown option, or a file that
            is not of this network.
        ConnectionError: when ``pretrained`` weights can not be downloaded.
    """
    spec = model_spec(name)
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
    if pretrained and weights_file is not None:
        raise ValueError("Start from ImageNet weights or from a weights_file, not from both; leave one out.")
    if head != "linear":
        options["head"] = head
    try:
        network = _BUILDERS[spec.name](num_classes=num_classes, pretrained=pretrained, **options)
    except TypeError as error:
        raise ValueError(f"{name} does not take these options: {', '.join(options)} ({error}).") from error
    except OSError as error:
        raise ConnectionError(
            f"The ImageNet weights of {name} could not be downloaded ({error}); connect to a network, or give a file "
            "with them (.safetensors, .pt or .pth) as weights_file, or train from scratch."
        ) from error
    if weights_file is not None:
        from cxrlab.models.initial_weights import fill, read_state

        fill(network, read_state(Path(weights_file)), heads=spec.heads, name=name)
    return network


def list_models() -> list[str]:
    """Names of all registered networks, sorted."""
    _load_builders()
    return sorted(_SPECS)


def model_spec(name: str) -> ModelSpec:
    """Facts of one network. Raises ValueError naming the nearest known names."""
    _load_builders()
    if name not in _SPECS:
        near = difflib.get_close_matches(name, _SPECS, n=3)
        nearest = f"nearest: {', '.join(near)}. " if near else ""
        raise ValueError(f"Unknown model {name!r}; {nearest}`cxrlab models` lists all.")
    return _SPECS[name]


def _load_builders() -> None:
    """Import every module of this package, so that a new file registers its networks without a change here."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
