"""What a training will cost, without reading an image."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.data import cache
from cxrlab.labels import LabelSet
from cxrlab.progress import Cancelled
from cxrlab.workflows.train import TrainingError, TrainRequest, train
from cxrlab.workflows.training_cost import TrainingCost, estimate_training
from tests.workflows.labelled_images import rows_of, write_set


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), rows_of(60, LabelSet.from_ids(["normal", "viral"])))


def request(source: Path, **config: object) -> TrainRequest:
    return TrainRequest(
        source=source,
        model="shufflenet_v2_x0_5",
        name="cost",
        validation=0.2,
        preprocessing=Preprocessing(size=32),
        config=replace(TrainConfig(epochs=3, batch_size=16, threads=1), **config),  # type: ignore[arg-type]
    )


def test_the_counts_are_those_of_the_training_and_no_image_is_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(cache, "read_xray", lambda *_: pytest.fail("an image was read"))
        state, threads = torch.get_rng_state(), torch.get_num_threads()
        cost = estimate_training(request(source), device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    seen: list[int] = []
    trained = train(
        request(source), run_folder=tmp_path / "run", checkpoints=tmp_path, device="cpu",
        progress=lambda done, total, text: text.startswith("epoch") and seen.append(total),
    )  # fmt: skip
    assert cost.steps == seen[-1]
    assert cost.images == trained.card.training_data["images"]
    assert cost.parameters == cost.trainable == trained.card.parameters
    assert (cost.epochs, cost.device) == (3, "cpu")


def test_the_estimate_is_near_the_truth(source: Path, tmp_path: Path) -> None:
    """Within a factor of 4, on a machine that does other things at the same time."""
    wanted = request(source, epochs=6)
    cost = estimate_training(wanted, device="cpu")
    started: list[float] = []
    train(
        wanted, run_folder=tmp_path / "run", checkpoints=tmp_path, device="cpu",
        progress=lambda done, total, text: text.startswith("epoch") and started.append(time.monotonic()),
    )  # fmt: skip
    seconds = started[-1] - started[0]
    assert seconds / 4 < cost.seconds < seconds * 4


def test_larger_batches_and_sizes_take_more_memory_and_a_frozen_backbone_less(source: Path) -> None:
    plain = estimate_training(request(source, batch_size=8), device="cpu")
    twice = estimate_training(request(source, batch_size=16), device="cpu")
    larger = estimate_training(replace(request(source), preprocessing=Preprocessing(size=64)), device="cpu")
    frozen = replace(request(source, unfreeze=0.0), augmentation=Augmentation.none())
    stored = estimate_training(frozen, device="cpu")
    fixed = 4 * 4 * plain.parameters  # weights, gradients and Adam's two states, float32
    assert fixed < plain.memory_bytes < twice.memory_bytes < larger.memory_bytes
    assert (twice.memory_bytes - fixed) / (plain.memory_bytes - fixed) == pytest.approx(2, rel=0.1)
    assert stored.memory_bytes < plain.memory_bytes
    assert stored.trainable < stored.parameters == plain.parameters


def test_each_size_of_the_schedule_is_timed(source: Path) -> None:
    timed: list[str] = []
    wanted = replace(request(source, size_schedule=(32, 48), epochs=1), preprocessing=Preprocessing(size=48))
    estimate_training(wanted, device="cpu", progress=lambda done, total, text: timed.append(f"{done}/{total} {text}"))
    assert timed[0] == "0/9 timing a validation"
    assert timed[3::3] == ["3/9 timing a step at 32 px", "6/9 timing a step at 48 px"]


def test_the_sentence_says_what_it_rests_on() -> None:
    cost = TrainingCost(5400, 1200, 14, 532, 2_300_000, 1_000_000, 1_230_000_000, 3.1, "cpu")
    assert cost.sentence == (
        "About 1.5 h for 14 epochs of 1,200 images (532 steps, 3.1 images/s) and 1.2 GB of memory on this machine's "
        "CPU; 1.00 of 2.30 million parameters train. Estimated from two steps on a made-up picture at each size, for "
        "one device: reading the images for the first time comes on top, and other work on the machine makes it longer."
    )
    assert "About 2 min for 1 epoch of" in replace(cost, seconds=100, epochs=1).sentence
    assert "About 1 s for" in replace(cost, seconds=0.2).sentence
    assert "25 MB of memory on this machine's GPU" in replace(cost, memory_bytes=25_000_000, device="cuda").sentence


def test_what_can_not_be_trained_is_refused_as_by_the_training(source: Path) -> None:
    with pytest.raises(Cancelled, match="The estimate was cancelled"):
        estimate_training(request(source), device="cpu", cancel=lambda: True)
    with pytest.raises(ValueError, match="must have at least 2 classes, got 1"):
        estimate_training(replace(request(source), labels=("normal",)), device="cpu")


def test_a_gpu_that_is_too_small_is_said_so(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cxrlab.training.probe import Probe

    def too_much(_: Probe) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Probe, "run", too_much)
    with pytest.raises(TrainingError, match="does not suffice for batches of 16 at 32 px; choose a smaller batch"):
        estimate_training(request(source), device="cpu")
