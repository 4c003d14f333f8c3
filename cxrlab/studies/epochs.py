"""What the epochs of a study say: how unsteady a curve is, how soon it is at its best, how far test lags behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cxrlab.studies.figures import Figure
from cxrlab.training.folds import over_folds

NEAR_BEST = 0.99


def epoch_spread(accuracy: Sequence[float]) -> float:
    """Sample standard deviation of the steps of a curve from one epoch to the next (ddof 1); NaN below 3 epochs."""
    return float(np.diff(accuracy).std(ddof=1)) if len(accuracy) > 2 else float("nan")


def epochs_to_best(accuracy: Sequence[float]) -> float:
    """The first epoch, counted from 1, that reaches 99 % of the curve's best."""
    return 1.0 + int(np.argmax(np.asarray(accuracy) >= NEAR_BEST * max(accuracy)))


def generalisation_gap(history: Mapping[str, Any]) -> float:
    """Validation accuracy minus test accuracy at the epoch that validation chose."""
    best = history["epochs"][history["best_epoch"]]["metrics"]
    return float(best["accuracy"] - best["test_accuracy"])


def epoch_figures(
    system: tuple[str, str], records: Sequence[Mapping[str, Any]], dataset: str, n: int, patients: int
) -> Iterator[Figure]:
    """Lines for the table from the histories of a system's runs, one value a run; none without test curves.

    ``epoch_spread`` is of the test accuracy, as the papers draw it; ``epochs_to_99`` of the validation accuracy. They
    have no interval over patients: the spread over the runs is the sample's.
    """
    histories = [record["history"] for record in records if record.get("history")]
    if not histories or "test_accuracy" not in histories[0]["epochs"][0]["metrics"]:
        return
    curves = [
        {name: [epoch["metrics"][name] for epoch in history["epochs"]] for name in ("accuracy", "test_accuracy")}
        for history in histories
    ]
    values = {
        "epoch_spread": [epoch_spread(curve["test_accuracy"]) for curve in curves],
        "epochs_to_99": [epochs_to_best(curve["accuracy"]) for curve in curves],
        "generalisation_gap": [generalisation_gap(history) for history in histories],
    }
    for metric, found in values.items():
        if np.isnan(found).all():
            continue
        over = over_folds(found)
        yield Figure(
            *system,
            dataset,
            "all",
            metric,
            mean=over.mean,
            std=over.std,
            low=float("nan"),
            high=float("nan"),
            n=n,
            positives=n,
            patients=patients,
            folds=len(found),
            values=over.values,
            run=str(records[0]["id"]) if len(records) == 1 else "",
        )
