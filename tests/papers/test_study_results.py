"""``results.json``: read with every field, refused in a sentence."""

from __future__ import annotations

import math

import pytest

from cxrlab.papers.study_results import StudyResults
from tests.papers.made_up_study import comparison, row, study


def test_every_field_is_read() -> None:
    read = StudyResults.from_json(study(), folder="a folder")
    assert (read.study, read.scale, read.folder, len(read.rows), len(read.comparisons)) == (
        *("flannel", "lite", "a folder"),
        *(9, 2),
    )
    first = read.rows[0]
    assert (first.system, first.variant, first.class_id, first.metric) == ("FLANNEL", "full", "covid19", "f1")
    assert (first.mean, first.low, first.high, first.std) == pytest.approx((0.80, 0.75, 0.85, 0.02))
    assert (first.n, first.patients, first.folds, first.values) == (1000, 800, 5, (0.8,) * 5)
    assert read.comparisons[1].a == "Voting, ensemble"


def test_null_is_no_interval_and_an_undefined_value() -> None:
    read = StudyResults.from_json(study(rows=[row("a", "b", 0.5, std=None, low=None, high=None) | {"mean": None}]))
    (first,) = read.rows
    assert first.std is first.low is first.high is None
    assert math.isnan(first.mean)


def test_a_test_without_p_is_read() -> None:
    (read,) = StudyResults.from_json(study(comparisons=[comparison("a", "b", 0.1, 0.2, p=None)])).comparisons
    assert read.p is None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "format must be 1, got 'list'"),
        (study(format=2), "format must be 1, got 2"),
        ({key: value for key, value in study().items() if key != "scale"}, "field 'scale' is missing"),
        (study(rows=[{"system": "x"}]), "field 'variant' is missing"),
        (study(rows=[row("a", "b", 0.5, n=None)]), "wrong type"),
        (study(rows=3), "wrong type"),
        (study(comparisons=[3]), "wrong type"),
    ],
)
def test_what_is_no_result_is_refused_with_the_reason(data: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        StudyResults.from_json(data)  # type: ignore[arg-type]
