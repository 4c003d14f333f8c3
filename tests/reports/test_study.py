"""The report of a study: every section from a tiny made-up folder, nothing pooled, nothing from elsewhere loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cxrlab.labels import CXR4
from cxrlab.predictions import Predictions
from cxrlab.reports.study import study_html, write_study_report
from cxrlab.reports.study_figures import figures_of
from cxrlab.workflows.study_runs import open_study
from tests.papers.made_up_study import study


def outputs(seed: int) -> Predictions:
    """Made-up scores of 40 images, the same images for every seed."""
    rng = np.random.default_rng(seed)
    truth = np.arange(40) % 4
    scores = rng.dirichlet(np.ones(4), 40) + 0.8 * np.eye(4)[truth]
    return Predictions(
        ids=tuple(f"{number}.png" for number in range(40)),
        labels=CXR4,
        scores=scores / scores.sum(axis=1, keepdims=True),
        y_true=truth,
    )


def history(seed: int, epochs: int = 3) -> dict[str, object]:
    """A made-up history with F1 a class and coefficients."""
    rng = np.random.default_rng(seed)
    keys = ("loss", "accuracy", "f1_0", "test_accuracy", "block1.a", "block1.b", "block1.c")
    return {
        "epochs": [
            {
                "epoch": epoch + 1,
                "train_loss": 1.0 / (epoch + 1),
                "metrics": {key: float(rng.uniform()) for key in keys},
                "learning_rate": 1e-3,
                "seconds": 1.0,
            }
            for epoch in range(epochs)
        ]
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folds of a member that ended after different epochs, and one combiner."""
    root = tmp_path / "made-up"
    runs = [
        ("ResNet-18", "base", 0, "member", 3),
        ("ResNet-18", "base", 1, "member", 2),
        ("FLANNEL", "full", None, "", 0),
    ]
    for number, (system, variant, fold, kind, epochs) in enumerate(runs):
        run = root / "runs" / f"run{number}"
        run.mkdir(parents=True)
        facts = {"id": run.name, "kind": kind or "flannel", "system": system, "variant": variant, "fold": fold}
        facts |= {"settings": {}, "history": history(number, epochs) if epochs else None, "seconds": 5.0}
        (run / "run.json").write_text(json.dumps(facts))
        outputs(number).save(run / "test.npz")
    (root / "results.json").write_text(json.dumps(study(notes=["Made up <for tests>."])))
    return root


def test_the_report_is_one_page_with_every_section(folder: Path) -> None:
    path = write_study_report(folder)
    text = path.read_text(encoding="utf-8")
    assert path == folder / "report.html"
    for section in (
        "F1 of every system",
        "AP views only",
        "ROC and precision-recall over folds",
        "Every system",
        "Confusion matrices, counts summed over folds",
        "Epoch by epoch",
        "Learned coefficients over training",
        "All figures",
        "Paired comparisons",
        "Printed by the papers",
        "Runs",
    ):
        assert f">{section}" in text, section
    assert "Made up &lt;for tests&gt;." in text
    assert "<script src=" not in text
    assert not list(folder.glob(".*part"))


def test_every_figure_has_its_words(folder: Path) -> None:
    text = write_study_report(folder).read_text(encoding="utf-8")
    drawn = sum(len(figures) for _, figures in figures_of(open_study(folder)))
    assert text.count('<figure role="img"') == text.count("<figcaption>") == drawn


def test_curves_are_means_over_folds_with_thin_lines_and_a_band(folder: Path) -> None:
    sections = dict(figures_of(open_study(folder)))
    figure, said = sections["ROC and precision-recall over folds, COVID-19"][0]
    named = [trace.name for trace in figure.data if trace.name]
    assert len(named) == 2
    assert named[0].startswith("FLANNEL, full") or named[0].startswith("ResNet-18, base")
    assert "ResNet-18, base" in said
    assert "(2 folds)" in said
    assert sum(trace.line.width == 1 and trace.opacity is not None for trace in figure.data) == 2
    assert sum(trace.fill == "toself" for trace in figure.data) == 1


def test_confusion_counts_are_summed_over_folds(folder: Path) -> None:
    sections = dict(figures_of(open_study(folder)))
    said = [words for _, words in sections["Confusion matrices, counts summed over folds"]]
    assert any("ResNet-18, base, 2 runs, 80 images" in words for words in said)
    assert any("FLANNEL, full, 1 run, 40 images" in words for words in said)


def test_epochs_that_one_run_did_not_reach_are_the_mean_of_the_others(folder: Path) -> None:
    sections = dict(figures_of(open_study(folder)))
    titles = [figure.layout.title.text for figure, _ in sections["Epoch by epoch"]]
    assert {
        "Training loss",
        "Validation loss",
        "Validation accuracy",
        "Validation F1, COVID-19",
        "Test accuracy",
    } <= set(titles)
    loss = sections["Epoch by epoch"][titles.index("Training loss")][0]
    np.testing.assert_allclose(next(trace.y for trace in loss.data if trace.name), [1, 1 / 2, 1 / 3])
    (coefficients, _) = sections["Learned coefficients over training"][0]
    assert [trace.name for trace in coefficients.data if trace.name] == ["A", "B", "C"]


def test_ap_views_print_their_images_in_the_figure(folder: Path) -> None:
    data = study()
    data["rows"][0]["positives"], data["rows"][7]["positives"] = 120, 12
    (folder / "results.json").write_text(json.dumps(data))
    (figure, said), *_ = dict(figures_of(open_study(folder)))["AP views only"]
    assert "AP views only:<br>12 positives of 200 images" in [trace.name for trace in figure.data]
    assert "12 positives of 200 images" in said


def test_a_run_that_can_not_be_read_is_said_and_left_out(folder: Path) -> None:
    (folder / "runs" / "run2" / "test.npz").write_bytes(b"no")
    (folder / "runs" / "run1" / "run.json").write_text("{}")
    opened = open_study(folder)
    assert [run.id for run in opened.runs] == ["run0"]
    assert "Run run1 can not be read" in study_html(opened)
    assert "Run run2 can not be read" in study_html(opened)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold the results\.json of a finished study"):
        write_study_report(tmp_path)


def test_a_study_without_runs_or_rows_is_still_a_page(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(study(rows=[], comparisons=[])))
    text = write_study_report(tmp_path).read_text(encoding="utf-8")
    assert "<figure" not in text
    assert text.endswith("</body></html>\n")
