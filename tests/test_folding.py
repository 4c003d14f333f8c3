"""Folded networks: same numbers, only safe pairs, nobody else disturbed."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from cxrlab.folding import optimise
from cxrlab.inference import forward_with_features
from cxrlab.models.registry import list_models, model_spec
from tests.conftest import LIGHT_NETWORKS, random_network

SIDE = 64
OTHERS = sorted(name for name in set(list_models()) - set(LIGHT_NETWORKS) - {"vgg19"} if not model_spec(name).own_size)
NETWORKS = [*LIGHT_NETWORKS, *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)]


@pytest.mark.parametrize("name", NETWORKS)
def test_optimised_network_gives_the_same_probabilities(name: str) -> None:
    """Against the network as torchvision made it, within the 1e-4 promised."""
    plain = random_network(name).requires_grad_(False)
    side = max(SIDE, model_spec(name).smallest_size)
    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        spread = plain(images).std()  # the random head is far too sure of itself: bring the logits near 1
        expected = functional.softmax(plain(images) / spread, dim=1)
        fast = optimise(copy.deepcopy(plain))
        assert torch.allclose(functional.softmax(fast(images) / spread, dim=1), expected, atol=1e-4)
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) for model in (plain, fast)]
    assert norms[1] < norms[0] or name == "resnetv2_50"  # timm joins norm and activation


@pytest.mark.parametrize("name", NETWORKS)
def test_optimised_network_keeps_the_feature_map(name: str) -> None:
    plain = random_network(name).requires_grad_(False)
    side = max(SIDE, model_spec(name).smallest_size)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    layer = model_spec(name).cam_layer
    before, after = (
        forward_with_features(model, images, layer)[1] for model in (plain, optimise(copy.deepcopy(plain)))
    )
    assert torch.allclose(before, after, atol=1e-3 * float(before.abs().max()))


class _Shared(nn.Module):
    """One batch norm for two convolutions, and a convolution that is also used without its norm: nothing may fold."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.shared, self.own = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        for norm in (self.shared, self.own):
            nn.init.uniform_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        third = self.three(x)
        return self.shared(self.one(x)) + self.shared(self.two(x)) + self.own(third) + third


class _Branching(nn.Module):
    """What becomes of the convolution's output depends on its values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.norm(x) if x.sum() != 0 else x


@pytest.mark.parametrize("make", [_Shared, _Branching])
def test_only_safe_pairs_are_folded(make: type[nn.Module]) -> None:
    model = make().eval().requires_grad_(False)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    images = torch.rand(2, 3, 8, 8)
    before = model(images)
    assert torch.allclose(optimise(model)(images), before, atol=1e-6)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == norms


def test_a_pair_in_a_row_is_folded() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)).eval().requires_grad_(False)
    nn.init.uniform_(model[1].running_var, 0.5, 2)  # type: ignore[arg-type]
    images = torch.rand(2, 3, 8, 8)
    before = model(images)
    assert torch.allclose(optimise(model)(images), before, atol=1e-6)
    assert isinstance(model[1], nn.Identity)


def test_a_model_for_other_inputs_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).eval()
    assert torch.equal(optimise(model)(torch.ones(1, 3, 2, 2)), model(torch.ones(1, 3, 2, 2)))


def test_forwards_of_other_threads_are_not_disturbed() -> None:
    busy = random_network("shufflenet_v2_x0_5").requires_grad_(False)
    images = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    expected, errors, stop = busy(images), [], threading.Event()

    def compute() -> None:
        while not stop.is_set():
            try:
                assert torch.allclose(busy(images), expected, atol=1e-3)
            except Exception as error:
                errors.append(error)

    thread = threading.Thread(target=compute)
    thread.start()
    for _ in range(5):
        optimise(random_network("shufflenet_v2_x1_0").requires_grad_(False))
    stop.set()
    thread.join()
    assert errors == []
