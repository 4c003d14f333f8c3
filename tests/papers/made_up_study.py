"""A made-up ``results.json``: numbers for tests, measured nowhere."""

from __future__ import annotations

from typing import Any


def row(system: str, variant: str, mean: float, **changes: Any) -> dict[str, Any]:
    """One row with an interval of ± .05 on 1,000 images."""
    return {
        "system": system,
        "variant": variant,
        "dataset": "made-up set, test",
        "class": "covid19",
        "metric": "f1",
        "mean": mean,
        "std": 0.02,
        "low": mean - 0.05,
        "high": mean + 0.05,
        "n": 1000,
        "patients": 800,
        "folds": 5,
        "values": [mean] * 5,
        "run": "made-up-run",
    } | changes


def comparison(a: str, b: str, difference: float, half: float, **changes: Any) -> dict[str, Any]:
    """A paired difference with an interval of ± ``half``."""
    return {
        "a": a,
        "b": b,
        "class": "covid19",
        "metric": "f1",
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "p": 0.04,
        "n": 1000,
        "patients": 800,
        "test": "patient bootstrap, made up",
    } | changes


def study(**changes: Any) -> dict[str, Any]:
    """A flannel study: FLANNEL beats w/o focal, loses against voting, and cannot be told from the MLP."""
    return {
        "format": 1,
        "study": "flannel",
        "scale": "lite",
        "profile": "paper",
        "dataset": "made-up set",
        "dataset_digest": "0" * 64,
        "command": "cxrlab study flannel --manifest made-up.csv --out made-up --scale lite",
        "created": "2030-01-01T00:00:00Z",
        "seconds": 10.0,
        "rows": [
            row("FLANNEL", "full", 0.80),
            row("FLANNEL", "w/o focal", 0.75),
            row("Voting", "ensemble", 0.85),
            row("Ensemble_MLP", "l1", 0.79),
            row("Ensemble_MLP", "l2", 0.40),
            row("ResNet-18", "base", 0.60),
            row("MobileNetV2", "base", 0.70),
            row("FLANNEL", "full", 0.60, dataset="made-up set, test, AP views only", n=200, patients=150),
            row("FLANNEL", "full", 0.77, **{"class": "all", "metric": "macro_f1"}),
        ],
        "comparisons": [
            comparison("FLANNEL, full", "FLANNEL, w/o focal", 0.05, 0.02),
            comparison("Voting, ensemble", "FLANNEL, full", 0.05, 0.02),
        ],
    } | changes
