"""What a study says of its cost before it starts."""

from __future__ import annotations

import pytest

from cxrlab.studies.cost import Cost


@pytest.mark.parametrize(
    ("cost", "sentence"),
    [
        (Cost(0, 0.0), "No network is left to train."),
        (Cost(1, 20.0), "1 network to train, about 10 s on this machine with 2 at once."),
        (Cost(3, 840.0), "3 networks to train, about 7 min on this machine with 2 at once."),
        (Cost(27, 24_000.0), "27 networks to train, about 3 h 20 min on this machine with 2 at once."),
    ],
)
def test_the_time_is_said_in_the_unit_that_fits(cost: Cost, sentence: str) -> None:
    assert cost.sentence(2) == sentence
