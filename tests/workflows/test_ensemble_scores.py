"""Ensembles with a learned combiner as checkpoints: saved, found, measured and compared like all others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlab.cards import CheckpointError, ModelCard
from cxrlab.catalogue import find_checkpoint, list_broken, list_checkpoints
from cxrlab.checkpoints import load_checkpoint, load_combiner, save_ensemble
from cxrlab.data.images import read_xray
from cxrlab.ensembles.combined import Combiner
from cxrlab.ensembles.combiner import CombinerConfig, fit_combiner
from cxrlab.ensembles.combiner_config import largest_score
from cxrlab.labels import CXR4
from cxrlab.workflows.compare import CamOptions, compare
from cxrlab.workflows.ensemble_scores import bound_note, voting_words
from cxrlab.workflows.evaluate import evaluate_manifest, scoring_sha256

MEMBERS = ("tiny_shufflenet", "tiny_mobilenet")


@cache
def fitted(kind: str = "flannel", *, members: int = 2, seed: int = 0) -> Combiner:
    """A combiner of made-up members, of whom the second is always wrong and so gets a negative weight."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, 120)
    scores = rng.dirichlet(np.ones(4) / 2, (120, members))
    scores[np.arange(120), 0, y] += 1
    scores[np.arange(120), -1, (y + 1) % 4] += 2
    config = CombinerConfig(kind=kind, epochs=20, learning_rate=0.01, class_weights="balanced", seed=seed)
    return fit_combiner(scores / scores.sum(axis=2, keepdims=True), y, config)


def card(kind: str, name: str = "") -> ModelCard:
    return ModelCard(
        name=name or f"tiny_{kind}",
        title=f"Tiny {kind}",
        kind="ensemble",
        labels=CXR4.ids,
        domain="real",
        members=MEMBERS,
        voting=kind,  # type: ignore[arg-type]
    )


@pytest.fixture
def learned(tiny_checkpoints: Path) -> Path:
    """The tiny checkpoints with ensembles of every learned kind."""
    for kind in ("flannel", "mlp_l1", "mlp_l2"):
        save_ensemble(tiny_checkpoints / f"tiny_{kind}", card(kind), combiner=fitted(kind))
    return tiny_checkpoints


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    lines = ["path,label,patient_id"]
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 255, (70, 60), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{CXR4.ids[number % 4]},p{number // 2}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


def test_they_are_listed_with_all_other_checkpoints(learned: Path) -> None:
    assert not list_broken()
    names = [info.name for info in list_checkpoints()]
    assert {"tiny_ensemble", "tiny_flannel", "tiny_mlp_l1", "tiny_mlp_l2"} < set(names)
    info = find_checkpoint("tiny_flannel")
    members = [find_checkpoint(name).card for name in MEMBERS]
    assert info.card.parameters == sum(member.parameters for member in members) + 2 * 64 + 2
    assert info.card.size_bytes > sum(member.size_bytes for member in members)
    assert info.card.is_learned
    assert not find_checkpoint("tiny_ensemble").card.is_learned


def test_the_loaded_combiner_is_the_saved_one(learned: Path) -> None:
    given = np.random.default_rng(1).dirichlet(np.ones(4), (5, 2))
    for kind in ("flannel", "mlp_l1", "mlp_l2"):
        combiner = load_checkpoint(f"tiny_{kind}").combiner
        assert combiner is not None
        assert np.array_equal(combiner.combine(given).scores, fitted(kind).combine(given).scores)
    assert load_checkpoint("tiny_ensemble").combiner is None
    assert load_combiner(find_checkpoint("tiny_mobilenet")) is None


def test_hash_changes_with_the_combiner_and_so_do_stored_results(learned: Path) -> None:
    before = find_checkpoint("tiny_flannel")
    scoring = scoring_sha256(before)
    save_ensemble(learned / "tiny_flannel", card("flannel"), combiner=fitted(seed=1), overwrite=True)
    after = find_checkpoint("tiny_flannel")
    assert before.card.weights_sha256 != after.card.weights_sha256
    assert before.card.combiner_sha256 != after.card.combiner_sha256
    assert scoring != scoring_sha256(after)


@pytest.mark.parametrize("kind", ["flannel", "mlp_l1", "mlp_l2"])
def test_evaluate_gives_the_combiners_scores(learned: Path, manifest: Path, kind: str) -> None:
    found = evaluate_manifest(manifest, [*MEMBERS, f"tiny_{kind}"], device="cpu")
    *members, ensemble = (run.predictions for run in found.runs)
    stacked = np.stack([member.scores for member in members], axis=1)
    assert np.allclose(ensemble.scores, fitted(kind).combine(stacked).scores, atol=1e-12)
    assert ensemble.checkpoint_sha256 == find_checkpoint(f"tiny_{kind}").card.weights_sha256
    assert ("exceeds 0.711" in " ".join(found.notes)) == (kind == "flannel")
    assert largest_score(2, 4) == pytest.approx(0.711, abs=5e-4)
    again = evaluate_manifest(manifest, [f"tiny_{kind}"], device="cpu")
    assert again.reopened == (f"tiny_{kind}",)


def test_a_refitted_ensemble_is_measured_anew(learned: Path, manifest: Path) -> None:
    first = evaluate_manifest(manifest, ["tiny_flannel"], device="cpu")
    save_ensemble(learned / "tiny_flannel", card("flannel"), combiner=fitted(seed=1), overwrite=True)
    second = evaluate_manifest(manifest, ["tiny_flannel"], device="cpu")
    assert not second.reopened
    assert not np.array_equal(first.runs[0].predictions.scores, second.runs[0].predictions.scores)


def test_compare_shows_the_weights_of_this_image(learned: Path, manifest: Path) -> None:
    xray = read_xray(manifest.parent / "0.png")
    (result,) = compare(xray, ["tiny_flannel"], cam=CamOptions(), device="cpu")
    stacked = np.stack([member.scores for member in result.members])[None]
    expected = fitted().combine(stacked)
    assert expected.weights is not None
    assert np.allclose(result.scores, expected.scores[0], atol=1e-12)
    assert [member.weight for member in result.members] == pytest.approx(expected.weights[0].tolist(), abs=1e-12)
    assert min(member.weight for member in result.members) < 0
    assert result.voting == "flannel"
    assert result.predicted == CXR4.ids[int(expected.scores[0].argmax())]
    assert any("exceeds 0.711" in note for note in result.notes)


def test_the_map_of_the_ensemble_is_the_members_maps_summed_with_those_weights(learned: Path, manifest: Path) -> None:
    xray = read_xray(manifest.parent / "1.png")
    (result,) = compare(xray, ["tiny_flannel"], cam=CamOptions(), device="cpu")
    maps = [member.heatmap for member in result.members]
    assert result.heatmap is not None
    total = sum(part.weight * one.values for part, one in zip(result.members, maps, strict=True) if one)
    raw = np.maximum(total, 0)
    expected = raw / raw.max() if raw.max() > 0 else raw
    assert np.allclose(result.heatmap.values, expected, atol=1e-6)


def test_evaluate_and_compare_agree(learned: Path, manifest: Path) -> None:
    names = ["tiny_flannel", "tiny_mlp_l1", "tiny_mlp_l2", "tiny_ensemble"]
    runs = evaluate_manifest(manifest, names, device="cpu").runs
    results = list(compare(read_xray(manifest.parent / "3.png"), names, device="cpu"))
    for run, result in zip(runs, results, strict=True):
        assert np.allclose(run.predictions.scores[run.predictions.ids.index("3.png")], result.scores, atol=1e-5)


def test_a_perceptron_has_no_weights_of_members(learned: Path, manifest: Path) -> None:
    (result,) = compare(read_xray(manifest.parent / "0.png"), ["tiny_mlp_l2"], device="cpu")
    assert [member.weight for member in result.members] == [0.5, 0.5]
    assert not result.notes


def test_words_about_the_voting() -> None:
    assert voting_words(card("flannel")).endswith(bound_note(card("flannel"))[0])
    assert "perceptron with 2 layers" in voting_words(card("mlp_l2"))
    assert "votes" in voting_words(replace(card("flannel"), voting="hard"))
    assert not bound_note(replace(card("flannel"), voting="soft"))


def test_a_changed_combiner_is_refused(learned: Path) -> None:
    path = learned / "tiny_flannel" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"the sha256 of model\.safetensors is not the one on its card"):
        load_checkpoint("tiny_flannel")
    path.unlink()
    with pytest.raises(CheckpointError, match=r"tiny_flannel has no model\.safetensors; copy the whole folder again"):
        find_checkpoint("tiny_flannel")
    assert [broken.name for broken in list_broken()] == ["tiny_flannel"]


def test_a_combiner_must_be_the_cards(learned: Path) -> None:
    folder = learned / "other"
    wanted = card("flannel", "other")
    with pytest.raises(CheckpointError, match="must be flannel for 2 members and 4 classes, got mlp_l1 for 2 and 4"):
        save_ensemble(folder, wanted, combiner=fitted("mlp_l1"))
    with pytest.raises(CheckpointError, match="must be flannel for 2 members and 4 classes, got flannel for 3 and 4"):
        save_ensemble(folder, wanted, combiner=fitted(members=3))
    with pytest.raises(CheckpointError, match="for learned voting and only then, got flannel voting without one"):
        save_ensemble(folder, wanted)
    with pytest.raises(CheckpointError, match="for learned voting and only then, got soft voting with one"):
        save_ensemble(folder, replace(wanted, voting="soft"), combiner=fitted())
    assert not folder.exists()


def test_a_combiner_of_another_ensemble_is_refused(learned: Path) -> None:
    """A file with the right hash on the card, but fitted for another number of members."""
    folder = learned / "tiny_flannel"
    fitted(members=3).save(folder / "model.safetensors")
    import hashlib

    data = json.loads((folder / "card.json").read_text())
    data["combiner_sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="must be flannel for 2 members and 4 classes, got flannel for 3 and 4"):
        load_combiner(find_checkpoint("tiny_flannel"))
    with pytest.raises(CheckpointError, match="weights of its members are not those it was made from"):
        load_checkpoint("tiny_flannel")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"member_weights": (1.0, 2.0)}, "flannel voting has no member_weights; its combiner decides"),
        ({"voting": "soft", "combiner_sha256": "0" * 64}, "only learned voting has a combiner_sha256"),
        ({"combiner_sha256": "abc"}, "combiner_sha256 must be 64 hexadecimal digits"),
        ({"voting": "loud"}, "voting must be one of soft, hard, flannel, mlp_l1, mlp_l2"),
        (
            {"task": "multilabel", "activation": "multilabel_sigmoid", "normalised": False},
            "flannel voting needs one class an image",
        ),
    ],
)
def test_cards_that_contradict_themselves(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        replace(card("flannel"), **wrong)  # type: ignore[arg-type]


def test_cards_without_the_new_field_are_read(learned: Path) -> None:
    folder = learned / "tiny_ensemble"
    data = json.loads((folder / "card.json").read_text())
    del data["combiner_sha256"]
    (folder / "card.json").write_text(json.dumps(data))
    assert load_checkpoint("tiny_ensemble").card.combiner_sha256 == ""
    shutil.rmtree(learned / "tiny_flannel")
