"""Every job ends done, with the weights of an undisturbed run, whatever is killed while it runs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrlab.data.phantom import write_phantom_set
from tests.jobs.chaos import VICTIMS, Chaos, play_rounds


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Chaos]:
    home = tmp_path / "home"
    home.mkdir()
    made = Chaos(home, write_phantom_set(tmp_path / "phantoms", count=32, size=128), random.Random(20))
    yield made
    made.close()


def test_five_rounds_of_kill_9(chaos: Chaos) -> None:
    jobs = play_rounds(chaos, 5)
    assert len(jobs) == 5
    assert set(chaos.kills) <= set(VICTIMS)
    assert len(chaos.kills) >= 3


@pytest.mark.long
def test_twenty_rounds_of_kill_9(chaos: Chaos) -> None:
    play_rounds(chaos, 20)
    assert set(chaos.kills) == set(VICTIMS)


@pytest.mark.long
def test_a_hundred_rounds_of_kill_9(chaos: Chaos) -> None:
    play_rounds(chaos, 100)
    assert set(chaos.kills) == set(VICTIMS)
