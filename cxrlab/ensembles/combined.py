"""A fitted combiner of members: from their probabilities to scores and weights, and its weights in a file."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from cxrlab.config import one_of
from cxrlab.ensembles.combiner_config import KINDS
from cxrlab.ensembles.flannel import NeuralWeightModule
from cxrlab.ensembles.stacking import EnsembleMLP
from cxrlab.results import History


class CombinerError(ValueError):
    """A combiner can not be fitted or read; the text is one sentence for the user."""


@dataclass(frozen=True, eq=False)
class Combined:
    """What a combiner says of B images.

    Args:
        scores: (B, M) float64 in (0, 1), rows sum to 1.
        weights: (B, N) float64 weights of the members in (-1, 1); None for a perceptron, which has none.
    """

    scores: np.ndarray
    weights: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Combiner:
    """A fitted combiner of N members and M classes.

    Args:
        kind: one of ``KINDS``. module: its network, on the CPU.
        history: how the fitting went; None for one that was read from a file.
    """

    kind: str
    module: NeuralWeightModule | EnsembleMLP
    history: History | None = None

    @property
    def num_learners(self) -> int:
        return self.module.num_learners

    @property
    def num_classes(self) -> int:
        return self.module.num_classes

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())

    def combine(self, probabilities: np.ndarray) -> Combined:
        """(B, N, M) members' probabilities -> scores and weights, in float64, each image for itself.

        Raises:
            ValueError: for another shape.
        """
        module = copy.deepcopy(self.module).double()
        given = torch.from_numpy(np.ascontiguousarray(probabilities, dtype=np.float64))
        with torch.inference_mode():
            scores = module(given).softmax(dim=1).numpy()
            weights = module.weights(given).numpy() if isinstance(module, NeuralWeightModule) else None
        return Combined(scores, weights)

    def save(self, path: Path) -> None:
        """Write the weights as float32 safetensors; what they are for is in the file's metadata.

        The same combiner gives the same bytes: one metadata entry, because safetensors writes several in any order.
        """
        activation = "none" if isinstance(getattr(self.module, "activation", None), nn.Identity) else "relu"
        facts = {
            "kind": self.kind,
            "num_learners": self.num_learners,
            "num_classes": self.num_classes,
            "activation": activation,
        }
        state = {name: value.float().contiguous() for name, value in self.module.state_dict().items()}
        save_file(state, path, {"combiner": json.dumps(facts)})

    @classmethod
    def load(cls, path: Path) -> Combiner:
        """Read what :meth:`save` wrote; nothing in the file is executed.

        Raises:
            CombinerError: when the file is no complete combiner or its weights do not have the right shapes.
        """
        try:
            with safe_open(path, framework="pt") as file:
                facts = json.loads((file.metadata() or {})["combiner"])
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
            module = new_module(
                facts["kind"], int(facts["num_learners"]), int(facts["num_classes"]), activation=facts["activation"]
            )
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise CombinerError(
                f"{path.name} must be a combiner's safetensors file written by cxrlab ({error}); copy it again."
            ) from error
        wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        given = {name: tuple(value.shape) for name, value in state.items()}
        if given != wanted or not all(value.is_floating_point() for value in state.values()):
            raise CombinerError(f"{path.name} must hold weights of the shapes {wanted}, got {given}.")
        if not all(bool(value.isfinite().all()) for value in state.values()):
            raise CombinerError(f"{path.name} must hold finite weights, but some are not; fit the combiner again.")
        module.load_state_dict({name: value.float() for name, value in state.items()})
        return cls(facts["kind"], module.requires_grad_(False).eval())


def new_module(
    kind: str, num_learners: int, num_classes: int, *, activation: str = "relu"
) -> NeuralWeightModule | EnsembleMLP:
    """An unfitted network of a kind. Raises ValueError for an unknown one or too few learners or classes."""
    one_of("kind", kind, KINDS)
    if kind == "flannel":
        return NeuralWeightModule(num_learners, num_classes)
    return EnsembleMLP(num_learners, num_classes, layers=1 if kind == "mlp_l1" else 2, activation=activation)
