"""Confusion matrices, probabilities of one image, and metrics of models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from cxrlab.labels import LabelSet
from cxrlab.metrics.confusion import ConfusionMatrix
from cxrlab.plots.theme import FAINT, FONT_SIZE, framed, model_style
from cxrlab.results import Estimate

# One hue from pale to dark (ColorBrewer "Blues"): order is told by lightness, which every eye sees.
SHARE_COLOURS = ("#EFF3FF", "#BDD7E7", "#6BAED6", "#2171B5", "#08306B")
WHITE_TEXT_ABOVE = 0.7  # share at which white becomes easier to read than black, both 4.5 to 1 or better
BAR_ROW_PX = 40
VALUES_END = 1.25  # where the numbers beside the bars end, the longest bar being 1


def short_names(labels: LabelSet) -> tuple[str, ...]:
    """Names of the classes without an ending in brackets that all of them share, e.g. "(phantom)"."""
    endings = {name[name.rfind(" (") :] if name.endswith(")") else "" for name in labels.names}
    shared = endings.pop() if len(endings) == 1 else ""
    return tuple(name.removesuffix(shared) for name in labels.names)


def confusion_figure(matrix: ConfusionMatrix, labels: LabelSet, *, title: str = "") -> go.Figure:
    """Counts and row shares: each row says what became of the images of one true class.

    Args:
        matrix: the counts. labels: the same classes, for their names.

    Raises:
        ValueError: when the classes differ.
    """
    _check_labels(matrix, labels)
    names = [name.replace(" ", "<br>") for name in short_names(labels)]  # narrow columns
    shares = matrix.row_shares
    text = [
        [f"{count}<br>{'–' if np.isnan(share) else f'{share:.0%}'}" for count, share in zip(*row, strict=True)]
        for row in zip(matrix.counts, shares, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=np.nan_to_num(shares),
            x=names,
            y=names,
            text=text,
            zmin=0,
            zmax=1,
            colorscale=[(i / (len(SHARE_COLOURS) - 1), colour) for i, colour in enumerate(SHARE_COLOURS)],
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="truth %{y}<br>model said %{x}<br>%{text}<extra></extra>",
        )
    )
    for row, column in np.ndindex(shares.shape):
        # Cells keep their colour on a light and a dark ground, and so does the text in them.
        colour = "#FFFFFF" if shares[row, column] > WHITE_TEXT_ABOVE else "#000000"
        figure.add_annotation(
            x=column, y=row, text=text[row][column], showarrow=False, font={"color": colour, "size": FONT_SIZE}
        )
    figure.update_xaxes(title_text="Model said", showgrid=False, tickangle=0, tickfont_size=FONT_SIZE - 2)
    figure.update_yaxes(title_text="Truth", showgrid=False, autorange="reversed", tickfont_size=FONT_SIZE - 2)
    return framed(figure, plot_height=64 * len(labels) + 24, title=title)


def confusion_alt_text(matrix: ConfusionMatrix, labels: LabelSet, *, title: str = "") -> str:
    """How many of each class were found, and the most frequent mistake, in words."""
    _check_labels(matrix, labels)
    found = ", ".join(f"{matrix.counts[i, i]} of {matrix.support[i]} {name}" for i, name in enumerate(labels.names))
    sentence = f"Confusion matrix{f', {title}' if title else ''}, {matrix.n} images. Found: {found}."
    mistakes = matrix.counts - np.diag(matrix.counts.diagonal())
    if not mistakes.any():
        return f"{sentence} No mistakes."
    truth, answer = np.unravel_index(mistakes.argmax(), mistakes.shape)
    return (
        f"{sentence} Most frequent mistake: {mistakes[truth, answer]} {labels.names[truth]} "
        f"taken for {labels.names[answer]}."
    )


def probability_bars(
    scores: Sequence[float] | np.ndarray,
    labels: LabelSet,
    *,
    predicted: Sequence[str] = (),
    width_px: int | None = None,
) -> go.Figure:
    """One image's scores as small bars, all classes in their order, names above the bars so that a card may be narrow.

    Args:
        scores: (C,) in [0, 1].
        predicted: ids of the classes the model decided for: bold, in full colour. Empty: none stands out.
        width_px: fixed width; None fills the place.

    Raises:
        ValueError: when there is not one score per class, or a predicted id is not a class.
    """
    scores = _checked_scores(scores, labels)
    chosen = {labels.index(id_) for id_ in predicted}
    places = np.arange(len(labels))
    figure = go.Figure(
        go.Bar(
            x=scores,
            y=places,
            orientation="h",
            width=0.32,
            marker={
                "color": labels.colours,
                "opacity": [1.0 if not chosen or i in chosen else 0.55 for i in places],
                "line": {"width": 0},
            },
            customdata=labels.names,
            hovertemplate="%{customdata}: %{x:.4f}<extra></extra>",
        )
    )
    figure.add_bar(
        x=1 - scores,
        y=places,
        orientation="h",
        width=0.32,
        marker={"color": FAINT, "line": {"width": 0}},
        hoverinfo="skip",
    )
    for i, (name, score) in enumerate(zip(short_names(labels), scores, strict=True)):
        for text, place in (
            (name, {"x": 0, "y": i - 0.2, "xanchor": "left", "yanchor": "bottom"}),
            (_shown(score), {"x": VALUES_END, "y": i, "xanchor": "right", "yanchor": "middle"}),
        ):
            shown = f"<b>{text}</b>" if i in chosen else text
            figure.add_annotation(text=shown, showarrow=False, borderpad=0, font={"size": FONT_SIZE - 1}, **place)
    framed(figure, plot_height=BAR_ROW_PX * len(labels))
    figure.update_xaxes(visible=False, range=[0, VALUES_END], fixedrange=True)
    figure.update_yaxes(visible=False, range=[len(labels) - 0.7, -0.8], fixedrange=True)
    return figure.update_layout(
        barmode="stack",
        height=BAR_ROW_PX * len(labels) + 8,
        width=width_px,
        margin={"l": 2, "r": 2, "t": 4, "b": 4},
        bargap=0,
    )


def probability_alt_text(
    scores: Sequence[float] | np.ndarray, labels: LabelSet, *, predicted: Sequence[str] = ()
) -> str:
    """All scores in words, highest first, and the decision."""
    scores = _checked_scores(scores, labels)
    order = np.argsort(-scores, kind="stable")
    listed = ", ".join(f"{labels.names[i]} {_shown(scores[i])}" for i in order)
    decided = " and ".join(labels.names[labels.index(id_)] for id_ in predicted)
    return f"Scores: {listed}." + (f" Decision: {decided}." if decided else "")


def comparison_figure(estimates: Mapping[str, Mapping[str, Estimate]], *, title: str = "") -> go.Figure:
    """Metrics of several models with whiskers for their intervals.

    Args:
        estimates: metric name -> Estimate, by model name; every value in [0, 1]. Undefined ones leave a gap.

    Raises:
        ValueError: when there is no model or no metric.
    """
    metrics = _metrics_of(estimates)
    figure = go.Figure()
    for position, (model, by_metric) in enumerate(estimates.items()):
        shown = [by_metric.get(metric) for metric in metrics]
        values, low, high = (
            np.array([np.nan if e is None else getattr(e, name) for e in shown], dtype=float)
            for name in ("value", "low", "high")
        )
        offset = (position - (len(estimates) - 1) / 2) * 0.7 / len(estimates)
        style = model_style(position)
        figure.add_scatter(
            x=values,
            y=np.arange(len(metrics)) + offset,
            mode="markers",
            name=model,
            marker={"color": style.colour, "size": 9, "symbol": position % 8},
            error_x={
                "type": "data", "symmetric": False, "array": np.nan_to_num(high - values),
                "arrayminus": np.nan_to_num(values - low), "color": style.colour, "thickness": 1.5, "width": 3,
            },
            customdata=[f"{metric} {e}" for metric, e in zip(metrics, shown, strict=True)],
            hovertemplate=f"<b>{model}</b><br>%{{customdata}}<extra></extra>",
        )  # fmt: skip
    level = next(e.level for by_metric in estimates.values() for e in by_metric.values())
    title_text = f"Value and {100 * level:g} % interval"
    figure.update_xaxes(title_text=title_text, range=[-0.01, 1.01], tickvals=[0, 0.25, 0.5, 0.75, 1], showgrid=True)
    places = list(range(len(metrics)))
    figure.update_yaxes(tickvals=places, ticktext=metrics, range=[len(metrics) - 0.4, -0.6], showgrid=False)
    height = max(120, len(metrics) * (22 * len(estimates) + 16))
    return framed(figure, plot_height=height, legend_rows=len(estimates), title=title)


def comparison_alt_text(estimates: Mapping[str, Mapping[str, Estimate]], *, title: str = "") -> str:
    """Every estimate of :func:`comparison_figure` in words, metric by metric."""
    parts = [
        f"{metric}: " + ", ".join(f"{model} {by[metric]}" for model, by in estimates.items() if metric in by)
        for metric in _metrics_of(estimates)
    ]
    return f"Metrics with intervals{f', {title}' if title else ''}. {'; '.join(parts)}."


def _metrics_of(estimates: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    metrics = list(dict.fromkeys(metric for by_metric in estimates.values() for metric in by_metric))
    if not metrics:
        raise ValueError("A comparison needs at least one model with one metric, got none.")
    return metrics


def _check_labels(matrix: ConfusionMatrix, labels: LabelSet) -> None:
    if matrix.labels != labels.ids:
        raise ValueError(f"The classes of the matrix must be {', '.join(labels.ids)}, got {', '.join(matrix.labels)}.")


def _checked_scores(scores: Sequence[float] | np.ndarray, labels: LabelSet) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.shape != (len(labels),):
        raise ValueError(f"Scores must be one number per class ({len(labels)}), got shape {scores.shape}.")
    return scores


def _shown(score: float) -> str:
    return f"{score:.2f}" if 0.01 <= score < 0.995 or score in (0, 1) else ("<0.01" if score < 0.01 else ">0.99")
