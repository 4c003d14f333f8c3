"""Class activation maps against hand computation and pytorch-grad-cam, and the model left as it was."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from cxrlab.checkpoints import load_checkpoint
from cxrlab.explain.cam import cam, explain, explained, grad_cam, to_heatmap, trace
from cxrlab.explain.methods import CAM_METHODS, cam_method
from cxrlab.models.registry import model_spec
from tests.conftest import LIGHT_NETWORKS, random_network

SIDE = 96
LAYERS = {"shufflenet_v2_x0_5": "conv5", "resnet18": "layer4", "mobilenet_v2": "features.18"}


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=sorted(LAYERS))
def network(request: pytest.FixtureRequest) -> tuple[nn.Module, str]:
    return random_network(request.param), LAYERS[request.param]


class _DeepHead(nn.Module):
    """A network whose head is more than pooling and one linear layer, with an in-place ReLU behind its last map."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(128, 16), nn.Tanh(), nn.Linear(16, outputs))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.act(self.body(images))))


@pytest.fixture
def deep() -> nn.Module:
    torch.manual_seed(3)
    return _DeepHead().eval()


def as_library(maps: torch.Tensor) -> np.ndarray:
    """Scaled and enlarged as pytorch-grad-cam does: once for the layer, once more over its layers."""
    return scale_cam_image(scale_cam_image(maps.numpy(), (SIDE, SIDE)), (SIDE, SIDE))


def facts(model: nn.Module) -> tuple[object, ...]:
    """Everything that a look inside must not change."""
    return (
        [module.training for module in model.modules()],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
         for module in model.modules()],
        [(parameter.requires_grad, parameter.grad) for parameter in model.parameters()],
        {key: value.double().sum().item() for key, value in model.state_dict().items()},
    )  # fmt: skip


@pytest.mark.parametrize("name", LIGHT_NETWORKS)
def test_logits_are_those_of_a_plain_forward(name: str, images: torch.Tensor) -> None:
    model = random_network(name)
    logits, maps = grad_cam(model, images, layer=model_spec(name).cam_layer)
    with torch.inference_mode():
        assert torch.allclose(logits, model(images), atol=1e-6)
    assert maps.shape == (3, 3, 3)
    assert (maps >= 0).all()


def test_specification_example() -> None:
    """The two-channel example with given gradients (spec 3.6): map [[0, .2], [.55, .9]]."""
    from cxrlab.explain import cam as module

    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[4.0, 3.0], [2.0, 1.0]]]])
    gradients = torch.tensor([[[[0.1, 0.2], [0.3, 0.4]], [[-0.1, -0.1], [-0.1, -0.1]]]])
    expected = torch.tensor([[[0.0, 0.2], [0.55, 0.9]]])
    assert torch.allclose(module._grad_cam(features, gradients).relu(), expected, atol=1e-6)
    heatmap = to_heatmap(expected[0], class_id="normal", method="grad_cam", layer="x")
    assert np.allclose(heatmap.values, [[0, 0.222222], [0.611111, 1]], atol=1e-6)


def test_grad_cam_equals_pytorch_grad_cam(network: tuple[nn.Module, str], images: torch.Tensor) -> None:
    model, layer = copy.deepcopy(network[0]).double(), network[1]  # sums over 1,000 channels cancel in float32
    classes = [0, 2, 3]
    _, maps = grad_cam(model, images.double(), class_index=classes, layer=layer)
    with GradCAM(model, [model.get_submodule(layer)]) as oracle:
        expected = oracle(images.double(), [ClassifierOutputTarget(index) for index in classes])
    assert np.allclose(as_library(maps), expected, atol=1e-6)


@pytest.mark.parametrize(("method", "oracle_class"), [("grad_cam", GradCAM), ("hires_cam", HiResCAM)])
def test_inner_layers_equal_pytorch_grad_cam(method: str, oracle_class: type, images: torch.Tensor) -> None:
    model = random_network("resnet18").double()
    maps = cam(trace(model, images.double(), layer="layer2"), method, 1)
    with oracle_class(model, [model.layer2]) as oracle:
        expected = oracle(images.double(), [ClassifierOutputTarget(1)] * 3)
    assert np.allclose(as_library(maps), expected, atol=1e-6)


@pytest.mark.parametrize("name", LIGHT_NETWORKS)
def test_maps_are_class_weights_times_feature_map(name: str, images: torch.Tensor) -> None:
    """Zhou et al. 2016, by hand, for every network here: all have global average pooling and one linear layer."""
    model = random_network(name)
    traced = trace(model, images, layer=model_spec(name).cam_layer)
    weights = [module for module in model.modules() if isinstance(module, nn.Linear)][-1].weight[2].detach()
    by_hand = (weights[None, :, None, None] * traced.features).sum(dim=1).relu() / 9  # 3 x 3 places
    for method in ("grad_cam", "hires_cam", "class_weights"):
        assert torch.allclose(cam(traced, method, 2), by_hand, rtol=1e-4, atol=1e-4 * float(by_hand.max())), method


@pytest.mark.parametrize("name", LIGHT_NETWORKS)
def test_places_sum_to_the_logit_less_the_bias(name: str, images: torch.Tensor) -> None:
    model = random_network(name)
    traced = trace(model, images, layer=model_spec(name).cam_layer)
    bias = [module for module in model.modules() if isinstance(module, nn.Linear)][-1].bias
    classes = torch.tensor([1, 1, 1])
    places = (traced.gradients(classes) * traced.features).sum(dim=(1, 2, 3))
    assert torch.allclose(places + bias[1].detach(), traced.logits[:, 1], rtol=1e-3, atol=1e-3)


def test_densenet_map_is_what_its_head_pools(images: torch.Tensor) -> None:
    """By torch.nn.functional, since pytorch-grad-cam reads a map there that an in-place ReLU has overwritten."""
    model = random_network("densenet121")
    traced = trace(model, images, layer="features")
    with torch.inference_mode():
        expected = nn.functional.relu(model.features(images))
    assert torch.allclose(traced.features, expected, atol=1e-5)


def test_in_place_operations_do_not_change_the_map(deep: nn.Module, images: torch.Tensor) -> None:
    traced = trace(deep, images, layer="body")
    with torch.inference_mode():
        assert torch.allclose(traced.features, deep.body(images))
    assert (traced.features < 0).any()


def test_other_heads_take_their_gradient_from_a_backward(deep: nn.Module, images: torch.Tensor) -> None:
    """Against plain autograd through the second half of the network."""
    _, maps = grad_cam(deep, images, class_index=1, layer="body")
    features = deep.body(images).detach().requires_grad_(True)
    deep.head(deep.pool(features.relu()))[:, 1].sum().backward()
    weights = features.grad.mean(dim=(2, 3), keepdim=True)
    assert torch.allclose(maps, (weights * features).sum(dim=1).relu().detach(), atol=1e-7)


def test_layer_is_found_when_none_is_named(deep: nn.Module, images: torch.Tensor) -> None:
    found = grad_cam(random_network("resnet18"), images)[1]
    assert torch.allclose(found, grad_cam(random_network("resnet18"), images, layer="layer4")[1])
    assert grad_cam(deep, images)[1].shape == (3, 4, 4)  # the pooled map is the last one


def test_predicted_class_is_explained_by_default(network: tuple[nn.Module, str], images: torch.Tensor) -> None:
    model, layer = network
    logits, maps = grad_cam(model, images, layer=layer)
    named = grad_cam(model, images, class_index=logits.argmax(dim=1).tolist(), layer=layer)[1]
    assert torch.equal(maps, named)


def test_images_do_not_influence_each_other(network: tuple[nn.Module, str], images: torch.Tensor) -> None:
    model, layer = network
    together = grad_cam(model, images, layer=layer)[1]
    alone = torch.cat([grad_cam(model, images[row : row + 1], layer=layer)[1] for row in range(3)])
    assert torch.allclose(together, alone, rtol=1e-3, atol=1e-4 * float(together.max()))


@pytest.mark.parametrize("layer", ["conv5", "body"])
def test_one_node_head_is_read_as_two_logits(layer: str, images: torch.Tensor) -> None:
    model = random_network("shufflenet_v2_x0_5", num_classes=1) if layer == "conv5" else _DeepHead(outputs=1).eval()
    traced = trace(model, images, layer=layer)
    with torch.inference_mode():
        z = model(images)
    assert torch.allclose(traced.logits, torch.cat([torch.zeros_like(z), z], dim=1), atol=1e-5)
    for_one, for_zero = (traced.gradients(torch.tensor([index] * 3)) for index in (1, 0))
    assert torch.equal(for_one, -for_zero)
    assert not torch.equal(cam(traced, "grad_cam", 1), cam(traced, "grad_cam", 0))


def test_score_cam_weighs_channels_by_what_the_masked_image_scores(images: torch.Tensor) -> None:
    """Wang et al. 2020 by hand, for class 0 of a one-node head, whose evidence is -z."""
    torch.manual_seed(3)
    model = _DeepHead(outputs=1).eval()
    traced = trace(model, images[:1], layer="body")
    found = explained(model, images[:1], method="score_cam", class_index=0, layer="body")[1]
    masks = nn.functional.interpolate(traced.features, size=(SIDE, SIDE), mode="bilinear", align_corners=True)[0]
    low, high = masks.amin(dim=(1, 2), keepdim=True), masks.amax(dim=(1, 2), keepdim=True)
    with torch.inference_mode():
        scores = -model(images[:1] * ((masks - low) / (high - low))[:, None])[:, 0]
    by_hand = (scores.softmax(dim=0)[:, None, None] * traced.features[0]).sum(dim=0).relu()
    assert torch.allclose(found[0], by_hand, atol=1e-5)


@pytest.mark.parametrize("method", sorted(CAM_METHODS))
def test_every_method_gives_a_map_and_leaves_the_model_as_found(
    method: str, images: torch.Tensor, capfd: pytest.CaptureFixture[str]
) -> None:
    model = random_network("shufflenet_v2_x0_5").train()
    model.conv1.eval()  # a mixture of modes must come back as it was
    model.fc.weight.requires_grad_(False)
    model.fc.bias.grad = torch.ones(4)
    before = facts(model)
    _, maps = explained(model, images[:2], method=method, class_index=0, layer="conv5")
    assert maps.shape == (2, 3, 3)
    assert maps.isfinite().all()
    assert (maps >= 0).all()
    assert str(facts(model)) == str(before)
    assert capfd.readouterr() == ("", "")


def test_methods_of_the_library_follow_their_papers(images: torch.Tensor) -> None:
    """LayerCAM by hand: ReLU of the gradient times the map."""
    traced = trace(random_network("shufflenet_v2_x0_5"), images, layer="conv5")
    gradients = traced.gradients(torch.tensor([1, 1, 1]))
    by_hand = (gradients.relu() * traced.features).sum(dim=1).relu()
    assert torch.allclose(cam(traced, "layer_cam", 1), by_hand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fails_at", ["shape", "forward", "layer"])
def test_model_is_left_as_found_after_an_exception(fails_at: str, deep: nn.Module, images: torch.Tensor) -> None:
    deep.train()
    before = facts(deep)
    broken = images[:, :1] if fails_at == "forward" else images
    layer = {"shape": "head.0", "forward": "body", "layer": "nowhere"}[fails_at]
    with pytest.raises((ValueError, RuntimeError)):
        grad_cam(deep, broken, layer=layer)
    assert str(facts(deep)) == str(before)


def test_works_inside_inference_mode(network: tuple[nn.Module, str], images: torch.Tensor) -> None:
    model, layer = network
    expected = grad_cam(model, images, layer=layer)[1]
    with torch.inference_mode():
        assert torch.allclose(grad_cam(model, images, layer=layer)[1], expected, atol=1e-5)


def test_unknown_layer(deep: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"no layer 'nowhere' .*; its parts are body, act, pool, head"):
        grad_cam(deep, images, layer="nowhere")


def test_layer_without_a_map(deep: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"'head.1' must give a feature map \(N, K, h, w\), got \(3, 16\)"):
        grad_cam(deep, images, layer="head.1")


def test_layer_that_does_not_run(deep: nn.Module, images: torch.Tensor) -> None:
    deep.spare = nn.Conv2d(3, 8, 1)
    with pytest.raises(ValueError, match="'spare' must run in every forward"):
        grad_cam(deep, images, layer="spare")


def test_images_too_small_for_a_map() -> None:
    with pytest.raises(ValueError, match="No layer gives a feature map larger than 1 x 1"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("class_index", [4, -1, [0, 1], [0, 1, 9]])
def test_class_out_of_range(class_index: int | list[int], images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="class_index must be 0 to 3, one for all or one for each image"):
        grad_cam(random_network("shufflenet_v2_x0_5"), images, class_index=class_index, layer="conv5")


def test_class_weights_need_a_linear_head(deep: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="CAM needs a head of global average pooling and one linear layer"):
        cam(trace(deep, images, layer="body"), "class_weights", 0)


def test_score_cam_needs_the_model(deep: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="ScoreCAM runs the model once for every channel"):
        cam(trace(deep, images, layer="body"), "score_cam", 0)


def test_a_trace_keeps_no_network_alive(images: torch.Tensor) -> None:
    model = random_network("shufflenet_v2_x0_5")
    gone = weakref.ref(model.get_submodule("stage2"))
    traced = trace(model, images, layer="conv5")
    del model
    gc.collect()
    assert gone() is None
    assert cam(traced, "grad_cam", 1).shape == (3, 3, 3)


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="Unknown CAM method 'dream'; choose one of grad_cam, hires_cam"):
        cam_method("dream")


def test_loaded_checkpoint_is_explained_at_its_layer(tiny_checkpoints: object) -> None:
    loaded = load_checkpoint("tiny_shufflenet")
    batch = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    logits, maps = explain(loaded, batch, "grad_cam", 1)
    expected_logits, expected = grad_cam(loaded.model, batch, class_index=1, layer="conv5")
    assert torch.equal(maps, expected)
    assert torch.equal(logits, expected_logits)


def test_map_without_positive_evidence_says_so() -> None:
    heatmap = to_heatmap(torch.full((3, 3), -1.0), class_id="normal", method="grad_cam", layer="x")
    assert not heatmap.has_evidence
    assert heatmap.peak == 0
    assert not heatmap.values.any()


def test_heatmap_is_scaled_by_its_peak() -> None:
    heatmap = to_heatmap(np.array([[0.0, 2.0], [4.0, np.nan]]), class_id="normal", method="grad_cam", layer="x")
    assert heatmap.has_evidence
    assert heatmap.peak == 4
    assert heatmap.values.dtype == np.float32
    assert heatmap.values.tolist() == [[0, 0.5], [1, 0]]
