"""ROC and precision-recall curves of several models in one figure, and their sentences for screen readers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from cxrlab.metrics.curves import PrCurve, RocCurve
from cxrlab.plots.theme import GREY, framed, model_style
from cxrlab.results import Estimate

MAX_POINTS = 2000  # more cannot be seen, and every point is sent to the browser
PLOT_HEIGHT_PX = 360


def roc_figure(
    curves: Mapping[str, RocCurve], *, areas: Mapping[str, Estimate] | None = None, title: str = ""
) -> go.Figure:
    """ROC curves of models on one set, with the diagonal of chance.

    Args:
        curves: by model name; the order decides colour and dash.
        areas: AUC with interval by model name, for the legend; without it the curve's own AUC.
        title: e.g. the class.

    Raises:
        ValueError: when there is no curve.
    """
    _check(curves)
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="chance", line={"color": GREY, "width": 1, "dash": "dot"},
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    for position, (name, curve) in enumerate(curves.items()):
        rows = _rows_to_draw(curve.fpr, curve.tpr)
        _add_model(
            figure,
            position,
            f"{name} · AUC {_area(areas, name, curve.auc)}",
            x=curve.fpr[rows],
            y=curve.tpr[rows],
            thresholds=curve.thresholds[rows],
            hover="false positive rate %{x:.3f}<br>sensitivity %{y:.3f}",
        )
    _unit_axes(figure, "1 − specificity (false positive rate)", "Sensitivity (true positive rate)")
    return framed(figure, plot_height=PLOT_HEIGHT_PX, legend_rows=len(curves), title=title)


def pr_figure(
    curves: Mapping[str, PrCurve], *, areas: Mapping[str, Estimate] | None = None, title: str = ""
) -> go.Figure:
    """Precision-recall curves with the prevalence: what a model that knows nothing reaches. Arguments as
    :func:`roc_figure`, with average precision for area. Lines are steps, whose area is the average precision."""
    _check(curves)
    figure = go.Figure()
    prevalences = sorted({round(curve.prevalence, 6) for curve in curves.values()})
    for prevalence in prevalences:
        figure.add_scatter(
            x=[0, 1], y=[prevalence] * 2, mode="lines", name=f"prevalence {prevalence:.3f}",
            line={"color": GREY, "width": 1, "dash": "dot"}, hoverinfo="skip",
        )  # fmt: skip
    for position, (name, curve) in enumerate(curves.items()):
        rows = _rows_to_draw(curve.recall, curve.precision)
        _add_model(
            figure,
            position,
            f"{name} · AP {_area(areas, name, curve.average_precision)}",
            x=curve.recall[rows],
            y=curve.precision[rows],
            thresholds=curve.thresholds[rows],
            hover="recall %{x:.3f}<br>precision %{y:.3f}",
            shape="vh",
        )
    _unit_axes(figure, "Recall (sensitivity)", "Precision")
    return framed(figure, plot_height=PLOT_HEIGHT_PX, legend_rows=len(curves) + len(prevalences), title=title)


def roc_alt_text(
    curves: Mapping[str, RocCurve], *, areas: Mapping[str, Estimate] | None = None, title: str = ""
) -> str:
    """The main numbers of :func:`roc_figure` in words; chance is an AUC of 0.5."""
    _check(curves)
    models = "; ".join(f"{name} {_area(areas, name, curve.auc)}" for name, curve in curves.items())
    images = _images(next(iter(curves.values())))
    return f"ROC curves{_of(title)}. Area under the curve (0.5 is chance): {models}. {images}"


def pr_alt_text(curves: Mapping[str, PrCurve], *, areas: Mapping[str, Estimate] | None = None, title: str = "") -> str:
    """The main numbers of :func:`pr_figure` in words."""
    _check(curves)
    models = "; ".join(f"{name} {_area(areas, name, curve.average_precision)}" for name, curve in curves.items())
    prevalence = next(iter(curves.values())).prevalence
    return (
        f"Precision-recall curves{_of(title)}. Average precision (prevalence {prevalence:.3f} is chance): {models}. "
        f"{_images(next(iter(curves.values())))}"
    )


def _check(curves: Mapping[str, RocCurve] | Mapping[str, PrCurve]) -> None:
    if not curves:
        raise ValueError("A figure of curves needs at least one model, got none.")


def _area(areas: Mapping[str, Estimate] | None, name: str, area: float) -> str:
    return str(areas[name]) if areas and name in areas else f"{area:.3f}"


def _of(title: str) -> str:
    return f", {title}" if title else ""


def _images(curve: RocCurve | PrCurve) -> str:
    return f"{curve.positives} positive and {curve.negatives} negative images."


def _add_model(
    figure: go.Figure,
    position: int,
    name: str,
    *,
    x: np.ndarray,
    y: np.ndarray,
    thresholds: np.ndarray,
    hover: str,
    shape: str = "linear",
) -> None:
    style = model_style(position)
    scores = np.where(np.isinf(thresholds), 1.0, thresholds)
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=name,
        line={"color": style.colour, "dash": style.dash, "width": 2, "shape": shape},
        customdata=scores,
        hovertemplate=f"<b>{name}</b><br>{hover}<br>score ≥ %{{customdata:.3f}}<extra></extra>",
    )


def _unit_axes(figure: go.Figure, x: str, y: str) -> None:
    ticks = {"range": [-0.01, 1.01], "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    figure.update_xaxes(title_text=x, **ticks)
    figure.update_yaxes(title_text=y, **ticks)


def _rows_to_draw(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows of a curve that change its picture: ends and corners, then at most ``MAX_POINTS`` evenly spread."""
    if len(x) <= 2:
        return np.arange(len(x))
    turns = np.diff(x)[:-1] * np.diff(y)[1:] != np.diff(y)[:-1] * np.diff(x)[1:]
    # A row between two steps in the same direction lies on the straight line between its neighbours.
    rows = np.flatnonzero(np.concatenate(([True], turns, [True])))
    if len(rows) > MAX_POINTS:
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, MAX_POINTS).round().astype(int))]
    return rows
