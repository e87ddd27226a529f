"""A Joulescope by its package's API, replayed."""

import sys
from types import SimpleNamespace

import pytest

from tests.device.meters.emulated import FakeJoulescope
from toolchain.device.boards import MeterConfig
from toolchain.device.integral import energy_mj
from toolchain.device.meters.joulescope import Joulescope
from toolchain.errors import BadReply, DeviceLost, DeviceUnavailable


@pytest.fixture
def plugged(monkeypatch):
    """The instruments that the package finds."""
    devices = [FakeJoulescope()]
    monkeypatch.setitem(sys.modules, "joulescope", SimpleNamespace(scan=lambda config: devices))
    return devices


def meter(clock, **config) -> Joulescope:
    return Joulescope(MeterConfig(kind="joulescope", name="js", **config), now=lambda: clock.time_s)


def test_energy_is_the_instruments_own(plugged):
    clock = SimpleNamespace(time_s=100.0)
    js = meter(clock)
    js.open()
    assert plugged[0].is_open and plugged[0].parameters == {
        "reduction_frequency": "50 Hz", "i_range": "auto", "v_range": "15V"}
    for i in range(1, 200):
        clock.time_s = 100 + i / 50 + 0.002
        if i % 7:
            plugged[0].play(i / 50, 2.5 * i / 50)
    window = js.window(101, 103)
    assert energy_mj(window) == pytest.approx(2 * 2500, rel=1e-6) and window.facts.reads == "counter"
    js.close()
    js.close()
    assert not plugged[0].is_open and not plugged[0].callbacks


def test_an_instrument_is_told_by_its_number(plugged):
    plugged.append(FakeJoulescope("JS220-003344"))
    with pytest.raises(DeviceUnavailable, match="2 found.*number on its back") as caught:
        meter(SimpleNamespace(time_s=0.0)).open()
    assert "003344" not in str(caught.value)
    meter(SimpleNamespace(time_s=0.0), address="003344").open()
    assert plugged[1].is_open and not plugged[0].is_open


def test_none_found_and_no_package(plugged, monkeypatch):
    plugged.clear()
    with pytest.raises(DeviceUnavailable, match="0 found"):
        meter(SimpleNamespace(time_s=0.0)).open()
    monkeypatch.setitem(sys.modules, "joulescope", None)
    with pytest.raises(DeviceUnavailable, match=r"pip install 'edge-toolchain\[joulescope\]'"):
        meter(SimpleNamespace(time_s=0.0)).open()


def test_one_that_another_program_has_open(plugged):
    plugged[0].open = lambda: 1 / 0
    with pytest.raises(DeviceUnavailable, match="another program"):
        meter(SimpleNamespace(time_s=0.0)).open()


def test_a_pulled_cable(plugged, monkeypatch):
    monkeypatch.setattr("toolchain.device.meters.joulescope.PATIENCE_S", 0.05)
    js = meter(SimpleNamespace(time_s=1.0))
    js.open()
    with pytest.raises(DeviceLost, match="still plugged in"):
        js.window(0.0, 1.01)


def test_one_that_sends_nothing_is_closed_again(plugged, monkeypatch):
    monkeypatch.setattr("toolchain.device.meters.joulescope.PATIENCE_S", 0.05)
    plugged[0].opening = ()
    with pytest.raises(DeviceLost, match="no statistics within"):
        meter(SimpleNamespace(time_s=0.0)).open()
    assert not plugged[0].is_open


def test_time_that_goes_back(plugged):
    clock = SimpleNamespace(time_s=0.0)
    js = meter(clock)
    js.open()
    for reached in (0.02, 0.04, 0.03):
        clock.time_s += 0.02
        plugged[0].play(reached, reached)
    with pytest.raises(BadReply, match="does not go forward"):
        js.window(0.01, 0.02)
