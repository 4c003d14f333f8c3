"""Figures of a training: the learning-rate range test."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from cxrlab.plots.theme import GREY, MODEL_COLOURS, framed

HEIGHT = 320  # px


def learning_rate_figure(
    learning_rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggested: float,
    *,
    title: str = "",
) -> go.Figure:
    """Loss over the learning rate: each batch as a dot, the running mean as a line, the suggested rate marked.

    Args:
        learning_rates: ascending, on a logarithmic axis. losses, smoothed: as many.

    Raises:
        ValueError: when the three differ in length or are empty.
    """
    if not (len(learning_rates) == len(losses) == len(smoothed) > 0):
        raise ValueError(
            "Rates, losses and smoothed losses must be as many, at least 1, "
            f"got {len(learning_rates)}, {len(losses)} and {len(smoothed)}."
        )
    rates = list(learning_rates)
    figure = go.Figure(
        [
            go.Scatter(
                x=rates, y=list(losses), mode="markers", name="one batch", marker={"size": 4, "color": GREY},
                hovertemplate="rate %{x:.2e}<br>loss %{y:.3f}<extra></extra>",
            ),
            go.Scatter(
                x=rates, y=list(smoothed), mode="lines", name="running mean",
                line={"width": 2, "color": MODEL_COLOURS[0]},
                hovertemplate="rate %{x:.2e}<br>mean %{y:.3f}<extra></extra>",
            ),
        ]
    )  # fmt: skip
    figure.add_vline(
        x=suggested, line={"dash": "dash", "width": 1, "color": MODEL_COLOURS[1]}, annotation_text=f"{suggested:.1e}"
    )
    figure.update_xaxes(type="log", title_text="learning rate", exponentformat="power", dtick=1)
    figure.update_yaxes(title_text="training loss", rangemode="tozero", range=[0, 1.15 * _shown(losses, smoothed)])
    return framed(figure, plot_height=HEIGHT, legend_rows=2, title=title)


def learning_rate_alt_text(learning_rates: Sequence[float], smoothed: Sequence[float], suggested: float) -> str:
    """The figure in words."""
    return (
        f"Training loss while the learning rate grew from {learning_rates[0]:.1e} to {learning_rates[-1]:.1e}: the "
        f"running mean begins at {smoothed[0]:.3f}, its smallest value is {min(smoothed):.3f} at "
        f"{learning_rates[list(smoothed).index(min(smoothed))]:.1e}, and it falls most steeply at {suggested:.1e}."
    )


def _shown(losses: Sequence[float], smoothed: Sequence[float]) -> float:
    """Upper end of the loss axis: a loss that has exploded at the end does not flatten the rest."""
    usual = sorted(losses)[int(0.9 * (len(losses) - 1))]
    return max(usual, smoothed[0])
