"""The TC66C against a stand-in with known energy: damaged answers, silence, words."""

import time

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.device.standins.bench import config, connected, off
from tests.device.standins.load import Load
from tests.device.standins.tc66c import Tc66cStandIn, answer, modbus_crc
from toolchain.device.clock import raw_clock_s
from toolchain.device.energy import measure_energy
from toolchain.device.meters import tc66c
from toolchain.device.meters.tc66c import Tc66c, crc16, decoded
from toolchain.errors import BadReply, DeviceTimeout, DeviceUnavailable

BEGIN_S, END_S = 3.2, 43.7
LOAD = Load(BEGIN_S, END_S, idle_mw=1200.0, active_mw=2600.0, ripple_mw=0.0)
"""A Raspberry Pi."""


def measure(monkeypatch, made: Tc66cStandIn):
    """In virtual time, polled from here instead of from a thread."""
    line = connected(monkeypatch, tc66c, made)
    meter = Tc66c(config("tc66c"), line.clock, line.sleep)
    meter.begin()
    while line.now < END_S + 2:
        meter.poll()
    energy = measure_energy(meter.window(BEGIN_S, END_S), 1000)
    meter.close()
    assert line.closed
    return energy


@pytest.mark.parametrize("seed", range(5))
def test_energy_is_right_within_a_percent(monkeypatch, seed):
    made = Tc66cStandIn(LOAD, seed)
    made.noise, made.damage = 0.02, 0.2
    energy = measure(monkeypatch, made)
    assert abs(off(energy, LOAD.active_mj)) < 0.01 and energy.uncertainty < 0.04
    assert (energy.tier, energy.rails) == ("external meter", ("USB-C supply",))


def test_the_uncertainty_covers_the_truth(monkeypatch):
    rng, covered = np.random.default_rng(5), 0
    for seed in range(40):
        made = Tc66cStandIn(LOAD, seed)
        made.gain, made.noise, made.damage = rng.uniform(-0.01, 0.01), 0.02, 0.2
        energy = measure(monkeypatch, made)
        covered += abs(off(energy, LOAD.active_mj)) <= energy.uncertainty
    assert covered >= 38


def test_it_runs_in_the_background(monkeypatch):
    """At ten times its pace, in real time, on a host that may be busy."""
    made = Tc66cStandIn(LOAD)
    connected(monkeypatch, tc66c, made)
    monkeypatch.setattr(tc66c, "FACTS", tc66c.replace(tc66c.FACTS, rate_hz=20.0))
    meter = Tc66c(config("tc66c"))
    meter.open()
    begin_s = raw_clock_s()
    time.sleep(0.1)
    window = meter.window(begin_s, begin_s + 0.5)
    meter.close()
    meter.close()
    series = window.series
    assert 6 <= len(series.values) + series.dropped < 20 and series.values == pytest.approx(1200.0)


@given(st.integers(0, 300_000), st.integers(0, 600_000))
def test_an_answer_is_read(volts, amperes):
    got = decoded(answer(volts * 1e-4, amperes * 1e-5))
    assert (got.volts, got.amperes) == (pytest.approx(volts * 1e-4), pytest.approx(amperes * 1e-5))
    assert got.milliwatts == pytest.approx(got.volts * got.amperes * 1000)


@given(st.integers(0, 191), st.integers(1, 255))
def test_any_damage_is_noticed(at, change):
    sent = bytearray(answer(5.0, 0.5))
    sent[at] ^= change
    with pytest.raises(BadReply, match=f"the TC66C's answer is damaged in block {at // 64 + 1}"):
        decoded(bytes(sent))


@given(st.binary(max_size=80))
def test_the_checksum_is_modbus_own(data):
    assert crc16(data) == modbus_crc(data)


def test_the_checksum_of_the_standards_example():
    """02 07 41 12 on the wire (Modbus over serial line V1.02, appendix B)."""
    assert crc16(bytes([0x02, 0x07])) == 0x1241


def test_a_meter_that_only_sends_damage(monkeypatch):
    made = Tc66cStandIn(LOAD)
    monkeypatch.setattr(made, "answer", lambda data, now: bytes(192))
    connected(monkeypatch, tc66c, made)
    with pytest.raises(BadReply, match="the TC66C's answer is damaged in block 1"):
        Tc66c(config("tc66c")).open()


def test_a_port_where_nobody_answers(monkeypatch):
    made = Tc66cStandIn(LOAD)
    monkeypatch.setattr(made, "answer", lambda data, now: b"firm")
    monkeypatch.setattr(tc66c, "ANSWER_S", 0.05)
    connected(monkeypatch, tc66c, made)
    with pytest.raises(DeviceTimeout, match="meter 'bench' sent 4 of 192 bytes in 0.1 s; is it a TC66C"):
        Tc66c(config("tc66c")).open()


def test_without_the_cipher(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(DeviceUnavailable, match="the package 'cryptography' is missing; pip install"):
        Tc66c(config("tc66c")).open()
