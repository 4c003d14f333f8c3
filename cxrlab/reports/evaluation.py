"""An evaluation as a folder: metrics, predictions and a page of figures that needs no server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from cxrlab.labels import LabelSet
from cxrlab.plots.curves import pr_alt_text, pr_figure, roc_alt_text, roc_figure
from cxrlab.plots.metrics import confusion_alt_text, confusion_figure
from cxrlab.workflows.evaluate import Evaluation
from cxrlab.workflows.evaluation_curves import class_curves, model_names
from cxrlab.workflows.evaluation_files import evaluation_json, metrics_csv, predictions_csv

WARNING = "Research and teaching only, never a diagnosis."


def write_evaluation(evaluation: Evaluation, folder: Path, *, figures: bool = True) -> tuple[Path, ...]:
    """Write ``metrics.json``, ``metrics.csv``, one ``predictions-<checkpoint>.csv`` each, and ``figures.html``.

    Files of these names are replaced, each whole or not at all; others in the folder stay.

    Args:
        folder: made when needed. figures: 5 MB, since the page holds the drawing library itself.

    Returns:
        The files written.

    Raises:
        OSError: when the folder can not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"metrics.json": evaluation_json(evaluation), "metrics.csv": metrics_csv(evaluation)}
    names = Counter(run.facts.checkpoint for run in evaluation.runs)
    for run in evaluation.runs:
        name = run.facts.checkpoint
        name += f"-{run.facts.checkpoint_sha256[:8]}" if names[name] > 1 else ""
        texts[f"predictions-{name}.csv"] = predictions_csv(replace(evaluation, runs=(run,)))
    if figures:
        texts["figures.html"] = figures_html(evaluation)
    return tuple(_written(folder / name, text) for name, text in texts.items())


def figures_html(evaluation: Evaluation) -> str:
    """One page: ROC and precision-recall of every class, confusion matrices, each with its numbers in words."""
    facts = evaluation.runs[0].facts
    title = f"{facts.dataset}, {facts.part}: {', '.join(model_names(evaluation))}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(title)}</title>",
        "<style>body{font:16px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "figure{margin:2rem 0}figcaption{color:#555}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f"<p>{facts.images} images, data set {facts.dataset_digest[:12]}. {WARNING}</p>",
    ]
    for number, (figure, words) in enumerate(_figures(evaluation)):
        drawn = figure.to_html(full_html=False, include_plotlyjs=number == 0, div_id=f"figure{number}")
        parts.append(f'<figure role="img" aria-label="{escape(words)}">{drawn}')
        parts.append(f"<figcaption>{escape(words)}</figcaption></figure>")
    return "\n".join([*parts, "</body></html>", ""])


def _figures(evaluation: Evaluation) -> Iterator[tuple[Any, str]]:
    for label in evaluation.labels:
        yield from _curves(evaluation, label.id, label.name)
    for name, run in zip(model_names(evaluation), evaluation.runs, strict=True):
        if run.report.confusion is not None:
            matrix, labels = run.report.confusion, LabelSet.from_ids(run.report.labels)
            yield confusion_figure(matrix, labels, title=name), confusion_alt_text(matrix, labels, title=name)


def _curves(evaluation: Evaluation, class_id: str, name: str) -> Iterator[tuple[Any, str]]:
    """None for a class that the set has no image of, or nothing but images of: it has no curve."""
    try:
        found = class_curves(evaluation, class_id)
    except ValueError:
        return
    areas = found.average_precision
    yield (
        roc_figure(found.roc, areas=found.auc, title=f"ROC, {name}"),
        roc_alt_text(found.roc, areas=found.auc, title=name),
    )
    yield (
        pr_figure(found.pr, areas=areas, title=f"Precision-recall, {name}"),
        pr_alt_text(found.pr, areas=areas, title=name),
    )


def _written(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        return temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
