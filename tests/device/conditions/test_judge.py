"""Conditions under which figures do not stand, each with its values and a remedy; and those that are fine."""

from pathlib import Path

import pytest

from tests.device.conditions.recorded import PHONE, PI, PIXEL
from tests.device.conditions.trees import PC, PI5, STAT, VM, Device, plant
from toolchain.device.conditions.history import History, history
from toolchain.device.conditions.judge import NOT_THERE, judge
from toolchain.device.conditions.limits import Limits
from toolchain.device.conditions.look import look, watch_paths
from toolchain.errors import BadReply

POLICY = "sys/devices/system/cpu/cpufreq/policy0"
CLOCK, LIMIT, GOVERNOR = (f"{POLICY}/{name}" for name in
                          ("scaling_cur_freq", "scaling_max_freq", "scaling_governor"))
FIRMWARE = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
TEMPERATURE = "sys/class/thermal/thermal_zone0/temp"
QUIET = {"proc/uptime": "10002.00 39005.00", "proc/stat": STAT.format(user=100200, idle=9000600, steal=0)}
"""Two seconds later, with one CPU of four busy: by us."""
STEADY = {CLOCK: ["2400000"] * 8, LIMIT: ["2400000"] * 8, FIRMWARE: ["0"] * 8, TEMPERATURE: ["55000"] * 8}


def run(tmp_path: Path, files: dict = PI5, family: str = "raspberry-pi", during: dict = STEADY,
        after: dict = QUIET, programs: dict = PI, then: dict | None = None) -> History:
    """Files before the run, what is watched during it, files that differ after it; programs before, then."""
    root = plant(tmp_path / "device", files)
    before = look(Device(programs), family, root)
    paths = watch_paths(before)
    watched = [(paths.index(f"{root}/{name}"), 250_000_000 * turn, text)
               for name, texts in during.items() for turn, text in enumerate(texts)]
    plant(tmp_path / "device", after)
    return history(before, paths, watched, look(Device(programs if then is None else then), family, root))


def problems(seen: History, own_cpu_s: float = 2.0) -> tuple[str, ...]:
    return judge(seen, own_cpu_s).problems


def test_a_cool_pi_at_full_clock_is_fine(tmp_path):
    judged = judge(run(tmp_path), 2.0)
    assert judged.problems == ()
    assert judged.notes == (
        "the governor is ondemand, not performance: what runs after a rest is slower at first",)
    assert judged.facts == {
        "machine": "Raspberry Pi 5 Model B Rev 1.0, Cortex-A76",
        "governor": "ondemand", "clock_lowest_mhz": 2400, "clock_highest_mhz": 2400, "celsius_before": 52.7,
        "celsius_after": 52.7, "celsius_most": 55.0, "throttled": "throttled 0x0", "load_before": 0.08,
        "others_cpus": 0.0, "steal": 0.0, "cpu_waited": 0.0, "battery_percent": NOT_THERE}


@pytest.mark.parametrize("name, texts, problem", [
    (CLOCK, ["2400000"] * 4 + ["1500000"] * 4,
     "the clock fell to 62% of its limit during the run (90% needed); set the governor to performance, cool "
     "the device"),
    (CLOCK, ["1500000"] * 8, "the clock never came above 62% of its limit (90% needed); set the governor to "
                             "performance, cool the device"),
    (LIMIT, ["2400000"] * 4 + ["1800000"] * 4,
     "policy0: the clock's limit moved between 1,800 and 2,400 MHz; cool the device, stop what sets it"),
    (GOVERNOR, ["ondemand", "performance"],
     "policy0: the governor changed during the run (ondemand, performance); stop what changes it"),
    (FIRMWARE, ["0"] * 4 + ["80008"] + ["80000"] * 3,
     "the firmware reports soft temperature limit during the run (get_throttled 0x80008); cool the board, "
     "use a supply of 5 V that holds"),
    (TEMPERATURE, ["55000"] * 4 + ["81200"],
     "the processor was at 81.2 C, 80 C is the most; cool the device")])
def test_what_is_watched(tmp_path, name, texts, problem):
    assert problems(run(tmp_path, during={**STEADY, name: texts})) == (problem,)


def test_a_governor_may_need_a_moment(tmp_path):
    assert problems(run(tmp_path, during={**STEADY, CLOCK: ["1500000"] + ["2400000"] * 7})) == ()


def test_one_fast_core_of_several_is_enough(tmp_path):
    """Those that infer nothing rest at a low clock."""
    during = {CLOCK: ["800000"] * 4, CLOCK.replace("policy0", "policy1"): ["3600000"] * 4}
    after = {"proc/uptime": "10002.00 19002.00", "proc/stat": STAT.format(user=100200, idle=9000200, steal=0)}
    assert problems(run(tmp_path, PC, "host", during, after, {})) == ()


@pytest.mark.parametrize("file, value", [("cpufreq/boost", "1"), ("intel_pstate/no_turbo", "0")])
def test_a_boost_need_not_be_reached_but_kept(tmp_path, file, value):
    pc = {**PC, f"sys/devices/system/cpu/{file}": value}
    after = {"proc/uptime": "10002.00 19002.00", "proc/stat": STAT.format(user=100200, idle=9000200, steal=0)}
    judged = judge(run(tmp_path / "kept", pc, "host", {CLOCK: ["2700000"] * 4}, after, {}), 2.0)
    assert judged.problems == ()
    assert judged.notes == ("clocks boost: the fastest core ran at 75% to 75% of the highest",)
    fell = run(tmp_path / "fell", pc, "host", {CLOCK: ["2700000"] * 4 + ["2000000"]}, after, {})
    assert problems(fell) == ("the clock fell to 56% of its limit during the run (68% needed); set the "
                              "governor to performance, cool the device",)


def test_throttling_between_two_looks_leaves_its_mark(tmp_path):
    (problem,) = problems(run(tmp_path, after={**QUIET, FIRMWARE: "40000"}))
    assert problem.startswith("the firmware reports throttled during the run (get_throttled 0x40000)")


def test_throttling_before_the_run_is_a_note(tmp_path):
    marked = {**PI5, FIRMWARE: "50000", GOVERNOR: "performance"}
    judged = judge(run(tmp_path, marked, during={**STEADY, FIRMWARE: ["50000"]}), 2.0)
    assert judged.problems == ()
    assert judged.notes == ("before this run, since boot, the firmware reported under-voltage, throttled",)


def test_a_limit_that_a_user_set_is_a_note(tmp_path):
    limited = {**PI5, LIMIT: "1800000", GOVERNOR: "performance"}
    judged = judge(run(tmp_path, limited, during={CLOCK: ["1800000"], LIMIT: ["1800000"]}), 2.0)
    assert judged.problems == () and judged.notes == ("policy0: the clock is limited to 1,800 MHz of 2,400",)


def test_x86_counts_its_throttling(tmp_path):
    count = "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count"
    judged = judge(run(tmp_path, PC, "host", {}, {count: "9"}, {}), 2.0)
    assert judged.problems == (
        "the processor throttled 2 times during the run (core_throttle_count); cool it",)
    assert judged.notes == () and judged.facts["throttled"] == "throttle count 7, 9"


@pytest.mark.parametrize("after, own_cpu_s, problem", [
    ({"proc/stat": STAT.format(user=100400, idle=9000400, steal=0)}, 2.0,
     "other programs kept 1.00 CPUs busy, 0.50 are the most; end them"),
    ({"proc/stat": STAT.format(user=100200, idle=9000560, steal=40)}, 2.0,
     "the hypervisor gave 5.0% of the CPU time to others, 1% is the most; measure when its host is idle"),
    ({"proc/pressure/cpu": "some avg10=9.00 avg60=1.00 avg300=0.00 total=5600000"}, 2.0,
     "tasks waited for a CPU in 30% of the time, 25% is the most; end what else runs")])
def test_others_on_the_cpus(tmp_path, after, own_cpu_s, problem):
    assert problems(run(tmp_path, after={**QUIET, **after}), own_cpu_s) == (problem,)


@pytest.mark.parametrize("command, answer, problem", [
    ("dumpsys thermalservice", PIXEL.replace("Status: 0\nC", "Status: 2\nC"),
     "Android's thermal status was 2 (moderate), 0 (none) is needed; let the phone cool down"),
    ("dumpsys battery", "  level: 12\n", "the battery is at 12 %; under 20 % phones slow down: charge it"),
    ("settings get global low_power", "1\n", "battery saver is on, which caps clocks; switch it off")])
def test_a_phone_that_slows_down(tmp_path, command, answer, problem):
    seen = run(tmp_path, {}, "android", {}, {}, PHONE, then={**PHONE, command: answer})
    assert problems(seen) == (problem,)
    assert judge(run(tmp_path, {}, "android", {}, {}, PHONE)).problems == ()


def test_what_a_virtual_machine_has_not_is_never_fine(tmp_path):
    after = {"proc/uptime": "502.00 903.00", "proc/stat": STAT.format(user=1200, idle=90100, steal=10)}
    judged = judge(run(tmp_path, VM, "host", {}, after, {}), 2.0)
    assert judged.problems == ()
    missing = {key for key, value in judged.facts.items() if value == NOT_THERE}
    assert missing == {"machine", "governor", "clock_lowest_mhz", "clock_highest_mhz", "celsius_before",
                       "celsius_after", "celsius_most", "throttled", "cpu_waited", "battery_percent"}
    assert judged.facts["steal"] == 0.0 and judged.facts["load_before"] == 0.3


def test_limits_are_the_caller_s(tmp_path):
    assert judge(run(tmp_path), 2.0, Limits(celsius=50)).problems == (
        "the processor was at 55.0 C, 50 C is the most; cool the device",)


def test_a_record_of_files_that_nobody_asked_for(tmp_path):
    before = look(Device(PI), "raspberry-pi", plant(tmp_path, PI5))
    with pytest.raises(BadReply, match=r"^the runner tells of watched file 1; it was given 1$"):
        history(before, watch_paths(before)[:1], [(1, 0, "0")], before)
    with pytest.raises(BadReply, match="scaling_cur_freq: 'warp' is not of the form"):
        history(before, watch_paths(before), [(1, 0, "warp")], before)


def test_files_of_a_meter_are_no_conditions(tmp_path):
    before = look(Device(PI), "raspberry-pi", plant(tmp_path, PI5))
    seen = history(before, ("/sys/class/hwmon/hwmon1/power1_input", *watch_paths(before)),
                   [(0, 5, "3000000"), (2, 5, "2400000"), (2, 9, None)], before)
    assert seen.during == {"frequency_khz": {"policy0": [(5, 2400000)]}}
