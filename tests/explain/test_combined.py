"""The sum of members' maps by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cxrlab.explain.combined import weighted_sum
from cxrlab.results import Heatmap


def heatmap(values: list[list[float]], class_id: str = "normal", layer: str = "a") -> Heatmap:
    array = np.array(values, dtype=np.float32)
    return Heatmap(array, class_id, "grad_cam", layer, bool(array.any()), 3.0)


def test_maps_are_added_by_weight() -> None:
    found = weighted_sum([heatmap([[1, 0], [0, 0]]), heatmap([[0, 1], [0, 0.5]], layer="b")], [0.25, 0.75])
    assert np.allclose(found.values, [[1 / 3, 1], [0, 0.5]])
    assert found.peak == pytest.approx(0.75)
    assert (found.class_id, found.method, found.layer) == ("normal", "grad_cam", "a + b")


def test_smaller_maps_are_enlarged() -> None:
    found = weighted_sum([heatmap([[1]]), heatmap([[0, 0], [0, 1]])], [0.5, 0.5])
    assert found.values.tolist() == [[0.5, 0.5], [0.5, 1]]


def test_no_evidence_anywhere_is_no_evidence() -> None:
    assert not weighted_sum([heatmap([[0, 0]])] * 2, [0.5, 0.5]).has_evidence


def test_a_negative_weight_subtracts_and_what_falls_below_zero_is_zero() -> None:
    found = weighted_sum([heatmap([[1, 0.5], [0, 0.2]]), heatmap([[0.5, 1], [1, 0]])], [0.8, -0.4])
    assert np.allclose(found.values, [[1, 0], [0, 0.16 / 0.6]], atol=1e-6)
    assert found.peak == pytest.approx(0.6)
    assert found.has_evidence


def test_where_only_members_with_negative_weights_look_there_is_no_evidence() -> None:
    found = weighted_sum([heatmap([[1, 0]]), heatmap([[0, 1]])], [-0.2, -0.5])
    assert not found.has_evidence
    assert not found.values.any()


@pytest.mark.parametrize(
    ("maps", "weights"),
    [([], []), ([heatmap([[1]])], [0.5, 0.5]), ([heatmap([[1]]), heatmap([[1]], class_id="viral")], [0.5, 0.5])],
)
def test_maps_that_do_not_belong_together(maps: list[Heatmap], weights: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one map, one weight for each, and the same class in all"):
        weighted_sum(maps, weights)
