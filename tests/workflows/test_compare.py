"""Comparing checkpoints on one X-ray: same numbers as by hand, no forward twice, results in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cxrlab.catalogue import find_checkpoint
from cxrlab.checkpoints import CheckpointError, load_checkpoint, save_checkpoint, save_ensemble
from cxrlab.config import ModelConfig
from cxrlab.data.transforms import resize_pixels, to_batch
from cxrlab.data.xray import Xray
from cxrlab.explain.cam import grad_cam
from cxrlab.explain.methods import CAM_METHODS
from cxrlab.results import ModelResult
from cxrlab.workflows.compare import CamOptions, agreement, compare, predict_json, result_rows
from cxrlab.workflows.pool import PooledCheckpoint, pool
from tests.conftest import random_network

MODELS = ["tiny_shufflenet", "tiny_mobilenet"]


def make_xray(seed: int = 0) -> Xray:
    pixels = np.random.default_rng(seed).integers(0, 256, (90, 70), dtype=np.uint8)
    return Xray(pixels, None, 8, "PA", "CHEST", f"{seed:064x}", "PNG", name=f"{seed}.png")


@pytest.fixture(autouse=True)
def clean_pool() -> Iterator[None]:
    yield
    pool.clear()


@pytest.fixture
def xray() -> Xray:
    return make_xray()


def by_hand(name: str, xray: Xray) -> np.ndarray:
    loaded = load_checkpoint(name)
    batch = to_batch(resize_pixels(xray.pixels, loaded.preprocessing)[None], loaded.preprocessing)
    with torch.inference_mode():
        return loaded.model(batch).double().softmax(dim=1)[0].numpy()


class CountingPool:
    """The pool, counting who is borrowed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextmanager
    def borrow(self, folder: Path) -> Iterator[PooledCheckpoint]:
        self.names.append(folder.name)
        with pool.borrow(folder) as classifier:
            yield classifier


def test_scores_are_those_of_the_network(tiny_checkpoints: Path, xray: Xray) -> None:
    for result in compare(xray, MODELS):
        assert np.allclose(result.scores, by_hand(result.checkpoint, xray), atol=1e-4)
        assert result.predicted == result.labels.ids[int(result.scores.argmax())]
        assert (result.heatmap, result.members, result.device, result.kind) == (None, (), "cpu", "model")
        assert result.checkpoint_sha256 == find_checkpoint(result.checkpoint).card.weights_sha256
        assert result.seconds > 0


def test_results_come_in_the_order_asked_for_and_one_by_one(tiny_checkpoints: Path, xray: Xray) -> None:
    borrowed = CountingPool()
    results = compare(xray, ["tiny_mobilenet", "tiny_shufflenet"], device="cpu", borrow=borrowed.borrow)
    assert next(results).checkpoint == "tiny_mobilenet"
    assert borrowed.names == ["tiny_mobilenet"]
    assert next(results).checkpoint == "tiny_shufflenet"
    with pytest.raises(StopIteration):
        next(results)


@pytest.mark.parametrize("cam", [None, CamOptions()])
def test_a_heatmap_does_not_change_the_scores(tiny_checkpoints: Path, xray: Xray, cam: CamOptions | None) -> None:
    for result in compare(xray, MODELS, cam=cam):
        assert np.allclose(result.scores, by_hand(result.checkpoint, xray), atol=1e-4)


def test_heatmap_is_grad_cam_of_the_decision(tiny_checkpoints: Path, xray: Xray) -> None:
    for result in compare(xray, MODELS, cam=CamOptions()):
        loaded = load_checkpoint(result.checkpoint)
        batch = to_batch(resize_pixels(xray.pixels, loaded.preprocessing)[None], loaded.preprocessing)
        expected = grad_cam(loaded.model, batch, layer=loaded.cam_layer)[1][0].numpy()
        assert result.heatmap is not None
        assert result.heatmap.class_id == result.predicted
        assert (result.heatmap.method, result.heatmap.layer) == ("grad_cam", loaded.cam_layer)
        assert np.allclose(result.heatmap.values, expected / expected.max(), atol=1e-2)


def test_heatmap_of_a_class_asked_for(tiny_checkpoints: Path, xray: Xray) -> None:
    maps = [next(compare(xray, MODELS[:1], cam=CamOptions(class_id=id_))).heatmap for id_ in ("normal", "viral")]
    assert [heatmap.class_id for heatmap in maps if heatmap] == ["normal", "viral"]
    assert not np.allclose(maps[0].values, maps[1].values)  # type: ignore[union-attr]


@pytest.mark.parametrize("method", sorted(CAM_METHODS))
def test_every_method_works_on_a_model_and_on_an_ensemble(tiny_checkpoints: Path, xray: Xray, method: str) -> None:
    names = ["tiny_shufflenet"] if method == "score_cam" else ["tiny_shufflenet", "tiny_ensemble"]
    for result in compare(xray, names, cam=CamOptions(method)):
        assert result.heatmap is not None
        assert result.heatmap.method == method
        assert result.heatmap.values.shape == (2, 2)
        assert 0 <= result.heatmap.values.min() <= result.heatmap.values.max() <= 1


def test_ensemble_is_the_weighted_mean_and_shows_its_members(tiny_checkpoints: Path, xray: Xray) -> None:
    result = next(compare(xray, ["tiny_ensemble"], cam=CamOptions()))
    assert [(part.checkpoint, part.weight) for part in result.members] == [
        ("tiny_shufflenet", 0.25),
        ("tiny_mobilenet", 0.75),
    ]
    for part in result.members:
        assert np.allclose(part.scores, by_hand(part.checkpoint, xray), atol=1e-4)
        assert part.heatmap is not None
        assert part.heatmap.class_id == result.predicted
    expected = sum(part.weight * part.scores for part in result.members)
    assert np.allclose(result.scores, expected)
    total = sum(part.weight * part.heatmap.values for part in result.members if part.heatmap)
    assert result.heatmap is not None
    assert np.allclose(result.heatmap.values, total / np.max(total), atol=1e-6)
    assert result.kind == "ensemble"


def test_hard_voting_decides_ties_by_summed_scores(tiny_checkpoints: Path, xray: Xray) -> None:
    card = replace(find_checkpoint("tiny_ensemble").card, name="hard", voting="hard", member_weights=())
    save_ensemble(tiny_checkpoints / "hard", card)
    result = next(compare(xray, ["hard"]))
    votes = [int(by_hand(name, xray).argmax()) for name in MODELS]
    assert np.allclose(result.scores, np.bincount(votes, minlength=4) / 2)
    summed = sum(by_hand(name, xray) for name in MODELS)
    assert result.labels.index(result.predicted) == max(votes, key=lambda vote: summed[vote])


def test_a_member_that_is_chosen_too_runs_once(tiny_checkpoints: Path, xray: Xray) -> None:
    borrowed = CountingPool()
    results = list(compare(xray, ["tiny_ensemble", *MODELS], cam=CamOptions(), borrow=borrowed.borrow))
    assert sorted(borrowed.names) == sorted(MODELS)
    assert np.array_equal(results[0].members[0].scores, results[1].scores)


def test_one_node_network_is_read_as_two_logits(tiny_checkpoints: Path, xray: Xray) -> None:
    card = replace(
        find_checkpoint("tiny_shufflenet").card,
        name="binary",
        labels=("normal", "covid19"),
        activation="binary_sigmoid",
        model=ModelConfig("shufflenet_v2_x0_5", 1),
        weights_sha256="",
    )
    network = random_network("shufflenet_v2_x0_5", num_classes=1)
    save_checkpoint(tiny_checkpoints / "binary", network, card, dtype="float32")
    batch = to_batch(resize_pixels(xray.pixels, card.preprocessing)[None], card.preprocessing)  # type: ignore[arg-type]
    with torch.inference_mode():
        expected = network(batch).double().sigmoid().item()
    result = next(compare(xray, ["binary"], cam=CamOptions(class_id="normal")))
    assert result.scores.sum() == pytest.approx(1)
    assert result.scores[1] == pytest.approx(expected, abs=1e-5)


def test_sessions_at_once_never_mix_results(tiny_checkpoints: Path) -> None:
    xrays = [make_xray(seed) for seed in range(6)]
    barrier = threading.Barrier(6)

    def run(xray: Xray) -> list[ModelResult]:
        barrier.wait()
        return [result for _ in range(3) for result in compare(xray, [*MODELS, "tiny_ensemble"], cam=CamOptions())]

    alone = [run_alone(xray) for xray in xrays]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(run, xrays))
    for expected, found in zip(alone, together, strict=True):
        for one, other in zip(expected * 3, found, strict=True):
            assert np.allclose(one.scores, other.scores, atol=1e-5)
            assert one.heatmap is not None
            assert other.heatmap is not None
            assert np.allclose(one.heatmap.values, other.heatmap.values, atol=1e-3)


def run_alone(xray: Xray) -> list[ModelResult]:
    return list(compare(xray, [*MODELS, "tiny_ensemble"], cam=CamOptions()))


def test_an_abandoned_comparison_blocks_nobody(tiny_checkpoints: Path, xray: Xray) -> None:
    abandoned = compare(xray, MODELS, cam=CamOptions())
    next(abandoned)
    with ThreadPoolExecutor(1) as threads:
        assert len(threads.submit(run_alone, xray).result(timeout=60)) == 3


def test_unknown_checkpoint(tiny_checkpoints: Path, xray: Xray) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint named 'dog'"):
        list(compare(xray, ["dog"]))


def test_unknown_class_method_and_device(tiny_checkpoints: Path, xray: Xray) -> None:
    with pytest.raises(ValueError, match="Unknown class 'dog'; the classes are covid19"):
        list(compare(xray, MODELS, cam=CamOptions(class_id="dog")))
    with pytest.raises(ValueError, match="Unknown CAM method 'dream'"):
        CamOptions("dream")
    with pytest.raises(ValueError, match="must be auto, cpu or cuda, got 'tpu'"):
        list(compare(xray, MODELS, device="tpu"))


def says(checkpoint: str, class_id: str) -> ModelResult:
    labels = find_labels()
    scores = np.eye(4)[labels.index(class_id)]
    return ModelResult(checkpoint, checkpoint.title(), "a" * 64, "model", "real", labels, scores, class_id, 0.1, "cpu")


def find_labels():  # type: ignore[no-untyped-def]
    from cxrlab.labels import CXR4

    return CXR4


@pytest.mark.parametrize(
    ("decisions", "sentence"),
    [
        ("", ""),
        ("n", ""),
        ("nn", "All 2 say Normal."),
        ("nnnnv", "4 of 5 say Normal; m4 says Viral pneumonia."),
        ("nvnvn", "3 of 5 say Normal; m1 and m3 say Viral pneumonia."),
        ("nnnvcb", "3 of 6 say Normal; m3 says Viral pneumonia; m4 says COVID-19; m5 says Bacterial pneumonia."),
        ("nvv", "2 of 3 say Viral pneumonia; m0 says Normal."),
        ("nv", "No majority: m0 says Normal; m1 says Viral pneumonia."),
        ("nvnvc", "No majority: m0 and m2 say Normal; m1 and m3 say Viral pneumonia; m4 says COVID-19."),
    ],
)
def test_agreement_in_words(decisions: str, sentence: str) -> None:
    ids = {"n": "normal", "v": "viral", "c": "covid19", "b": "bacterial"}
    assert agreement([says(f"m{number}", ids[letter]) for number, letter in enumerate(decisions)]) == sentence


def test_json_has_one_object_per_checkpoint(xray: Xray) -> None:
    (found,) = predict_json(xray, [says("m0", "viral")])
    assert found == {
        "image": "0.png",
        "sha256": "0" * 64,
        "checkpoint": "m0",
        "labels": ["covid19", "viral", "bacterial", "normal"],
        "probabilities": [0.0, 1.0, 0.0, 0.0],
        "predicted": "viral",
        "seconds": 0.1,
    }


def test_json_of_an_ensemble_adds_up(tiny_checkpoints: Path, xray: Xray) -> None:
    (result,) = compare(xray, ["tiny_ensemble"])
    (found,) = predict_json(xray, [result])
    combined = sum(member["weight"] * np.array(member["probabilities"]) for member in found["members"])
    assert [member["checkpoint"] for member in found["members"]] == [member.checkpoint for member in result.members]
    assert np.allclose(combined, found["probabilities"])


def test_rows_have_a_column_for_every_class(xray: Xray) -> None:
    first, second = result_rows(xray, [says("m0", "viral"), says("m1", "normal")])
    assert first["score_viral"] == 1.0
    assert second["score_viral"] == 0.0
    assert list(first) == list(second)
    assert first["checkpoint_sha256"] == "a" * 64
