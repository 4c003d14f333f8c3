"""PEPX-ResNet: a ResNet-18 whose four stages each take in a projection-expansion path with learned shares.

The paper gives the formula Y = F(F1(x) + x) + A F1(x) + B x + C PEPX(X) and the order of the PEPX layers; widths,
strides, norms and activations are ours (docs/systems.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from cxrlab.config import one_of
from cxrlab.models.heads import dense_head
from cxrlab.models.registry import register
from cxrlab.models.specs import SPECS

WIDTHS = (64, 128, 256, 512)
STRIDES = (1, 2, 2, 2)


class PepxPath(nn.Sequential):
    """1 x 1 down to a half, 1 x 1 up to three quarters, 3 x 3, 1 x 1 back to the half, 1 x 1 to the width needed.

    A batch norm after each convolution, ReLU after all but the last. The 3 x 3 is a full convolution, as the paper
    says; COVID-Net's is depth-wise, here an option.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, depthwise: bool = False) -> None:
        half, wide = inputs // 2, 3 * inputs // 4
        groups = wide if depthwise else 1
        middle = nn.Conv2d(wide, wide, 3, stride, padding=1, groups=groups, bias=False)
        super().__init__(
            *(nn.Conv2d(inputs, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)),
            *(nn.Conv2d(half, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)),
            *(middle, nn.BatchNorm2d(wide), nn.ReLU(inplace=True)),
            *(nn.Conv2d(wide, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)),
            *(nn.Conv2d(half, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )


class PepxBlock(nn.Module):
    """ReLU(F(h) + A F1(x) + B s(x) + C p) with h = ReLU(F1(x) + s(x)); s is a 1 x 1 shortcut where shapes change.

    Args:
        inputs, outputs, stride: of the block.
        coefficients: A, B, C when they are fixed; None: learned, from 1.
    """

    a: torch.Tensor
    b: torch.Tensor
    c: torch.Tensor

    def __init__(self, inputs: int, outputs: int, stride: int, coefficients: Sequence[float] | None = None) -> None:
        super().__init__()
        self.first = _two_convolutions(inputs, outputs, stride)
        self.last = _two_convolutions(outputs, outputs, 1)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else _projection(inputs, outputs, stride)
        for position, name in enumerate("abc"):
            if coefficients is None:
                self.register_parameter(name, nn.Parameter(torch.ones(())))
            else:
                value = torch.tensor(float(coefficients[position]))
                self.register_buffer(name, value, persistent=False)

    def forward(self, x: torch.Tensor, pepx: torch.Tensor) -> torch.Tensor:
        shortcut, first = self.shortcut(x), self.first(x)
        last = self.last(functional.relu(first + shortcut))
        return functional.relu(last + self.a * first + self.b * shortcut + self.c * pepx)


class PepxResNet(nn.Module):
    """Stem, four blocks beside four PEPX paths, global average pooling, one head.

    Args:
        num_classes: outputs.
        pepx_input: ``chain``: the paths form a network of their own from the stem on, and data flow from it into the
            backbone only; ``block``: each path reads its block's input.
        coefficients: A, B, C for all blocks when they are fixed; None: learned, from 1.
        depthwise: depth-wise 3 x 3 in the paths.
        head: name of a head.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        pepx_input: str = "chain",
        coefficients: Sequence[float] | None = None,
        depthwise: bool = False,
        head: str = "linear",
    ) -> None:
        super().__init__()
        one_of("pepx_input", pepx_input, ("chain", "block"))
        if coefficients is not None and len(coefficients) != 3:
            raise ValueError(f"coefficients must be A, B and C or None, got {len(coefficients)} values.")
        self.pepx_input = pepx_input
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        for number, (inputs, outputs, stride) in enumerate(zip((64, *WIDTHS), WIDTHS, STRIDES, strict=False), start=1):
            self.add_module(f"pepx{number}", PepxPath(inputs, outputs, stride, depthwise=depthwise))
            self.add_module(f"block{number}", PepxBlock(inputs, outputs, stride, coefficients))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(WIDTHS[-1], num_classes) if head == "linear" else dense_head(head, WIDTHS[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as torchvision's ResNet
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = chain = self.stem(images)  # (N, 3, S, S) -> (N, 64, S/4, S/4)
        for number in range(1, len(WIDTHS) + 1):
            chain = self.get_submodule(f"pepx{number}")(chain if self.pepx_input == "chain" else x)
            x = self.get_submodule(f"block{number}")(x, chain)
        return self.fc(self.pool(x).flatten(1))  # (N, 512, S/32, S/32) -> (N, num_classes)

    def coefficients(self) -> dict[str, float]:
        """A, B and C of each block: ``{"block1.a": 1.0, …}``."""
        return {
            f"block{number}.{name}": float(getattr(self.get_submodule(f"block{number}"), name).detach())
            for number in range(1, len(WIDTHS) + 1)
            for name in "abc"
        }


def _two_convolutions(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


@register(SPECS["pepx_resnet"])
def pepx_resnet(*, num_classes: int, pretrained: bool = False, **options: object) -> nn.Module:
    """The network of :class:`PepxResNet`, whose arguments are the options; there are no ImageNet weights for it."""
    if pretrained:
        raise ValueError("There are no ImageNet weights for pepx_resnet; train it from scratch or give a weights_file.")
    return PepxResNet(num_classes, **options)  # type: ignore[arg-type]
