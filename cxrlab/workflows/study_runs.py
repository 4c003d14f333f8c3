"""What a study's folder holds: its results and, run by run, settings, history and outputs on the test part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlab.papers.study_results import StudyComparison, StudyResults, StudyRow
from cxrlab.predictions import Predictions

__all__ = ["KeptRun", "StudyComparison", "StudyFiles", "StudyResults", "StudyRow", "open_study"]


@dataclass(frozen=True, eq=False)
class KeptRun:
    """One run of a study.

    Args:
        id, kind, system, variant: as the run says. fold: None where all folds are used. seconds: it took.
        epochs: training loss and metrics by name, one mapping an epoch; empty where nothing was trained by epochs.
        test: scores on the test part; None where they were not kept.
    """

    id: str
    kind: str
    system: str
    variant: str
    fold: int | None
    seconds: float
    epochs: tuple[Mapping[str, float], ...]
    test: Predictions | None

    @property
    def name(self) -> str:
        """System and variant, e.g. ``FLANNEL, full``."""
        return f"{self.system}, {self.variant}" if self.variant else self.system


@dataclass(frozen=True, eq=False)
class StudyFiles:
    """A study's results with its runs, and sentences about runs that can not be read."""

    results: StudyResults
    runs: tuple[KeptRun, ...]
    damaged: tuple[str, ...]


def open_study(folder: Path) -> StudyFiles:
    """Read a study's folder.

    Raises:
        ValueError: when it has no readable ``results.json``.
    """
    try:
        data = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        results = StudyResults.from_json(data, folder=folder.name)
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder.name} must hold the results.json of a finished study: {error}.") from error
    runs, damaged = [], []
    for file in sorted(folder.glob("runs/*/run.json")):
        try:
            runs.append(_run(file))
        except (OSError, ValueError, KeyError, TypeError) as error:
            damaged.append(f"Run {file.parent.name} can not be read: {error}.")
    return StudyFiles(results, tuple(runs), tuple(damaged))


def _run(file: Path) -> KeptRun:
    facts = json.loads(file.read_text(encoding="utf-8"))
    test = file.parent / "test.npz"
    return KeptRun(
        id=str(facts["id"]),
        kind=str(facts["kind"]),
        system=str(facts["system"]),
        variant=str(facts["variant"]),
        fold=None if facts["fold"] is None else int(facts["fold"]),
        seconds=float(facts["seconds"]),
        epochs=_epochs(facts.get("history")),
        test=Predictions.load(test) if test.is_file() else None,
    )


def _epochs(history: Mapping[str, Any] | None) -> tuple[Mapping[str, float], ...]:
    if not history:
        return ()
    return tuple({"train_loss": epoch["train_loss"], **epoch["metrics"]} for epoch in history["epochs"])
