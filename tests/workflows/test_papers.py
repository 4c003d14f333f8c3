"""Printed tables beside our studies: what is found, what is matched, what is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxrlab.config import home
from cxrlab.papers.printed import PAPERS, printed_results
from cxrlab.papers.study_results import StudyResults
from cxrlab.workflows import papers
from cxrlab.workflows.papers import judged_claims, measured_tables, other_results, report_of, studies_here
from tests.papers.made_up_study import row, study

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without results of its own."""
    monkeypatch.setattr(papers, "repository", lambda: tmp_path / "repository")
    return tmp_path / "repository"


@pytest.fixture
def write() -> Write:
    def written(name: str = "made-up", root: Path | None = None, **changes: Any) -> Path:
        folder = (root or home() / "studies") / name
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(study(**changes)))
        return folder

    return written


def made_up(**changes: Any) -> StudyResults:
    return StudyResults.from_json(study(**changes), folder="made-up")


def test_studies_of_the_repository_and_of_the_user_are_found_newest_first(write: Write, repository: Path) -> None:
    write("mine")
    write("shipped", repository / "docs" / "results", created="2031-01-01T00:00:00Z")
    assert [each.folder for each in studies_here().studies] == ["shipped", "mine"]
    assert [each.folder for each in studies_here(own=False).studies] == ["shipped"]
    assert studies_here().damaged == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{not json", "no readable JSON"),
        ("[]", "format must be 1"),
        ('{"format": 1}', "field 'study' is missing"),
        (json.dumps(study(rows=[{}])), "field 'system' is missing"),
    ],
)
def test_a_damaged_result_is_a_sentence_and_the_others_stay(write: Write, content: str, reason: str) -> None:
    write("good")
    (write("bad") / "results.json").write_text(content)
    here = studies_here()
    assert [each.folder for each in here.studies] == ["good"]
    (sentence,) = here.damaged
    assert sentence.startswith("bad/results.json can not be used: ")
    assert reason in sentence
    assert sentence.endswith("Run the study again.")


def test_nothing_stored_is_no_error() -> None:
    assert studies_here() == papers.StudiesHere((), ())


def test_a_printed_number_meets_the_row_of_the_same_system_variant_class_and_metric() -> None:
    tables = measured_tables("S1", [made_up()])
    covid = next(each for each in tables if (each.place, each.class_name) == ("Table 3", "COVID-19"))
    assert len(covid.lines) == 13
    by_name = {f"{line.printed.system} {line.printed.variant}": line for line in covid.lines}
    (ours,) = by_name["FLANNEL full"].ours
    assert (ours.row.mean, ours.row.n, ours.study.scale) == (0.80, 1000, "lite")
    assert by_name["Voting ensemble"].printed.mean == 0.7684
    assert by_name["COVID-Net baseline"].ours == ()


def test_ap_rows_do_not_stand_beside_printed_values() -> None:
    rows = [each for each in study()["rows"] if "AP views" in each["dataset"]]
    assert all(not line.ours for each in measured_tables("S1", [made_up(rows=rows)]) for line in each.lines)


def test_macro_f1_is_found_though_the_paper_calls_its_class_macro() -> None:
    macro = next(each for each in measured_tables("S1", [made_up()]) if each.metric == "macro_f1")
    (ours,) = next(line for line in macro.lines if line.printed.variant == "full").ours
    assert ours.row.mean == 0.77


def test_where_the_paper_names_no_variant_all_of_ours_stand_beside() -> None:
    rows = [row("PEPX-ResNet", variant, 0.9) for variant in ("cross entropy", "focal")]
    table = next(
        each
        for each in measured_tables("S5", [made_up(rows=rows)])
        if (each.class_name, each.metric) == ("COVID-19", "f1")
    )
    pepx = next(line for line in table.lines if line.printed.system == "PEPX-ResNet")
    assert [ours.row.variant for ours in pepx.ours] == ["cross entropy", "focal"]


def test_the_area_of_two_classes_is_that_of_pneumonia() -> None:
    rows = [row("EfficientNetB5", "frozen backbone + focal", 0.9, metric="auc", **{"class": "pneumonia"})]
    table = next(each for each in measured_tables("S3", [made_up(rows=rows)]) if each.metric == "auc")
    assert sum(len(line.ours) for line in table.lines) == 1


def test_the_largest_scale_comes_first() -> None:
    found = measured_tables("S1", [made_up(scale="smoke"), made_up(), made_up(scale="full")])
    line = next(line for each in found for line in each.lines if line.ours)
    assert [ours.study.scale for ours in line.ours] == ["full", "lite", "smoke"]


def test_every_printed_number_is_shown_once() -> None:
    shown = sum(
        len(other_results(paper)) + sum(len(each.lines) for each in measured_tables(paper, [])) for paper in PAPERS
    )
    assert shown == len(printed_results()) == 434


def test_what_a_paper_quotes_of_others_is_not_compared() -> None:
    assert all("as quoted" not in line.printed.variant for each in measured_tables("S2", []) for line in each.lines)


def test_every_claim_is_judged() -> None:
    verdicts = {claim.id: judgement.verdict for claim, judgement in judged_claims([made_up()])}
    assert verdicts["flannel-focal"] == "holds"
    assert verdicts["flannel-voting"] == "does not hold"
    assert verdicts["pepx-stable"] == "cannot be told"


def test_a_report_is_offered_where_there_is_one(write: Write) -> None:
    folder = write("mine")
    (found,) = studies_here().studies
    assert report_of(found) is None
    (folder / "report.html").write_text("<html></html>")
    assert report_of(found) == folder / "report.html"
