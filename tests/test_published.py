"""The checkpoints that are shipped: whole, small, described, and as good as their cards and the README say."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cxrlab.catalogue import CheckpointInfo, list_broken, list_checkpoints, members_of
from cxrlab.checkpoints import load_checkpoint
from cxrlab.config import repository
from cxrlab.data.phantom import bundled_phantom_set
from cxrlab.data.splits import Split
from cxrlab.labels import CXR4, PHANTOM4, LabelSet, projection_named
from cxrlab.workflows.evaluate import evaluate_manifest

ROOT = repository() / "checkpoints"
FIVE = {"mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0", "resnet18", "densenet121"}
TASKS = {"mobilenet_v2_covid": "covid_vs_rest", "pepx_resnet": "three_class"}
"""Checkpoint -> its classes, where they are not the four."""
MB = 1_000_000


def published() -> list[CheckpointInfo]:
    return list_checkpoints([ROOT])


def of_domain(domain: str) -> list[CheckpointInfo]:
    return [info for info in published() if info.card.domain == domain]


def labels_of(info: CheckpointInfo) -> LabelSet:
    """The classes that it must have."""
    if info.card.domain == "phantom":
        return PHANTOM4
    return projection_named(TASKS[info.name]).target if info.name in TASKS else CXR4


def test_what_is_shipped() -> None:
    assert not list_broken([ROOT])
    assert {info.name for info in of_domain("real")} == FIVE | TASKS.keys() | {"ensemble_soft", "ensemble_flannel"}
    architectures = {info.card.model.name for info in of_domain("phantom") if info.card.model}
    assert architectures == {"mobilenet_v2", "shufflenet_v2_x1_0", "shufflenet_v2_x0_5"}


def test_weights_are_small_and_load() -> None:
    sizes = [path.stat().st_size for path in ROOT.rglob("*.safetensors")]
    assert max(sizes) <= 25 * MB
    assert sum(sizes) <= 110 * MB
    for info in published():
        assert load_checkpoint(info.name, [ROOT]).card == info.card


def test_cards_say_what_is_needed_to_judge_them() -> None:
    for info in published():
        card = info.card
        assert card.labels == labels_of(info).ids
        assert card.intended_use
        assert card.licence
        assert card.limits
        assert card.training_data["images"] > 0 or card.kind == "ensemble"
        report = card.metrics["report"]
        assert report["macro_f1"]["low"] < report["macro_f1"]["value"] < report["macro_f1"]["high"]
        assert [entry["class_id"] for entry in report["classes"]] == list(card.labels)


def test_all_share_their_validation_patients_and_say_that_class_and_source_are_entangled() -> None:
    models = [info.card for info in of_domain("real") if info.card.kind == "model"]
    split = Split.load(ROOT / "split-real.json")
    assert {card.training_data["split_digest"] for card in models} == {split.digest}
    assert {card.training_data["images"] for card in models} == {len(split.part("train"))}
    for info in of_domain("real"):
        assert info.card.metrics["images"] == 804
        assert info.card.metrics["patients"] == 546
        assert any("entangled" in limit for limit in info.card.limits)
        assert {group["group"] for group in info.card.metrics["sources"]} == {
            "ieee8023",
            "kermany",
            "nih-chestxray14",
        }


def test_both_ensembles_name_the_five() -> None:
    ensembles = [info for info in of_domain("real") if info.card.kind == "ensemble"]
    assert {info.card.voting for info in ensembles} == {"soft", "flannel"}
    for ensemble in ensembles:
        assert {member.name for member in members_of(ensemble, [ROOT])} == FIVE


def test_the_readme_prints_the_cards_figures() -> None:
    text = (repository() / "README.md").read_text()
    for info in published():
        row = re.search(rf"^\| `{re.escape(info.name)}` \|(.*)$", text, flags=re.MULTILINE)
        assert row, f"README has no row for {info.name}"
        value = info.card.metrics["report"]["macro_f1"]
        wanted = f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
        assert wanted in row.group(1), f"README says {row.group(1)}, the card of {info.name} {wanted}"


@pytest.mark.long
def test_teaching_checkpoints_reproduce_their_cards_on_the_bundled_phantom_set() -> None:
    names = [info.name for info in of_domain("phantom")]
    evaluation = evaluate_manifest(bundled_phantom_set(), names, device="cpu", store=False)
    macro_auc = []
    for run, info in zip(evaluation.runs, of_domain("phantom"), strict=True):
        assert run.report.macro_f1.value == pytest.approx(info.card.metrics["report"]["macro_f1"]["value"], abs=5e-4)
        macro_auc.append(sum(entry.auc.value for entry in run.report.classes) / len(PHANTOM4))
    assert all(0.85 <= value <= 0.985 for value in macro_auc), macro_auc


@pytest.mark.long
@pytest.mark.data
def test_published_checkpoints_reproduce_their_cards_on_the_benchmark_test() -> None:
    data = os.environ.get("CXRLAB_DATA")
    assert data, "Set CXRLAB_DATA to the folder with the real X-rays' index.csv."
    for task in ("", *TASKS.values()):
        _reproduce(Path(data), [info for info in of_domain("real") if TASKS.get(info.name, "") == task], task)


def _reproduce(data: Path, infos: list[CheckpointInfo], task: str) -> None:
    names = [info.name for info in infos]
    evaluation = evaluate_manifest(data, names, part="test", task=task, device="cpu", store=False)
    for run, info in zip(evaluation.runs, infos, strict=True):
        stored = info.card.metrics["report"]
        assert run.report.accuracy.value == pytest.approx(stored["accuracy"]["value"], abs=5e-4)
        assert run.report.macro_f1.value == pytest.approx(stored["macro_f1"]["value"], abs=5e-4)
        for measured, entry in zip(run.report.classes, stored["classes"], strict=True):
            for name in ("precision", "recall", "specificity", "f1", "auc", "average_precision"):
                assert getattr(measured, name).value == pytest.approx(entry[name]["value"], abs=5e-4), name


def test_the_readme_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = (repository() / "README.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(repository())
    exec(compile(example, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == [
        "phantom-mobilenet",
        "phantom-shufflenet",
        "phantom-shufflenet-half",
    ]
    assert " say " in lines[3] or "agree" in lines[3]
