"""A look at a device through its own ls and grep, and which files are worth watching."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from tests.device.conditions.recorded import PHONE, PI
from tests.device.conditions.trees import PC, PI5, VM, Device, plant
from toolchain.device.conditions.look import is_core, look, watch_paths
from toolchain.device.conditions.probes import LINUX, PROBES, bits, millicelsius, probes, ticks, waited_us
from toolchain.errors import BadReply


def test_a_raspberry_pi(tmp_path):
    found = look(Device(PI), "raspberry-pi", plant(tmp_path, PI5)).values
    assert found["governor"] == {"policy0": "ondemand"} and found["highest_khz"] == {"policy0": 2400000}
    assert found["temperature_celsius"] == {"thermal_zone0": 52.65}
    assert found["zone"] == {"thermal_zone0": "cpu-thermal"}
    assert list(found["throttled"].values()) == [0] and found["chip_celsius"] == {"": 52.7}
    assert found["load"] == {"": 0.08} and found["waited_us"] == {"": 5000000}
    assert found["ticks"] == {"": "100000 1200 30000 9000000 500 0 800 0"}


def test_the_firmware_s_file_is_watched_first(tmp_path):
    root = plant(tmp_path, PI5)
    paths = [path.removeprefix(root) for path in watch_paths(look(Device(PI), "raspberry-pi", root))]
    policy = "/sys/devices/system/cpu/cpufreq/policy0"
    assert paths == ["/sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled",
                     f"{policy}/scaling_cur_freq", f"{policy}/scaling_max_freq",
                     "/sys/class/thermal/thermal_zone0/temp", f"{policy}/scaling_governor"]


def test_without_the_file_its_program_tells_of_throttling(tmp_path):
    files = {name: text for name, text in PI5.items() if "get_throttled" not in name}
    device = Device({"vcgencmd get_throttled": "throttled=0x50000\n"})
    found = look(device, "raspberry-pi", plant(tmp_path, files))
    assert found.values["throttled"] == {"": 0x50000}


def test_clocks_and_the_processor_s_heat_are_watched_and_no_other_heat(tmp_path):
    paths = " ".join(watch_paths(look(Device(), "host", plant(tmp_path, PC))))
    assert "policy0/scaling_cur_freq" in paths and "policy1/scaling_cur_freq" in paths
    assert "thermal_zone1/temp" in paths and "thermal_zone0" not in paths


@pytest.mark.parametrize("zone, core", [
    ("cpu-thermal", True), ("cpu-0-1-usr", True), ("x86_pkg_temp", True), ("BIG", True),
    ("soc-thermal", True), ("soc", False),
    ("battery", False), ("vdroop1", False), ("INT3400 Thermal", False), ("acpitz", False)])
def test_which_zones_are_the_processor_s(zone, core):
    assert is_core(zone) == core


def test_a_virtual_machine_has_no_clocks_and_says_so_by_their_absence(tmp_path):
    found = look(Device(), "host", plant(tmp_path, VM))
    assert not found.values.keys() & {"governor", "frequency_khz", "temperature_celsius", "throttled"}
    assert watch_paths(found) == () and found.values["load"] == {"": 0.3}


def test_a_phone(tmp_path):
    found = look(Device(PHONE), "android", plant(tmp_path, {})).values
    assert found == {"thermal_status": {"": 0}, "battery_percent": {"": 84}, "battery_status": {"": 2},
                     "battery_decicelsius": {"": 296}, "battery_saver": {"": 0}, "product": {"": "Pixel 8"},
                     "skin_celsius": found["skin_celsius"]}


def test_no_more_files_than_a_runner_watches(tmp_path):
    many = {f"sys/class/thermal/thermal_zone{i}/{name}": text for i in range(40)
            for name, text in (("type", f"cpu-{i}"), ("temp", str(30000 + 1000 * i)))}
    paths = watch_paths(look(Device(), "android", plant(tmp_path, many)))
    assert len(paths) == 16 and paths[0].endswith("thermal_zone39/temp")


def test_what_a_driver_cannot_tell_is_not_there(tmp_path):
    files = {**PC, "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "<unknown>"}
    assert list(look(Device(), "host", plant(tmp_path, files)).values["frequency_khz"]) == ["policy1"]


def test_garbage_names_its_file(tmp_path):
    files = {**PI5, "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "fast"}
    with pytest.raises(BadReply) as error:
        look(Device(), "raspberry-pi", plant(tmp_path, files))
    assert str(error.value) == ("/sys/devices/system/cpu/cpufreq/policy*/scaling_cur_freq: 'fast' is not of "
                                "the form -?[0-9]{1,18}")


def test_this_host():
    """Whatever it is: its own files are read, and what it has is what its kernel shows."""
    found = look(Device(), "host").values
    assert 0 <= found["load"][""] < 1000 and found["uptime_s"][""] > 0
    assert len(found["ticks"][""].split()) == 8


def test_every_family_has_its_files():
    assert probes("raspberry-pi")[0].key == "throttled" and probes("unheard of") == LINUX
    keys = [probe.key for probe in PROBES["raspberry-pi"]]
    assert len(keys) == len(set(keys))


def test_kernel_s_numbers():
    assert (bits("50000"), bits("0x50005"), millicelsius("-1500\n")) == (0x50000, 0x50005, -1.5)
    assert ticks("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1\n") == "1 2 3 4 5 6 7 8"
    assert waited_us("some avg10=0.00 avg60=0.12 avg300=0.05 total=42\nfull avg10=0.00") == 42


@given(st.text(max_size=200), st.sampled_from(PROBES["raspberry-pi"]))
def test_no_text_breaks_a_reader(text, probe):
    try:
        value = probe.read(text)
    except BadReply:
        return
    assert isinstance(value, int | float | str)
