"""Meters that are files: what is found, what is refused and how it is said; a real tree and a real thread."""

from pathlib import Path
import threading
import time

import numpy as np
import pytest

from toolchain.device.boards import Board, MeterConfig
from toolchain.device.clock import raw_clock_s
from toolchain.device.energy import measure_energy
from toolchain.device.meters.counter import FileCounter, readings_of, unwrapped
from toolchain.device.meters.hwmon import survey_hwmon
from toolchain.device.meters.kinds import METER, meter_for
from toolchain.device.meters.meter import Reading
from toolchain.device.meters.odpm import rails_of, survey_odpm
from toolchain.device.meters.pmic import powers_mw, survey_pmic
from toolchain.device.meters.polled import Polled
from toolchain.device.meters.power_supply import survey_charge_counter, survey_power_supply
from toolchain.device.meters.rapl import survey_rapl
from toolchain.device.meters.system import Host, Remote
from toolchain.device.runner.record import Watched
from toolchain.device.transports.transport import Finished
from toolchain.errors import (
    BadConfig,
    BadReply,
    DeviceLost,
    DeviceRefused,
    DeviceUnavailable,
    InvalidMeasurement,
)


def tree(folder: Path, **files: object) -> str:
    """Files of a folder of sysfs; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
    return str(folder)


def config(kind: str, address: str = "", **more) -> MeterConfig:
    return MeterConfig(kind=kind, address=address, name="mine", **more)


class ForbiddenSystem(Host):
    """One that root's eyes alone may read."""

    def read(self, path: str) -> str:
        if path.endswith("energy_uj"):
            raise DeviceUnavailable(f"{path}: permission denied")
        return super().read(path)


class Shell:
    """A Transport's start(), as far as a Remote system uses it."""

    def __init__(self, answers: dict[tuple[str, ...], Finished]):
        self.answers = answers

    def start(self, argv, *, seconds, most_bytes) -> Finished:
        assert seconds <= 10 and most_bytes <= 65536
        return self.answers.get(tuple(argv), Finished(1, b"", b"No such file or directory"))


def test_a_place_on_a_device_reads_by_cat_and_ls():
    system = Remote(Shell({("cat", "/sys/a"): Finished(0, b"12\n", b""),
                          ("ls", "/sys"): Finished(0, b"b\na\n", b""),
                          ("cat", "/sys/b"): Finished(1, b"", b"cat: /sys/b: Permission denied")}))
    assert system.read("/sys/a") == "12"
    assert system.names("/sys") == ["a", "b"] and system.names("/proc") == []
    with pytest.raises(DeviceUnavailable, match="/sys/b: permission denied"):
        system.read("/sys/b")
    with pytest.raises(DeviceUnavailable, match="/sys/c: no such file"):
        system.read("/sys/c")


def test_what_is_not_text_is_a_bad_reply(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(BadReply, match="not ASCII"):
        Host().read(str(tmp_path / "file"))


# INA219, INA226, INA260

def ina226(tmp_path, **files) -> str:
    return tree(tmp_path / "hwmon2", **{"name": "ina226", "shunt_resistor": 10000, "update_interval": 35,
                                        "in1_input": 5000, "power1_input": 2_506_250} | files)


def test_an_ina226_in_its_own_units(tmp_path):
    source = survey_hwmon(config("hwmon", ina226(tmp_path)), Host(), "external meter")
    assert source.read() == pytest.approx(2506.25)
    assert source.facts.resolution == pytest.approx(6.25) and source.facts.offset_mw == pytest.approx(5.0)
    assert source.facts.gain_error == pytest.approx(0.012) and source.facts.lag_s == pytest.approx(0.070)


def test_a_shunt_that_the_user_measured_corrects_and_narrows(tmp_path):
    source = survey_hwmon(config("hwmon", ina226(tmp_path), shunt_uohm=10250), Host(), "external meter")
    assert source.read() == pytest.approx(2506.25 / 1.025) and source.facts.gain_error == pytest.approx(0.002)


def test_an_ina260_has_its_shunt_inside_and_an_ina219_no_interval(tmp_path):
    facts = survey_hwmon(config("hwmon", tree(tmp_path / "a", name="ina260", in1_input=5000, power1_input=0)),
                         Host(), "rail monitor").facts
    assert (facts.resolution, facts.offset_mw, facts.rails) == (10.0, 25.0, ("ina260",))
    facts = survey_hwmon(config("hwmon", tree(tmp_path / "b", name="ina219", in1_input=5000, power1_input=0,
                                              shunt_resistor=100_000)), Host(), "rail monitor").facts
    assert facts.resolution == pytest.approx(2.0) and facts.rate_hz == 10 and facts.lag_s < 0.003


@pytest.mark.parametrize("files, error, said", [
    ({"name": "coretemp"}, BadConfig, "is a 'coretemp'; known: ina219, ina226, ina260"),
    ({"shunt_resistor": 0}, BadConfig, "write the shunt's value"),
    ({"in1_input": "5 V"}, BadReply, "'5 V' where a whole number")])
def test_what_no_ina_would_say(tmp_path, files, error, said):
    with pytest.raises(error, match=said):
        survey_hwmon(config("hwmon", ina226(tmp_path, **files)), Host(), "external meter")


def test_the_only_ina_is_found_and_two_must_be_named(tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.device.meters.hwmon.FOLDER", str(tmp_path))
    with pytest.raises(DeviceUnavailable, match="0 power monitors.*modprobe ina2xx"):
        survey_hwmon(config("hwmon"), Host(), "external meter")
    ina226(tmp_path)
    tree(tmp_path / "hwmon0", name="coretemp")
    assert survey_hwmon(config("hwmon"), Host(), "external meter").read() > 0
    tree(tmp_path / "hwmon5", name="ina219")
    with pytest.raises(DeviceUnavailable, match="2 power monitors.*name one of them"):
        survey_hwmon(config("hwmon"), Host(), "external meter")


def test_a_real_tree_rewritten_by_a_thread_and_polled_by_another(tmp_path):
    """0.3 s at 1000 mW, the rest at 400: what the files said, when they said it."""
    folder, stop = ina226(tmp_path, power1_input=400_000, update_interval=1), threading.Event()
    begin = raw_clock_s() + 0.5

    def rewrite() -> None:
        while not stop.wait(0.002):
            active = begin <= raw_clock_s() < begin + 0.3
            (tmp_path / "next").write_text(f"{1_000_000 if active else 400_000}\n")
            (tmp_path / "next").rename(Path(folder) / "power1_input")

    board = threading.Thread(target=rewrite)
    board.start()
    meter = Polled(lambda: survey_hwmon(config("hwmon", folder, shunt_uohm=10000), Host(), "external meter"))
    try:
        meter.open()
        window = meter.window(begin - 0.35, begin + 0.65)
    finally:
        stop.set()
        meter.close()
        board.join()
    spans = np.diff(window.series.times_s)
    assert (spans > 0).all() and np.median(spans) == pytest.approx(0.1, rel=0.3)
    assert set(np.round(window.series.values)) == {400.0, 1000.0}


def test_a_polled_meter_that_goes_away_says_so_at_the_window(tmp_path):
    folder = ina226(tmp_path)
    meter = Polled(lambda: survey_hwmon(config("hwmon", folder), Host(), "external meter"))
    meter.open()
    (Path(folder) / "power1_input").unlink()
    with pytest.raises(DeviceUnavailable, match="power1_input: no such file"):
        meter.window(raw_clock_s(), raw_clock_s() + 0.05)
    meter.close()
    meter.close()


def test_readings_that_take_longer_than_a_period_are_dropped(tmp_path):
    source = survey_hwmon(config("hwmon", ina226(tmp_path)), Host(), "external meter")
    clock = iter(np.concatenate(([0.0, 0.0], [0.0, 0.5, 0.5, 0.5, 0.51, 0.6, 0.6, 0.61])))
    meter = Polled(lambda: source, now=lambda: float(next(clock)), sleep=lambda _: None)
    meter.begin()
    meter.poll()
    with pytest.raises(InvalidMeasurement):
        measure_energy(meter.window(0.5, 0.6), 1)
    assert meter.window(0.5, 0.6).series.dropped == 1


# RAPL

def package(tmp_path, **files) -> str:
    return tree(tmp_path / "intel-rapl:0", **{"name": "package-0", "energy_uj": 5_000_000,
                                              "max_energy_range_uj": 262_143_328_850} | files)


def test_rapl_counts_across_the_end_of_its_range(tmp_path):
    folder = package(tmp_path, max_energy_range_uj=1_000_000)
    meter = FileCounter(Host(), lambda system: survey_rapl(config("rapl", folder, gain_error=0.02), system))
    meter.open()
    (path,) = meter.files
    texts = ["900000", "950000", "10000", "60000", "20000"]
    meter.take({path: [Reading(10.0 + i, text) for i, text in enumerate(texts)]})
    assert list(meter.window(10.5, 12.5).series.values) == [900, 950, 1010, 1060, 2020]
    assert meter.facts.rails == ("package-0",) and meter.facts.clock == "device"


def test_rapl_is_for_root_only_unless_allowed(tmp_path):
    with pytest.raises(DeviceRefused, match="CVE-2020-8694.*sudo chmod o\\+r .*energy_uj"):
        survey_rapl(config("rapl", package(tmp_path), gain_error=0.02), ForbiddenSystem())


def test_a_machine_without_rapl_and_a_user_without_a_calibration(tmp_path):
    with pytest.raises(DeviceUnavailable, match="virtual machines and other processors"):
        survey_rapl(config("rapl", str(tmp_path / "none"), gain_error=0.02), Host())
    with pytest.raises(BadConfig, match=r"states no accuracy.*gain_error in \[meters.mine\]"):
        survey_rapl(config("rapl", package(tmp_path)), Host())


def test_readings_that_failed_are_dropped_and_readings_apart_refused(tmp_path):
    meter = FileCounter(Host(), lambda system: survey_rapl(
        config("rapl", package(tmp_path), gain_error=0.02), system))
    meter.open()
    (path,) = meter.files
    with pytest.raises(InvalidMeasurement, match="brought no readings"):
        meter.window(0, 1)
    with pytest.raises(BadReply, match="read its files 0 times"):
        meter.take({})
    meter.take({path: [Reading(0, "1000"), Reading(1, ""), Reading(2, "3000")]})
    assert meter.window(0, 2).series.dropped == 1 and list(meter.window(0, 2).series.values) == [1, 3]
    with pytest.raises(BadReply, match="where a whole number"):
        meter.take({path: [Reading(0, "x" * 200)]})


def test_a_runners_record_becomes_readings():
    watched = [Watched(0, 1_500_000_000, "7"), Watched(1, 1_500_001_000, errno=13),
               Watched(0, 2_000_000_000, "9")]
    assert readings_of(watched, ["/a", "/b"]) == {"/a": [Reading(1.5, "7"), Reading(2.0, "9")],
                                                  "/b": [Reading(1.500001, "")]}
    with pytest.raises(BadReply, match="file 1 of 1"):
        readings_of(watched, ["/a"])


def test_idle_reads_twice_on_the_hosts_clock(tmp_path):
    folder = package(tmp_path)

    def work(seconds: float) -> None:
        tree(Path(folder), energy_uj=5_000_000 + 3_000_000)
        time.sleep(seconds)

    meter = FileCounter(Host(), lambda system: survey_rapl(
        config("rapl", folder, gain_error=0.02), system), sleep=work)
    meter.open()
    window = meter.idle(0.05)
    assert window.facts.clock == "host" and list(np.diff(window.series.values)) == [3000.0]
    assert 0.05 <= window.seconds < 1


def test_a_counter_without_an_end_is_left_alone():
    assert list(unwrapped([1, 5, 3], None)) == [1, 5, 3]


# ODPM

ENERGY_VALUE = "t={t}\nCH0(T={t})[S10M_VDD_TPU], {a}\nCH1(T={t})[VSYS_PWR_MODEM], {b}"


def test_odpm_adds_the_rails_of_all_its_chips(tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.device.meters.odpm.FOLDER", str(tmp_path))
    for chip in ("iio:device0", "iio:device1"):
        tree(tmp_path / chip, energy_value=ENERGY_VALUE.format(t=100, a=4000, b=6000))
    tree(tmp_path / "iio:device2", name="accelerometer")
    meter = FileCounter(Host(), lambda system: survey_odpm(config("odpm", gain_error=0.02), system))
    meter.open()
    assert len(meter.files) == 2 and meter.facts.rails == ("S10M_VDD_TPU", "VSYS_PWR_MODEM") * 2
    assert meter.idle(0.001).series.values[0] == pytest.approx(20.0)
    other = ENERGY_VALUE.replace("TPU", "G3D").format(t=200, a=1, b=2)
    with pytest.raises(BadReply, match="does an app select rails"):
        meter.take({path: [Reading(0.0, other)] for path in meter.files})


@pytest.mark.parametrize("text", ["", "t=1", "t=x\nCH0(T=1)[A], 5", "t=1\nCH0(T=1)[A], -5",
                                  "t=1\nCH0(T=1)[A], 5;", "t=1\nCH0(T=1)[" + "A" * 41 + "], 5"])
def test_energy_values_that_no_driver_writes(text):
    with pytest.raises(BadReply, match="not as the driver writes it"):
        rails_of("/sys/x", text)


def test_a_phone_without_odpm(tmp_path):
    with pytest.raises(DeviceUnavailable, match="no energy_value"):
        survey_odpm(config("odpm", str(tmp_path), gain_error=0.02), Host())


# Raspberry Pi 5

PMIC = (" 3V7_WL_SW_A current(0)=0.10000000A\n  VDD_CORE_A current(7)=2.00000000A\n"
        " 3V7_WL_SW_V volt(8)=3.70000000V\n  VDD_CORE_V volt(15)=0.80000000V\n"
        "     EXT5V_V volt(24)=5.09066000V\n      BATT_V volt(25)=0.00000000V\n")


def test_rails_with_current_and_voltage_are_summed_and_the_5_volt_rail_is_left_out():
    assert powers_mw(PMIC) == pytest.approx({"3V7_WL_SW": 370.0, "VDD_CORE": 1600.0})
    system = Remote(Shell({("vcgencmd", "pmic_read_adc"): Finished(0, PMIC.encode(), b"")}))
    source = survey_pmic(config("pmic", gain_error=0.02), system)
    assert source.read() == pytest.approx(1970.0) and "5 V rail" in source.facts.note
    assert source.facts.rails == ("3V7_WL_SW", "VDD_CORE") and source.facts.tier == "rail monitor"


@pytest.mark.parametrize("line", [
    "VDD_CORE_A current(7)=nanA", "VDD_CORE_A volt(7)=1.0V", "VDD_CORE_A current(7)=1.0V",
    "error=1 error_msg=\"Command not registered\"", "A_A current(7)=-1.0A"])
def test_lines_that_vcgencmd_does_not_write(line):
    with pytest.raises(BadReply, match="pmic_read_adc"):
        powers_mw(PMIC + line)


def test_an_earlier_raspberry_pi_is_told_apart():
    system = Remote(Shell({("vcgencmd", "pmic_read_adc"): Finished(255, b"", b"")}))
    with pytest.raises(DeviceUnavailable, match="Raspberry Pi 5"):
        survey_pmic(config("pmic", gain_error=0.02), system)


# Fuel gauges

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


# Kinds

def test_an_emulated_board_has_no_energy():
    board = Board(target="raspberry_pi_4", transport="virtual", emulated=True, name="pi-virt")
    with pytest.raises(BadConfig, match="'pi-virt' is emulated.*has no energy; take 'mine' out"):
        meter_for(board, config("rapl", gain_error=0.02), Host())


@pytest.mark.parametrize("kind", METER)
def test_every_kind_is_made_without_touching_a_device(kind):
    board = Board(target="raspberry_pi_5", transport="ssh", name="pi")
    meter = meter_for(board, config(kind, "host:/sys/class/hwmon/hwmon9", supply_mv=3300), Host())
    assert all(callable(getattr(meter, name)) for name in ("open", "window", "close"))
    assert isinstance(meter, FileCounter) == (kind in ("rapl", "odpm", "charge_counter"))


def test_a_kind_that_is_not_there():
    with pytest.raises(BadConfig, match="no kind 'monsoon'; known: joulescope"):
        meter_for(Board(target="t", transport="local", name="b"), config("monsoon"), Host())


def test_an_hwmon_of_the_host_is_external_and_one_of_the_board_is_not(tmp_path):
    board = Board(target="t", transport="ssh", name="b")
    folder = ina226(tmp_path)
    outside = meter_for(board, config("hwmon", f"host:{folder}"), Remote(Shell({})))
    outside.begin()
    assert outside.facts.tier == "external meter" and outside.facts.rails == ("supply",)
    inside = meter_for(board, config("hwmon", folder), Host())
    inside.begin()
    assert inside.facts.tier == "rail monitor" and inside.facts.rails == ("ina226",)


def test_a_lost_device_keeps_its_own_error():
    class Gone:
        def start(self, argv, *, seconds, most_bytes):
            raise DeviceLost("pi: the connection broke")

    with pytest.raises(DeviceLost):
        survey_pmic(config("pmic", gain_error=0.02), Remote(Gone()))
