"""The training loop: it learns, it resumes to the bit, it ends when asked."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.results import History
from cxrlab.training.fit import LabelledSquares, fit
from cxrlab.training.state import load_state, read_epochs

SIDE = 24
CONFIG = TrainConfig(epochs=3, batch_size=8, learning_rate=5e-3, schedule="one_cycle", seed=4, threads=1)


def small_network(seed: int = 0) -> nn.Module:
    """Convolution, batch norm and dropout: everything whose state or randomness a resume could lose."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(128, 2),
        )


def bright_or_dark(count: int, seed: int) -> LabelledSquares:
    """Class 1 is bright on the upper half: easy to learn."""
    rng = np.random.default_rng(seed)
    y_true = np.arange(count) % 2
    squares = rng.integers(40, 90, (count, SIDE, SIDE), dtype=np.uint8)
    squares[y_true == 1, : SIDE // 2] += 100
    return LabelledSquares(squares, y_true)


def run(folder: Path, config: TrainConfig = CONFIG, **options: object) -> tuple[nn.Module, History]:
    network = small_network()
    history = fit(
        network,
        bright_or_dark(44, 0),
        bright_or_dark(20, 1),
        num_classes=2,
        config=config,
        preprocessing=Preprocessing(size=32),
        augmentation=Augmentation(),
        run_folder=folder,
        accelerator="cpu",
        **options,  # type: ignore[arg-type]
    )
    return network, history


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    states = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in states)


class StopAfter:
    """A cancel that says yes at the n-th question."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0


def test_it_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    network, history = run(tmp_path, replace(CONFIG, epochs=6))
    assert history.stopped == "finished"
    assert history.best_value > 0.9
    assert history.best_value == max(epoch.metrics["macro_f1"] for epoch in history.epochs)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    best = load_state(tmp_path / "best.pt")["model"]
    assert all(torch.equal(value, best[name]) for name, value in network.state_dict().items())
    assert [epoch.epoch for epoch in read_epochs(tmp_path / "metrics.jsonl")] == list(range(6))


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("stop_at", [3, 6, 13])  # within the first epoch, at its end, in the last (6 steps an epoch)
def test_resumed_equals_uninterrupted_to_the_bit(tmp_path: Path, optimiser: str, stop_at: int) -> None:
    config = replace(CONFIG, optimiser=optimiser)
    whole, whole_history = run(tmp_path / "whole", config)
    _, interrupted = run(tmp_path / "parts", config, cancel=StopAfter(stop_at))
    assert interrupted.stopped == "interrupted"
    parts, parts_history = run(tmp_path / "parts", config)
    assert same_weights(whole, parts)
    assert [epoch.metrics for epoch in parts_history.epochs] == [epoch.metrics for epoch in whole_history.epochs]
    assert [epoch.train_loss for epoch in parts_history.epochs] == [e.train_loss for e in whole_history.epochs]


@pytest.mark.parametrize("schedule", ["constant", "step", "plateau", "cosine", "one_cycle"])
def test_every_schedule_resumes(tmp_path: Path, schedule: str) -> None:
    config = replace(CONFIG, schedule=schedule, loss="focal", monitor="loss")
    whole, _ = run(tmp_path / "whole", config)
    run(tmp_path / "parts", config, cancel=StopAfter(8))
    parts, _ = run(tmp_path / "parts", config)
    assert same_weights(whole, parts)


def test_sigterm_ends_after_the_step_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    def at_step_four(done: int, total: int, text: str) -> None:
        if done == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    _, history = run(tmp_path / "parts", progress=at_step_four)
    assert history.stopped == "interrupted"
    assert load_state(tmp_path / "parts" / "last.pt")["run"]["step"] == 4
    assert signal.getsignal(signal.SIGTERM) is before
    resumed, _ = run(tmp_path / "parts")
    assert same_weights(resumed, run(tmp_path / "whole")[0])


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first, _ = run(tmp_path)
    steps: list[int] = []
    again, history = run(tmp_path, progress=lambda done, total, text: steps.append(done))
    assert not steps
    assert history.stopped == "finished"
    assert same_weights(first, again)


def test_patience_ends_early(tmp_path: Path) -> None:
    _, history = run(tmp_path, replace(CONFIG, epochs=40, patience=2, learning_rate=1e-8, schedule="constant"))
    assert history.stopped == "early stopping"
    assert len(history.epochs) == history.best_epoch + 3


def test_channels_last_and_smaller_pictures_first_train_too(tmp_path: Path) -> None:
    config = replace(CONFIG, channels_last=True, size_schedule=(16, 24), precision="bf16", epochs=4)
    _, history = run(tmp_path, config)
    assert np.isfinite([epoch.train_loss for epoch in history.epochs]).all()


def test_progress_names_epoch_loss_and_time_left(tmp_path: Path) -> None:
    lines: list[str] = []
    run(tmp_path, progress=lambda done, total, text: lines.append(f"{done}/{total} {text}"))
    assert lines[0].startswith("1/18 epoch 1/3, loss ")
    assert lines[-1].endswith("about 0 min left")


def test_the_callers_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    run(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_other_settings_do_not_resume(tmp_path: Path) -> None:
    run(tmp_path, cancel=StopAfter(2))
    with pytest.raises(ValueError, match="holds a run with other settings"):
        run(tmp_path, replace(CONFIG, learning_rate=1e-3))


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"last\.pt must be a training state written by cxrlab"):
        run(tmp_path)


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    run(tmp_path, cancel=StopAfter(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "status.json"]


def test_bad_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be \(N, S, S\) uint8 with one label each"):
        LabelledSquares(np.zeros((3, 4, 4), dtype=np.float32), np.zeros(3, dtype=int))
    empty = LabelledSquares(np.zeros((0, 4, 4), dtype=np.uint8), np.zeros(0, dtype=int))
    with pytest.raises(ValueError, match="need images, got 0 and 20"):
        fit(
            small_network(),
            empty,
            bright_or_dark(20, 1),
            num_classes=2,
            config=CONFIG,
            preprocessing=Preprocessing(),
            augmentation=Augmentation(),
            run_folder=tmp_path,
        )
