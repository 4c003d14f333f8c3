"""A run that is killed, or whose disk is full, at any moment goes on to the very weights of one that was not."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.progress import never
from cxrlab.results import History
from cxrlab.training import finite
from cxrlab.training.fit import fit
from cxrlab.training.state import load_state, read_epochs
from tests.training.networks import BackboneAndHead, bright_or_dark, seeded

# A plateau schedule has a state of its own, and a small rate lets a later epoch be the best one.
CONFIG = TrainConfig(
    epochs=3, batch_size=8, learning_rate=2e-3, schedule="plateau", plateau_patience=0, seed=4, threads=1,
    monitor="loss",
)  # fmt: skip


class Killed(BaseException):
    """Stands for a process that ends here."""


def run(folder: Path, config: TrainConfig = CONFIG, *, cancel: Callable[[], bool] = never) -> tuple[nn.Module, History]:
    network = seeded(BackboneAndHead)
    history = fit(
        network, bright_or_dark(24, 0), bright_or_dark(12, 1), num_classes=2, config=config,
        preprocessing=Preprocessing(size=32), augmentation=Augmentation(), run_folder=folder, accelerator="cpu",
        cancel=cancel,
    )  # fmt: skip
    return network, history


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, History, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return (*run(folder), folder)


def assert_same(folder: Path, network: nn.Module, whole: tuple[nn.Module, History, Path]) -> None:
    for name, value in whole[0].state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name
    kept, expected = load_state(folder / "best.pt"), load_state(whole[2] / "best.pt")
    assert kept["epoch"] == expected["epoch"]
    assert all(torch.equal(kept["model"][name], value) for name, value in expected["model"].items())
    epochs = [(line.epoch, line.train_loss, line.metrics) for line in read_epochs(folder / "metrics.jsonl")]
    assert epochs == [(line.epoch, line.train_loss, line.metrics) for line in whole[1].epochs]
    assert (folder / "confusion.json").read_text() == (whole[2] / "confusion.json").read_text()
    assert not list(folder.glob("*.part"))


@contextmanager
def killed_at(number: int, *, after: bool) -> Iterator[list[str]]:
    """End at the n-th time that a file but the status is renamed to its final name, just before or just after it."""
    written: list[str] = []
    rename = Path.replace

    def replaced(source: Path, target: Path) -> Path:
        if target.name == "status.json":
            return rename(source, target)
        written.append(target.name)
        if len(written) == number and not after:
            raise Killed
        rename(source, target)
        if len(written) == number:
            raise Killed
        return target

    with mock.patch.object(Path, "replace", replaced):
        yield written


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_write_a_run_goes_on_to_the_same_weights(
    tmp_path: Path, whole: tuple[nn.Module, History, Path], after: bool
) -> None:
    seen: list[str] = []
    for number in range(1, 13):
        folder = tmp_path / str(number)
        with killed_at(number, after=after) as written, pytest.raises(Killed):
            run(folder)
        seen.append(written[-1])
        network, history = run(folder)
        assert history.stopped == "finished"
        assert_same(folder, network, whole)
    order = ["last.pt", "best.pt", "metrics.jsonl", "confusion.json"]
    assert seen[:4] == order
    assert seen.count("last.pt") == 3
    assert seen.count("best.pt") > 1


def test_killed_again_and_again_each_start_gets_further(tmp_path: Path, whole: tuple[nn.Module, History, Path]) -> None:
    """Every process dies at its fifth write, so that it dies at different files of the run."""
    for _ in range(20):
        try:
            with killed_at(5, after=False):
                network, _ = run(tmp_path)
            break
        except Killed:
            continue
    assert_same(tmp_path, network, whole)


def test_the_better_epoch_of_a_repaired_run_is_the_one_that_was_measured(tmp_path: Path) -> None:
    """Where computing is not repeatable (GPUs), best.pt must hold what last.pt says of it: it is not trained again."""
    with killed_at(2, after=False), pytest.raises(Killed):
        run(tmp_path)  # the first epoch is in last.pt, its best.pt is not written
    saved = load_state(tmp_path / "last.pt")
    run(tmp_path, cancel=lambda: True)
    best = load_state(tmp_path / "best.pt")
    assert best["epoch"] == saved["run"]["best_epoch"] == 0
    assert all(torch.equal(value, saved["model"][name]) for name, value in best["model"].items())


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The kernel lets no file grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_state_that_does_not_fit_on_the_disk_leaves_the_last_one_whole(
    tmp_path: Path, whole: tuple[nn.Module, History, Path]
) -> None:
    stops = iter([False] * 4 + [True])
    run(tmp_path, cancel=lambda: next(stops))  # within the second epoch
    before = (tmp_path / "last.pt").read_bytes()
    names = sorted(path.name for path in tmp_path.iterdir())
    with files_up_to(len(before) // 2), pytest.raises((OSError, RuntimeError)) as failed:
        run(tmp_path)
    chain = [failed.value, failed.value.__cause__, failed.value.__context__]
    assert any(isinstance(error, OSError) for error in chain)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    network, _ = run(tmp_path)
    assert_same(tmp_path, network, whole)


@pytest.mark.parametrize("name", ["best.pt", "metrics.jsonl"])
def test_a_full_disk_at_any_other_file_is_made_good(
    tmp_path: Path, whole: tuple[nn.Module, History, Path], name: str
) -> None:
    rename = Path.replace

    def full(source: Path, target: Path) -> Path:
        if target.name == name:
            raise OSError(28, "No space left on device")
        return rename(source, target)

    with mock.patch.object(Path, "replace", full), pytest.raises(OSError, match="No space left"):
        run(tmp_path)
    assert not list(tmp_path.glob("*.part"))
    assert load_state(tmp_path / "last.pt")["run"]["epoch"] == 1
    network, _ = run(tmp_path)
    assert_same(tmp_path, network, whole)


def test_a_status_that_can_not_be_written_stops_nothing(tmp_path: Path, whole: tuple[nn.Module, History, Path]) -> None:
    (tmp_path / "status.json.part").mkdir()
    network, _ = run(tmp_path)
    (tmp_path / "status.json.part").rmdir()
    assert_same(tmp_path, network, whole)


@pytest.mark.parametrize(("clip_norm", "advice"), [(1.0, "then)"), (0.0, "then) or clip_norm")])
def test_a_loss_that_is_no_number_ends_the_training_before_anything_is_saved(
    tmp_path: Path, clip_norm: float, advice: str
) -> None:
    config = replace(CONFIG, schedule="constant", clip_norm=clip_norm)
    network = seeded(BackboneAndHead)
    steps: list[int] = []

    def broken_in_the_second_epoch(done: int, total: int, text: str) -> None:
        steps.append(done)
        if done == 4:
            with torch.no_grad():
                network.classifier[3].weight.fill_(float("inf"))

    with pytest.raises(finite.NotFinite) as failed:
        fit(
            network, bright_or_dark(24, 0), bright_or_dark(12, 1), num_classes=2, config=config,
            preprocessing=Preprocessing(size=32), augmentation=Augmentation(), run_folder=tmp_path, accelerator="cpu",
            progress=broken_in_the_second_epoch,
        )  # fmt: skip
    assert str(failed.value) == (
        "Training stopped because the loss became infinite or not a number in epoch 2, step 2 of 3: train again with "
        f"a lower learning rate (it was 0.002 {advice}."
    )
    assert steps[-1] == 4
    saved = load_state(tmp_path / "last.pt")
    assert saved["run"]["epoch"] == 1
    assert all(torch.isfinite(value).all() for value in saved["model"].values())


@pytest.mark.parametrize("when", ["asked to stop", "at the end of the epoch"])
def test_broken_weights_are_never_saved_even_when_no_loss_told(tmp_path: Path, when: str) -> None:
    network, config = seeded(BackboneAndHead), replace(CONFIG, precision="bf16")

    def broken(done: int, total: int, text: str) -> None:
        if done == (2 if when == "asked to stop" else 3):
            with torch.no_grad():
                network.features[1].running_var.fill_(float("nan"))

    asked = iter([False, True])
    with pytest.raises(ValueError, match=r"became infinite or not a number in epoch 1, step [23] of 3"):
        fit(
            network, bright_or_dark(24, 0), bright_or_dark(12, 1), num_classes=2, config=config,
            preprocessing=Preprocessing(size=32), augmentation=Augmentation(), run_folder=tmp_path, accelerator="cpu",
            progress=broken, cancel=(lambda: next(asked)) if when == "asked to stop" else never,
        )  # fmt: skip
    assert not (tmp_path / "last.pt").exists()


def test_the_advice_names_fp32_where_it_was_not_used() -> None:
    error = finite.not_finite("loss", replace(CONFIG, precision="bf16", clip_norm=0), 1, 2, 3, 0.5)
    assert str(error).endswith("train again with a lower learning rate (it was 0.5 then) or fp32 or clip_norm.")


def test_the_status_has_every_field_and_ends_whole(tmp_path: Path, whole: tuple[nn.Module, History, Path]) -> None:
    status = json.loads((whole[2] / "status.json").read_text())
    assert set(status) == {
        "done", "total", "epoch", "epochs", "text", "eta_s", "images_per_s", "gpu_memory", "written"
    }  # fmt: skip
    assert (status["done"], status["total"], status["epoch"], status["epochs"]) == (9, 9, 3, 3)
    assert status["gpu_memory"] == 0
    _, history = run(tmp_path, replace(CONFIG, epochs=40, patience=1, learning_rate=1e-8, monitor="macro_f1"))
    early = json.loads((tmp_path / "status.json").read_text())
    assert early["done"] == early["total"] == 3 * len(history.epochs)
    assert early["epoch"] == early["epochs"] == len(history.epochs) < 40


def test_the_confusion_matrix_is_that_of_the_last_validation(whole: tuple[nn.Module, History, Path]) -> None:
    found = json.loads((whole[2] / "confusion.json").read_text())
    assert (found["labels"], found["epoch"]) == (2, 2)
    right, total = sum(found["counts"][k][k] for k in range(2)), sum(map(sum, found["counts"]))
    assert total == 12
    assert right / total == pytest.approx(whole[1].epochs[-1].metrics["accuracy"])
