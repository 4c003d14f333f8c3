"""Claims and their verdicts: by intervals of differences, never by the point estimates alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cxrlab.papers.claims import CLAIMS, NO_FIGURE, Claim
from cxrlab.papers.printed import PAPERS, printed_results
from cxrlab.papers.study_results import StudyResults
from cxrlab.papers.verdicts import COMBINED, evidence_for, judge
from tests.papers.made_up_study import comparison, row, study


def claim(id_: str) -> Claim:
    return next(each for each in CLAIMS if each.id == id_)


def made_up(**changes: Any) -> StudyResults:
    return StudyResults.from_json(study(**changes), folder="made-up")


def test_claims_are_about_fifteen_with_a_place_and_figures_each() -> None:
    assert 15 <= len(CLAIMS) <= 20
    assert len({each.id for each in CLAIMS}) == len(CLAIMS)
    assert {each.paper for each in CLAIMS} == set(PAPERS)
    for each in CLAIMS:
        assert each.sentence.endswith(".")
        assert each.place
        assert each.figures.endswith(".")
        tests = (each.comparisons, each.at_least, each.worse_on, each.untestable)
        assert sum(bool(test) for test in tests) == 1, each.id


def test_figures_are_those_of_the_printed_tables() -> None:
    """Every number of Table 3 that a claim of the first paper quotes stands in the table."""
    printed = {f"{result.mean:.4f}".lstrip("0") for result in printed_results("s1_table3_f1.csv")}
    for each in CLAIMS:
        if each.place == "Table 3" and each.paper == "S1":
            quoted = {word.strip(".,;:") for word in each.figures.split() if word.startswith(".")}
            assert {f".{number}" if not number.startswith(".") else number for number in quoted} <= printed, each.id


def test_a_claim_shown_in_a_figure_only_says_so() -> None:
    assert claim("ap-view").figures == NO_FIGURE
    assert claim("pepx-stable").figures == NO_FIGURE


@pytest.mark.parametrize(
    ("difference", "half", "verdict"),
    [(0.05, 0.04, "holds"), (-0.05, 0.04, "does not hold"), (0.05, 0.06, "cannot be told")],
)
def test_the_interval_of_the_paired_difference_decides(difference: float, half: float, verdict: str) -> None:
    given = made_up(comparisons=[comparison("FLANNEL full", "FLANNEL w/o focal", difference, half)])
    judged = judge(claim("flannel-focal"), [given])
    assert judged.verdict == verdict
    assert judged.evidence[0].difference == pytest.approx(difference)
    assert (judged.study, judged.scale, judged.folder, judged.evidence[0].n) == ("flannel", "lite", "made-up", 1000)
    assert "n = 1,000" in judged.reason


def test_a_comparison_the_other_way_round_is_turned() -> None:
    judged = judge(claim("flannel-voting"), [made_up()])
    assert judged.verdict == "does not hold"
    (evidence,) = judged.evidence
    assert (evidence.difference, evidence.low, evidence.high) == pytest.approx((-0.05, -0.07, -0.03))


def test_punctuation_in_names_does_not_matter() -> None:
    given = made_up(comparisons=[comparison("flannel full", "FLANNEL (w/o focal)", 0.05, 0.02)])
    assert judge(claim("flannel-focal"), [given]).evidence[0].test == "patient bootstrap, made up"


def test_without_a_paired_test_the_rows_intervals_are_combined() -> None:
    """Oracle: both intervals ± .05, so the difference has ± .05 sqrt(2)."""
    judged = judge(claim("mlp-depth"), [made_up()])
    (evidence,) = judged.evidence
    assert evidence.test == COMBINED
    assert (evidence.difference, evidence.low, evidence.high) == pytest.approx(
        (0.39, 0.39 - 0.05 * math.sqrt(2), 0.39 + 0.05 * math.sqrt(2))
    )
    assert judged.verdict == "holds"


def test_a_claim_about_the_members_takes_whichever_networks_there_are() -> None:
    judged = judge(claim("flannel-members"), [made_up()])
    assert [each.sentence for each in judged.evidence] == [
        "FLANNEL full against ResNet-18 base",
        "FLANNEL full against MobileNetV2 base",
    ]
    assert judged.verdict == "holds"


def test_all_comparisons_must_hold_and_one_against_is_enough() -> None:
    rows = study()["rows"]
    unsure = judge(claim("flannel-members"), [made_up(rows=[*rows, row("DenseNet", "base", 0.79)])])
    assert unsure.verdict == "cannot be told"
    assert "1 of 3 intervals include 0" in unsure.reason
    against = judge(claim("flannel-members"), [made_up(rows=[*rows, row("DenseNet", "base", 0.95)])])
    assert against.verdict == "does not hold"
    assert "DenseNet" in against.reason


def test_a_smaller_value_is_better_where_the_claim_says_so() -> None:
    rows = [
        row(system, "focal", mean, metric="epoch_spread", low=mean - 0.01, high=mean + 0.01, **{"class": "all"})
        for system, mean in (("PEPX-ResNet", 0.02), ("ResNet18", 0.10))
    ]
    assert judge(claim("pepx-stable"), [made_up(rows=rows)]).verdict == "holds"
    turned = [entry | {"system": {"ResNet18": "PEPX-ResNet"}.get(entry["system"], "ResNet18")} for entry in rows]
    assert judge(claim("pepx-stable"), [made_up(rows=turned)]).verdict == "does not hold"


def test_ap_views_are_compared_with_all_views_of_the_same_system() -> None:
    judged = judge(claim("ap-view"), [made_up()])
    (evidence,) = judged.evidence
    assert evidence.sentence == "FLANNEL full, all views against AP view"
    assert evidence.difference == pytest.approx(0.20)
    assert evidence.n == 200
    assert judged.verdict == "holds"


def test_ap_rows_are_no_evidence_for_anything_else() -> None:
    rows = [each for each in study()["rows"] if each["variant"] != "full" or "AP view" in each["dataset"]]
    assert evidence_for(claim("flannel-focal"), made_up(rows=rows)) == ()


@pytest.mark.parametrize(("mean", "verdict"), [(0.99, "holds"), (0.87, "does not hold"), (0.95, "cannot be told")])
def test_a_printed_value_is_reached_when_the_whole_interval_lies_above(mean: float, verdict: str) -> None:
    given = made_up(rows=[row("MobileNetV2", "frozen backbone", mean, metric="auc")])
    assert judge(claim("mobilenet-auc"), [given]).verdict == verdict


def test_without_intervals_or_runs_nothing_can_be_told() -> None:
    assert judge(claim("flannel-focal"), []).reason == "No run here has measured this."
    bare = [row(*names, 0.5, low=None, high=None) for names in (("Ensemble_MLP", "l1"), ("Ensemble_MLP", "l2"))]
    judged = judge(claim("mlp-depth"), [made_up(rows=bare)])
    assert judged.verdict == "cannot be told"
    assert judged.reason == "The difference has no interval, at n = 1,000 images."


def test_smoke_runs_judge_nothing_and_full_runs_come_before_lite_ones() -> None:
    assert not judge(claim("flannel-focal"), [made_up(scale="smoke")]).study
    full = made_up(scale="full", comparisons=[comparison("FLANNEL full", "FLANNEL w/o focal", -0.1, 0.01)])
    assert judge(claim("flannel-focal"), [made_up(), full]).scale == "full"


def test_the_newest_of_several_runs_counts() -> None:
    newer = made_up(created="2031-01-01T00:00:00Z", dataset="newer set")
    assert judge(claim("flannel-focal"), [made_up(), newer]).dataset == "newer set"


def test_what_nothing_here_can_test_says_why() -> None:
    assert "collection" in judge(claim("more-data"), [made_up()]).reason
