"""PEPX-ResNet: counts of its parts, what A, B and C do, and both kinds of PEPX input."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from cxrlab.models.pepx_resnet import STRIDES, WIDTHS, PepxBlock, PepxPath, PepxResNet
from cxrlab.models.registry import create_model


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_the_network_and_its_paths() -> None:
    """Spec 1.12: 11,839,439 with 3 classes = ResNet-18 + four paths + 12 scalars; 14,080 statistics."""
    network = create_model("pepx_resnet", num_classes=3)
    assert parameters(network) == 11_839_439
    assert sum(value.numel() for value in network.buffers() if value.is_floating_point()) == 14_080
    paths = [parameters(network.get_submodule(f"pepx{number}")) for number in (1, 2, 3, 4)]
    assert paths == [28_352, 30_528, 120_960, 481_536]
    assert parameters(create_model("resnet18", num_classes=3)) == 11_178_051 == 11_839_439 - sum(paths) - 12


@pytest.mark.parametrize("pepx_input", ["chain", "block"])
def test_both_inputs_have_as_many_parameters(pepx_input: str) -> None:
    assert parameters(create_model("pepx_resnet", num_classes=3, pepx_input=pepx_input)) == 11_839_439


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(64, 64, 1), (64, 128, 2)])
def test_without_pepx_a_block_is_relu_of_f_f1_and_x(inputs: int, outputs: int, stride: int) -> None:
    """Spec 1.12: C = 0, A = B = 1 gives ReLU(F + F1 + x), whatever the path says."""
    block = PepxBlock(inputs, outputs, stride, coefficients=(1, 1, 0)).eval()
    x = torch.randn(2, inputs, 8, 8)
    shortcut, first = block.shortcut(x), block.first(x)
    last = block.last(functional.relu(first + shortcut))
    path = torch.randn_like(first)
    assert torch.allclose(block(x, path), functional.relu(last + first + shortcut), atol=1e-6)


def test_coefficients_weigh_the_parts() -> None:
    block = PepxBlock(64, 64, 1, coefficients=(0.5, -2.0, 3.0)).eval()
    x, path = torch.randn(1, 64, 4, 4), torch.randn(1, 64, 4, 4)
    first = block.first(x)
    last = block.last(functional.relu(first + x))
    assert torch.allclose(block(x, path), functional.relu(last + 0.5 * first - 2 * x + 3 * path), atol=1e-5)


def test_coefficients_are_learned_from_one() -> None:
    network = PepxResNet(3).train()
    assert network.coefficients() == {f"block{number}.{name}": 1.0 for number in (1, 2, 3, 4) for name in "abc"}
    network(torch.randn(2, 3, 64, 64)).square().sum().backward()
    gradients = [network.get_parameter(name).grad for name in network.coefficients()]
    assert all(gradient is not None and gradient != 0 for gradient in gradients)


def test_fixed_coefficients_are_neither_learned_nor_stored() -> None:
    network = create_model("pepx_resnet", num_classes=3, coefficients=[1, 1, 0])
    assert parameters(network) == 11_839_439 - 12
    assert network.coefficients()["block3.c"] == 0.0
    assert not [key for key in network.state_dict() if key in network.coefficients()]


def test_the_chain_flows_from_the_paths_to_the_backbone_only() -> None:
    """A change of block 1 reaches the paths with ``block`` input, never those of the chain."""
    for pepx_input, changes in (("chain", False), ("block", True)):
        torch.manual_seed(0)
        network = PepxResNet(3, pepx_input=pepx_input).eval()
        seen: list[torch.Tensor] = []
        network.pepx4.register_forward_hook(lambda _module, _inputs, output, seen=seen: seen.append(output))
        images = torch.randn(1, 3, 64, 64)
        network(images)
        nn.init.zeros_(network.block1.last[0].weight)
        nn.init.constant_(network.block1.last[4].bias, 3.0)
        network(images)
        assert torch.equal(*seen) is not changes


def test_depthwise_paths_are_smaller() -> None:
    """The 3 x 3 with 3 ci / 4 groups, by hand."""
    full, slim = PepxPath(64, 64, 1), PepxPath(64, 64, 1, depthwise=True)
    assert parameters(full) - parameters(slim) == 48 * 48 * 9 - 48 * 9


def test_a_dense_head() -> None:
    assert create_model("pepx_resnet", num_classes=2, head="mlp_512_64_32").eval()(torch.zeros(1, 3, 32, 32)).shape == (
        *(1, 2),
    )


def test_path_and_block_have_one_shape() -> None:
    for inputs, outputs, stride in zip((64, *WIDTHS), WIDTHS, STRIDES, strict=False):
        x = torch.zeros(1, inputs, 16, 16)
        path = PepxPath(inputs, outputs, stride).eval()(x)
        assert path.shape == (1, outputs, 16 // stride, 16 // stride)
        assert PepxBlock(inputs, outputs, stride).eval()(x, path).shape == path.shape


def test_refusals() -> None:
    with pytest.raises(ValueError, match="pepx_input must be one of chain, block, got 'both'"):
        create_model("pepx_resnet", num_classes=3, pepx_input="both")
    with pytest.raises(ValueError, match="coefficients must be A, B and C or None, got 2 values"):
        create_model("pepx_resnet", num_classes=3, coefficients=(1, 1))
    with pytest.raises(ValueError, match="no ImageNet weights for pepx_resnet"):
        create_model("pepx_resnet", num_classes=3, pretrained=True)
