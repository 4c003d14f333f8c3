"""Curves of trainings: what they hold, what is missing, their words."""

import math

import plotly.graph_objects as go
import pytest

from cxrlab.plots.training_curves import (
    MOST_MARKED,
    RunCurves,
    learning_rates_figure,
    metric_name,
    training_alt_text,
    training_loss_figure,
    training_metric_figure,
)


def lines(count: int, offset: float = 0.0) -> list[dict[str, object]]:
    return [
        {"train_loss": 2.0 - 0.1 * k, "learning_rate": 1e-3,
         "metrics": {"loss": 1.5 + 0.1 * k, "objective": 1.4, "macro_f1": 0.1 * k + offset}}
        for k in range(count)
    ]  # fmt: skip


@pytest.fixture
def runs() -> list[RunCurves]:
    return [RunCurves.of("#1 One", lines(3)), RunCurves.of("#2 Two", lines(5, 0.2))]


def test_a_run_has_a_value_an_epoch(runs: list[RunCurves]) -> None:
    assert runs[0].epochs == [1, 2, 3]
    assert runs[0].validation["macro_f1"] == (0.0, 0.1, 0.2)


def test_the_best_epoch_is_the_highest_or_the_lowest_loss(runs: list[RunCurves]) -> None:
    assert (runs[0].best("macro_f1"), runs[0].best("loss"), runs[0].best("nothing")) == (2, 0, None)
    assert RunCurves.of("x", [{"metrics": {"macro_f1": 0.5}}, {"metrics": {"macro_f1": 0.5}}]).best("macro_f1") == 0


def test_missing_and_odd_values_are_gaps() -> None:
    run = RunCurves.of("x", [{}, {"train_loss": None, "metrics": None}, {"metrics": {"macro_f1": "high"}}])
    assert all(math.isnan(value) for value in run.train_loss)
    assert run.best("macro_f1") is None
    assert isinstance(training_metric_figure([run], "macro_f1"), go.Figure)


def test_losses_are_dotted_and_solid_in_the_colour_of_the_run(runs: list[RunCurves]) -> None:
    training, validation, other, _ = training_loss_figure(runs).data
    assert (training.line.dash, validation.line.dash) == ("dot", None)
    assert training.line.color == validation.line.color != other.line.color
    assert list(validation.y) == [1.4, 1.4, 1.4]


def test_runs_differ_in_more_than_colour(runs: list[RunCurves]) -> None:
    figure = learning_rates_figure(runs)
    assert figure.data[0].marker.symbol != figure.data[1].marker.symbol
    assert figure.layout.yaxis.type == "log"


def test_the_best_epoch_has_a_ring(runs: list[RunCurves]) -> None:
    rings = [trace for trace in training_metric_figure(runs, "macro_f1").data if trace.marker.symbol == "circle-open"]
    assert [list(ring.x) for ring in rings] == [[3], [5]]


def test_long_runs_have_no_marks() -> None:
    figure = learning_rates_figure([RunCurves.of("x", lines(MOST_MARKED + 1))])
    assert figure.data[0].mode == "lines"


def test_one_run_needs_no_legend(runs: list[RunCurves]) -> None:
    assert not training_loss_figure(runs[:1]).layout.showlegend
    assert training_loss_figure(runs).layout.showlegend


def test_words_tell_where_each_run_stands(runs: list[RunCurves]) -> None:
    text = training_alt_text([*runs, RunCurves.of("#3 New", [])], "macro_f1")
    assert "#1 One: 3 epochs, training loss from 2.000 to 1.800, best Macro-F1 0.200 after epoch 3." in text
    assert "#3 New: no finished epoch yet." in text
    assert training_alt_text([], "macro_f1") == "No training has finished an epoch yet."


def test_unknown_metrics_are_named_by_themselves() -> None:
    assert metric_name("cohen_kappa") == "cohen kappa"
