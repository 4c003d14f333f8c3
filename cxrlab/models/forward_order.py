"""The layers of a network in the order in which a forward runs them, seen without computing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

USUAL_SIZE = 224  # pixels


@dataclass(frozen=True, eq=False)
class Visit:
    """One module as a forward met it.

    Args:
        name: dotted. module: itself.
        shape: of its output for one image, without the batch; empty where it gives no tensor.
        after_pooling: does it come behind the last feature map, among the layers of the head?
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    after_pooling: bool

    @property
    def is_leaf(self) -> bool:
        return not any(True for _ in self.module.children())

    @property
    def own_parameters(self) -> list[nn.Parameter]:
        """Parameters of the module itself, not of the modules in it."""
        return list(self.module.parameters(recurse=False))


def forward_order(model: nn.Module, input_size: int | None = None) -> tuple[Visit, ...]:
    """Every module that a forward in evaluation mode runs, a module that runs twice once, by the end of its first run.

    The forward runs on the ``meta`` device: shapes only, so a network of any size takes milliseconds. The model is
    left as found; nobody else may use it meanwhile.

    Args:
        model: a classifier of images (N, 3, S, S).
        input_size: side in pixels; None: the model's own ``input_size`` where it has one, else 224.
    """
    side = input_size or int(getattr(model, "input_size", USUAL_SIZE))
    names = {module: name for name, module in model.named_modules() if name}
    seen: dict[nn.Module, tuple[int, ...]] = {}

    def after(module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.setdefault(module, tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else ())

    hooks = [module.register_forward_hook(after) for module in names]
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        _shape_only_forward(model, side)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    order = list(seen)
    last_map = max((place for place, module in enumerate(order) if len(seen[module]) == 3), default=-1)
    return tuple(
        Visit(names[module], module, seen[module], after_pooling=place > last_map) for place, module in enumerate(order)
    )


def _shape_only_forward(model: nn.Module, side: int) -> None:
    values = [*model.named_parameters(), *model.named_buffers()]
    shapes = {name: value.detach().to("meta") for name, value in values}
    with torch.no_grad():
        torch.func.functional_call(model, shapes, (torch.empty(1, 3, side, side, device="meta"),))
