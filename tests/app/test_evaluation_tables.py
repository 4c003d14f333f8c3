"""The words below figures and tables: which intervals, which set, which weights."""

from __future__ import annotations

import math

import pytest

from cxrlab.app.evaluation_tables import interval_words, when
from cxrlab.results import Estimate


def estimate(method: str, low: float = 0.1) -> Estimate:
    return Estimate(0.5, low, 0.9, 10, method)


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (["wilson"], "95 % intervals: Wilson"),
        (["wilson, images of one patient taken as independent", "wilson"], "95 % intervals: Wilson"),
        (["patient bootstrap, 2000 draws, 3 of them undefined"], "95 % intervals: patient bootstrap, 2000 draws"),
        (["wilson", "patient bootstrap, 50 draws"], "95 % intervals: Wilson; patient bootstrap, 50 draws"),
        ([], ""),
    ],
)
def test_interval_methods_are_named_once(methods: list[str], words: str) -> None:
    assert interval_words([estimate(method) for method in methods]) == words


def test_estimates_without_an_interval_name_no_method() -> None:
    assert interval_words([estimate("undefined: fewer than 10 positives", low=math.nan)]) == ""


def test_times_are_written_for_people() -> None:
    assert when("2026-01-31T09:05:59Z") == "2026-01-31 09:05 UTC"
