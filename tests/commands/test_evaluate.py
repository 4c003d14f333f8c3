"""`cxrlab evaluate`: the numbers of the workflow, on screen, as JSON and as a folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cxrlab.workflows.evaluate import evaluate_manifest
from tests.commands.conftest import Run

BOTH = ("-c", "tiny_shufflenet", "-c", "tiny_ensemble")

pytestmark = pytest.mark.usefixtures("tiny_checkpoints")


def test_json_holds_the_numbers_of_the_workflow(run: Run, labelled: Path) -> None:
    ran = run("evaluate", "--manifest", labelled, *BOTH, "--json")
    document = json.loads(ran.stdout)
    expected = evaluate_manifest(labelled, ["tiny_shufflenet", "tiny_ensemble"], store=False, reuse=False)
    assert ran.exit_code == 0
    assert document["dataset_digest"] == expected.runs[0].facts.dataset_digest
    for found, run_ in zip(document["runs"], expected.runs, strict=True):
        assert found["facts"]["checkpoint_sha256"] == run_.facts.checkpoint_sha256
        assert found["report"]["n_images"] == 40
        assert found["report"]["macro_f1"]["value"] == pytest.approx(run_.report.macro_f1.value)
        assert found["report"]["macro_f1"]["low"] == pytest.approx(run_.report.macro_f1.low)


def test_the_table_says_what_every_number_rests_on(run: Run, labelled: Path) -> None:
    ran = run("evaluate", "-m", labelled, *BOTH)
    assert ran.exit_code == 0
    assert "40 images of 20 patients; left out: none." in ran.stdout
    assert "95% intervals (" in ran.stdout
    assert "always the largest class" in ran.stdout
    assert ran.stdout.rstrip().endswith("Research and teaching only, never a diagnosis.")


def test_a_task_adds_finer_classes_up(run: Run, labelled: Path) -> None:
    ran = run("evaluate", "-m", labelled, *BOTH, "--task", "covid_vs_rest")
    assert ran.exit_code == 0
    assert "Task covid_vs_rest: scores of finer classes are added up to covid19, not_covid19." in ran.stdout
    assert "viral" not in ran.stdout
    document = json.loads(run("evaluate", "-m", labelled, *BOTH, "--task", "three_class", "--json").stdout)
    assert {each["facts"]["task"] for each in document["runs"]} == {"three_class"}


def test_an_unknown_task_is_told_with_those_there_are(run: Run, labelled: Path) -> None:
    ran = run("evaluate", "-m", labelled, *BOTH, "--task", "diagnosis")
    assert ran.exit_code == 2
    assert "Task must be one of covid_vs_rest, pneumonia_vs_normal, three_class, got 'diagnosis'." in ran.stderr


def test_what_is_stored_is_not_computed_again_unless_asked(run: Run, labelled: Path) -> None:
    def reopened(*options: str) -> list[bool]:
        ran = run("evaluate", "-m", labelled, *BOTH, "--json", *options)
        return [each["reopened"] for each in json.loads(ran.stdout)["runs"]]

    assert reopened() == [False, False]
    assert reopened() == [True, True]
    assert reopened("--fresh") == [False, False]


def test_the_folder_has_metrics_predictions_and_figures(run: Run, labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    assert run("evaluate", "-m", labelled, *BOTH, "--split", "test", "--out", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "figures.html",
        "metrics.csv",
        "metrics.json",
        "predictions-tiny_ensemble.csv",
        "predictions-tiny_shufflenet.csv",
    ]
    document = json.loads((out / "metrics.json").read_text())
    assert document["part"] == "test"
    with (out / "predictions-tiny_ensemble.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["checkpoint"] for row in rows} == {"tiny_ensemble"}
    assert len(rows) == document["runs"][0]["report"]["n_images"]


def test_figures_can_be_left_out(run: Run, labelled: Path, tmp_path: Path) -> None:
    run("evaluate", "-m", labelled, "-c", "tiny_shufflenet", "--out", tmp_path / "out", "--no-figures")
    assert not (tmp_path / "out" / "figures.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-m", "nowhere.csv", "-c", "tiny_shufflenet"), "There is no manifest at nowhere.csv"),
        (("-m", "{manifest}", "-c", "tiny"), "There is no checkpoint named 'tiny'"),
        (("-m", "{manifest}", "-c", "tiny_shufflenet", "--split", "half"), "half"),
        (("-m", "{manifest}"), "--checkpoint"),
    ],
)
def test_a_users_mistake_is_told_with_exit_code_2(
    run: Run, labelled: Path, words: tuple[str, ...], message: str
) -> None:
    ran = run("evaluate", *(word.format(manifest=labelled) for word in words), "--json")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
