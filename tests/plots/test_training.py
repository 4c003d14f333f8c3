"""The figure of the learning-rate range test."""

from __future__ import annotations

import pytest

from cxrlab.plots.training import learning_rate_alt_text, learning_rate_figure

RATES, LOSSES, MEAN = (1e-4, 1e-3, 1e-2, 1e-1), (1.0, 0.8, 0.5, 40.0), (1.0, 0.9, 0.6, 9.0)


def test_it_shows_batches_running_mean_and_suggestion() -> None:
    figure = learning_rate_figure(RATES, LOSSES, MEAN, 1e-3)
    assert [trace.name for trace in figure.data] == ["one batch", "running mean"]
    assert list(figure.data[1].y) == list(MEAN)
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.shapes[0].x0 == 1e-3
    assert figure.layout.annotations[0].text == "1.0e-03"


def test_an_exploded_loss_does_not_flatten_the_rest() -> None:
    assert learning_rate_figure(RATES, LOSSES, MEAN, 1e-3).layout.yaxis.range[1] < 2


def test_the_words_say_the_numbers() -> None:
    words = learning_rate_alt_text(RATES, MEAN, 1e-3)
    assert "from 1.0e-04 to 1.0e-01" in words
    assert "smallest value is 0.600 at 1.0e-02" in words
    assert "most steeply at 1.0e-03" in words


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="must be as many, at least 1, got 4, 4 and 3"):
        learning_rate_figure(RATES, LOSSES, MEAN[:3], 1e-3)
