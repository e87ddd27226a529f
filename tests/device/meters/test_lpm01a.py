"""The LPM01A against a stand-in with known energy: faults of the line and of the meter, pins, words."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.device.standins.bench import config, connected, measured, off
from tests.device.standins.load import Load
from tests.device.standins.lpm01a import Lpm01aStandIn, ascii_dec
from toolchain.device.meters import lpm01a
from toolchain.device.meters.lpm01a import SETUP, EnergyStream, Lpm01a
from toolchain.errors import BadConfig, BadReply, DeviceTimeout, InvalidMeasurement

SECONDS, BEGIN_S, END_S = 7.0, 1.2345, 6.3333
LOAD = Load(BEGIN_S, END_S)


def stand_in(seed: int = 0, **faults) -> Lpm01aStandIn:
    made = Lpm01aStandIn(LOAD, SECONDS, (0.5, 0.9, BEGIN_S, END_S), seed)
    for name, value in faults.items():
        setattr(made, name, value)
    return made


def measure(monkeypatch, made: Lpm01aStandIn, **how):
    connected(monkeypatch, lpm01a, made)
    return measured(Lpm01a(config("lpm01a", 1800)), BEGIN_S, END_S, **how)


@pytest.mark.parametrize("pins", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_energy_is_right_within_a_percent(monkeypatch, seed, pins):
    """Noise, a clock that is off, one sample in two hundred lost and as many damaged."""
    made = stand_in(seed, noise=0.05, skew=(-1) ** seed * 1e-4, lose=0.005, damage=0.005)
    energy = measure(monkeypatch, made, pins=pins)
    assert abs(off(energy, LOAD.active_mj)) < 0.01
    assert 0.02 < energy.uncertainty < 0.03 and (energy.tier, energy.meter) == ("external meter", "lpm01a")


def test_without_faults_the_pins_give_the_sum_of_the_samples_between_them(monkeypatch):
    """MLPerf Tiny's figure: what is integrated from the millisecond of one edge to that of the other."""
    energy = measure(monkeypatch, stand_in(), pins=True)
    first, last = int(BEGIN_S * 1000), int(END_S * 1000)
    samples = [float(ascii_dec((LOAD.mj((n + 1) / 1000) - LOAD.mj(n / 1000)) / 1000).replace("-", "e-"))
               for n in range(first, last)]
    assert energy.gross_uj == pytest.approx(sum(samples) * 1e6 / 100, rel=1e-6)


def test_the_uncertainty_covers_the_truth(monkeypatch):
    """Gains as the data sheet allows, and all faults at once; k = 2 promises 95 %."""
    rng, covered = np.random.default_rng(7), 0
    for seed in range(40):
        made = stand_in(seed, gain=rng.uniform(-0.02, 0.02), noise=0.05, skew=rng.uniform(-1e-4, 1e-4),
                        lose=0.005, damage=0.005)
        energy = measure(monkeypatch, made, pins=bool(seed % 2))
        covered += abs(off(energy, LOAD.active_mj)) <= energy.uncertainty
    assert covered >= 38


def test_the_exchange_is_that_of_mlperf_tiny(monkeypatch):
    made = stand_in()
    measure(monkeypatch, made)
    assert made.heard == ["stop", *SETUP, "volt 1800m", "pwr on nostatus", "start", "stop", "pwr off", "hrc"]


def test_closing_twice_is_closing_once(monkeypatch):
    line, meter = connected(monkeypatch, lpm01a, stand_in()), Lpm01a(config("lpm01a", 3300))
    meter.close()
    meter.open()
    meter.close()
    meter.close()
    assert line.closed


def test_a_window_before_it_was_opened(monkeypatch):
    connected(monkeypatch, lpm01a, stand_in())
    meter = Lpm01a(config("lpm01a", 3300))
    meter.open()
    with pytest.raises(InvalidMeasurement, match="meter 'bench': its samples begin .* s after the"):
        meter.window(-1.0, 2.0)
    meter.close()


def test_a_meter_that_ends(monkeypatch):
    connected(monkeypatch, lpm01a, Lpm01aStandIn(LOAD, 0.3))
    monkeypatch.setattr(lpm01a, "ANSWER_S", 0.2)
    meter = Lpm01a(config("lpm01a", 3300))
    meter.open()
    with pytest.raises(DeviceTimeout, match="meter 'bench': samples did not come within"):
        meter.window(0.1, 0.4)
    meter.close()


def test_a_command_that_is_refused(monkeypatch):
    line = connected(monkeypatch, lpm01a, stand_in())
    monkeypatch.setattr(lpm01a, "SETUP", ("htc", "dance"))
    with pytest.raises(BadReply, match="meter 'bench' refuses 'dance': error dance"):
        Lpm01a(config("lpm01a", 3300)).open()
    assert line.closed


def test_a_port_where_nobody_acknowledges(monkeypatch):
    made = stand_in()
    monkeypatch.setattr(made, "answer", lambda data, now: b"")
    connected(monkeypatch, lpm01a, made)
    with pytest.raises(DeviceTimeout, match="meter 'bench' did not acknowledge 'htc' within 10 s"):
        Lpm01a(config("lpm01a", 3300)).open()


@pytest.mark.parametrize("supply_mv", [None, 1799, 3301])
def test_what_feeds_a_board_is_told_with_how_much(supply_mv):
    with pytest.raises(BadConfig, match="an LPM01A feeds the board: say with how many, 1800 to 3300"):
        Lpm01a(config("lpm01a", supply_mv))


def taken(*lines: str) -> EnergyStream:
    stream = EnergyStream()
    for line in lines:
        stream.take(line)
    return stream


def test_lines_of_the_stream():
    stream = taken("TimeStamp: 001s 000ms, buff 05%", "6409-07", "PowerShield > 0001-12 9999+01",
                   "event 3 ris", "")
    assert stream.joules == pytest.approx([6409e-7, 1e-12, 99990.0]) and stream.numbers == [0, 1, 2]
    assert stream.events == [3] and stream.dropped == 0


def test_lost_samples_are_found_by_the_meters_clock():
    """Of a thousand, a hundred are missing and one came damaged."""
    whole = ["1000-09"] * 899
    stream = taken("TimeStamp: 999s 500ms, buff 00%", *whole, "10-09", "TimeStamp: 000s 500ms, buff 00%",
                   "2000-09")
    assert (stream.numbers[-1], stream.dropped, stream.next) == (1000, 101, 1001)


def test_more_samples_than_the_clock_counts():
    with pytest.raises(BadReply, match="sent 1,001 samples where its clock counts 1,000"):
        taken("TimeStamp: 001s 000ms, buff 00%", *["1000-09"] * 1001, "TimeStamp: 002s 000ms, buff 00%")


def test_an_error_in_the_stream():
    with pytest.raises(BadReply, match="the LPM01A stopped: error: overcurrent"):
        taken("1000-09", "error: overcurrent\x1b")


@given(st.text(max_size=30))
def test_any_line_is_taken_or_refused(text):
    try:
        stream = taken("1000-09", text, "1000-09")
    except BadReply:
        return
    assert stream.numbers == sorted(set(stream.numbers)) and stream.next > stream.numbers[-1]
