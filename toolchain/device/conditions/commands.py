"""What devices tell about themselves through programs of their own: vcgencmd and dumpsys."""

from collections.abc import Callable, Mapping
from itertools import takewhile
import re

from toolchain.device.conditions.probes import Value, bits
from toolchain.errors import BadReply

Values = dict[str, dict[str, Value]]
"""Key -> place -> value, as Probe says; "" where there is one place only."""

NOW = {0: "under-voltage", 1: "ARM frequency capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_BOOT = 16
"""Bit n + 16 of get_throttled: n has occurred since boot. Source: Raspberry Pi's page on vcgencmd."""

STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's thermal status (android.hardware.thermal 2.0, ThrottlingSeverity)."""
KINDS = {0: "CPU", 1: "GPU", 2: "battery", 3: "skin"}
"""Of dumpsys's temperatures (TemperatureType); those of other types need not be degrees."""

THROTTLED = re.compile(r"throttled=(0x[0-9a-fA-F]{1,8})")
TEMPERATURE = re.compile(r"temp=(-?[0-9]{1,3}(?:\.[0-9])?)'C")
PRODUCT = re.compile(r"([ -~]{0,100})")
CLOCK = re.compile(r"frequency\([0-9]{1,2}\)=([0-9]{1,11})")
THERMAL_STATUS = re.compile(r"^Thermal Status: ([0-6])$", re.MULTILINE)
CURRENT = "Current temperatures from HAL:"
READING = re.compile(r"\s*Temperature\{mValue=(-?[0-9]+(?:\.[0-9]+)?(?:E-?[0-9]+)?|NaN), "
                     r"mType=(-?[0-9]{1,2}), mName=([^,{}]{1,64}), mStatus=([0-6])\}")
BATTERY = {"level": "battery_percent", "status": "battery_status", "temperature": "battery_decicelsius"}


def throttled_bits(text: str) -> Values:
    """`vcgencmd get_throttled`. Raises BadReply, as all of these."""
    return {"throttled": {"": bits(_match(THROTTLED, text))}}


def chip_temperature(text: str) -> Values:
    """`vcgencmd measure_temp`."""
    return {"chip_celsius": {"": float(_match(TEMPERATURE, text))}}


def arm_clock(text: str) -> Values:
    """`vcgencmd measure_clock arm`: what the firmware measures, not what cpufreq asked for."""
    return {"arm_hz": {"": int(_match(CLOCK, text))}}


def thermal_service(text: str) -> Values:
    """`dumpsys thermalservice`: the status, and the CPU's, GPU's, battery's and skin's temperatures.

    Of the readings only the HAL's current ones: those it lists as cached may be hours old. A phone without a
    thermal HAL has none.
    """
    status = THERMAL_STATUS.search(text)
    if not status:
        raise BadReply("dumpsys thermalservice: no line 'Thermal Status: 0' to 6")
    found: dict[str, Value] = {}
    for line in _current(text):
        reading = READING.fullmatch(line)
        if not reading:
            raise BadReply(f"dumpsys thermalservice: {line.strip()[:80]!r} is no temperature")
        if (kind := int(reading[2])) in KINDS and reading[1] != "NaN":
            found[f"{KINDS[kind]} {reading[3]}"] = float(reading[1])
    return {"thermal_status": {"": int(status[1])}, **({"skin_celsius": found} if found else {})}


def _current(text: str) -> list[str]:
    """The lines under the heading of current readings, up to the next heading."""
    if CURRENT not in text:
        return []
    lines = text.split(CURRENT, 1)[1].splitlines()[1:]
    return list(takewhile(lambda line: line.lstrip().startswith("Temperature{"), lines))


def product(text: str) -> Values:
    """`getprop ro.product.model`: as the maker names it; not its serial number."""
    name = _match(PRODUCT, text)
    return {"product": {"": name}} if name else {}


def battery(text: str) -> Values:
    """`dumpsys battery`: percent, status (2 charging, 3 discharging, 5 full), tenths of a degree."""
    found: Values = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(": ")
        if name in BATTERY:
            if not re.fullmatch(r"-?[0-9]{1,5}", value):
                raise BadReply(f"dumpsys battery: {line.strip()[:80]!r} is no number")
            found[BATTERY[name]] = {"": int(value)}
    return found


def low_power(text: str) -> Values:
    """`settings get global low_power`: 1 in battery saver, which caps clocks; null where it was never set."""
    if text.strip() not in ("0", "1", "null"):
        raise BadReply(f"settings get global low_power: {text.strip()[:60]!r} is neither 0 nor 1")
    return {"battery_saver": {"": int(text.strip() == "1")}}


def _match(pattern: re.Pattern, text: str) -> str:
    found = pattern.fullmatch(text.strip())
    if not found:
        raise BadReply(f"{text.strip()[:60]!r} is not of the form {pattern.pattern}")
    return found[1]


VCGENCMD = {("vcgencmd", "get_throttled"): throttled_bits, ("vcgencmd", "measure_temp"): chip_temperature,
            ("vcgencmd", "measure_clock", "arm"): arm_clock}
DUMPSYS = {("dumpsys", "thermalservice"): thermal_service, ("dumpsys", "battery"): battery,
           ("settings", "get", "global", "low_power"): low_power,
           ("getprop", "ro.product.model"): product}
COMMANDS: Mapping[str, Mapping[tuple[str, ...], Callable[[str], Values]]] = {
    "raspberry-pi": VCGENCMD, "android": DUMPSYS}
"""A target's family -> command line -> what reads its answer."""


def flags_now(value: int) -> list[str]:
    """The conditions that hold, in words."""
    return [name for bit, name in NOW.items() if value >> bit & 1]


def flags_since_boot(value: int) -> list[str]:
    """Those that held at some time since boot."""
    return flags_now(value >> SINCE_BOOT)
