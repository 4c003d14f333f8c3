"""Printed values beside ours: everything drawn, and everything in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cxrlab.plots.papers import Spread, printed_alt_text, printed_figure

PRINTED = [Spread(0.8, 0.75, 0.85), Spread(0.6, math.nan, math.nan)]
OURS = {"run one": {0: Spread(0.5, 0.4, 0.6)}, "run two": {}}
SYSTEMS = ["FLANNEL<br>full", "Voting"]


def test_every_value_is_drawn_with_its_whiskers() -> None:
    figure = printed_figure(SYSTEMS, PRINTED, OURS, title="F1")
    printed, ours = figure.data
    np.testing.assert_allclose(printed.x, [0.8, 0.6])
    np.testing.assert_allclose(printed.error_x.array, [0.05, 0])
    np.testing.assert_allclose(ours.error_x.arrayminus, [0.1])
    assert printed.marker.symbol == "circle-open"
    assert not ours.cliponaxis
    assert ours.name == "run one"
    assert list(figure.layout.yaxis.ticktext) == SYSTEMS
    assert figure.layout.xaxis.range[0] == pytest.approx(0.36)


def test_without_runs_only_the_printed_values_are_drawn() -> None:
    assert len(printed_figure(SYSTEMS, PRINTED, {}).data) == 1


def test_words_hold_every_number() -> None:
    said = printed_alt_text(SYSTEMS, PRINTED, OURS, title="F1")
    assert "FLANNEL full: printed 0.800, here run one 0.500 [0.400, 0.600]" in said
    assert "Voting: printed 0.600, here no run" in said


def test_a_value_a_system_is_needed() -> None:
    with pytest.raises(ValueError, match="one printed value a system, got 2 for 1"):
        printed_figure(["a"], PRINTED, {})
    with pytest.raises(ValueError, match="got 0 for 0"):
        printed_alt_text([], [], {})
