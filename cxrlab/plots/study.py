"""Figures of a study: F1 bars, curves over folds, AP views, curves an epoch, learned coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cxrlab.metrics.fold_curves import CurveBand
from cxrlab.plots.theme import GREY, framed, model_style

PLOT_HEIGHT_PX = 340
ROW_PX = 24  # of a system in a figure of bars
TITLES_PX = 76  # above it: the figure's title and those of its panels
PANEL_FONT_SIZE = 13
BAND_OPACITY = 0.16
FOLD_OPACITY = 0.35


@dataclass(frozen=True, eq=False)
class Bar:
    """A bar with its whiskers: mean and standard deviation (ddof 1; NaN for a single value)."""

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if np.isnan(self.std) else f"{self.mean:.3f} ± {self.std:.3f}"


@dataclass(frozen=True, eq=False)
class EpochCurve:
    """A quantity over epochs, of several seeds or folds.

    Args:
        values: (R, E) a row a run; NaN where a run ended earlier.
    """

    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(E,) mean of the runs that got so far."""
        return np.nanmean(self.values, axis=0)

    @property
    def spread(self) -> np.ndarray:
        """(E,) standard deviation with ddof 1; zero where a single run got so far."""
        count = (~np.isnan(self.values)).sum(axis=0)
        squares = np.nansum((self.values - self.mean) ** 2, axis=0)
        return np.sqrt(squares / np.maximum(count - 1, 1))


def bars_figure(bars: Mapping[str, Mapping[str, Bar]], *, title: str = "", x: str = "F1") -> go.Figure:
    """Lying bars with error bars: a panel a class, a row a system, so that long names stay readable.

    Args:
        bars: class name -> system -> bar. x: what is drawn, in [0, 1].

    Raises:
        ValueError: when there is no bar.
    """
    _check(bars)
    figure = make_subplots(1, len(bars), shared_yaxes=True, subplot_titles=list(bars), horizontal_spacing=0.02)
    systems = list(dict.fromkeys(system for by_system in bars.values() for system in by_system))
    for position, (name, by_system) in enumerate(bars.items()):
        values = list(by_system.values())
        figure.add_bar(
            x=[bar.mean for bar in values],
            y=list(by_system),
            orientation="h",
            name=name,
            marker={"color": model_style(position).colour, "opacity": 0.8},
            error_x={"type": "data", "array": np.nan_to_num([bar.std for bar in values]), "color": GREY, "width": 3},
            customdata=[str(bar) for bar in values],
            hovertemplate=f"<b>%{{y}}</b><br>{name} %{{customdata}}<extra></extra>",
            row=1,
            col=position + 1,
        )
    figure.update_xaxes(range=[0, 1.04], tickvals=[0, 0.5, 1])
    figure.update_yaxes(categoryorder="array", categoryarray=systems[::-1])
    figure.update_layout(bargap=0.3)
    framed(figure, plot_height=ROW_PX * len(systems) + ROW_PX, title=title)
    figure.update_xaxes(title_text=x, col=1)
    figure.update_annotations(font_size=PANEL_FONT_SIZE)
    return figure.update_layout(margin_t=TITLES_PX if title else ROW_PX)


def bars_alt_text(bars: Mapping[str, Mapping[str, Bar]], *, title: str = "") -> str:
    """Every bar in words."""
    _check(bars)
    parts = [f"{name}: " + ", ".join(f"{system} {bar}" for system, bar in by.items()) for name, by in bars.items()]
    return f"Bars{f', {title}' if title else ''}. {'; '.join(parts)}. Mean ± standard deviation over folds or seeds."


def band_figure(bands: Mapping[str, CurveBand], *, x: str, y: str, chance: bool, title: str = "") -> go.Figure:
    """Mean of interpolated curves over folds, ± one standard deviation as a band, each fold as a thin line.

    Args:
        bands: by system. x, y: names of the axes. chance: draw the diagonal, as a ROC figure has it.

    Raises:
        ValueError: when there is no system.
    """
    _check(bands)
    figure = go.Figure()
    if chance:
        figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "width": 1, "dash": "dot"},
                           hoverinfo="skip", showlegend=False)  # fmt: skip
    for position, (name, band) in enumerate(bands.items()):
        _add_band(figure, position, f"{name} · {band.area_words}", band.x, band.mean, band.spread, band.folds)
    ticks = {"range": [-0.01, 1.01], "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    figure.update_xaxes(title_text=x, **ticks)
    figure.update_yaxes(title_text=y, **ticks)
    return framed(figure, plot_height=PLOT_HEIGHT_PX, legend_rows=len(bands), title=title)


def band_alt_text(bands: Mapping[str, CurveBand], *, title: str = "") -> str:
    """The areas of :func:`band_figure` in words."""
    _check(bands)
    areas = "; ".join(f"{name} {band.area_words} ({len(band.folds)} folds)" for name, band in bands.items())
    return f"Mean curves over folds{f', {title}' if title else ''}. Area, mean ± standard deviation: {areas}."


def epochs_figure(curves: Mapping[str, EpochCurve], *, y: str, title: str = "") -> go.Figure:
    """A quantity an epoch: the mean of the runs, their spread as a band, each run as a thin line.

    Raises:
        ValueError: when there is no curve.
    """
    _check(curves)
    figure = go.Figure()
    for position, (name, curve) in enumerate(curves.items()):
        epochs = np.arange(1, curve.values.shape[1] + 1)
        _add_band(figure, position, name, epochs, curve.mean, curve.spread, curve.values)
    figure.update_xaxes(title_text="Epoch")
    figure.update_yaxes(title_text=y)
    return framed(figure, plot_height=PLOT_HEIGHT_PX, legend_rows=len(curves), title=title)


def epochs_alt_text(curves: Mapping[str, EpochCurve], *, y: str, title: str = "") -> str:
    """First and last value of :func:`epochs_figure` in words."""
    _check(curves)
    parts = [
        f"{name} from {curve.mean[0]:.3f} to {curve.mean[-1]:.3f} in {curve.values.shape[1]} epochs, "
        f"{len(curve.values)} runs"
        for name, curve in curves.items()
    ]
    return f"{y} an epoch{f', {title}' if title else ''}: {'; '.join(parts)}."


def _add_band(
    figure: go.Figure, position: int, name: str, x: np.ndarray, mean: np.ndarray, spread: np.ndarray, runs: np.ndarray
) -> None:
    style = model_style(position)
    group = {"legendgroup": f"g{position}", "showlegend": False, "hoverinfo": "skip"}
    if len(runs) > 1:
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([mean + spread, (mean - spread)[::-1]]),
            mode="lines", line={"width": 0}, fill="toself", fillcolor=style.colour, opacity=BAND_OPACITY, **group,
        )  # fmt: skip
        for run in runs:
            line = {"color": style.colour, "width": 1}
            figure.add_scatter(x=x, y=run, mode="lines", line=line, opacity=FOLD_OPACITY, **group)
    figure.add_scatter(
        x=x, y=mean, mode="lines", name=name, legendgroup=f"g{position}",
        line={"color": style.colour, "dash": style.dash, "width": 2.5},
        hovertemplate=f"<b>{name}</b><br>%{{x:.3g}}, %{{y:.3f}}<extra></extra>",
    )  # fmt: skip


def _check(given: Mapping[str, object] | Sequence[object]) -> None:
    if not given:
        raise ValueError("A figure of a study needs at least one system, got none.")
