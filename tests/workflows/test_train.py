"""From a manifest to a checkpoint with a full card."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlab.checkpoints import CheckpointError, load_checkpoint
from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.data.splits import Split
from cxrlab.metrics.report import measure
from cxrlab.workflows.evaluate import evaluate_manifest
from cxrlab.workflows.train import Interrupted, TrainingError, TrainRequest, ordered_labels, train
from cxrlab.workflows.training_card import entanglement

COUNT = 60


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Bright and dark pictures of 30 patients in two sources, one with an original split."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "set"
    folder.mkdir()
    lines = ["path,label,patient_id,view,source,original_split"]
    for number in range(COUNT):
        label = ("normal", "viral")[number // 2 % 2]
        grey = rng.integers(30, 90, (40, 40), dtype=np.uint8) + (90 if label == "viral" else 0)
        Image.fromarray(grey.astype(np.uint8)).save(folder / f"{number}.png")
        part = ("train", "train", "test")[number // 2 % 3]
        source, split = ("k", part) if number % 4 < 2 or number > 20 else ("h", "")
        lines.append(f"{number}.png,{label},p{number // 2},PA,{source},{split}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def request(data: Path, **changes: object) -> TrainRequest:
    wanted = TrainRequest(
        source=data,
        model="shufflenet_v2_x0_5",
        name="first-try",
        validation=0.25,
        preprocessing=Preprocessing(size=32),
        config=TrainConfig(epochs=2, batch_size=8, threads=1),
    )
    return replace(wanted, **changes)  # type: ignore[arg-type]


def test_a_training_ends_in_a_listed_checkpoint_with_its_card(
    data: Path, own_home: Path, tiny_checkpoints: Path
) -> None:
    trained = train(request(data), device="cpu")
    assert trained.folder == own_home / "checkpoints" / "first-try"
    card = load_checkpoint("first-try").card
    assert card == trained.card
    assert card.labels == ("viral", "normal")  # the order of the known task
    split = Split.load(own_home / "training" / "first-try" / "split.json")
    assert card.training_data["split_digest"] == split.digest
    assert card.training_data["images"] == len(split.part("train"))
    assert sum(card.training_data["by_class"].values()) == card.training_data["images"]
    assert card.training["history"]["epochs"] == 2
    assert card.model is not None
    assert card.model.name == "shufflenet_v2_x0_5"
    assert card.seconds_per_image > 0
    assert "diagnosis" in card.intended_use


def test_benchmark_training_measures_the_saved_weights(data: Path, tiny_checkpoints: Path) -> None:
    trained = train(request(data, benchmark=True), device="cpu")
    again = evaluate_manifest(data, ["first-try"], part="test", device="cpu", store=False).runs[0]
    stored = trained.card.metrics
    assert stored["report"]["macro_f1"]["value"] == pytest.approx(again.report.macro_f1.value, abs=1e-12)
    assert stored["images"] == again.report.n_images
    assert stored["part"] == "test"
    assert measure(again.predictions, draws=10).accuracy.value == again.report.accuracy.value


def test_no_test_image_is_trained_on(data: Path, own_home: Path, tiny_checkpoints: Path) -> None:
    train(request(data, benchmark=True), device="cpu")
    split = Split.load(own_home / "training" / "first-try" / "split.json")
    tested = evaluate_manifest(data, ["first-try"], part="test", device="cpu", store=False).runs[0].predictions.ids
    assert not set(tested) & {path for part in split.parts.values() for path in part}


def test_every_task_holds_out_the_same_patients(data: Path, own_home: Path, tiny_checkpoints: Path) -> None:
    """So that a checkpoint of one task can start from one of another without having seen its validation patients."""
    text = (data / "manifest.csv").read_text().splitlines()
    lines = [line.replace(",viral,", ",bacterial,") if number % 8 == 4 else line for number, line in enumerate(text)]
    (data / "manifest.csv").write_text("\n".join(lines) + "\n")
    config = TrainConfig(epochs=1, batch_size=8, threads=1)
    splits = []
    for name, task in (("finer", ""), ("coarser", "pneumonia_vs_normal")):
        train(request(data, name=name, task=task, config=config), device="cpu")
        splits.append(Split.load(own_home / "training" / name / "split.json"))
    assert splits[0].parts == splits[1].parts
    assert splits[0].digest == splits[1].digest


def test_an_interrupted_training_is_resumed_by_the_same_call(
    data: Path, own_home: Path, tiny_checkpoints: Path
) -> None:
    asked = iter(range(1000))
    with pytest.raises(Interrupted, match=r"the same command resumes it from first-try/last\.pt"):
        train(request(data), device="cpu", cancel=lambda: next(asked) > 6)
    assert not (own_home / "checkpoints" / "first-try").exists()
    steps: list[int] = []
    train(request(data), device="cpu", progress=lambda done, total, text: "epoch" in text and steps.append(done))
    assert steps[0] > 1
    assert (own_home / "checkpoints" / "first-try").is_dir()


def test_a_name_that_is_taken_is_refused_before_any_work(data: Path, own_home: Path, tiny_checkpoints: Path) -> None:
    taken = own_home / "checkpoints" / "first-try"
    taken.mkdir(parents=True)
    with pytest.raises(TrainingError, match="named first-try exists already"):
        train(request(data), device="cpu")
    with pytest.raises(CheckpointError, match="name must be lower-case"):
        train(request(data, name="First Try!"), device="cpu")


def test_a_run_folder_of_something_else_is_refused(data: Path, tmp_path: Path, tiny_checkpoints: Path) -> None:
    run = tmp_path / "run"
    train(request(data), run_folder=run, device="cpu")
    other = request(data, name="second", preprocessing=Preprocessing(size=48))
    with pytest.raises(TrainingError, match=f"{re.escape(str(run))} holds a run with another preprocessing; choose"):
        train(other, run_folder=run, device="cpu")
    longer = request(data, name="second", config=replace(request(data).config, epochs=3))
    with pytest.raises(TrainingError, match="holds a run with another epochs; choose another name"):
        train(longer, run_folder=run, device="cpu")


def test_a_start_that_failed_does_not_stand_in_the_way(data: Path, tmp_path: Path, tiny_checkpoints: Path) -> None:
    missing = tmp_path / "weights.pt"
    with pytest.raises((ValueError, OSError)):
        train(request(data, weights_file=missing), device="cpu")
    assert train(request(data), device="cpu").folder.is_dir()


def test_an_overwritten_checkpoint_is_trained_anew_with_other_settings(data: Path, tiny_checkpoints: Path) -> None:
    train(request(data), device="cpu")
    longer = replace(request(data).config, epochs=3)
    again = train(request(data, config=longer), device="cpu", overwrite=True)
    assert len(again.history.epochs) == 3


def test_pictures_too_small_for_the_network_are_refused(data: Path, own_home: Path, tiny_checkpoints: Path) -> None:
    with pytest.raises(TrainingError, match=r"The input of inception_v3 must be at least 75 px, got 32\."):
        train(request(data, model="inception_v3"), device="cpu")
    assert not (own_home / "training").exists()


def test_an_unreadable_image_is_named(data: Path, tiny_checkpoints: Path) -> None:
    for number in range(COUNT):
        (data / f"{number}.png").write_bytes(b"no image" + bytes([number]))
    with pytest.raises(TrainingError, match=r"images can not be read, first \d+\.png: "):
        train(request(data), device="cpu")


def test_a_training_can_start_from_a_checkpoint_of_the_same_network(data: Path, tiny_checkpoints: Path) -> None:
    still = TrainConfig(epochs=1, batch_size=32, learning_rate=1e-9, optimiser="sgd", threads=1)
    trained = train(request(data, initial="tiny_shufflenet", config=still), device="cpu")
    before, after = load_checkpoint("tiny_shufflenet").model, load_checkpoint("first-try").model
    assert trained.card.training["initial"] == "tiny_shufflenet"
    np.testing.assert_allclose(after.conv1[0].weight, before.conv1[0].weight, atol=1e-4)
    assert after.fc.weight.shape[0] == 2
    with pytest.raises(TrainingError, match="tiny_mobilenet must be a checkpoint of shufflenet_v2_x0_5 to start from"):
        train(request(data, name="other", initial="tiny_mobilenet"), device="cpu")


def test_entanglement_is_said_only_where_it_is() -> None:
    assert entanglement({"a": {"x": 5, "y": 5}, "b": {"x": 5, "y": 5}}) == ()
    assert entanglement({"a": {"x": 5, "y": 5}}) == ()
    (sentence,) = entanglement({"a": {"x": 19, "y": 5}, "b": {"x": 1, "y": 5}})
    assert "19 of 20 x images come from a" in sentence
    assert "y images" not in sentence


def test_known_tasks_keep_their_order() -> None:
    assert ordered_labels(("bacterial", "covid19", "normal")).ids == ("covid19", "bacterial", "normal")
    assert ordered_labels(("peripheral", "clear")).ids == ("clear", "peripheral")
    assert ordered_labels(("zebra", "ant")).ids == ("ant", "zebra")


def test_the_run_folder_says_what_the_run_is(data: Path, tmp_path: Path, tiny_checkpoints: Path) -> None:
    run = tmp_path / "run"
    train(request(data), run_folder=run, device="cpu")
    facts = json.loads((run / "run.json").read_text())
    assert facts["model"] == "shufflenet_v2_x0_5"
    assert facts["preprocessing"]["size"] == 32


def test_a_head_of_one_node_in_a_recipe_s_manner_ends_in_a_checkpoint_that_loads(
    data: Path, tiny_checkpoints: Path
) -> None:
    """Binary focal loss, a dense head, a frozen backbone, crops; the card says it all and rebuilds the network."""
    wanted = request(
        data,
        model="mobilenet_v2",
        task="pneumonia_vs_normal",
        activation="binary_sigmoid",
        options={"head": "mlp_512_64_32"},
        preprocessing=Preprocessing(size=32, resize_to=36),
        augmentation=Augmentation.none(),
        config=TrainConfig(epochs=1, batch_size=16, loss="focal", class_weights="normalised", unfreeze=0.0, threads=1),
        recipe={"name": "efficientnet-b5-focal", "profile": "paper", "system": "EfficientNetB5", "changed": {}},
        benchmark=True,
    )
    card = train(wanted, device="cpu").card
    loaded = load_checkpoint("first-try")
    assert (card.labels, card.activation) == (("normal", "pneumonia"), "binary_sigmoid")
    assert loaded.card.model is not None
    assert (loaded.card.model.num_classes, dict(loaded.card.model.options)) == (1, {"head": "mlp_512_64_32"})
    assert card.training["recipe"]["name"] == "efficientnet-b5-focal"
    assert card.training["first_trained"].startswith("classifier")
    assert card.training["trained_parameters"] == 1280 * 512 + 512 + 32_832 + 2_080 + 33
    assert card.metrics["report"]["labels"] == ["normal", "pneumonia"]


def test_one_node_needs_two_classes(data: Path, tiny_checkpoints: Path) -> None:
    listed = (data / "manifest.csv").read_text()
    (data / "manifest.csv").write_text(listed.replace("58.png,viral", "58.png,bacterial"))
    with pytest.raises(TrainingError, match="One sigmoid node needs 2 classes, got viral, bacterial, normal"):
        train(request(data, activation="binary_sigmoid"), device="cpu")
