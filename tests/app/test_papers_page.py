"""The Papers page: printed tables with and without runs of ours, marks, claims with verdicts, damaged results, demo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxrlab.app.papers_tables import drawn, marks, table_rows
from cxrlab.config import home
from cxrlab.papers.study_results import StudyResults
from cxrlab.workflows import papers
from cxrlab.workflows.papers import PaperTable, measured_tables
from tests.app.conftest import words
from tests.papers.made_up_study import study

Open = Callable[..., AppTest]
PAGE = "pages/7_Papers.py"


@pytest.fixture(autouse=True)
def no_results_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "repository", lambda: tmp_path)


@pytest.fixture
def made_up() -> Path:
    """A made-up study under CXRLAB_HOME."""
    folder = home() / "studies" / "made-up"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(study()))
    return folder


def said(app: AppTest) -> str:
    return words(app).replace("\\", "")


def shown(paper: str, place: str, class_name: str, *studies: StudyResults) -> PaperTable:
    tables = measured_tables(paper, studies)
    return next(each for each in tables if (each.place, each.class_name) == (place, class_name))


def test_without_a_study_the_page_names_the_command(open_app: Open) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "No study has been run here yet" in said(app)
    assert "cxrlab study flannel --manifest" in app.code[0].value
    assert "no run here has measured these systems" in said(app)


def test_printed_values_stand_beside_ours_with_words_for_screen_readers(open_app: Open, made_up: Path) -> None:
    app = open_app(PAGE)
    assert not app.exception
    (alt,) = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert "FLANNEL full: printed 0.817, here made-up (lite) 0.800 [0.750, 0.850]" in alt
    assert "Printed on CCX+KCX 5508 (test 1102)" in said(app)
    assert "no difference between the two columns is a test" in said(app)


def test_claims_have_verdicts_in_words_with_run_and_n(open_app: Open, made_up: Path) -> None:
    app = open_app(PAGE)
    assert "Holds: 4 of" in said(app)
    assert "Does not hold" in said(app)
    assert "The interval lies above 0, at n = 1,000 images. Run made-up, scale lite, on made-up set." in said(app)


def test_another_paper_is_opened_by_its_link(open_app: Open) -> None:
    app = open_app(PAGE, paper="S5")
    assert not app.exception
    assert "PEPX-ResNet, Table 1" in said(app)
    assert "Contradicts the recalls beside it" in said(app)


@pytest.mark.parametrize("paper", ["S2", "S3", "S4"])
def test_every_paper_can_be_shown(open_app: Open, paper: str) -> None:
    app = open_app(PAGE, paper=paper)
    assert not app.exception


def test_a_damaged_result_is_a_sentence(open_app: Open, made_up: Path) -> None:
    (made_up / "results.json").write_text("{")
    app = open_app(PAGE)
    assert not app.exception
    assert "made-up/results.json can not be used: it is no readable JSON file" in said(app)


def test_demo_mode_shows_no_studies_of_this_computer(
    open_app: Open, made_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRLAB_DEMO", "1")
    app = open_app(PAGE)
    assert not app.exception
    assert "No study has been run here yet" in said(app)


def test_rows_have_value_interval_n_data_set_scale_and_run() -> None:
    ours = StudyResults.from_json(study(), folder="made-up")
    rows = table_rows([shown("S1", "Table 3", "COVID-19", ours)])
    full = rows[-1]
    assert full == {
        "System": "FLANNEL, full",
        "Printed": "0.8168 ± 0.03",
        "Ours": "0.800 [0.750, 0.850]",
        "n": "1,000",
        "Folds": "5",
        "Data set": "made-up set, test",
        "Scale": "lite",
        "Run": "made-up/made-up-run",
    }
    assert rows[0]["Ours"] == "no run"
    assert list(table_rows([shown("S1", "Table 3", "COVID-19")])[0]) == ["System", "Printed"]


def test_misprints_are_marked_beside_the_number_and_below() -> None:
    macro = shown("S1", "Table 3", "macro")
    by_system = {row["System"]: row["Printed"] for row in table_rows([macro])}
    assert by_system["ResNeXt101, base"] == "0.7140 ± 0.03 †"
    assert by_system["Resnet152, base"] == "0.7110 ± 0.03 ‡"
    assert list(marks([macro]).values()) == ["†", "‡"]


def test_a_second_run_of_a_system_has_a_row_and_a_colour_of_its_own() -> None:
    both = [StudyResults.from_json(study(scale=scale), folder=scale) for scale in ("lite", "full")]
    table = shown("S1", "Table 3", "COVID-19", *both)
    rows = [row for row in table_rows([table]) if row["System"] == "FLANNEL, full"]
    assert [(row["Scale"], bool(row["Printed"])) for row in rows] == [("full", True), ("lite", False)]
    assert set(drawn(table)[2]) == {"full (full)", "lite (lite)"}
