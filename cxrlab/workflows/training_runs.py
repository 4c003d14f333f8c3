"""A training as its run folder tells it: epochs, the last validation's confusions, the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrlab.cards import CheckpointError
from cxrlab.catalogue import read_checkpoint
from cxrlab.jobs.job import Job
from cxrlab.labels import LabelSet
from cxrlab.metrics.confusion import ConfusionMatrix
from cxrlab.workflows.jobs import checkpoint_folder, read_metrics

CONFUSION_FILE = "confusion.json"
RUN_FILE = "run.json"


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What a run has written so far.

    Args:
        epochs: a dictionary for each finished epoch, as :func:`cxrlab.workflows.jobs.read_metrics`.
        labels: the classes, None before they are known.
        confusion: of the validation images after epoch ``confusion_epoch`` (from 1); None before the first.
        checkpoint: name of what it made; empty: nothing yet, or not there any more.
        monitor: the metric that picks the best epoch.
    """

    epochs: tuple[dict[str, Any], ...]
    labels: LabelSet | None = None
    confusion: ConfusionMatrix | None = None
    confusion_epoch: int = 0
    checkpoint: str = ""
    monitor: str = "macro_f1"


def training_run(job: Job) -> TrainingRun:
    """What is known of a job's run; missing and half-written files are what is not known yet."""
    labels = _labels(job.metrics_folder)
    confusion, epoch = _confusion(job.metrics_folder, labels)
    config = (job.config.get("request") or {}).get("config") or {}
    return TrainingRun(
        epochs=tuple(read_metrics(job.metrics_folder)),
        labels=labels,
        confusion=confusion,
        confusion_epoch=epoch,
        checkpoint=checkpoint_of(job),
        monitor=str(config.get("monitor", "macro_f1")),
    )


def checkpoint_of(job: Job) -> str:
    """Name of the checkpoint that this very job trained; empty when there is none."""
    folder = checkpoint_folder(job)
    if folder is None or job.state != "done":
        return ""
    try:
        made_by = read_checkpoint(folder).card.training.get("job") or {}
    except (CheckpointError, OSError):
        return ""
    return folder.name if (made_by.get("id"), made_by.get("submitted")) == (job.id, job.submitted) else ""


def _labels(folder: Path) -> LabelSet | None:
    found = _read(folder / RUN_FILE).get("labels")
    return LabelSet.from_ids(found) if isinstance(found, Sequence) and found else None


def _confusion(folder: Path, labels: LabelSet | None) -> tuple[ConfusionMatrix | None, int]:
    found = _read(folder / CONFUSION_FILE)
    try:
        counts = np.asarray(found["counts"], dtype=np.int64)
        if labels is None:
            return None, 0
        return ConfusionMatrix(labels.ids, counts), int(found["epoch"]) + 1  # the file counts from 0
    except (KeyError, TypeError, ValueError):
        return None, 0


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
