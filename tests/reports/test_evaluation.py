"""An evaluation as a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrlab.labels import CXR4
from cxrlab.metrics.report import measure
from cxrlab.predictions import Predictions
from cxrlab.reports.evaluation import figures_html, write_evaluation
from cxrlab.runs import Run, RunFacts
from cxrlab.workflows.evaluate import Evaluation


def made_up_run(name: str, *, seed: int, classes: int = 4) -> Run:
    """40 images with random scores; only the first ``classes`` classes occur."""
    rng = np.random.default_rng(seed)
    predictions = Predictions(
        ids=tuple(f"{number}.png" for number in range(40)),
        labels=CXR4,
        scores=rng.dirichlet(np.ones(4), 40),
        y_true=np.arange(40) % classes,
        checkpoint=name,
    )
    facts = RunFacts(
        *(name, name.title(), f"{seed}" * 64, "0" * 64, "a <set>", "d" * 64, "all", CXR4.ids, 40, {}),
        *("cpu", 1.0, "2026-01-01T00:00:00Z", "0.1.0"),
    )
    return Run(facts, predictions, measure(predictions, draws=20), ())


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(CXR4, (made_up_run("one", seed=1), made_up_run("two", seed=2)))


def test_every_checkpoint_has_its_predictions(evaluation: Evaluation, tmp_path: Path) -> None:
    written = write_evaluation(evaluation, tmp_path / "new", figures=False)
    names = ["metrics.json", "metrics.csv", "predictions-one.csv", "predictions-two.csv"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(names)


def test_two_checkpoints_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    twins = Evaluation(CXR4, (made_up_run("one", seed=1), made_up_run("one", seed=2)))
    written = write_evaluation(twins, tmp_path, figures=False)
    assert [path.name for path in written[2:]] == ["predictions-one-11111111.csv", "predictions-one-22222222.csv"]


def test_other_files_in_the_folder_stay(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "metrics.csv").write_text("old")
    write_evaluation(evaluation, tmp_path, figures=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "metrics.csv").read_text().startswith("checkpoint,")


def test_the_page_shows_every_figure_with_its_numbers_in_words(evaluation: Evaluation) -> None:
    page = figures_html(evaluation)
    assert page.count("<figure ") == page.count("<figcaption>") == 4 * 2 + 2
    assert "a &lt;set&gt;" in page
    assert "<set>" not in page
    assert "Research and teaching only, never a diagnosis." in page
    assert '<script src="http' not in page


def test_a_class_without_images_has_no_curve() -> None:
    page = figures_html(Evaluation(CXR4, (made_up_run("one", seed=1, classes=3),)))
    assert page.count("<figure ") == 3 * 2 + 1


def test_a_folder_that_is_a_file_is_an_error(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(FileExistsError):
        write_evaluation(replace(evaluation), tmp_path / "taken")
