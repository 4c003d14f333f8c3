"""The neural weight module: the specification's worked values (3.4) and the properties it states."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cxrlab.ensembles.combiner_config import largest_score
from cxrlab.ensembles.flannel import NeuralWeightModule
from cxrlab.ensembles.stacking import EnsembleMLP


def module(weights: np.ndarray, bias: list[float], *, learners: int, classes: int) -> NeuralWeightModule:
    made = NeuralWeightModule(learners, classes).double()
    with torch.no_grad():
        made.linear.weight.copy_(torch.from_numpy(weights))
        made.linear.bias.copy_(torch.tensor(bias, dtype=torch.float64))
    return made


@pytest.fixture
def full() -> NeuralWeightModule:
    """The specification's 5 x 4 example."""
    places = 400 * np.arange(5)[:, None] + np.arange(400)[None]
    return module(0.05 * np.sin(0.1 * places), [0.1, -0.1, 0.2, 0, 0.05], learners=5, classes=4)


def probabilities(count: int = 6, learners: int = 5, classes: int = 4) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.dirichlet(np.ones(classes), (count, learners)))


def test_tiny_example_of_the_specification() -> None:
    weights = np.stack([0.05 * np.arange(1, 17), 0.3 - 0.05 * np.arange(16)])
    tiny = module(weights, [0.1, -0.2], learners=2, classes=2)
    given = torch.tensor([[[0.9, 0.1], [0.4, 0.6]]], dtype=torch.float64)
    assert np.allclose(tiny.weights(given).detach(), np.tanh([1.65, -0.35]), atol=1e-12)
    assert np.allclose(tiny.weights(given).detach(), [0.92885762, -0.33637554], atol=1e-8)
    v = tiny(given).detach()
    assert np.allclose(v, [0.70142164, -0.10893956], atol=1e-8)
    assert np.allclose(v.softmax(dim=1), [0.69218647, 0.30781353], atol=1e-8)


def test_full_example_of_the_specification(full: NeuralWeightModule) -> None:
    given = torch.tensor(2 * np.sin(1 + np.arange(20).reshape(1, 5, 4))).softmax(dim=2)
    assert np.allclose(given[0, 0], [0.41108086, 0.47080445, 0.10130016, 0.01681452], atol=1e-8)
    weights, v = full.weights(given).detach(), full(given).detach()
    assert np.allclose(
        np.arctanh(weights.numpy()), [0.31166121, -0.29597513, 0.24974534, 0.12962101, -0.17264371], atol=1e-8
    )
    assert np.allclose(weights, [0.30194761, -0.28762500, 0.24467926, 0.12889991, -0.17094865], atol=1e-8)
    assert np.allclose(v, [0.31929270, 0.21762513, -0.04521063, -0.27475408], atol=1e-8)
    assert np.allclose(v.softmax(dim=1), [0.31746436, 0.28677502, 0.22049218, 0.17526845], atol=1e-8)


def test_against_loops_in_plain_python(full: NeuralWeightModule) -> None:
    given = probabilities()
    for row, found, v in zip(given.tolist(), full.weights(given).tolist(), full(given).tolist(), strict=True):
        f = [value for learner in row for value in learner]
        outer = [a * b for a in f for b in f]
        weights = [
            math.tanh(sum(w * x for w, x in zip(line, outer, strict=True)) + b)
            for line, b in zip(full.linear.weight.tolist(), full.linear.bias.tolist(), strict=True)
        ]
        assert found == pytest.approx(weights, abs=1e-12)
        assert v == pytest.approx([sum(weights[i] * row[i][k] for i in range(5)) for k in range(4)], abs=1e-12)


@pytest.mark.parametrize(("learners", "classes", "count"), [(5, 4, 2005), (2, 2, 34), (3, 5, 678)])
def test_parameters_of_the_module(learners: int, classes: int, count: int) -> None:
    made = NeuralWeightModule(learners, classes)
    assert sum(parameter.numel() for parameter in made.parameters()) == count


def test_no_weights_give_the_uniform_answer() -> None:
    zero = module(np.zeros((5, 400)), [0.0] * 5, learners=5, classes=4)
    assert np.array_equal(zero(probabilities()).softmax(dim=1).detach(), np.full((6, 4), 0.25))


def test_scores_are_bounded() -> None:
    """Spec 1.4: v in [-5, 5], so that no score exceeds e^5 / (e^5 + 3) = .980187 or falls below .002241."""
    sure = module(np.full((5, 400), 100.0), [100.0] * 5, learners=5, classes=4)
    agreed = torch.eye(4, dtype=torch.float64)[:, None].expand(4, 5, 4)
    scores = sure(agreed).softmax(dim=1).detach()
    assert largest_score(5, 4) == pytest.approx(0.980186662653, abs=1e-12)
    assert scores.max() == pytest.approx(largest_score(5, 4), abs=1e-12)
    against = module(np.full((5, 400), -100.0), [-100.0] * 5, learners=5, classes=4)
    assert against(agreed).softmax(dim=1).min().item() == pytest.approx(1 / (1 + 3 * math.exp(5)), abs=1e-12)
    assert 1 / (1 + 3 * math.exp(5)) == pytest.approx(0.002241, abs=1e-6)
    random = NeuralWeightModule(5, 4).double()
    assert random(probabilities(200)).softmax(dim=1).max() < largest_score(5, 4)


def test_permuting_images_permutes_answers(full: NeuralWeightModule) -> None:
    given, order = probabilities(), [3, 0, 5, 1, 4, 2]
    assert torch.allclose(full(given[order]), full(given)[order], atol=1e-15)


def test_the_features_are_symmetric_with_the_stated_sums(full: NeuralWeightModule) -> None:
    """f fᵀ is symmetric with trace Σf² and total sum N²; read back through unit weights."""
    given = probabilities(1)
    f = given.flatten()
    outer = torch.outer(f, f)
    assert torch.equal(outer, outer.T)
    assert outer.trace().item() == pytest.approx((f**2).sum().item())
    total = module(np.full((5, 400), 0.01), [0.0] * 5, learners=5, classes=4)
    assert total.weights(given)[0].tolist() == pytest.approx([math.tanh(0.25)] * 5)
    mirrored = module(
        full.linear.weight.detach().numpy().reshape(5, 20, 20).transpose(0, 2, 1).reshape(5, 400).copy(),
        full.linear.bias.tolist(),
        learners=5,
        classes=4,
    )
    assert torch.allclose(full.weights(given), mirrored.weights(given), atol=1e-14)


def test_learners_that_agree_are_weighed_together(full: NeuralWeightModule) -> None:
    one = probabilities(3, learners=1)
    given = one.expand(3, 5, 4)
    summed = full.weights(given).sum(dim=1, keepdim=True)
    assert torch.allclose(full(given), summed * one[:, 0], atol=1e-14)


@pytest.mark.parametrize(("layers", "count"), [(1, 84), (2, 3204)])
def test_parameters_of_the_perceptrons(layers: int, count: int) -> None:
    assert sum(parameter.numel() for parameter in EnsembleMLP(5, 4, layers=layers).parameters()) == count


def test_one_layer_is_a_linear_map_of_the_flattened_probabilities() -> None:
    mlp, given = EnsembleMLP(5, 4, layers=1).double(), probabilities()
    by_hand = given.flatten(1).numpy() @ mlp.layers[0].weight.detach().numpy().T + mlp.layers[0].bias.detach().numpy()
    assert np.allclose(mlp(given).detach(), by_hand, atol=1e-14)


def test_two_layers_without_activation_are_one() -> None:
    mlp, given = EnsembleMLP(5, 4, layers=2, activation="none").double(), probabilities()
    first, second = mlp.layers
    joined = given.flatten(1) @ (second.weight @ first.weight).T + second.weight @ first.bias + second.bias
    assert torch.allclose(mlp(given), joined, atol=1e-14)
    with_relu = EnsembleMLP(5, 4, layers=2).double()
    with_relu.load_state_dict(mlp.state_dict())
    assert not torch.allclose(with_relu(given), joined)


@pytest.mark.parametrize("made", [NeuralWeightModule(5, 4), EnsembleMLP(5, 4, layers=1)])
def test_another_shape_is_refused(made: torch.nn.Module) -> None:
    for shape in [(2, 4, 5), (5, 4), (2, 5, 3)]:
        with pytest.raises(ValueError, match=r"Probabilities must have shape \(B, 5, 4\), got"):
            made(torch.zeros(shape))


def test_wrong_sizes() -> None:
    with pytest.raises(ValueError, match="at least 2 learners and 2 classes, got 1 and 4"):
        NeuralWeightModule(1, 4)
    with pytest.raises(ValueError, match="at least 2 learners and 2 classes, got 5 and 1"):
        EnsembleMLP(5, 1, layers=1)
    with pytest.raises(ValueError, match="must have 1 or 2 layers, got 3"):
        EnsembleMLP(5, 4, layers=3)
    with pytest.raises(ValueError, match="must be relu or none, got 'tanh'"):
        EnsembleMLP(5, 4, layers=2, activation="tanh")
