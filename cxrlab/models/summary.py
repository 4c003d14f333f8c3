"""A network layer by layer: output shapes, parameters, what trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from cxrlab.models.forward_order import Visit


@dataclass(frozen=True)
class LayerSummary:
    """One row: a layer, or a part of the network with all layers in it.

    Args:
        name: dotted. kind: class of its module.
        output_shape: for one image, without the batch, e.g. (1280, 7, 7); empty for what a forward does not run, such
            as an auxiliary head.
        parameters: in it. trainable: how many of them train.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    trainable: int

    @property
    def state(self) -> str:
        """``trainable``, ``frozen``, ``partly`` or, without parameters, nothing."""
        if not self.parameters:
            return ""
        return {self.parameters: "trainable", 0: "frozen"}.get(self.trainable, "partly")


@dataclass(frozen=True)
class Totals:
    """Sums over a network.

    Args:
        parameters: all. trainable, frozen: of them.
        statistics: means and variances of batch norms, which no gradient changes; Keras counts them as parameters
            that do not train.
    """

    parameters: int
    trainable: int
    frozen: int
    statistics: int

    @property
    def keras_total(self) -> int:
        """The total as Keras counts."""
        return self.parameters + self.statistics

    @property
    def keras_frozen(self) -> int:
        """What does not train as Keras counts."""
        return self.frozen + self.statistics


def layers_of(model: nn.Module, input_size: int | None = None, *, depth: int | None = None) -> tuple[LayerSummary, ...]:
    """Every layer in the order of a forward, then those that it does not run. The parameters sum up to the model's.

    Nothing is computed, so any size is fast; the model may be on the ``meta`` device.

    Args:
        model: a classifier of images.
        input_size: side in pixels; None: the model's own, else 224.
        depth: parts of the backbone are summed up to names of this many words: 1 gives ``features``, 2 gives
            ``features.0``. Layers of the head are always told one by one. None: every layer.
    """
    from cxrlab.models.forward_order import forward_order

    visits = forward_order(model, input_size)
    shapes = {visit.name: visit.shape for visit in visits}
    rows = [visit for visit in visits if visit.is_leaf or visit.own_parameters]
    layers = [
        _row(model, name, [(visit.name, visit.module) for visit in group], shapes)
        for name, group in groupby(rows, key=lambda visit: _part(visit, depth))
    ]
    met = {visit.module for visit in rows}
    others = [
        (name, module)
        for name, module in model.named_modules()
        if module not in met and any(True for _ in module.parameters(recurse=False))
    ]
    left = groupby(others, key=lambda each: each[0] if depth is None else each[0].split(".")[0])
    return (*layers, *(_row(model, name, list(group), {}) for name, group in left))


def _part(visit: Visit, depth: int | None) -> str:
    whole = depth is None or visit.after_pooling
    return visit.name if whole else ".".join(visit.name.split(".")[:depth])


def _row(
    model: nn.Module, name: str, members: Sequence[tuple[str, nn.Module]], shapes: dict[str, tuple[int, ...]]
) -> LayerSummary:
    own = [parameter for _, module in members for parameter in module.parameters(recurse=False)]
    return LayerSummary(
        name=name,
        kind=type(model.get_submodule(name)).__name__,
        output_shape=shapes.get(name, shapes.get(members[-1][0], ())),
        parameters=sum(parameter.numel() for parameter in own),
        trainable=sum(parameter.numel() for parameter in own if parameter.requires_grad),
    )


def totals_of(model: nn.Module) -> Totals:
    """Parameters and batch-norm statistics of a whole network."""
    parameters = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    total, trainable = sum(count for count, _ in parameters), sum(count for count, trains in parameters if trains)
    running = (buffer for name, buffer in model.named_buffers() if "running_" in name)
    return Totals(total, trainable, total - trainable, sum(buffer.numel() for buffer in running))
