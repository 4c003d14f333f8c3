"""One look for every figure: transparent ground, colours and dashes that colour-blind eyes can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

# After Paul Tol's "bright" scheme (2021), with yellow and cyan darkened: all have a contrast of 3 or more on white and
# on the app's dark ground. They are not the colours of the classes, so that a model is never taken for a class.
MODEL_COLOURS = ("#4477AA", "#EE6677", "#228833", "#AA3377", "#B07D00", "#2A93B0")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # second channel beside colour
GREY = "#797979"  # equally readable (4.3 to 1) on white and on the app's dark ground
FAINT = "rgba(128, 128, 128, 0.25)"
TEXT_COLOURS = {"neutral": GREY, "light": "#31333F", "dark": "#FAFAFA"}
FONT_SIZE = 13
LEGEND_ROW_PX = 21
TRANSPARENT = "rgba(0, 0, 0, 0)"

Ground = Literal["neutral", "light", "dark"]


@dataclass(frozen=True)
class LineStyle:
    """Colour ``#RRGGBB`` and plotly dash of one model's lines."""

    colour: str
    dash: str


def model_style(position: int) -> LineStyle:
    """The style of the model at this position of a figure; the first 36 all differ, neighbours in both channels."""
    turn = position // len(MODEL_COLOURS)
    return LineStyle(MODEL_COLOURS[position % len(MODEL_COLOURS)], DASHES[(position + turn) % len(DASHES)])


def template(ground: Ground = "neutral") -> go.layout.Template:
    """The look as a plotly template.

    All colours of text and grid are in the template, none in a figure, so that Streamlit's own theme replaces them as
    the reader switches between light and dark. ``neutral`` is readable on both, for files that do not know.

    Raises:
        ValueError: for another ground.
    """
    if ground not in TEXT_COLOURS:
        raise ValueError(f"Ground must be one of {', '.join(TEXT_COLOURS)}, got {ground!r}.")
    axis = {"gridcolor": FAINT, "linecolor": FAINT, "zeroline": False, "automargin": True, "title": {"standoff": 8}}
    return go.layout.Template(
        layout={
            "paper_bgcolor": TRANSPARENT,
            "plot_bgcolor": TRANSPARENT,
            "font": {"family": "system-ui, sans-serif", "size": FONT_SIZE, "color": TEXT_COLOURS[ground]},
            "colorway": MODEL_COLOURS,
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"bgcolor": TRANSPARENT, "borderwidth": 0},
            "hoverlabel": {"align": "left"},
        }
    )


def on_ground(figure: go.Figure, ground: Ground) -> go.Figure:
    """A copy of a figure with its text coloured for a light or a dark ground."""
    return go.Figure(figure).update_layout(template=template(ground))


def framed(figure: go.Figure, *, plot_height: int, legend_rows: int = 0, title: str = "") -> go.Figure:
    """Give a figure the look, a height in px, and its legend below the plot, one row per entry.

    Below, because beside it the plot would be a few px wide on a phone; one row each, because names are long.
    """
    top, bottom = (44 if title else 12), 56
    figure.update_layout(
        template=template(),
        height=top + plot_height + bottom + legend_rows * LEGEND_ROW_PX,
        margin={"l": 8, "r": 12, "t": top, "b": bottom + legend_rows * LEGEND_ROW_PX},
        showlegend=legend_rows > 0,
    )
    if title:
        figure.update_layout(title={"text": title, "x": 0, "xanchor": "left", "font": {"size": FONT_SIZE + 2}})
    if legend_rows:
        below = -(bottom - 2) / plot_height  # in units of the plot's height
        figure.update_layout(legend={"orientation": "v", "x": 0, "xanchor": "left", "y": below, "yanchor": "top"})
    return figure
