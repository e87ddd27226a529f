"""TI's INA219, INA226 and INA260 through Linux: /sys/class/hwmon/hwmonN, on the host or on the device.

Files and units: Documentation/hwmon/ina2xx.rst (power1_input uW, in1_input mV, shunt_resistor uOhm,
update_interval ms). The chip multiplies current and voltage. A result is the mean of one interval, and stands
for the next one: what it holds is up to two intervals old.
"""

from collections.abc import Callable
from dataclasses import dataclass

from toolchain.device.boards import MeterConfig
from toolchain.device.meters.meter import Facts
from toolchain.device.meters.polled import Source
from toolchain.device.meters.system import System, number_of
from toolchain.errors import BadConfig, DeviceUnavailable
from toolchain.measurement import Tier

FOLDER = "/sys/class/hwmon"
MOST_HZ = 10.0
"""Readings a second; each costs the device that is read a process, where it is not the host."""
SHUNT_ERROR = 0.01
"""Limits of a shunt whose value nobody measured: the usual 1 % part."""


@dataclass(frozen=True)
class Chip:
    """What a data sheet says.

    gain_error:     of current and voltage together, 25 degrees Celsius
    offset_uv:      of the shunt's voltage, limits; offset_ma where the shunt is inside
    power_step_uv:  one step of power1_input, times the shunt, at 1 V: power LSB / current LSB x shunt LSB
    conversion_s:   of current and voltage, without averaging
    """

    gain_error: float
    power_step_uv: float
    conversion_s: float
    source: str
    offset_uv: float = 0.0
    offset_ma: float = 0.0
    shunt_uohm: int | None = None


CHIP = {
    "ina219": Chip(0.01, 20 * 10, 2 * 586e-6, "TI SBOS448G, 7.5 and 8.5.1", offset_uv=200),
    "ina226": Chip(0.002, 25 * 2.5, 2 * 1.21e-3, "TI SBOS547B, 6.5 and 7.5", offset_uv=10),
    "ina260": Chip(0.0025, 10 * 2.0, 2 * 1.21e-3, "TI SBOS656C, 7.5", offset_ma=5.0, shunt_uohm=2000)}


def survey_hwmon(config: MeterConfig, system: System, tier: Tier) -> Source:
    """Find the chip; config.address names its folder, or is empty where there is one only.

    config.shunt_uohm: the shunt as the user measured it, where the kernel was told another
    Raises DeviceUnavailable, BadConfig.
    """
    folder = config.address or _only_folder(system)
    name = system.read(f"{folder}/name")
    if name not in CHIP:
        raise BadConfig(f"meter '{config.name}': {folder} is a '{name}'; known: {', '.join(CHIP)}")
    chip, shunt = CHIP[name], _shunt(config, system, folder, CHIP[name])
    millivolts = number_of(f"{folder}/in1_input", system.read(f"{folder}/in1_input"))
    interval_s = _interval(system, folder, chip)
    known = chip.gain_error + (0 if config.shunt_uohm or chip.shunt_uohm else SHUNT_ERROR)
    offset_ma = abs(config.offset_ma) or chip.offset_ma or chip.offset_uv / shunt.true_uohm * 1000
    outside = tier == "external meter"
    facts = Facts(kind="hwmon", tier=tier, rails=("supply" if outside else name,),
                  reads="instant", lag_s=2 * interval_s, rate_hz=min(1 / interval_s, MOST_HZ),
                  resolution=chip.power_step_uv / shunt.set_uohm * 1000,
                  gain_error=config.gain_error or known, offset_mw=offset_ma * millivolts / 1000,
                  source=f"{name}: {chip.source}",
                  note="the shunt's own loss" if outside else "other rails than the chip's")
    return Source(facts, _reader(system, f"{folder}/power1_input", shunt.scale))


@dataclass(frozen=True)
class _Shunt:
    """Micro-ohms: as the kernel was told, and as it is."""

    set_uohm: int
    true_uohm: int

    @property
    def scale(self) -> float:
        return self.set_uohm / self.true_uohm


def _shunt(config: MeterConfig, system: System, folder: str, chip: Chip) -> _Shunt:
    if chip.shunt_uohm:
        return _Shunt(chip.shunt_uohm, chip.shunt_uohm)
    path = f"{folder}/shunt_resistor"
    value = number_of(path, system.read(path))
    if value <= 0:
        raise BadConfig(f"{path} is {value} uOhm; write the shunt's value into it")
    return _Shunt(value, config.shunt_uohm or value)


def _interval(system: System, folder: str, chip: Chip) -> float:
    """Seconds between two results: averaging times conversion. An INA219 has no such file; it averages 1."""
    path = f"{folder}/update_interval"
    try:
        return max(number_of(path, system.read(path)) / 1000, chip.conversion_s)
    except DeviceUnavailable:
        return chip.conversion_s


def _reader(system: System, path: str, scale: float) -> Callable[[], float]:
    return lambda: number_of(path, system.read(path)) * scale / 1000


def _only_folder(system: System) -> str:
    folders = [f"{FOLDER}/{name}" for name in system.names(FOLDER)]
    found = [folder for folder in folders if _name_of(system, folder) in CHIP]
    if len(found) == 1:
        return found[0]
    raise DeviceUnavailable(
        f"{FOLDER}: {len(found)} power monitors ({', '.join(CHIP)}); "
        + ("name one of them as the meter's address: " + ", ".join(found) if found else
           "load the driver: modprobe ina2xx, echo ina226 0x40 > /sys/bus/i2c/devices/i2c-1/new_device"))


def _name_of(system: System, folder: str) -> str:
    try:
        return system.read(f"{folder}/name")
    except DeviceUnavailable:
        return ""
