"""A battery's fuel gauge: power, and a counter of charge."""

from pathlib import Path

import numpy as np
import pytest

from tests.device.meters.files import config, tree
from toolchain.device.meters.counter import FileCounter
from toolchain.device.meters.meter import Reading
from toolchain.device.meters.power_supply import survey_charge_counter, survey_power_supply
from toolchain.device.meters.system import Host
from toolchain.errors import DeviceUnavailable, InvalidMeasurement


def battery(tmp_path, **files) -> str:
    return tree(tmp_path / "battery", **{"type": "Battery", "status": "Discharging", "voltage_now": 3_850_000,
                                         "current_now": -600_000} | files)


@pytest.mark.parametrize("current, voltage", [(-600_000, 3_850_000), (600_000, 3_850_000), (-600, 3_850_000),
                                              (600, 3850)])
def test_units_and_sign_are_told_from_what_a_battery_can_deliver(tmp_path, current, voltage):
    folder = battery(tmp_path, current_now=current, voltage_now=voltage)
    source = survey_power_supply(config("power_supply", folder, gain_error=0.02), Host())
    assert source.read() == pytest.approx(2310.0) and source.facts.tier == "fuel gauge"


@pytest.mark.parametrize("files, said", [
    ({"current_now": 0}, "its unit cannot be told"), ({"current_now": -12_000}, "its unit cannot be told"),
    ({"current_now": 60_000_000}, "its unit cannot be told"), ({"voltage_now": 0}, "no battery's"),
    ({"status": "Charging"}, "unplug it"), ({"status": "Full"}, "unplug it")])
def test_what_cannot_be_told_is_refused(tmp_path, files, said):
    with pytest.raises(InvalidMeasurement, match=said):
        survey_power_supply(config("power_supply", battery(tmp_path, **files), gain_error=0.02), Host())


def test_a_charger_plugged_in_during_the_run_is_noticed(tmp_path):
    folder = battery(tmp_path)
    source = survey_power_supply(config("power_supply", folder, gain_error=0.02), Host())
    tree(Path(folder), current_now=600_000)
    with pytest.raises(InvalidMeasurement, match="changed its sign"):
        source.read()
    tree(Path(folder), current_now=-600_000, status="Charging")
    with pytest.raises(InvalidMeasurement, match="unplug it"):
        source.read()


def test_the_battery_is_found_among_chargers(tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.device.meters.power_supply.FOLDER", str(tmp_path))
    tree(tmp_path / "usb", type="USB")
    battery(tmp_path)
    assert survey_power_supply(config("power_supply", gain_error=0.02), Host()).read() > 0
    tree(tmp_path / "second", type="Battery")
    with pytest.raises(DeviceUnavailable, match="2 batteries"):
        survey_power_supply(config("power_supply", gain_error=0.02), Host())


def taken(meter: FileCounter, column: list[str], rows: int) -> None:
    """Readings a second apart: `column` of the first file, Discharging, 4 V."""
    others = {"status": "Discharging", "voltage_now": "4000000"}
    texts = {path: [others.get(Path(path).name, text) for text in column[:rows]] for path in meter.files}
    meter.take({path: [Reading(float(i), text) for i, text in enumerate(row)] for path, row in texts.items()})


def test_charge_times_voltage_and_its_step_and_age_as_they_show(tmp_path):
    folder = battery(tmp_path, charge_counter=2_000_000)
    meter = FileCounter(Host(), lambda system: survey_charge_counter(
        config("charge_counter", folder, gain_error=0.02), system))
    meter.open()
    taken(meter, ["2000000", "2000000", "1999900", "1999900", "1999900", "1999700"], 6)
    window = meter.window(0.5, 4.5)
    assert list(window.series.values) == pytest.approx([0, 1440, 4320])
    assert list(window.series.times_s) == [0, 2, 5]
    assert window.facts.resolution == pytest.approx(1440) and window.facts.lag_s == 3.0


def test_energy_now_is_taken_where_there_is_one_and_charging_refused(tmp_path):
    folder = battery(tmp_path, charge_counter=2_000_000, energy_now=9_000_000)
    meter = FileCounter(Host(), lambda system: survey_charge_counter(
        config("charge_counter", folder, gain_error=0.02), system))
    meter.open()
    taken(meter, ["9000000", "8999000", "8998000"], 3)
    assert list(np.diff(meter.window(0, 2).series.values)) == pytest.approx([3600, 3600])
    with pytest.raises(InvalidMeasurement, match="moved 0 times"):
        taken(meter, ["9000000"] * 3, 3)
        meter.window(0, 2)
    with pytest.raises(InvalidMeasurement, match="unplug it"):
        meter.take({path: [Reading(0.0, "Charging")] for path in meter.files})


def test_a_gauge_that_counts_nothing(tmp_path):
    with pytest.raises(DeviceUnavailable, match="neither energy_now nor charge_counter nor charge_now"):
        survey_charge_counter(config("charge_counter", battery(tmp_path), gain_error=0.02), Host())
