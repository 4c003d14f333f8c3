"""Features of a frozen backbone, computed once, on which its head is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from cxrlab.models.freezing import keep_frozen_in_inference_mode

LARGEST_BYTES = 2**30  # features of all images together, in memory
BLOCK = 64  # images in one forward

Forward = Callable[[], Any]


def head_of(model: nn.Module) -> nn.Module | None:
    """The outermost module whose parameters are all the trained ones of the model; None when there is none.

    Dropout before a linear layer is part of the head when both are in one module, as torchvision has it.
    """
    parent = model
    while True:
        training = [child for child in parent.children() if any(p.requires_grad for p in child.parameters())]
        if len(training) != 1 or any(p.requires_grad for p in parent.parameters(recurse=False)):
            return None
        if all(p.requires_grad for p in training[0].parameters()):
            return training[0]
        parent = training[0]


def head_input(head: nn.Module, forward: Forward) -> tuple[torch.Tensor | None, Any]:
    """What ``forward()`` gives to the head, and what it returns. None when the head takes anything but one tensor."""
    kept: list[Any] = []

    def keep(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        kept.append(inputs)

    hook = head.register_forward_pre_hook(keep)
    try:
        output = forward()
    finally:
        hook.remove()
    alone = len(kept) == 1 and len(kept[0]) == 1 and isinstance(kept[0][0], torch.Tensor)
    return (kept[0][0].detach() if alone else None), output


def cacheable_head(model: nn.Module, batch: torch.Tensor, images: int) -> nn.Module | None:
    """The head, when training it on stored features gives what training the whole model gives.

    That is so when everything before the head is frozen and gives the same features in training as in evaluation
    (no dropout), the model returns what the head returns, and the features of all images fit into 1 GiB. All of it
    is tried with ``batch``.

    Args:
        model: with its parameters frozen; left in evaluation mode.
        batch: a few images (n, 3, S, S). images: how many there are in all.
    """
    head = None if all(parameter.requires_grad for parameter in model.parameters()) else head_of(model)
    if head is None:
        return None
    with torch.no_grad(), torch.random.fork_rng():
        model.train()
        keep_frozen_in_inference_mode(model)
        while_training, _ = head_input(head, lambda: model(batch))
        model.eval()
        features, output = head_input(head, lambda: model(batch))
        if while_training is None or features is None or not torch.equal(while_training, features):
            return None
        same = isinstance(output, torch.Tensor) and torch.allclose(head(features), output)
    size = features[0].numel() * 4 * images
    return head if same and size <= LARGEST_BYTES else None


def stored_features(
    head: nn.Module,
    forward: Callable[[str, int, int], Any],
    counts: Mapping[str, int],
    *,
    tell: Callable[[str], None],
    stop: Callable[[], bool],
) -> dict[str, torch.Tensor]:
    """What the head of a network is given for the images of each set, (N, ...) float32 on the CPU.

    Args:
        forward: of the network, for images ``start`` to ``stop`` of a set. counts: images in each set.
        stop: asked after each block; the result is empty when it says so.
    """
    stored: dict[str, torch.Tensor] = {}
    total, done = sum(counts.values()), 0
    for name, count in counts.items():
        parts = []
        for start in range(0, count, BLOCK):
            end = min(start + BLOCK, count)
            with torch.no_grad():
                features, _ = head_input(head, lambda name=name, start=start, end=end: forward(name, start, end))  # type: ignore[misc]
            assert features is not None
            parts.append(features.float().cpu())
            done += end - start
            tell(f"features of {done} of {total} images")
            if stop():
                return {}
        stored[name] = torch.cat(parts)
    return stored
