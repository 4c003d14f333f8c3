"""Weights to start training from: read from a local file and fitted into a network whose head may differ."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

_MENTIONED = 3  # how many wrong weights a sentence names
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # under which training scripts keep the weights
_PREFIXES = ("module.", "model.")  # of networks that were trained inside another module
# Files of torchvision's DenseNets are older than its module names: denselayer1.norm.1 is denselayer1.norm1 now.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)$")


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The weights by name in a .safetensors, .pt or .pth file; pickled objects other than tensors are refused.

    Raises:
        ValueError: when the file is missing, of another kind, damaged, or holds no weights.
    """
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise ValueError(f"A weights_file must end in .safetensors, .pt or .pth, got {path.name}.")
    if not path.is_file():
        raise ValueError(f"The weights_file {path} does not exist; check the path.")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of an unusual pickle protocol; refused or read below
                content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise ValueError(
            f"The weights_file {path.name} must be a complete file of weights alone ({reason}); copy it again, or save "
            "the state_dict of the network."
        ) from error
    return _as_state(content, path.name)


def _as_state(content: Any, name: str) -> dict[str, torch.Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"The weights_file {name} must hold weights by name, got {type(content).__name__}.")
    if odd := next((key for key, value in content.items() if not isinstance(value, torch.Tensor)), None):
        raise ValueError(f"The weights_file {name} must hold weights by name, but {odd!r} is none.")
    state = {str(key): value for key, value in content.items()}
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}


def fill(network: nn.Module, state: Mapping[str, torch.Tensor], *, heads: Sequence[str], name: str) -> list[str]:
    """Copy ``state`` into ``network``; layers of ``heads`` that do not fit keep what they have.

    Args:
        network: changed in place.
        state: values by name, as its ``state_dict`` has them or with another head.
        heads: dotted names of the parts that may differ.
        name: of the network, for the sentence.

    Returns:
        Names of the network's values that were not filled.

    Raises:
        ValueError: when anything outside the heads is missing, too much, or of another shape.
    """
    needed = network.state_dict()
    state = {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}

    def of_head(key: str) -> bool:
        return any(key.startswith(f"{head}.") for head in heads)

    def fits(key: str) -> bool:
        return key in needed and key in state and needed[key].shape == state[key].shape

    layers = {key.rpartition(".")[0] for key in (*needed, *state) if of_head(key) and not fits(key)}
    kept = {key: value for key, value in state.items() if not (of_head(key) and key.rpartition(".")[0] in layers)}
    faults = [f"{key} is not part of it" for key in kept if key not in needed]
    faults += [
        f"{key} must have shape {tuple(needed[key].shape)}, got {tuple(value.shape)}"
        for key, value in kept.items()
        if key in needed and needed[key].shape != value.shape
    ]
    faults += [f"{key} is missing" for key in needed if not (key in kept or of_head(key) or _is_counter(key))]
    if faults:
        more = f" and {len(faults) - _MENTIONED} more" if len(faults) > _MENTIONED else ""
        raise ValueError(f"The weights must be those of {name}, but {'; '.join(faults[:_MENTIONED])}{more}.")
    network.load_state_dict(kept, strict=False)
    return [key for key in needed if key not in kept]


def _is_counter(key: str) -> bool:
    """Batches that a batch norm has seen: not in old files, and of no use here."""
    return key.endswith("num_batches_tracked")
