"""The Power Profiler Kit II against a stand-in with known energy: ranges, lost samples, the pin, words."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.device.standins.bench import config, connected, measured, off
from tests.device.standins.load import Load
from tests.device.standins.ppk2 import CALIBRATION, Ppk2StandIn, codes_of
from toolchain.device.meters import ppk2
from toolchain.device.meters.ppk2 import Ppk2
from toolchain.device.meters.ppk2_samples import Calibration, SampleStream, falling_edges, spikes_smoothed
from toolchain.errors import BadConfig, BadReply, DeviceTimeout, InvalidMeasurement, TooShort

SECONDS, BEGIN_S, END_S = 1.6, 0.4321, 1.2999
LOAD = Load(BEGIN_S, END_S, idle_mw=0.3, active_mw=60.0, ripple_mw=20.0)
"""0.1 mA, and 13 to 27 mA at 3 V: two ranges."""


def stand_in(seed: int = 0, load: Load = LOAD, **faults) -> Ppk2StandIn:
    made = Ppk2StandIn(load, SECONDS, (0.1, BEGIN_S, END_S), seed)
    for name, value in faults.items():
        setattr(made, name, value)
    return made


def measure(monkeypatch, made: Ppk2StandIn, kind: str = "ppk2", gain_error: float = 0.005, **how):
    connected(monkeypatch, ppk2, made)
    return measured(Ppk2(config(kind, 3000, gain_error=gain_error)), BEGIN_S, END_S, **how)


@pytest.mark.parametrize("pins", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_energy_is_right_within_a_percent(monkeypatch, seed, pins):
    """Noise, a clock that is off, samples lost in one chunk of twenty."""
    made = stand_in(seed, noise=0.05, skew=(-1) ** seed * 1e-4, lose=0.05)
    energy = measure(monkeypatch, made, pins=pins)
    assert abs(off(energy, LOAD.active_mj)) < 0.01 and energy.uncertainty < 0.02


def test_the_uncertainty_covers_the_truth(monkeypatch):
    rng, covered = np.random.default_rng(3), 0
    for seed in range(20):
        made = stand_in(seed, gain=rng.uniform(-0.005, 0.005), noise=0.05, skew=rng.uniform(-1e-4, 1e-4),
                        lose=0.05)
        energy = measure(monkeypatch, made, pins=bool(seed % 2))
        covered += abs(off(energy, LOAD.active_mj)) <= energy.uncertainty
    assert covered >= 19


def test_without_a_calibration_of_ones_own_it_is_known_to_a_tenth_only(monkeypatch):
    with pytest.raises(TooShort, match="no number of inferences helps; calibrate the meter or") as told:
        measure(monkeypatch, stand_in(), gain_error=0.0)
    assert "gain 11.5%" in str(told.value)


def test_it_feeds_the_board_or_lets_it_be_fed(monkeypatch):
    source, ampere = stand_in(), stand_in()
    energy = measure(monkeypatch, source)
    assert source.commands == [(0x07,), (0x19,), (0x11, 2), (0x0D, 3000 >> 8, 3000 & 255), (0x0C, 1), (0x06,),
                               (0x07,), (0x0C, 0)]
    assert energy.meter == "ppk2" and energy.note == ""
    energy = measure(monkeypatch, ampere, "ppk2-ampere")
    assert (0x11, 1) in ampere.commands and not [c for c in ampere.commands if c[0] == 0x0D]
    assert energy.meter == "ppk2-ampere" and energy.note == "the current only; the supply is taken as 3000 mV"


def test_what_it_left_behind_is_dropped(monkeypatch):
    """A kit whose host was killed goes on sending."""
    made = stand_in()
    made.streaming = "start"
    assert abs(off(measure(monkeypatch, made), LOAD.active_mj)) < 0.01


def test_more_than_an_ampere(monkeypatch):
    load = Load(BEGIN_S, END_S, active_mw=3800.0, ripple_mw=0.0)
    with pytest.raises(InvalidMeasurement, match="the PPK2 saw more than it can, 1 A, in"):
        measure(monkeypatch, stand_in(load=load))


@pytest.mark.parametrize("row, value", [("R", 3.1e27), ("R", 0.0), ("GI", float("nan")), ("O", float("inf"))])
def test_a_calibration_that_cannot_be(monkeypatch, row, value):
    """As of a kit whose memory was overwritten (Nordic DevZone, case 92921)."""
    made = stand_in()
    made.calibration = {**CALIBRATION, row: (value, *CALIBRATION[row][1:])}
    line = connected(monkeypatch, ppk2, made)
    with pytest.raises(BadReply, match="the PPK2's calibration is damaged"):
        Ppk2(config("ppk2", 3000)).open()
    assert line.closed


def test_a_calibration_that_lacks_a_number():
    with pytest.raises(BadReply, match="the PPK2's calibration lacks a number: 'R4'"):
        Calibration.of(stand_in().metadata().decode().replace("R4", "Q4"))


def test_a_port_that_tells_no_calibration(monkeypatch):
    made = stand_in()
    monkeypatch.setattr(made, "metadata", lambda: b"Calibrated: 0\nR0: 1000.0\n")
    connected(monkeypatch, ppk2, made)
    with pytest.raises(DeviceTimeout, match="meter 'bench' told no calibration in 3 s; is it a PPK2, and"):
        Ppk2(config("ppk2", 3000)).open()


@pytest.mark.parametrize("supply_mv", [None, 799, 5001])
def test_the_supply_has_to_be_told(supply_mv):
    with pytest.raises(BadConfig, match="say how many the board is fed with, 800 to 5000"):
        Ppk2(config("ppk2", supply_mv))


@given(st.integers(0, 4), st.floats(0.05, 0.95), st.sampled_from([800, 1800, 3300, 5000]))
def test_currents_come_back_through_the_calibration(r, share, millivolts):
    top = (0.05, 0.5, 5.0, 50.0, 600.0)[r]
    amperes, ranges = np.array([share * top / 1000]), np.array([r])
    codes = codes_of(amperes, ranges, CALIBRATION, millivolts / 1000)
    calibration = Calibration.of(Ppk2StandIn(LOAD, 1).metadata().decode())
    assert calibration.amperes(codes, ranges, millivolts / 1000) == pytest.approx(amperes, rel=1e-3, abs=1e-9)


def words_of(numbers: np.ndarray) -> bytes:
    return ((numbers & 63) << 18 | (numbers & 0x3FFF)).astype("<u4").tobytes()


@given(st.lists(st.tuples(st.integers(30, 200), st.integers(0, 63)), min_size=1, max_size=6),
       st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_every_sample_keeps_its_number(runs, sizes):
    """Runs of samples with up to 63 lost behind each, in chunks of any size."""
    numbers, at = [], 0
    for length, lost in runs:
        numbers += range(at, at + length)
        at += length + lost
    data, stream, chunk = words_of(np.array(numbers)), SampleStream(), 0
    while data:
        size = sizes[chunk % len(sizes)]
        stream.take(data[:size])
        data, chunk = data[size:], chunk + 1
    kept, words = stream.between(0, at)
    assert kept.tolist() == numbers[:-1] and (words & 0x3FFF).tolist() == [n & 0x3FFF for n in numbers[:-1]]
    assert stream.dropped == sum(lost for _, lost in runs[:-1])


@pytest.mark.parametrize("where", [0, 1, 50, 98])
def test_a_damaged_counter_costs_one_sample(where):
    numbers = np.arange(100)
    words = np.frombuffer(words_of(numbers), "<u4").copy()
    words[where] ^= 21 << 18
    stream = SampleStream()
    stream.take(words[:60].tobytes())
    stream.take(words[60:].tobytes())
    kept = stream.between(0, 200)[0].tolist()
    if where:
        assert kept == [n for n in range(99) if n != where] and stream.dropped == 1


def test_bytes_that_are_lost_are_noticed():
    data = words_of(np.arange(5000))
    stream = SampleStream()
    with pytest.raises(BadReply, match="the PPK2's samples lost their beat"):
        stream.take(data[:4000])
        stream.take(data[4002:])


def test_ranges_that_do_not_exist_are_lost_samples():
    words = np.frombuffer(words_of(np.arange(40)), "<u4").copy()
    words[20] |= 6 << 14
    stream = SampleStream()
    stream.take(words.tobytes())
    assert stream.between(0, 99)[0].tolist() == [n for n in range(39) if n != 20] and stream.dropped == 1


def test_edges_that_fall():
    levels = np.array([1, 1, 0, 0, 1, 0, 1], np.uint32) << 24
    assert falling_edges(levels).tolist() == [2, 5]


def test_behind_a_change_of_range_samples_are_smoothed():
    """By hand, as getAdcResult does it: alpha 0.18 in ranges 0 to 3, 0.06 and a hold of two in range 4."""
    amperes, ranges = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 2.0]), np.array([2, 2, 3, 3, 3, 3])
    mean = [1.18, 1.18 + 0.18 * 0.82, 1.18 + 0.18 * 0.82 + 0.18 * 0.82**2]
    assert spikes_smoothed(amperes, ranges).tolist() == pytest.approx([1.0, 1.0, *mean, 2.0])
    top = spikes_smoothed(amperes, np.array([3, 3, 4, 4, 4, 4]))
    assert top.tolist() == pytest.approx([1.0, 1.0, 1.0, 1.0, 1.06, 2.0])


def test_within_one_range_nothing_is_smoothed():
    amperes = np.array([1.0, 5.0, 2.0])
    assert spikes_smoothed(amperes, np.array([1, 1, 1])) is amperes
