"""Weights in safetensors files: written as float16 or float32, read memory-mapped into unfilled networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from cxrlab.cards import CheckpointError
from cxrlab.config import ModelConfig
from cxrlab.models.registry import create_model

_MENTIONED = 3  # how many wrong weights a sentence names
_RANDOM_VALUES = {
    *(nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_),
    *(torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_),
}


def write_weights(path: Path, model: nn.Module, config: ModelConfig, *, dtype: str, name: str) -> None:
    """Write the state of ``model``, floating-point values as ``dtype``, the others as they are.

    Raises:
        CheckpointError: when the state does not fit the network of ``config`` or is not finite in ``dtype``.
    """
    network = network_skeleton(config, name=name)
    state = {
        key: value.detach().to("cpu", getattr(torch, dtype) if value.is_floating_point() else value.dtype, copy=True)
        for key, value in model.state_dict().items()
    }
    _check_fit(network, {key: (tuple(value.shape), value.is_floating_point()) for key, value in state.items()}, name)
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"Checkpoint {name}: {key} must be finite in {dtype}, but it is not; try float32.")
    save_file({key: value.contiguous() for key, value in state.items()}, path)


def load_network(path: Path, config: ModelConfig, *, name: str) -> nn.Module:
    """The network of ``config`` with the weights of ``path``: evaluation mode, float32, no gradients.

    Float32 files stay memory-mapped until a weight is first used; float16 is converted.

    Raises:
        CheckpointError: when the file is no complete safetensors file or its weights do not fit the network.
    """
    network = network_skeleton(config, name=name)
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"Checkpoint {name}: {path.name} must be a complete safetensors file ({error}); copy it again."
        ) from error
    _check_fit(network, {key: (tuple(value.shape), value.is_floating_point()) for key, value in state.items()}, name)
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def network_skeleton(config: ModelConfig, *, name: str) -> nn.Module:
    """The network with whatever values its memory held; buffers that no weights file holds are right.

    Raises:
        CheckpointError: for an unknown architecture or options that it does not take.
    """
    try:
        if refused := {"pretrained", "weights_file"} & set(config.options):  # a card must not fetch or read anything
            raise ValueError(f"its options must not have {', '.join(sorted(refused))}.")
        with _WithoutRandomValues():
            return create_model(config.name, num_classes=config.num_classes, **config.options)
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"Checkpoint {name}: its network can not be built: {error}") from error


class _WithoutRandomValues(TorchFunctionMode):
    """Draws no random start values, which cost more than all else in building a network. This thread only.

    The ``meta`` device would do too, but it costs twice as much on small networks and loses non-persistent buffers.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _RANDOM_VALUES:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _check_fit(network: nn.Module, given: Mapping[str, tuple[tuple[int, ...], bool]], name: str) -> None:
    """Raise CheckpointError unless keys, shapes and kinds (floating point or not) are those of the network."""
    needed = {key: (tuple(value.shape), value.is_floating_point()) for key, value in network.state_dict().items()}
    faults = [f"{key} is missing" for key in needed if key not in given]
    faults += [f"{key} is not part of it" for key in given if key not in needed]
    faults += [
        f"{key} must have shape {needed[key][0]}, got {shape}"
        for key, (shape, _) in given.items()
        if key in needed and shape != needed[key][0]
    ]
    faults += [
        f"{key} has the wrong number type"
        for key, (shape, floating) in given.items()
        if key in needed and (shape, not floating) == needed[key]
    ]
    if faults:
        more = f" and {len(faults) - _MENTIONED} more" if len(faults) > _MENTIONED else ""
        raise CheckpointError(
            f"Checkpoint {name}: the weights must fit the network, but {'; '.join(faults[:_MENTIONED])}{more}."
        )
