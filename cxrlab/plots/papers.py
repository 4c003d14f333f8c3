"""Printed values and our own in one figure: what a paper measured on its images, what the same system reaches here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from cxrlab.plots.theme import GREY, framed, model_style

ROW_PX = 42
SHOWN_MARGIN = 0.04
MOST_OURS = 0.3  # of the height of a row that our values may spread over


@dataclass(frozen=True)
class Spread:
    """A value with what is drawn around it: ± a standard deviation, or an interval; NaN where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def printed_figure(
    systems: Sequence[str], printed: Sequence[Spread], ours: Mapping[str, Mapping[int, Spread]], *, title: str = ""
) -> go.Figure:
    """Systems from top to bottom: the printed value as a hollow grey ring, ours filled, one colour a run.

    Args:
        systems: names, a line break where it may break. printed: one a system.
        ours: name of the run -> position of the system -> value with its 95 % interval.

    Raises:
        ValueError: when there is no system, or not one printed value a system.
    """
    _check(systems, printed)
    figure = go.Figure()
    places = np.arange(len(systems), dtype=float)
    lift = 0.14 if any(ours.values()) else 0.0
    _add(figure, "printed, on the paper's images", printed, places - lift, GREY, "circle-open", dash=True)
    named = [(name, values) for name, values in ours.items() if values]
    for position, (name, values) in enumerate(named):
        down = lift + (MOST_OURS * position / len(named))
        rows = sorted(values)
        style = model_style(position)
        symbol = ("circle", "diamond", "square", "triangle-up")[position % 4]
        _add(figure, name, [values[row] for row in rows], places[rows] + down, style.colour, symbol, dash=False)
    shown = [*printed, *(value for by_system in ours.values() for value in by_system.values())]
    lows = [limit for each in shown for limit in (each.value, each.low) if not np.isnan(limit)]
    figure.update_xaxes(range=[max(-0.01, min(lows) - SHOWN_MARGIN), 1.01], showgrid=True)
    figure.update_yaxes(
        tickvals=places, ticktext=list(systems), range=[len(systems) - 0.4, -0.6], showgrid=False, fixedrange=True
    )
    legend_rows = 1 + len(named)
    return framed(figure, plot_height=max(120, ROW_PX * len(systems)), legend_rows=legend_rows, title=title)


def printed_alt_text(
    systems: Sequence[str], printed: Sequence[Spread], ours: Mapping[str, Mapping[int, Spread]], *, title: str = ""
) -> str:
    """Every value of :func:`printed_figure` in words."""
    _check(systems, printed)
    parts = []
    for position, (system, value) in enumerate(zip(systems, printed, strict=True)):
        here = [f"{name} {values[position]}" for name, values in ours.items() if position in values]
        parts.append(f"{system.replace('<br>', ' ')}: printed {value.value:.3f}, here {' and '.join(here) or 'no run'}")
    return f"Printed values and ours{f', {title}' if title else ''}. {'; '.join(parts)}."


def _check(systems: Sequence[str], printed: Sequence[Spread]) -> None:
    if not systems or len(systems) != len(printed):
        raise ValueError(f"There must be one printed value a system, got {len(printed)} for {len(systems)}.")


def _add(
    figure: go.Figure, name: str, values: Sequence[Spread], places: np.ndarray, colour: str, symbol: str, *, dash: bool
) -> None:
    middle, low, high = (np.array([getattr(each, side) for each in values]) for side in ("value", "low", "high"))
    figure.add_scatter(
        x=middle,
        y=places,
        mode="markers",
        name=name,
        marker={"color": colour, "size": 10, "symbol": symbol, "line": {"width": 2 if dash else 0, "color": colour}},
        error_x={
            "type": "data", "symmetric": False, "array": np.nan_to_num(high - middle),
            "arrayminus": np.nan_to_num(middle - low), "color": colour, "thickness": 1.5, "width": 3,
        },
        cliponaxis=False,  # a value of 0 is a whole mark
        customdata=[str(each) for each in values],
        hovertemplate=f"<b>{name}</b><br>%{{customdata}}<extra></extra>",
    )  # fmt: skip
