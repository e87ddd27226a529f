"""Energy between two timestamps and what is stated of it: arithmetic, edges, budget, length of a run."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.device.meters.loads import held, square_load
from toolchain.device.energy import between_pins, measure_energy
from toolchain.device.integral import energy_mj, missing_s
from toolchain.device.meters.meter import Facts, Series, Window
from toolchain.device.uncertainty import amount_of, unevenness
from toolchain.errors import InvalidMeasurement, TooShort

IDEAL = Facts(kind="ideal", tier="external meter", rails=("supply",), reads="instant", rate_hz=1000.0,
              resolution=0.0, gain_error=0.0, offset_mw=0.0, clock_ppm=0.0)


def window_of(reads: str, times, values, begin: float, end: float, **changes) -> Window:
    facts = replace(IDEAL, reads=reads, **changes)
    return Window(facts, begin, end, Series.of(times, values))


powers = st.lists(st.floats(0, 5000), min_size=3, max_size=40)


@given(powers, st.data())
def test_the_integral_of_piecewise_linear_power_is_exact_when_its_corners_are_sampled(levels, data):
    times = np.cumsum(data.draw(st.lists(st.floats(0.01, 2), min_size=len(levels), max_size=len(levels))))
    begin, end = sorted(data.draw(st.floats(times[0], times[-1])) for _ in range(2))
    if end - begin < 1e-6:
        return
    fine = np.unique(np.concatenate((times, [begin, end])))
    exact = np.trapezoid(np.interp(fine, times, levels)[(fine >= begin) & (fine <= end)],
                         fine[(fine >= begin) & (fine <= end)])
    found = energy_mj(window_of("instant", times, levels, begin, end))
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-6)


@given(powers, st.integers(5, 60), st.data())
@settings(max_examples=60)
def test_any_sampling_stays_within_lowest_and_highest_power(levels, count, data):
    corners = np.linspace(0, 10, len(levels))
    times = np.unique(np.concatenate(([0.0, 10.0], data.draw(
        st.lists(st.floats(0, 10), min_size=count, max_size=count)))))
    seen = np.interp(times, corners, levels)
    found = energy_mj(window_of("instant", times, seen, 1.0, 9.0))
    assert 8 * min(levels) - 1e-6 <= found <= 8 * max(levels) + 1e-6


@pytest.mark.parametrize("reads", ["instant", "mean", "counter"])
@given(cut=st.floats(1.01, 8.99), seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_windows_add_up(reads, cut, seed):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 10, 50))
    times[[0, -1]] = 0, 10
    values = np.sort(rng.uniform(0, 1000, 50)) if reads == "counter" else rng.uniform(0, 1000, 50)
    first, second, both = (energy_mj(window_of(reads, times, values, *edges))
                           for edges in ((1.0, cut), (cut, 9.0), (1.0, 9.0)))
    assert first + second == pytest.approx(both)


def test_means_belong_to_the_period_before_their_time():
    window = window_of("mean", [1, 2, 3], [7, 10, 20], 1.5, 2.5, rate_hz=1.0)
    assert energy_mj(window) == pytest.approx(10 * 0.5 + 20 * 0.5)


def test_a_lost_mean_is_bridged_by_its_neighbours_and_counted_as_missing():
    window = window_of("mean", [0, 1, 4, 5], [10, 10, 30, 30], 0.5, 4.5, rate_hz=1.0)
    assert missing_s(window) == pytest.approx(2)
    assert energy_mj(window) == pytest.approx(5 + (30 + 2 * 20) + 15)
    assert amount_of(window).parts["lost readings"] == pytest.approx(2 * 20 / 12**0.5)


def test_a_counter_misses_nothing_between_its_readings():
    window = window_of("counter", [0, 1, 9, 10], [0, 5, 45, 50], 0.5, 9.5, rate_hz=1.0)
    assert missing_s(window) == 0 and energy_mj(window) == pytest.approx(45)


@pytest.mark.parametrize("times, values, reads, said", [
    ([1.0], [5.0], "instant", "1 readings"),
    ([0, 2, 1], [5, 5, 5], "instant", "do not rise"),
    ([0, 1, 2], [5, float("nan"), 5], "instant", "not a finite"),
    ([0, 5, 10], [9, 8, 10], "counter", "counter fell"),
    ([4, 5, 10], [1, 1, 1], "instant", "open the meter earlier"),
    ([0, 5, 6], [1, 1, 1], "instant", "close it later")])
def test_readings_that_cannot_be_are_refused(times, values, reads, said):
    with pytest.raises(InvalidMeasurement, match=said):
        measure_energy(window_of(reads, times, values, 3.0, 8.0), 1)


def test_a_window_must_end_after_it_begins():
    with pytest.raises(InvalidMeasurement, match="a window of -1"):
        energy_mj(window_of("instant", [0, 10], [1, 1], 5.0, 4.0))


def test_a_board_that_gives_power_is_refused():
    with pytest.raises(InvalidMeasurement, match="turn the meter round"):
        measure_energy(window_of("instant", np.arange(11.0), -np.ones(11), 1.0, 9.0), 3)


def sampled(load, times, **changes) -> Window:
    return window_of("instant", times, load.power(times), load.begin_s, load.end_s, **changes)


def test_gross_and_net_of_idle_are_named_apart():
    load = square_load(np.random.default_rng(0), seconds=10, inference_s=0.01)
    facts = {"rate_hz": 5000.0}
    window = sampled(load, np.arange(load.begin_s - 11, load.end_s + 11, 2e-4), **facts)
    idle = [replace(window, begin_s=load.begin_s - 10, end_s=load.begin_s - 1),
            replace(window, begin_s=load.end_s + 1, end_s=load.end_s + 10)]
    count = len(load.starts_s) - 1
    energy = measure_energy(window, count, idle, cycles_s=load.starts_s)
    assert energy.gross_uj == pytest.approx(load.energy() * 1000 / count, rel=1e-3)
    assert energy.net_uj == pytest.approx(energy.gross_uj - 900 * window.seconds * 1000 / count, rel=1e-9)
    assert energy.idle_mw == pytest.approx(900) and energy.tier == "external meter"
    assert measure_energy(window, count).net_uj is None


def test_an_offset_cancels_out_of_the_net_energy_and_a_gain_does_not():
    times = np.arange(0, 40, 0.01)
    values = np.where((times >= 10) & (times < 30), 1000.0, 400.0)
    facts = {"rate_hz": 100.0, "gain_error": 0.01}
    window = window_of("instant", times, values, 10.5, 29.5, offset_mw=20.0, **facts)
    idle = [replace(window, begin_s=1.0, end_s=9.0)]
    with_offset = measure_energy(window, 100, idle)
    without = measure_energy(replace(window, facts=replace(window.facts, offset_mw=0.0)), 100,
                             [replace(idle[0], facts=replace(window.facts, offset_mw=0.0))])
    assert with_offset.uncertainty > without.uncertainty * 1.5
    assert with_offset.net_uncertainty == pytest.approx(without.net_uncertainty)
    assert without.net_uncertainty == pytest.approx(without.uncertainty, rel=0.05)


def test_what_is_lost_in_the_uncertainty_of_idle_is_not_a_net_energy():
    times = np.arange(0, 40, 0.01)
    values = np.where(times < 9.5, 900.0, np.where(times < 30.5, 1001.0, 1098.0))
    window = window_of("instant", times, values, 10.0, 30.0, rate_hz=100.0)
    idle = [replace(window, begin_s=1.0, end_s=9.0), replace(window, begin_s=31.0, end_s=39.0)]
    energy = measure_energy(window, 10, idle)
    assert energy.net_uj is None and "within its own uncertainty" in energy.note
    assert energy.idle_mw == pytest.approx(999, abs=1)


def test_readings_locked_to_the_inferences_are_refused_however_many():
    load = square_load(np.random.default_rng(3), seconds=60, inference_s=0.1)
    times = np.concatenate(([load.begin_s - 11, load.begin_s - 1e-6], load.starts_s[:-1] + 1e-5,
                            [load.end_s + 0.1, load.end_s + 9]))
    window = sampled(load, times, rate_hz=10.0)
    assert unevenness(window, load.starts_s) > 0.9
    idle = [window_of("counter", [0.0, 1.0, 2.0], [0.0, 900.0, 1800.0], 0.0, 2.0, rate_hz=1.0)]
    with pytest.raises(TooShort, match="locked phase.*no number of inferences helps") as caught:
        measure_energy(window, len(load.starts_s) - 1, idle, cycles_s=load.starts_s)
    assert caught.value.inferences is None and caught.value.exit_code == 6


def test_even_phases_are_even():
    window = window_of("instant", np.arange(0, 100, 0.37), np.zeros(271), 0.0, 99.0)
    assert unevenness(window, np.arange(0.0, 101.0)) < 0.03


def coarse(load, seed: int, **changes) -> Window:
    """A meter that renews its reading every 0.2 s and is read ten times a second."""
    times = np.arange(load.begin_s - 5, load.end_s + 5, 0.1)
    values = load.mean(held(times, 0.2, 0.01 * (seed % 20)), 0.2)
    return window_of("instant", times, values, load.begin_s, load.end_s, rate_hz=10.0, lag_s=0.4, **changes)


def first_inferences(window: Window, load, count: int) -> Window:
    return replace(window, end_s=float(load.starts_s[count]))


def test_a_window_a_tenth_too_short_is_refused_and_the_number_it_names_suffices():
    """A counter whose readings are up to 0.3 s old: its uncertainty falls with the window's length alone."""
    load = square_load(np.random.default_rng(1), seconds=60, inference_s=0.02)
    times = np.arange(load.begin_s - 5, load.end_s + 5, 0.05)
    window = window_of("counter", times, load.total(times), load.begin_s, load.end_s, rate_hz=20.0, lag_s=0.3)

    def too_short(count: int) -> int | None:
        try:
            measure_energy(first_inferences(window, load, count), count)
            return None
        except TooShort as error:
            return error.inferences

    enough = next(count for count in range(20, 3000) if too_short(count) is None)
    for count in (int(enough * 0.9), int(enough * 0.5), 20):
        named = too_short(count)
        assert enough <= named <= 1.3 * enough and too_short(named) is None


@pytest.mark.parametrize("seed", range(40))
def test_the_number_that_a_short_run_names_suffices_for_another_run(seed):
    load = square_load(np.random.default_rng(seed), seconds=4, inference_s=0.02)
    with pytest.raises(TooShort, match="inferences or more") as caught:
        measure_energy(coarse(load, seed), len(load.starts_s) - 1, cycles_s=load.starts_s)
    again = square_load(np.random.default_rng(seed + 100), seconds=caught.value.inferences * 0.02 * 1.001,
                        inference_s=0.02)
    energy = measure_energy(coarse(again, seed), len(again.starts_s) - 1, cycles_s=again.starts_s)
    assert energy.uncertainty <= 0.05


def test_a_pin_gates_the_window():
    window = window_of("mean", np.arange(0, 10, 0.001), np.full(10000, 50.0), 0.5, 9.5)
    window = replace(window, series=replace(window.series, pins_s=np.array([0.2, 2.0, 7.0])))
    gated = between_pins(window)
    assert (gated.begin_s, gated.end_s) == (2.0, 7.0) and energy_mj(gated) == pytest.approx(250)
    with pytest.raises(InvalidMeasurement, match="saw 1 edges"):
        between_pins(replace(window, series=replace(window.series, pins_s=np.array([0.2]))))


def test_a_late_window_is_within_its_stated_limits():
    load = square_load(np.random.default_rng(5), seconds=20, inference_s=0.01)
    window = sampled(load, np.arange(load.begin_s - 3, load.end_s + 3, 1e-3))
    for late in np.random.default_rng(6).uniform(-0.1, 0.1, 50):
        moved = replace(window, begin_s=load.begin_s + late, end_s=load.end_s + late)
        amount = amount_of(moved, load.starts_s, edge_s=0.1, other_mw=900.0)
        assert abs(amount.mj - load.energy()) <= 2 * amount.standard_mj
        assert amount.parts["edges"] > 0


def test_series_keep_two_readings_on_either_side():
    series = Series.of(np.arange(10.0), np.arange(10.0), [1.0, 5.0], dropped=3).around(4.5, 5.5)
    assert list(series.times_s) == [3, 4, 5, 6, 7] and list(series.pins_s) == [5.0] and series.dropped == 3
