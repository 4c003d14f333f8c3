"""AI-COVID's slice classifier: EfficientNet-B4 features, flattened, and a tapering dense head.

The published one has a single sigmoid node; as FLANNEL's baseline its last layer has one output per class.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torchvision import models

from cxrlab.config import in_range
from cxrlab.models.covid_net import check_side
from cxrlab.models.registry import register
from cxrlab.models.specs import SPECS

WIDTHS = (256, 128, 64, 32, 16)
DROPOUT = 0.5  # before every hidden layer but the first
CHANNELS = 1792  # of the last feature map


class AiCovid(nn.Module):
    """(N, 3, S, S) -> (N, 1792, s, s) with s = S / 32 rounded up, flattened, five dense layers, logits.

    Args:
        num_classes: outputs.
        input_size: side of the input in pixels, in [32, 1024]; 224 gives the published head of 87,808 inputs.

    Raises:
        ValueError: for a size out of range; in ``forward`` for images of another size.
    """

    def __init__(self, num_classes: int, *, input_size: int = 224) -> None:
        super().__init__()
        in_range("input_size", input_size, 32, 1024)
        self.input_size = input_size
        self.features = models.efficientnet_b4(weights=None).features
        sizes = (CHANNELS * (-(-input_size // 32)) ** 2, *WIDTHS)
        layers: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(pairwise(sizes)):
            layers += [nn.Dropout(DROPOUT)] if place else []
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.BatchNorm1d(outputs)]
        self.classifier = nn.Sequential(*layers, nn.Linear(WIDTHS[-1], num_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        check_side(images, self.input_size, "ai_covid")
        return self.classifier(self.features(images).flatten(1))


@register(SPECS["ai_covid"])
def ai_covid(*, num_classes: int, pretrained: bool = False, input_size: int = 224) -> nn.Module:
    """The network of :class:`AiCovid`; ``pretrained`` takes the features' ImageNet weights."""
    network = AiCovid(num_classes, input_size=input_size)
    if pretrained:
        from cxrlab.models.initial_weights import fill

        state = models.EfficientNet_B4_Weights.DEFAULT.get_state_dict(progress=False, check_hash=True)
        fill(network, state, heads=("classifier",), name="ai_covid")
    return network
