"""The figures of a study's report, each with its words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from cxrlab.labels import LabelSet
from cxrlab.metrics.confusion import ConfusionMatrix, confusion_of
from cxrlab.metrics.curves import class_pr, class_roc
from cxrlab.metrics.fold_curves import pr_band, roc_band
from cxrlab.plots.metrics import confusion_alt_text, confusion_figure
from cxrlab.plots.study import (
    Bar,
    EpochCurve,
    band_alt_text,
    band_figure,
    bars_alt_text,
    bars_figure,
    epochs_alt_text,
    epochs_figure,
)
from cxrlab.workflows.study_runs import KeptRun, StudyFiles, StudyRow

Drawn = tuple[Any, str]
Item = TypeVar("Item")
AP_VIEW = "AP view"
IN_ONE_FIGURE = 4  # systems whose bands and folds can be told apart
COEFFICIENT = re.compile(r"^(block\d+)\.([abc])$", re.IGNORECASE)
QUANTITIES = {"train_loss": "Training loss", "loss": "Validation loss", "accuracy": "Validation accuracy"}


def figures_of(study: StudyFiles) -> Iterator[tuple[str, list[Drawn]]]:
    """Section title and figures, sections without figures left out."""
    sections = {
        "F1 of every system": list(_bars(study.results.rows)),
        "AP views only": list(_ap_views(study.results.rows)),
        **{f"ROC and precision-recall over folds, {name}": drawn for name, drawn in _curves(study.runs)},
        "Confusion matrices, counts summed over folds": list(_confusions(study.runs)),
        "Epoch by epoch": list(_epochs(study.runs)),
        "Learned coefficients over training": list(_coefficients(study.runs)),
    }
    yield from ((title, drawn) for title, drawn in sections.items() if drawn)


def by_system(runs: Sequence[KeptRun]) -> dict[str, list[KeptRun]]:
    """Runs by system and variant, in their order."""
    grouped: dict[str, list[KeptRun]] = {}
    for run in runs:
        grouped.setdefault(run.name, []).append(run)
    return grouped


def _groups(systems: Mapping[str, Item]) -> Iterator[dict[str, Item]]:
    """At most ``IN_ONE_FIGURE`` at a time."""
    names = list(systems)
    for start in range(0, len(names), IN_ONE_FIGURE):
        yield {name: systems[name] for name in names[start : start + IN_ONE_FIGURE]}


def _name(row: StudyRow) -> str:
    return f"{row.system}, {row.variant}" if row.variant else row.system


def _bar(row: StudyRow) -> Bar:
    return Bar(row.mean, math.nan if row.std is None else row.std)


def _f1_rows(rows: Sequence[StudyRow], *, ap: bool) -> list[StudyRow]:
    return [row for row in rows if row.metric in ("f1", "macro_f1") and (AP_VIEW in row.dataset) == ap]


def _class_name(row: StudyRow) -> str:
    return "macro-F1" if row.metric == "macro_f1" else LabelSet.from_ids([row.class_id, "-"]).names[0]


def _bars(rows: Sequence[StudyRow]) -> Iterator[Drawn]:
    bars: dict[str, dict[str, Bar]] = {}
    for row in _f1_rows(rows, ap=False):
        bars.setdefault(_class_name(row), {})[_name(row)] = _bar(row)
    if bars:
        title = "F1, mean and standard deviation over folds or seeds"
        yield bars_figure(bars, title=title), bars_alt_text(bars, title=title)


def _ap_views(rows: Sequence[StudyRow]) -> Iterator[Drawn]:
    """One figure a class: all views beside AP views, with the positives of both in the legend."""
    marked = [row for row in _f1_rows(rows, ap=True) if row.metric == "f1"]
    for class_id in dict.fromkeys(row.class_id for row in marked):
        bars: dict[str, dict[str, Bar]] = {}
        for ap, words in ((False, "all views"), (True, "AP views only")):
            found = [row for row in _f1_rows(rows, ap=ap) if row.class_id == class_id]
            if found:
                positives = "" if found[0].positives is None else f"{found[0].positives} positives of "
                bars[f"{words}:<br>{positives}{found[0].n} images"] = {_name(row): _bar(row) for row in found}
        title = f"{_class_name(next(row for row in marked if row.class_id == class_id))}, all views and AP views"
        yield bars_figure(bars, title=title), bars_alt_text(bars, title=title)


def _curves(runs: Sequence[KeptRun]) -> Iterator[tuple[str, list[Drawn]]]:
    """Class name and its figures."""
    tested = [run for run in runs if run.test is not None and run.test.task == "multiclass"]
    for label in tested[0].test.labels if tested and tested[0].test else ():
        groups = _groups(by_system(tested))
        yield label.name, [drawn for systems in groups for drawn in _class_curves(label.id, label.name, systems)]


def _class_curves(class_id: str, name: str, systems: dict[str, list[KeptRun]]) -> Iterator[Drawn]:
    """None for a class that the test part has no image of."""
    try:
        tests = {system: [run.test for run in runs if run.test] for system, runs in systems.items()}
        roc = {system: roc_band([class_roc(test, class_id) for test in each]) for system, each in tests.items()}
        pr = {system: pr_band([class_pr(test, class_id) for test in each]) for system, each in tests.items()}
    except ValueError:
        return
    axes = {"x": "1 − specificity (false positive rate)", "y": "Sensitivity (true positive rate)"}
    title = f"ROC, {name}"
    yield band_figure(roc, **axes, chance=True, title=title), band_alt_text(roc, title=title)
    title = f"Precision-recall, {name}"
    yield band_figure(pr, x="Recall", y="Precision", chance=False, title=title), band_alt_text(pr, title=title)


def _confusions(runs: Sequence[KeptRun]) -> Iterator[Drawn]:
    for name, own in by_system(runs).items():
        tests = [run.test for run in own if run.test is not None and run.test.task == "multiclass"]
        if tests:
            matrices = [confusion_of(test) for test in tests]
            summed = ConfusionMatrix(matrices[0].labels, np.sum([matrix.counts for matrix in matrices], axis=0))
            title = f"{name}, {len(tests)} run{'s' * (len(tests) > 1)}"
            labels = tests[0].labels
            yield confusion_figure(summed, labels, title=title), confusion_alt_text(summed, labels, title=title)


def _epochs(runs: Sequence[KeptRun]) -> Iterator[Drawn]:
    trained = [run for run in runs if run.epochs]
    ids = next((run.test.labels for run in trained if run.test), None)
    quantities = dict(QUANTITIES) | {f"f1_{i}": f"Validation F1, {label.name}" for i, label in enumerate(ids or ())}
    quantities |= {f"test_{key}": f"Test{words.removeprefix('Validation')}" for key, words in quantities.items()}
    for key, words in quantities.items():
        curves = {name: _epoch_curve(own, key) for name, own in by_system(trained).items()}
        drawn = {name: curve for name, curve in curves.items() if curve is not None}
        for systems in _groups(drawn):
            yield epochs_figure(systems, y=words, title=words), epochs_alt_text(systems, y=words)


def _coefficients(runs: Sequence[KeptRun]) -> Iterator[Drawn]:
    """One figure a block and system: A, B and C over training."""
    for name, own in by_system([run for run in runs if run.epochs]).items():
        keys = [key for key in own[0].epochs[0] if COEFFICIENT.match(key)]
        for block in dict.fromkeys(key.split(".")[0] for key in keys):
            found = {key.split(".")[1].upper(): _epoch_curve(own, key) for key in keys if key.startswith(f"{block}.")}
            curves = {letter: curve for letter, curve in found.items() if curve is not None}
            title = f"{name}, {block}"
            yield epochs_figure(curves, y="Coefficient", title=title), epochs_alt_text(curves, y=title)


def _epoch_curve(runs: Sequence[KeptRun], key: str) -> EpochCurve | None:
    having = [run for run in runs if key in run.epochs[0]]
    if not having:
        return None
    values = np.full((len(having), max(len(run.epochs) for run in having)), np.nan)
    for row, run in enumerate(having):
        values[row, : len(run.epochs)] = [epoch.get(key, math.nan) for epoch in run.epochs]
    return EpochCurve(values)
