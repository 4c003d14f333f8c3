"""Fitting combiners: settings, selection, sampling, losses, files. Fast: a few hundred rows, few epochs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from cxrlab.ensembles.combiner import Combiner, CombinerConfig, CombinerError, fit_combiner
from cxrlab.ensembles.flannel import NeuralWeightModule
from cxrlab.progress import Cancelled

QUICK = CombinerConfig(epochs=15, learning_rate=1e-2, class_weights="balanced")


def answers(count: int = 300, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three learners of four classes: the first is good, the second guesses, the third is always one class off."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, count)
    logits = rng.normal(size=(count, 3, 4))
    logits[np.arange(count), 0, y] += 2
    logits[np.arange(count), 2, (y + 1) % 4] += 4
    scores = np.exp(logits)
    return scores / scores.sum(axis=2, keepdims=True), y


def accuracy(combiner: Combiner, given: np.ndarray, y: np.ndarray) -> float:
    return float((combiner.combine(given).scores.argmax(axis=1) == y).mean())


def test_published_settings() -> None:
    paper, release = CombinerConfig.of("flannel"), CombinerConfig.of("flannel", "release")
    assert (paper.gamma, paper.class_weights, paper.reduction, paper.epochs) == (3, "inverse_frequency", "mean", 200)
    assert (release.gamma, release.class_weights, release.reduction, release.epochs) == (10, "release", "sum", 40)
    for config in (paper, release, CombinerConfig.of("mlp_l1"), CombinerConfig.of("mlp_l2", "release")):
        assert (config.learning_rate, config.weight_decay, config.batch_size) == (1e-5, 1e-4, 20)
    mlp = CombinerConfig.of("mlp_l2", "release")
    assert (mlp.loss, mlp.class_weights, mlp.reduction, mlp.epochs) == ("cross_entropy", "none", "mean", 40)
    variant = paper.without_focal().with_sampling()
    assert (variant.loss, variant.oversample, variant.epochs) == ("cross_entropy", ((0, 10),), 200)


def test_settings_survive_json() -> None:
    import json

    config = CombinerConfig.of("flannel").with_sampling(1, 3)
    assert CombinerConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "vote"}, "kind must be one of flannel, mlp_l1, mlp_l2, got 'vote'"),
        ({"loss": "hinge"}, "loss must be one of focal, cross_entropy"),
        ({"epochs": 0}, r"epochs must be in \[1, 10000\], got 0"),
        ({"oversample": ((0, 0),)}, r"oversampling factor must be in \[1, 1000\], got 0"),
        ({"class_weights": "sqrt"}, "class_weights must be one of none, balanced, inverse_frequency, release"),
    ],
)
def test_wrong_settings(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CombinerConfig(**wrong)
    with pytest.raises(ValueError, match="one of paper, release, got 'mine'"):
        CombinerConfig.of("flannel", "mine")


@pytest.mark.parametrize("kind", ["flannel", "mlp_l1", "mlp_l2"])
def test_fitting_learns_and_is_the_same_again(kind: str) -> None:
    given, y = answers()
    config = replace(QUICK, kind=kind)
    before = torch.random.get_rng_state()
    one, other = fit_combiner(given, y, config), fit_combiner(given, y, config)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in one.module.state_dict().items():
        assert torch.equal(value, other.module.state_dict()[name])
    assert one.history is not None
    assert one.history.epochs[-1].train_loss < one.history.epochs[0].train_loss
    held_out = answers(seed=1)
    assert accuracy(one, *held_out) > (held_out[0][:, 0].argmax(axis=1) == held_out[1]).mean()
    third = fit_combiner(given, y, replace(config, seed=1))
    assert not torch.equal(next(one.module.parameters()), next(third.module.parameters()))


def test_a_learner_that_errs_in_a_known_way_gets_a_negative_weight() -> None:
    given, y = answers()
    weights = fit_combiner(given, y, replace(QUICK, epochs=40)).combine(given).weights
    assert weights is not None
    assert weights[:, 0].mean() > 0.5
    assert weights[:, 2].mean() < 0


def test_one_step_against_plain_autograd() -> None:
    """One epoch of one batch is one Adam step on the specification's loss, computed here with torch.optim.Adam."""
    given, y = answers(40)
    config = replace(QUICK, epochs=1, batch_size=40, gamma=3.0, class_weights="inverse_frequency")
    fitted = fit_combiner(given, y, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        module = NeuralWeightModule(3, 4)
    p = module(torch.tensor(given, dtype=torch.float32)).softmax(dim=1)[torch.arange(40), torch.from_numpy(y)]
    alpha = torch.from_numpy(40 / np.bincount(y, minlength=4)).float()[torch.from_numpy(y)]
    loss = (-alpha * (1 - p) ** 3 * p.log()).mean()
    loss.backward()
    torch.optim.Adam(module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay).step()
    assert fitted.history is not None
    assert fitted.history.epochs[0].train_loss == pytest.approx(loss.item(), rel=1e-5)
    assert torch.allclose(fitted.module.linear.weight, module.linear.weight, atol=1e-6)


def test_sum_is_mean_times_the_batch_in_the_reported_loss() -> None:
    given, y = answers(40)
    one, other = (
        fit_combiner(given, y, replace(QUICK, epochs=1, batch_size=40, reduction=reduction)).history
        for reduction in ("mean", "sum")
    )
    assert one is not None
    assert other is not None
    assert one.epochs[0].train_loss == pytest.approx(other.epochs[0].train_loss, rel=1e-5)


def test_cross_entropy_of_the_history_is_torchs() -> None:
    given, y = answers()
    held_out = answers(seed=2)
    fitted = fit_combiner(given, y, replace(QUICK, epochs=1), validation=held_out)
    assert fitted.history is not None
    logits = fitted.module(torch.tensor(held_out[0], dtype=torch.float32))
    expected = functional.cross_entropy(logits, torch.from_numpy(held_out[1])).item()
    assert fitted.history.epochs[0].metrics["cross_entropy"] == pytest.approx(expected, rel=1e-5)


def test_the_best_validation_epoch_is_kept() -> None:
    given, y = answers()
    held_out = answers(seed=2)
    fitted = fit_combiner(given, y, replace(QUICK, learning_rate=1.0), validation=held_out)
    assert fitted.history is not None
    found = [epoch.metrics["accuracy"] for epoch in fitted.history.epochs]
    assert fitted.history.best_epoch == int(np.argmax(found))  # the first of equal ones
    assert fitted.history.best_value == max(found)
    assert accuracy(fitted, *held_out) == pytest.approx(max(found))
    assert found[-1] < max(found), "the example must have a best epoch before the last"


def test_without_validation_the_last_epoch_is_kept() -> None:
    given, y = answers()
    fitted = fit_combiner(given, y, QUICK)
    assert fitted.history is not None
    assert fitted.history.best_epoch == QUICK.epochs - 1
    assert fitted.history.monitor == "none"


def test_oversampling_is_repeating_the_rows() -> None:
    given, y = answers(60)
    config = replace(QUICK, epochs=3, batch_size=1000, class_weights="none")
    sampled = fit_combiner(given, y, config.with_sampling(0, 10))
    times = np.where(y == 0, 10, 1)
    repeated = fit_combiner(np.repeat(given, times, axis=0), np.repeat(y, times), config)
    for name, value in sampled.module.state_dict().items():
        assert torch.allclose(value, repeated.module.state_dict()[name], atol=1e-6)
    plain = fit_combiner(given, y, config)
    more = sampled.combine(given).scores[:, 0] - plain.combine(given).scores[:, 0]
    assert more[y == 0].mean() > 0


def test_class_weights_come_from_the_counts_before_oversampling() -> None:
    given, y = answers(60)
    config = replace(QUICK, epochs=1, batch_size=1000).with_sampling(0, 10)
    balanced = fit_combiner(given, y, config).history
    assert balanced is not None
    module = fit_combiner(given, y, replace(config, learning_rate=1e-9)).module
    p = module(torch.tensor(given, dtype=torch.float32)).softmax(dim=1).detach().numpy()[np.arange(60), y]
    loss = 60 / (4 * np.bincount(y)[y]) * (1 - p) ** 3 * -np.log(p)
    times = np.where(y == 0, 10, 1)
    assert balanced.epochs[0].train_loss == pytest.approx((loss * times).sum() / times.sum(), rel=1e-4)


@pytest.mark.parametrize("kind", ["flannel", "mlp_l1", "mlp_l2"])
def test_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    given, y = answers()
    fitted = fit_combiner(given, y, replace(QUICK, kind=kind, epochs=2, activation="none"))
    fitted.save(tmp_path / "model.safetensors")
    again = Combiner.load(tmp_path / "model.safetensors")
    found, expected = again.combine(given), fitted.combine(given)
    assert again.kind == kind
    assert again.parameters == fitted.parameters
    assert np.array_equal(found.scores, expected.scores)
    assert (found.weights is None) == (kind != "flannel")
    if found.weights is not None and expected.weights is not None:
        assert np.array_equal(found.weights, expected.weights)


def test_images_are_combined_one_by_one() -> None:
    given, y = answers()
    fitted = fit_combiner(given, y, replace(QUICK, epochs=2))
    together = fitted.combine(given)
    alone = [fitted.combine(given[row : row + 1]).scores[0] for row in range(5)]
    assert np.allclose(alone, together.scores[:5], atol=1e-14)
    assert together.scores.dtype == np.float64
    assert np.allclose(together.scores.sum(axis=1), 1, atol=1e-12)


def test_files_that_are_no_combiners(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(CombinerError, match="must be a combiner's safetensors file written by cxrlab"):
        Combiner.load(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(CombinerError, match="must be a combiner's safetensors file"):
        Combiner.load(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CombinerError, match="must be a combiner's safetensors file"):
        Combiner.load(path)
    facts = {"combiner": '{"kind": "flannel", "num_learners": 5, "num_classes": 4, "activation": "relu"}'}
    save_file({"linear.weight": torch.zeros(5, 20), "linear.bias": torch.zeros(5)}, path, facts)
    with pytest.raises(CombinerError, match=r"must hold weights of the shapes .*\(5, 400\).*, got"):
        Combiner.load(path)
    save_file({"linear.weight": torch.full((5, 400), torch.nan), "linear.bias": torch.zeros(5)}, path, facts)
    with pytest.raises(CombinerError, match="must hold finite weights"):
        Combiner.load(path)


def test_the_same_combiner_gives_the_same_file(tmp_path: Path) -> None:
    given, y = answers()
    for number in range(8):
        fit_combiner(given, y, replace(QUICK, epochs=1)).save(tmp_path / str(number))
    assert len({(tmp_path / str(number)).read_bytes() for number in range(8)}) == 1


def test_the_file_holds_numbers_only(tmp_path: Path) -> None:
    given, y = answers()
    fit_combiner(given, y, replace(QUICK, epochs=1)).save(tmp_path / "model.safetensors")
    assert {name: tuple(value.shape) for name, value in load_file(tmp_path / "model.safetensors").items()} == {
        "linear.weight": (3, 144),
        "linear.bias": (3,),
    }


def test_cancelled_between_epochs() -> None:
    given, y = answers()
    seen: list[int] = []
    with pytest.raises(Cancelled, match="The fitting was cancelled"):
        fit_combiner(
            given, y, QUICK, progress=lambda done, total, text: seen.append(done), cancel=lambda: len(seen) > 2
        )
    assert seen == [1, 2, 3]


def test_wrong_rows() -> None:
    given, y = answers()
    with pytest.raises(CombinerError, match=r"must have shape \(B, N, M\) with B classes beside them"):
        fit_combiner(given[0], y, QUICK)
    with pytest.raises(CombinerError, match=r"got \(300, 3, 4\) and \(299,\)"):
        fit_combiner(given, y[1:], QUICK)
    with pytest.raises(CombinerError, match=r"finite and in \[0, 1\]; were logits given\?"):
        fit_combiner(given * 3, y, QUICK)
    with pytest.raises(CombinerError, match="True classes must be 0 to 3; leave out images of unknown truth"):
        fit_combiner(given, y - 1, QUICK)
    with pytest.raises(CombinerError, match=r"for 3 members and 4 classes too, got \(2, 4\)"):
        fit_combiner(given, y, QUICK, validation=(given[:, :2], y))
    with pytest.raises(ValueError, match="Every class needs at least 1 training image"):
        fit_combiner(given, np.minimum(y, 2), QUICK)
