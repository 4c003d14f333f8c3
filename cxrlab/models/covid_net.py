"""COVID-Net: projection-expansion-projection-extension (PEPX) blocks with connections over whole stages.

Written anew from layer tables (docs/systems.md); no published port matches the published parameter counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from cxrlab.config import in_range, one_of
from cxrlab.models.registry import register
from cxrlab.models.specs import SPECS

DEPTHS = (3, 4, 6, 3)  # PEPX blocks of each stage
REDUCTION = 32  # side of the input to side of the last map


@dataclass(frozen=True)
class Preset:
    """One variant.

    Args:
        stem: channels of the first convolution. widths: of the four stages.
        hidden: width of the layer between map and logits; 0: none.
        long_range: a 1 x 1 convolution around each stage. norm: a batch norm at the end of each PEPX block.
    """

    stem: int
    widths: tuple[int, int, int, int]
    hidden: int = 0
    long_range: bool = False
    norm: bool = False


PRESETS = {
    "flannel": Preset(64, (256, 512, 1024, 2048)),
    "large": Preset(64, (256, 512, 1024, 2048), hidden=1024, long_range=True),
    "compact": Preset(56, (56, 112, 216, 424), hidden=512, long_range=True, norm=True),
    "compact_small": Preset(56, (56, 112, 216, 424), hidden=512, norm=True),
}


class Pepx(nn.Sequential):
    """1 x 1 to a half, 1 x 1 to three quarters, depth-wise 3 x 3, 1 x 1 to the half, 1 x 1 to the width needed.

    Every convolution has a bias; there is no activation inside, as in the ports that FLANNEL's baseline came from.
    """

    def __init__(self, inputs: int, outputs: int, *, norm: bool = False) -> None:
        half, wide = inputs // 2, 3 * inputs // 4
        super().__init__(
            nn.Conv2d(inputs, half, 1),
            nn.Conv2d(half, wide, 1),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide),
            nn.Conv2d(wide, half, 1),
            nn.Conv2d(half, outputs, 1),
            *([nn.BatchNorm2d(outputs)] if norm else []),
        )


class Stage(nn.Module):
    """PEPX blocks, each on the sum of all outputs before it in this stage.

    Args:
        inputs, outputs: channels. depth: number of blocks.
        halve: max-pool every input by 2, each for itself, before they are summed.
        long_range: a 1 x 1 convolution of the summed inputs, pooled behind it, stands beside the blocks' outputs.
    """

    def __init__(self, inputs: int, outputs: int, depth: int, *, halve: bool, long_range: bool, norm: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Pepx(inputs if place == 0 else outputs, outputs, norm=norm) for place in range(depth)
        )
        self.long_range = nn.Conv2d(inputs, outputs, 1) if long_range else None
        self.halve = halve

    def forward(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Outputs of the stage before, or of the stem alone -> the long-range one, if any, and those of the blocks."""
        outputs = [] if self.long_range is None else [self._halved(self.long_range(_sum(inputs)))]
        first = self.blocks[0](_sum([self._halved(each) for each in inputs]))
        outputs.append(first)
        for block in self.blocks[1:]:
            outputs.append(block(_sum(outputs)))
        return outputs

    def _halved(self, x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(x, 2) if self.halve else x


class Features(nn.Module):
    """Stem and four stages: (N, 3, S, S) -> (N, widths[3], S/32, S/32), the sum of the last stage's outputs."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, preset.stem, 7, stride=2, padding=3)
        widths = (preset.stem, *preset.widths)
        self.stages = nn.ModuleList(
            Stage(
                widths[place],
                widths[place + 1],
                depth,
                halve=place > 0,
                long_range=preset.long_range,
                norm=preset.norm,
            )
            for place, depth in enumerate(DEPTHS)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs = [functional.max_pool2d(functional.relu(self.stem(images)), 2)]  # (N, stem, S/4, S/4)
        for stage in self.stages:
            outputs = stage(outputs)
        return _sum(outputs)


class CovidNet(nn.Module):
    """COVID-Net for pictures of one size: its head is fully connected to every place of the last map.

    Args:
        num_classes: outputs. preset: one of :data:`PRESETS`.
        input_size: side of the input in pixels, a multiple of 32; 224 gives the published sizes.

    Raises:
        ValueError: for another preset or size; in ``forward`` for images of another size.
    """

    def __init__(self, num_classes: int, *, preset: str = "flannel", input_size: int = 224) -> None:
        super().__init__()
        one_of("preset", preset, tuple(PRESETS))
        in_range("input_size", input_size, REDUCTION, 1024)
        if input_size % REDUCTION:
            raise ValueError(f"input_size must be a multiple of {REDUCTION}, got {input_size}.")
        chosen, self.input_size = PRESETS[preset], input_size
        flat = chosen.widths[-1] * (input_size // REDUCTION) ** 2
        self.features = Features(chosen)
        self.fc = nn.Sequential(nn.Linear(flat, chosen.hidden), nn.ReLU()) if chosen.hidden else nn.Identity()
        self.classifier = nn.Linear(chosen.hidden or flat, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        check_side(images, self.input_size, "covid_net")
        return self.classifier(self.fc(self.features(images).flatten(1)))


def check_side(images: torch.Tensor, side: int, name: str) -> None:
    """Raise ValueError unless images are (N, 3, side, side)."""
    if images.shape[2:] != (side, side):
        given = " x ".join(map(str, images.shape[2:]))
        raise ValueError(
            f"This {name} was built for {side} x {side} px, got {given}; build it with input_size={images.shape[-1]}."
        )


def _sum(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    total = maps[0]
    for each in maps[1:]:
        total = total + each
    return total


@register(SPECS["covid_net"])
def covid_net(*, num_classes: int, pretrained: bool = False, **options: object) -> nn.Module:
    """The network of :class:`CovidNet`, whose arguments are the options; there are no ImageNet weights for it."""
    if pretrained:
        raise ValueError("There are no ImageNet weights for covid_net; train it from scratch or give a weights_file.")
    return CovidNet(num_classes, **options)  # type: ignore[arg-type]
