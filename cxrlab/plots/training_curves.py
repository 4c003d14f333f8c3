"""Figures of trainings as they go: losses, metrics and learning rates of one or several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from cxrlab.plots.theme import framed, model_style

HEIGHT = 240  # px
MOST_MARKED = 40  # epochs; more marks would hide the line
METRICS = {
    "macro_f1": "Macro-F1",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "loss": "Cross entropy",
    "objective": "Trained loss",
}
LOSSES = ("loss", "objective")


@dataclass(frozen=True)
class RunCurves:
    """What a training has said after each finished epoch; nan where it said nothing.

    Args:
        name: for the legend. train_loss, learning_rate: as many as epochs. validation: metric -> as many values.
    """

    name: str
    train_loss: tuple[float, ...]
    validation: Mapping[str, tuple[float, ...]]
    learning_rate: tuple[float, ...]

    @classmethod
    def of(cls, name: str, epochs: Sequence[Mapping[str, Any]]) -> RunCurves:
        """From lines of ``metrics.jsonl``; a value that is missing or no number is nan."""
        measured = [epoch.get("metrics") or {} for epoch in epochs]
        names = dict.fromkeys(metric for metrics in measured for metric in metrics)
        return cls(
            name,
            tuple(_number(epoch.get("train_loss")) for epoch in epochs),
            {metric: tuple(_number(metrics.get(metric)) for metrics in measured) for metric in names},
            tuple(_number(epoch.get("learning_rate")) for epoch in epochs),
        )

    @property
    def epochs(self) -> list[int]:
        """1, 2, …"""
        return list(range(1, len(self.train_loss) + 1))

    def best(self, metric: str) -> int | None:
        """Place of the best value of a metric, the first of equal ones; None without any."""
        values = [(i, value) for i, value in enumerate(self.validation.get(metric, ())) if math.isfinite(value)]
        sign = -1 if metric in LOSSES else 1
        return max(values, key=lambda pair: (sign * pair[1], -pair[0]))[0] if values else None


def metric_name(metric: str) -> str:
    """A metric for people, e.g. ``Macro-F1``."""
    return METRICS.get(metric, metric.replace("_", " "))


def training_loss_figure(runs: Sequence[RunCurves], *, title: str = "") -> go.Figure:
    """Loss of each training over its epochs: dotted while training, solid on the validation images."""
    figure = go.Figure()
    for position, run in enumerate(runs):
        style = model_style(position)
        figure.add_scatter(
            x=run.epochs, y=run.train_loss, mode="lines", name=run.name, legendgroup=run.name, showlegend=False,
            line={"color": style.colour, "width": 1.5, "dash": "dot"},
            hovertemplate=f"{run.name}<br>epoch %{{x}}, training %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
        _add_line(figure, run, position, run.validation.get("objective") or run.validation.get("loss") or (), "")
    figure.update_yaxes(title_text="loss", rangemode="tozero")
    return _over_epochs(figure, runs, title)


def training_metric_figure(runs: Sequence[RunCurves], metric: str, *, title: str = "") -> go.Figure:
    """A metric on the validation images over the epochs, the best epoch of each training as a large mark."""
    figure = go.Figure()
    for position, run in enumerate(runs):
        values = run.validation.get(metric, ())
        _add_line(figure, run, position, values, metric_name(metric))
        best = run.best(metric)
        if best is not None:
            figure.add_scatter(
                x=[best + 1], y=[values[best]], mode="markers", showlegend=False, legendgroup=run.name,
                marker={"size": 13, "symbol": "circle-open", "color": model_style(position).colour,
                        "line": {"width": 2}},
                hovertemplate=f"{run.name}<br>best: epoch %{{x}}, %{{y:.3f}}<extra></extra>",
            )  # fmt: skip
    figure.update_yaxes(title_text=metric_name(metric), rangemode="tozero" if metric in LOSSES else "normal")
    if metric not in LOSSES:
        figure.update_yaxes(range=[0, 1.02])
    return _over_epochs(figure, runs, title)


def learning_rates_figure(runs: Sequence[RunCurves], *, title: str = "") -> go.Figure:
    """The learning rate at the end of each epoch, on a logarithmic axis."""
    figure = go.Figure()
    for position, run in enumerate(runs):
        _add_line(figure, run, position, run.learning_rate, "learning rate", digits=".2e")
    figure.update_yaxes(title_text="learning rate", type="log", exponentformat="power", nticks=5)
    return _over_epochs(figure, runs, title)


def training_alt_text(runs: Sequence[RunCurves], metric: str) -> str:
    """Losses and metric in words: where each training stands and what its best epoch was."""
    return " ".join(_said(run, metric) for run in runs) or "No training has finished an epoch yet."


def _said(run: RunCurves, metric: str) -> str:
    if not run.train_loss:
        return f"{run.name}: no finished epoch yet."
    words = f"{run.name}: {len(run.train_loss)} epochs, training loss from {run.train_loss[0]:.3f} to "
    words += f"{run.train_loss[-1]:.3f}"
    best = run.best(metric)
    if best is not None:
        words += f", best {metric_name(metric)} {run.validation[metric][best]:.3f} after epoch {best + 1}"
    return f"{words}."


def _add_line(
    figure: go.Figure, run: RunCurves, position: int, values: Sequence[float], what: str, *, digits: str = ".3f"
) -> None:
    style = model_style(position)
    mode = "lines+markers" if len(values) <= MOST_MARKED else "lines"
    figure.add_scatter(
        x=run.epochs, y=list(values), mode=mode, name=run.name, legendgroup=run.name,
        line={"color": style.colour, "width": 2}, marker={"size": 6, "symbol": position % 8},
        hovertemplate=f"{run.name}<br>epoch %{{x}}, {what or 'validation'} %{{y:{digits}}}<extra></extra>",
    )  # fmt: skip


def _over_epochs(figure: go.Figure, runs: Sequence[RunCurves], title: str) -> go.Figure:
    longest = max((len(run.train_loss) for run in runs), default=0)
    dtick = {"dtick": 1} if longest <= 10 else {"nticks": 8}
    figure.update_xaxes(title_text="epoch", range=[0.5, max(2, longest) + 0.5], **dtick)
    return framed(figure, plot_height=HEIGHT, legend_rows=len(runs) if len(runs) > 1 else 0, title=title)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
