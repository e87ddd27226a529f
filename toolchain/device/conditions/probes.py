"""Which small files of a Linux kernel tell how fast its cores run, how warm they are and who else uses them.

Sources: the kernel's Documentation/admin-guide/pm/cpufreq.rst, ABI/testing/sysfs-class-thermal,
ABI/testing/sysfs-devices-system-cpu (thermal_throttle), filesystems/proc.rst, accounting/psi.rst; the
raspberrypi-firmware driver (get_throttled, hexadecimal without 0x).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import re

from toolchain.device.conditions.processor import processor
from toolchain.errors import BadReply

Value = int | float | str
WHOLE = re.compile(r"-?[0-9]{1,18}")
NAMED = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")
HEXADECIMAL = re.compile(r"(0x)?[0-9a-fA-F]{1,8}")
UPTIME = re.compile(r"([0-9]{1,12}\.[0-9]+) [0-9.]+")
LOAD = re.compile(r"([0-9]+\.[0-9]+) [0-9.]+ [0-9.]+ [0-9]+/[0-9]+ [0-9]+")
WAITED = re.compile(r"some avg10=[0-9.]+ avg60=[0-9.]+ avg300=[0-9.]+ total=([0-9]{1,18})")
TICKS = re.compile(r"cpu +((?:[0-9]{1,18} ){6,9}[0-9]{1,18})")


@dataclass(frozen=True)
class Probe:
    """A kind of file.

    key:     what it tells, with its unit
    pattern: its path; `*` stands for any part of one folder's name. What stands there is the value's place
    read:    its text -> the value
    watched: looked at while inferences run, too
    """

    key: str
    pattern: str
    read: Callable[[str], Value]
    watched: bool = False


def whole(text: str) -> int:
    """A decimal number. Raises BadReply, as all of these."""
    return int(_matching(WHOLE, text)[0])


def word(text: str) -> str:
    """One word of letters, digits and _.:+-"""
    return _matching(NAMED, text)[0]


def words(text: str) -> str:
    """Words with spaces between them."""
    return " ".join(word(part) for part in text.split())


def millicelsius(text: str) -> float:
    """Thousandths of a degree -> degrees Celsius."""
    return whole(text) / 1000


def bits(text: str) -> int:
    """A hexadecimal number, with 0x before it or without."""
    return int(_matching(HEXADECIMAL, text)[0], 16)


def uptime_s(text: str) -> float:
    """/proc/uptime: seconds since boot."""
    return float(_matching(UPTIME, text)[1])


def load_of_a_minute(text: str) -> float:
    """/proc/loadavg: tasks that ran or waited, the mean of a minute."""
    return float(_matching(LOAD, text)[1])


def waited_us(text: str) -> int:
    """/proc/pressure/cpu: microseconds since boot in which a task waited for a CPU."""
    return int(_matching(WAITED, text.split("\n", 1)[0])[1])


def ticks(text: str) -> str:
    """/proc/stat, of all CPUs: user, nice, system, idle, iowait, irq, softirq, steal, since boot."""
    return " ".join(_matching(TICKS, text.split("\n", 1)[0])[1].split()[:8])


def _matching(pattern: re.Pattern, text: str) -> re.Match:
    found = pattern.fullmatch(text.strip())
    if not found:
        raise BadReply(f"{text[:60]!r} is not of the form {pattern.pattern}")
    return found


POLICY = "/sys/devices/system/cpu/cpufreq/policy*"
ZONE = "/sys/class/thermal/thermal_zone*"
LINUX = (
    Probe("frequency_khz", f"{POLICY}/scaling_cur_freq", whole, watched=True),
    Probe("limit_khz", f"{POLICY}/scaling_max_freq", whole, watched=True),
    Probe("governor", f"{POLICY}/scaling_governor", word, watched=True),
    Probe("highest_khz", f"{POLICY}/cpuinfo_max_freq", whole),
    Probe("boost", "/sys/devices/system/cpu/cpufreq/boost", whole),
    Probe("no_turbo", "/sys/devices/system/cpu/intel_pstate/no_turbo", whole),
    Probe("temperature_celsius", f"{ZONE}/temp", millicelsius, watched=True),
    Probe("zone", f"{ZONE}/type", words),
    Probe("throttle_count", "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count", whole),
    Probe("machine", "/proc/cpuinfo", processor),
    Probe("uptime_s", "/proc/uptime", uptime_s),
    Probe("load", "/proc/loadavg", load_of_a_minute),
    Probe("ticks", "/proc/stat", ticks),
    Probe("waited_us", "/proc/pressure/cpu", waited_us),
)
FIRMWARE = "/sys/devices/platform/soc*/soc*:firmware"
RASPBERRY_PI = (Probe("throttled", f"{FIRMWARE}/get_throttled", bits, watched=True), *LINUX)
PROBES: Mapping[str, tuple[Probe, ...]] = {
    "linux": LINUX, "host": LINUX, "raspberry-pi": RASPBERRY_PI, "android": LINUX}
"""A target's family -> what is looked at."""


def probes(family: str) -> tuple[Probe, ...]:
    """Those of a family; any Linux's where it has none of its own."""
    return PROBES.get(family, LINUX)
