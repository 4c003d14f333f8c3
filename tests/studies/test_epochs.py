"""Figures from the epochs of a run, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cxrlab.studies.epochs import epoch_figures, epoch_spread, epochs_to_best, generalisation_gap
from cxrlab.studies.figures import Figure


def history(*accuracies: tuple[float, float], best: int = 0) -> dict[str, Any]:
    epochs = [{"metrics": {"accuracy": own, "test_accuracy": test}} for own, test in accuracies]
    return {"epochs": epochs, "best_epoch": best}


def test_a_straight_curve_has_no_spread_and_a_jumping_one_has_that_of_its_steps() -> None:
    assert epoch_spread([0.1, 0.2, 0.3, 0.4]) == pytest.approx(0)
    assert epoch_spread([0.5, 0.7, 0.5]) == pytest.approx(math.sqrt(0.08))  # steps .2 and -.2
    assert math.isnan(epoch_spread([0.5, 0.6]))


def test_epochs_to_the_best_count_from_one() -> None:
    assert epochs_to_best([0.2, 0.995, 1.0, 0.9]) == 2
    assert epochs_to_best([0.9]) == 1


def test_the_gap_is_taken_where_validation_chose() -> None:
    assert generalisation_gap(history((0.5, 0.9), (0.8, 0.7), best=1)) == pytest.approx(0.1)


def test_every_run_is_a_value_and_none_has_an_interval() -> None:
    records = [{"id": str(seed), "history": history((0.5, 0.4), (0.6, 0.5), (0.7, 0.6), best=2)} for seed in (0, 1)]
    figures = {figure.metric: figure for figure in epoch_figures(("A", "b"), records, "set", 10, 9)}
    assert set(figures) == {"epoch_spread", "epochs_to_99", "generalisation_gap"}
    gap: Figure = figures["generalisation_gap"]
    assert gap.values == pytest.approx((0.1, 0.1))
    assert gap.to_json()["low"] is None
    assert gap.folds == 2


def test_without_test_curves_there_is_nothing_to_say() -> None:
    record = {"id": "a", "history": {"epochs": [{"metrics": {"accuracy": 0.5}}], "best_epoch": 0}}
    assert not list(epoch_figures(("A", "b"), [record], "set", 10, 9))
    assert not list(epoch_figures(("A", "b"), [{"id": "a", "history": None}], "set", 10, 9))
