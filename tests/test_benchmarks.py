"""How benchmarks are measured and shown. No test asserts a time."""

import json
import sys
from itertools import count

import pytest

from benchmarks import __main__ as command
from benchmarks.measure import Row, interleaved, seconds


def test_goal_is_a_floor_or_a_ceiling():
    assert Row("AUC", "sklearn", (3.0, 5.0, 9.0), goal=4).ok
    assert not Row("AUC", "sklearn", (3.0, 3.5, 9.0), goal=4).ok
    assert Row("forwards", "one", (1.1, 1.2, 1.3), goal=1.3, at_most=True).ok
    assert not Row("forwards", "one", (1.1, 1.4, 1.5), goal=1.3, at_most=True).ok


def test_spread_is_the_extremes():
    assert Row("AUC", "sklearn", (5.0, 3.0, 9.0), goal=4).spread == (3, 9)


def test_row_without_a_measurement_gives_a_sentence():
    with pytest.raises(ValueError, match="'AUC' must have at least one measured ratio, got none"):
        Row("AUC", "sklearn", (), goal=4)


def test_seconds_is_the_mean_of_calls():
    ticks = count(0, 6)
    assert seconds(lambda: None, times=3, clock=lambda: float(next(ticks))) == 2


def test_ratio_is_the_other_time_over_ours():
    now = [0.0]

    def work(cost: float):
        def call() -> None:
            now[0] += cost

        return call

    ratios = interleaved(work(6.0), work(2.0), rounds=4, scale=10, clock=lambda: now[0])
    assert ratios == pytest.approx((30, 30, 30, 30))


def test_every_part_has_rows():
    assert "metrics" in command.names()


def test_json_is_one_document(monkeypatch, capsys):
    monkeypatch.setattr(command, "measured", lambda only: iter([Row("AUC", "sklearn", (5.0,), goal=4)]))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--json"])
    assert command.main() == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["part"] == "AUC"
    assert row["ok"]


def test_table_names_every_part(monkeypatch, capsys):
    monkeypatch.setattr(command, "measured", lambda only: iter([Row("AUC", "sklearn", (5.0,), goal=4)]))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "metrics"])
    assert command.main() == 0
    assert "AUC" in capsys.readouterr().out
