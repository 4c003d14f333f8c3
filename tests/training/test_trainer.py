"""What the papers' settings do in the loop: heads, frozen parts, penalties, sampling, watched sets, stored features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.results import History
from cxrlab.training import trainer
from cxrlab.training.batches import Batches
from cxrlab.training.features import head_of
from cxrlab.training.fit import LabelledSquares, fit
from cxrlab.training.objective import Objective
from cxrlab.training.schedule import make_optimiser, make_schedule
from tests.training.networks import BackboneAndHead, WithAuxiliaryHead, bright_or_dark, seeded

CONFIG = TrainConfig(epochs=2, batch_size=8, learning_rate=1e-2, schedule="constant", seed=4, threads=1)
CPU = torch.device("cpu")


def run(folder: Path, network: nn.Module, config: TrainConfig = CONFIG, **options: object) -> History:
    given: dict[str, object] = {
        "num_classes": 2,
        "preprocessing": Preprocessing(size=32),
        "augmentation": Augmentation(),
        "accelerator": "cpu",
    }
    return fit(
        network, bright_or_dark(40, 0), bright_or_dark(20, 1), config=config, run_folder=folder, **given | options
    )  # type: ignore[arg-type]


def parameters_of(part: object) -> dict[str, torch.Tensor]:
    assert isinstance(part, nn.Module)
    return {name: value.clone() for name, value in part.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_one_node_trains_like_binary_cross_entropy_and_learns(tmp_path: Path) -> None:
    network = seeded(lambda: BackboneAndHead(1))
    history = run(tmp_path, network, replace(CONFIG, epochs=6))
    assert history.best_value > 0.9
    z, y_true = torch.tensor([[0.3], [-2.0]]), torch.tensor([1, 0])
    objective = Objective(network, replace(CONFIG, class_weights="none"), [1, 1], CPU)
    expected = nn.functional.binary_cross_entropy_with_logits(z[:, 0], y_true.float())
    torch.testing.assert_close(objective(z, y_true), expected)


def test_the_auxiliary_head_trains_only_when_it_is_asked_to(tmp_path: Path) -> None:
    left, trained = seeded(WithAuxiliaryHead), seeded(WithAuxiliaryHead)
    before = parameters_of(left.auxiliary)
    still = replace(CONFIG, optimiser="adam", weight_decay=0.0)
    run(tmp_path / "0", left, still)
    assert same(before, parameters_of(left.auxiliary))
    run(tmp_path / "1", trained, replace(still, aux_weight=0.4))
    assert not same(before, parameters_of(trained.auxiliary))


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_frozen_parts_stay_as_they_are_and_their_batch_norm_too(tmp_path: Path, optimiser: str) -> None:
    network = seeded(BackboneAndHead)
    before, head = parameters_of(network.features), parameters_of(network.classifier)
    run(tmp_path, network, replace(CONFIG, unfreeze=0.0, optimiser=optimiser))
    assert same(before, parameters_of(network.features))
    assert not same(head, parameters_of(network.classifier))


def test_a_network_without_anything_to_train_is_refused() -> None:
    with pytest.raises(ValueError, match="all of this one are frozen"):
        make_optimiser(BackboneAndHead().requires_grad_(False), CONFIG)


def test_metrics_hold_the_classes_and_watched_sets_that_select_nothing(tmp_path: Path) -> None:
    plain, watching = seeded(BackboneAndHead), seeded(BackboneAndHead)
    run(tmp_path / "plain", plain)
    history = run(
        tmp_path / "watching",
        watching,
        watched={"test": bright_or_dark(10, 2)},
        on_epoch=lambda model: {"bias": model.classifier[3].bias[0].item()},
    )
    metrics = history.epochs[-1].metrics
    names = ("loss", "accuracy", "balanced_accuracy", "macro_f1", "objective", "f1_0", "f1_1")
    assert set(metrics) == {*names, *(f"test_{name}" for name in names), "bias"}
    assert metrics["macro_f1"] == pytest.approx((metrics["f1_0"] + metrics["f1_1"]) / 2)
    assert same(parameters_of(plain), parameters_of(watching))
    with pytest.raises(ValueError, match="names of their own, got validation"):
        run(tmp_path / "x", plain, watched={"validation": bright_or_dark(10, 2)})


def test_objective_is_the_loss_that_is_trained(tmp_path: Path) -> None:
    config = replace(CONFIG, loss="focal", focal_gamma=2.0, class_weights="none", reduction="mean", monitor="objective")
    history = run(tmp_path, seeded(BackboneAndHead), config)
    assert history.best_value == min(epoch.metrics["objective"] for epoch in history.epochs)
    assert all(epoch.metrics["objective"] < epoch.metrics["loss"] for epoch in history.epochs)


def test_penalties_are_their_formula() -> None:
    network = seeded(BackboneAndHead)
    config = replace(CONFIG, l1=0.1, l2=0.01)
    weights = [network.classifier[1].weight, network.classifier[3].weight]
    expected = sum(0.1 * weight.abs().sum() + 0.01 * weight.square().sum() for weight in weights)
    torch.testing.assert_close(Objective(network, config, [1, 1], CPU).penalty(), expected)
    everything = Objective(network, replace(config, penalty_on="all"), [1, 1], CPU)
    assert len(everything.penalised) == len(list(network.parameters()))


def test_an_epoch_is_made_of_the_sampled_rows(tmp_path: Path) -> None:
    y_true = np.array([0] * 4 + [1] * 12)
    images = LabelledSquares(bright_or_dark(16, 0).squares, y_true)
    config = replace(CONFIG, sampling=("minority:parity",))
    batches = Batches(images, config, Preprocessing(size=32), Augmentation())
    rows = np.concatenate(list(batches.of_epoch(0)))
    assert batches.counts(2) == [12, 12]
    assert np.bincount(y_true[rows]).tolist() == [12, 12]
    assert batches.steps_per_epoch == 3
    history = run(tmp_path, seeded(BackboneAndHead), config)
    assert history.stopped == "finished"


def test_only_the_minority_is_changed_at_random() -> None:
    y_true = np.array([0] * 4 + [1] * 12)
    images = LabelledSquares(bright_or_dark(16, 0).squares, y_true)
    batches = Batches(images, replace(CONFIG, augmented="minority"), Preprocessing(size=32), Augmentation())
    rows = np.arange(16)
    changed = batches.inputs(rows, 24, CPU) - torch.from_numpy(images.squares) / 255
    moved = changed.abs().amax(dim=(1, 2)) > 1e-3
    assert moved.tolist() == (y_true == 0).tolist()


def test_crops_are_cut_while_training_and_the_centre_while_measuring(tmp_path: Path) -> None:
    sizes: list[int] = []

    class Watching(BackboneAndHead):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            sizes.append(images.shape[-1])
            return super().forward(images)

    large = bright_or_dark(24, 0, side=40)
    preprocessing = Preprocessing(size=32, resize_to=40)
    fit(
        seeded(Watching), large, large, num_classes=2, config=CONFIG, preprocessing=preprocessing,
        augmentation=Augmentation.none(crop="uniform"), run_folder=tmp_path, accelerator="cpu",
    )  # fmt: skip
    assert set(sizes) == {32}


def test_milestones_count_epochs() -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimiser, replace(CONFIG, schedule="step", milestones=(1, 3)), steps_per_epoch=4)
    assert schedule is not None
    rates = []
    for _ in range(16):
        rates.append(round(optimiser.param_groups[0]["lr"], 6))
        optimiser.step()
        schedule.step()
    assert rates == [1.0] * 4 + [0.1] * 8 + [0.01] * 4


FROZEN = replace(CONFIG, epochs=3, unfreeze=0.0, optimiser="adam")


def test_stored_features_give_the_same_results_as_the_whole_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwards: list[int] = []

    def build() -> nn.Module:
        network = BackboneAndHead()
        network.features.register_forward_hook(lambda *_: forwards.append(1))
        return network

    stored, whole = seeded(build), seeded(build)
    quick = run(tmp_path / "stored", stored, FROZEN, augmentation=Augmentation.none())
    few = len(forwards)
    monkeypatch.setattr(trainer, "cacheable_head", lambda *_: None)
    slow = run(tmp_path / "whole", whole, FROZEN, augmentation=Augmentation.none())
    assert few <= 5 < len(forwards) - few
    for name, value in stored.state_dict().items():
        torch.testing.assert_close(value, whole.state_dict()[name], rtol=1e-4, atol=1e-5)
    assert [e.train_loss for e in quick.epochs] == pytest.approx([e.train_loss for e in slow.epochs], rel=1e-4)


@pytest.mark.parametrize(
    ("build", "augmentation"),
    [
        (BackboneAndHead, Augmentation()),  # images differ in every epoch
        (lambda: BackboneAndHead(dropout_before_head=0.3), Augmentation.none()),  # features differ in every epoch
    ],
)
def test_features_are_not_stored_where_that_would_change_the_result(
    tmp_path: Path, build: Callable[[], nn.Module], augmentation: Augmentation
) -> None:
    forwards: list[int] = []
    network = seeded(build)
    network.features.register_forward_hook(lambda *_: forwards.append(1))
    run(tmp_path, network, FROZEN, augmentation=augmentation)
    assert len(forwards) >= 3 * 5


def test_a_run_on_stored_features_resumes(tmp_path: Path) -> None:
    left = iter(range(100))
    whole, parts = seeded(BackboneAndHead), seeded(BackboneAndHead)
    run(tmp_path / "whole", whole, FROZEN, augmentation=Augmentation.none())
    first = run(tmp_path / "parts", parts, FROZEN, augmentation=Augmentation.none(), cancel=lambda: next(left) == 8)
    assert first.stopped == "interrupted"
    run(tmp_path / "parts", parts, FROZEN, augmentation=Augmentation.none())
    assert same(parameters_of(whole), parameters_of(parts))


def test_the_head_is_the_outermost_part_that_trains_whole() -> None:
    network = BackboneAndHead()
    network.features.requires_grad_(False)
    assert head_of(network) is network.classifier
    network.features[0].requires_grad_(True)
    assert head_of(network) is None
