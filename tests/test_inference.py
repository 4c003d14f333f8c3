"""From images to scores: activations, batches, folding, devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cxrlab import inference
from cxrlab.config import Activation, Preprocessing
from cxrlab.data.transforms import resize_pixels
from cxrlab.data.xray import Xray
from cxrlab.inference import (
    class_logits,
    forward,
    forward_with_features,
    on_device,
    predict,
    resolve_device,
    scores_from_logits,
    squares_of,
)
from cxrlab.progress import Cancelled
from tests.conftest import random_network

SIDE = 64


@dataclass
class Classifier:
    """A network with what inference needs of a checkpoint, counting its turns."""

    model: nn.Module
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(size=SIDE))
    activation: Activation = "softmax"
    temperature: float = 1.0
    cam_layer: str = "conv5"
    turns: int = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        self.turns += 1
        yield


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return random_network("shufflenet_v2_x0_5")


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, SIDE, SIDE), dtype=np.uint8)


def test_softmax_equals_torch() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert np.allclose(scores_from_logits(logits, "softmax"), functional.softmax(logits, dim=1).numpy(), atol=1e-6)


@pytest.mark.parametrize("z", [-800.0, -20.0, -1.0, 0.0, 1e-3, 3.0, 20.0, 800.0])
def test_one_node_head_equals_the_sigmoid(z: float) -> None:
    scores = scores_from_logits(np.array([[z]]), "binary_sigmoid")
    assert scores[0, 1] == pytest.approx(torch.sigmoid(torch.tensor(z, dtype=torch.float64)).item(), abs=1e-6)
    assert scores.sum() == pytest.approx(1)


def test_multilabel_scores_are_sigmoids_of_their_own() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert np.allclose(scores_from_logits(logits, "multilabel_sigmoid"), torch.sigmoid(logits).numpy(), atol=1e-6)


def test_temperature_divides_the_logits() -> None:
    logits = np.array([[1.0, 2.0, 4.0]])
    assert np.allclose(scores_from_logits(logits, "softmax", temperature=2), scores_from_logits(logits / 2, "softmax"))
    z = np.array([[3.0]])
    expected = torch.sigmoid(torch.tensor(1.5)).item()
    assert scores_from_logits(z, "binary_sigmoid", temperature=2)[0, 1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_class_logits_of_arrays_and_tensors(make: Any) -> None:
    assert class_logits(make([[2.0], [-1.0]]), "binary_sigmoid").tolist() == [[0, 2], [0, -1]]
    assert class_logits(make([[2.0, 1.0]]), "softmax").tolist() == [[2, 1]]


def test_logits_of_a_wrong_shape() -> None:
    with pytest.raises(ValueError, match=r"shape \(N, 1\) for binary_sigmoid, got \(2, 2\)"):
        class_logits(np.zeros((2, 2)), "binary_sigmoid")
    with pytest.raises(ValueError, match=r"shape \(N, C\) for softmax, got \(2,\)"):
        class_logits(np.zeros(2), "softmax")


def test_prediction_is_a_plain_forward(network: nn.Module, squares: np.ndarray) -> None:
    """Against the normalisation written out and torch's softmax."""
    found = predict(Classifier(network), squares)
    grey = torch.from_numpy(squares).float()[:, None] / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        expected = functional.softmax(network((grey - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)), dim=1)
    assert np.allclose(found.scores, expected.numpy(), atol=1e-4)
    assert (found.device, found.notes, found.scores.dtype) == ("cpu", (), np.float64)
    assert found.seconds > 0


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_size_of_batches_does_not_matter(network: nn.Module, squares: np.ndarray, batch_size: int) -> None:
    classifier = Classifier(network)
    found = predict(classifier, squares, batch_size=batch_size)
    assert np.allclose(found.scores, predict(classifier, squares).scores, atol=1e-4)
    assert classifier.turns == -(-7 // batch_size) + 1


def test_xrays_are_resized_by_the_card(network: nn.Module) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (80, 50), dtype=np.uint8)
    xray = Xray(pixels, None, 8, "PA", None, "0" * 64, "PNG")
    classifier = Classifier(network, Preprocessing(size=SIDE, resize="pad"))
    square = resize_pixels(pixels, classifier.preprocessing)
    assert np.array_equal(predict(classifier, [xray]).scores, predict(classifier, square[None]).scores)


def test_no_image_gives_no_row(network: nn.Module) -> None:
    assert predict(Classifier(network), np.empty((0, SIDE, SIDE), dtype=np.uint8)).scores.shape == (0, 4)
    assert squares_of([], Preprocessing(size=SIDE)).shape == (0, SIDE, SIDE)


def test_temperature_of_the_card_is_used(network: nn.Module, squares: np.ndarray) -> None:
    hot = predict(Classifier(network, temperature=50.0), squares).scores
    assert hot.max() < predict(Classifier(network), squares).scores.max()


def test_progress_reaches_the_end(network: nn.Module, squares: np.ndarray) -> None:
    steps: list[tuple[int, int, str]] = []
    predict(Classifier(network), squares, batch_size=3, progress=lambda *step: steps.append(step))
    assert steps == [(3, 7, "3 of 7 images"), (6, 7, "6 of 7 images"), (7, 7, "7 of 7 images")]


def test_cancel_ends_between_batches(network: nn.Module, squares: np.ndarray) -> None:
    classifier = Classifier(network)
    with pytest.raises(Cancelled, match="The prediction was cancelled"):
        predict(classifier, squares, batch_size=2, cancel=lambda: classifier.turns == 2)
    assert classifier.turns == 2


def test_squares_of_another_size(network: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"Squares must be \(N, 64, 64\) uint8, got \(2, 32, 32\) uint8"):
        predict(Classifier(network), np.zeros((2, 32, 32), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"uint8, got \(2, 64, 64\) float64"):
        predict(Classifier(network), np.zeros((2, SIDE, SIDE)))


def test_nothing_is_kept_for_gradients(network: nn.Module) -> None:
    assert forward(network, torch.zeros(1, 3, SIDE, SIDE)).is_inference()


def test_features_of_a_forward_are_those_that_gradients_see(network: nn.Module) -> None:
    """DenseNet's in-place ReLU must not reach the map."""
    dense = random_network("densenet121")
    images = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    logits, features = forward_with_features(dense, images, "features")
    with torch.inference_mode():
        assert torch.equal(features, dense.features(images))
        assert torch.allclose(logits, dense(images))
    assert (features < 0).any()
    assert not any(module._forward_hooks for module in dense.modules())


def test_wrong_layers(network: nn.Module) -> None:
    images = torch.zeros(1, 3, SIDE, SIDE)
    with pytest.raises(ValueError, match="no layer 'nowhere'"):
        forward_with_features(network, images, "nowhere")
    with pytest.raises(ValueError, match=r"'fc' must give a feature map \(N, K, h, w\), got \(1, 4\)"):
        forward_with_features(network, images, "fc")
    model = nn.Sequential(nn.Conv2d(3, 2, 1))
    model.spare = nn.Identity()
    model.forward = lambda batch: model[0](batch)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="'spare' must run in every forward"):
        forward_with_features(model, images, "spare")


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("cpu").type == resolve_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="cuda needs a GPU that torch can use, and there is none here"):
        resolve_device("cuda")
    with pytest.raises(ValueError, match="must be auto, cpu or cuda, got 'tpu'"):
        resolve_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == resolve_device("cuda").type == "cuda"
    assert resolve_device("cpu").type == "cpu"


class _Gpu:
    """Stands where a GPU would be: what runs "there" has no memory."""

    type = "cuda"


def test_gpu_without_memory_falls_back_to_the_cpu(
    network: nn.Module, squares: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def laid_out(batch: torch.Tensor, device: Any) -> torch.Tensor:
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return batch

    to = nn.Module.to
    monkeypatch.setattr(inference, "_laid_out", laid_out)
    monkeypatch.setattr(inference, "resolve_device", lambda device: _Gpu())
    monkeypatch.setattr(nn.Module, "to", lambda self, where: self if where.type == "cuda" else to(self, where))
    found = predict(Classifier(network), squares, batch_size=4)
    assert found.notes == ("The GPU's memory did not suffice for 4 images at once; computed on the CPU instead.",)
    assert found.device == "cpu"
    monkeypatch.undo()
    assert np.allclose(found.scores, predict(Classifier(network), squares).scores, atol=1e-4)


def test_no_memory_on_the_cpu_is_an_error(network: nn.Module) -> None:
    def work(_model: nn.Module, _batch: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("no memory")

    with pytest.raises(torch.OutOfMemoryError):
        on_device(network, torch.zeros(1, 3, SIDE, SIDE), torch.device("cpu"), work)
