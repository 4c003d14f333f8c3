"""Oracle: statsmodels' Wilson interval; numpy's repeated rows for the bootstrap."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from cxrlab.metrics import intervals
from cxrlab.metrics.intervals import PatientBootstrap, undefined, wilson

proportions = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(proportions, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
@settings(max_examples=100, deadline=None)
def test_wilson_equals_statsmodels(proportion, level):
    successes, n = proportion
    estimate = wilson(successes, n, level=level)
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    assert estimate.low == pytest.approx(low, abs=1e-12)
    assert estimate.high == pytest.approx(high, abs=1e-12)


@given(proportions)
@settings(max_examples=100, deadline=None)
def test_wilson_holds_the_estimate_and_stays_between_0_and_1(proportion):
    estimate = wilson(*proportion)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low < estimate.high
    assert estimate.n == proportion[1]


def test_wilson_mirrors_when_successes_and_failures_swap():
    one, other = wilson(3, 20), wilson(17, 20)
    assert one.low == pytest.approx(1 - other.high, abs=1e-12)


def test_wilson_narrows_with_more_images_and_widens_with_the_level():
    assert wilson(80, 100).high - wilson(80, 100).low < wilson(8, 10).high - wilson(8, 10).low
    assert wilson(8, 10, level=0.99).low < wilson(8, 10, level=0.9).low


def test_proportion_of_nothing_is_undefined():
    estimate = wilson(0, 0)
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.low)
    assert estimate.method == "undefined: no images"


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5)])
def test_impossible_proportion_gives_a_sentence(successes, n):
    with pytest.raises(ValueError, match=f"Successes must be in 0 to n = 5, got {successes}"):
        wilson(successes, n)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_impossible_level_gives_a_sentence(level):
    with pytest.raises(ValueError, match=f"level must be between 0 and 1, got {level}"):
        wilson(1, 2, level=level)
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        PatientBootstrap.of(["a", "b"]).interval(0.5, np.array([0.5]), 2, level=level)


def test_undefined_is_shown_as_a_dash():
    assert str(undefined(3, "undefined: because")) == "–"


def all_weights(bootstrap: PatientBootstrap) -> np.ndarray:
    return np.concatenate(list(bootstrap.weights()), axis=1)


def test_images_of_a_patient_are_drawn_together():
    weights = all_weights(PatientBootstrap.of(["b", "a", "b", "c"], draws=50))
    np.testing.assert_array_equal(weights[0], weights[2])


def test_each_draw_has_as_many_patients_as_the_set():
    weights = all_weights(PatientBootstrap.of(["b", "a", "c", "d"], draws=50))
    np.testing.assert_array_equal(weights.sum(axis=0), np.full(50, 4))


def test_draws_average_to_one_per_patient():
    weights = all_weights(PatientBootstrap.of([str(i) for i in range(20)], draws=4000))
    np.testing.assert_allclose(weights.mean(axis=1), 1, atol=0.1)
    assert weights.var() == pytest.approx(1 - 1 / 20, abs=0.03)  # multinomial


def test_seed_decides_the_draws():
    patients = [str(i) for i in range(10)]
    one, same = (all_weights(PatientBootstrap.of(patients, draws=20, seed=3)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert (all_weights(PatientBootstrap.of(patients, draws=20, seed=4)) != one).any()


def test_order_of_rows_changes_no_draw():
    patients = ["c", "a", "b", "a", "d", "e"]
    order = [3, 5, 0, 2, 1, 4]
    one = all_weights(PatientBootstrap.of(patients, draws=30))
    other = all_weights(PatientBootstrap.of([patients[i] for i in order], draws=30))
    np.testing.assert_array_equal(other, one[order])


def test_size_of_blocks_changes_no_draw(monkeypatch):
    bootstrap = PatientBootstrap.of([str(i) for i in range(7)], draws=101)
    whole = all_weights(bootstrap)
    monkeypatch.setattr(intervals, "BLOCK_CELLS", 35)
    assert [block.shape[1] for block in bootstrap.weights()] == [5] * 20 + [1]
    np.testing.assert_array_equal(all_weights(bootstrap), whole)


def test_no_images_give_no_draws():
    assert list(PatientBootstrap.of([], draws=5).weights()) == []


def test_percentile_interval_is_the_quantiles_of_the_draws():
    bootstrap = PatientBootstrap.of(["a", "b"], draws=101)
    estimate = bootstrap.interval(0.4, np.linspace(0, 1, 101), 12, level=0.9)
    assert (estimate.low, estimate.high) == (pytest.approx(0.05), pytest.approx(0.95))
    assert (estimate.n, estimate.level, estimate.method) == (12, 0.9, "patient bootstrap, 101 draws")


def test_undefined_draws_are_left_out_and_counted():
    sampled = np.array([np.nan, 0.2, 0.4, 0.6])
    estimate = PatientBootstrap.of(["a", "b"], draws=4).interval(0.4, sampled, 9)
    assert 0.2 <= estimate.low <= estimate.high <= 0.6
    assert estimate.method == "patient bootstrap, 4 draws, 1 of them undefined"


@pytest.mark.parametrize(
    ("patients", "sampled", "method"),
    [
        (["a", "a"], [0.5, 0.5, 0.5, 0.5], "no interval: one patient"),
        (["a", "b"], [0.5, np.nan, np.nan, np.nan], "no interval: undefined in most draws"),
    ],
)
def test_value_without_interval(patients, sampled, method):
    estimate = PatientBootstrap.of(patients, draws=4).interval(0.5, np.array(sampled), 2)
    assert estimate.value == 0.5
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
    assert estimate.method == method


def test_undefined_value_stays_undefined():
    estimate = PatientBootstrap.of(["a", "b"], draws=4).interval(math.nan, np.full(4, 0.5), 2)
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.low)
    assert estimate.method.startswith("undefined: too few images")


def test_no_draws_give_a_sentence():
    with pytest.raises(ValueError, match="at least 1 draw, got 0"):
        PatientBootstrap.of(["a"], draws=0)
