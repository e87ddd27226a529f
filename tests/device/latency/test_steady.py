"""The steady state is found where it begins, and a series without one is told."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.device.latency.series import times_us
from toolchain.device.latency.steady import late_step, mann_kendall, steady_state, theil_sen, warm_up


def found(shape: np.ndarray, phi: float, trials: int = 60):
    """Starts, and the share of series said to be steady; the times are multiplied by `shape`."""
    rng = np.random.default_rng(1)
    states = [steady_state(shape * times_us(rng, len(shape), phi)) for _ in range(trials)]
    return np.array([state.start for state in states]), np.mean([state.reached for state in states])


@pytest.mark.parametrize("n", [200, 1000, 5000])
@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_a_steady_series_is_left_whole(n, phi):
    starts, reached = found(np.ones(n), phi)
    assert np.median(starts) == 1 and np.percentile(starts, 90) <= n / 3 and reached == 1


@pytest.mark.parametrize("n", [200, 1000, 5000])
def test_a_step_is_found_where_it_is(n):
    starts, reached = found(np.where(np.arange(n) < n // 4, 1.2, 1.0), 0.5)
    assert starts.min() >= n // 4 and np.median(starts) <= n // 4 + 10 and reached > 0.98


def test_a_decaying_warm_up_is_left_out():
    n, decay = 1000, 25
    starts, reached = found(1 + 0.5 * np.exp(-np.arange(n) / decay), 0.5)
    assert 2 * decay <= np.median(starts) <= 6 * decay and reached == 1


@pytest.mark.parametrize("shape", [np.linspace(1, 1.2, 1000), np.linspace(1.2, 1, 1000),
                                   np.where(np.arange(1000) > 700, 1.1, 1),
                                   np.where(np.arange(1000) > 845, 0.9, 1)],
                         ids=["slower", "faster", "late step up", "late step down"])
def test_a_series_that_moves_to_the_end_has_no_steady_state(shape):
    assert found(shape, 0.5)[1] <= 0.05


def test_the_drift_has_its_size_and_sign():
    noise = np.random.default_rng(0).standard_normal(400)
    state = steady_state(100 * np.linspace(1, 1.2, 400) + 0.01 * noise)
    assert not state.reached and state.drift == pytest.approx(0.09, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=300))
def test_any_series_has_an_answer(times):
    state = steady_state(np.array(times))
    assert 0 <= state.start <= len(times) / 2 and np.isfinite(state.drift)


def test_few_or_equal_samples():
    assert steady_state(np.array([5.0])).start == 0 and warm_up(np.ones(19)) == 0
    assert steady_state(np.array([5.0, 4.0])).start == 1
    assert steady_state(np.ones(1000)).start == 1 and warm_up(np.ones(1000)) == 0


@pytest.mark.parametrize("cold", [1, 2, 4])
def test_a_few_cold_inferences_are_not_hidden_by_medians(cold):
    times = times_us(np.random.default_rng(7), 300, spikes=0)
    times[:cold] *= 10
    assert cold <= steady_state(times).start <= 5


def test_trends_of_known_numbers():
    """Gilbert (1987), chapter 16: ten growing values have S = 45, variance 125."""
    assert mann_kendall(np.arange(10.0)) == pytest.approx(44 / 125**0.5)
    assert mann_kendall(np.ones(10)) == 0 and mann_kendall(-np.arange(10.0)) < 0
    assert theil_sen(np.array([0, 1, 2, 100, 4, 5.0])) == 1
    step, deviate = late_step(np.r_[np.full(15, 2.0), np.full(5, 3.0)])
    assert step == 0.5 and deviate == pytest.approx(37.5 / (75 * 21 / 12) ** 0.5)
