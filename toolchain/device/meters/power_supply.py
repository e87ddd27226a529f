"""The battery's fuel gauge: /sys/class/power_supply/*, Documentation/ABI/testing/sysfs-class-power.

The ABI says microvolts, microamperes (negative while discharging), microampere-hours, microwatt-hours.
Vendors deviate in unit and sign, so both are told from what a battery can deliver, and refused where that
does not say. Gauges renew their readings once a second or slower.
"""

from collections.abc import Sequence

from toolchain.device.boards import MeterConfig
from toolchain.device.meters.calibration import stated_gain
from toolchain.device.meters.counter import Counter
from toolchain.device.meters.meter import Facts
from toolchain.device.meters.polled import Source
from toolchain.device.meters.system import System, number_of
from toolchain.errors import BadReply, DeviceUnavailable, InvalidMeasurement

FOLDER = "/sys/class/power_supply"
RATE_HZ = 1.0
LAG_S = 2.0
"""A mean of one second that stands for the next one."""
LEAST_MW, MOST_MW = 50, 40_000
"""What a running phone or laptop can take from its battery."""
LEAST_MV, MOST_MV = 2_500, 26_000
"""One to six cells."""
CHARGES = ("charge_counter", "charge_now")
"""uAh; Android's name, and the ABI's."""
NOTE = "the battery's own loss; the gauge's readings are means over an unknown time"


def survey_power_supply(config: MeterConfig, system: System) -> Source:
    """current_now times voltage_now. config.address: the battery's folder; the only one's where it is empty.

    Raises DeviceUnavailable, InvalidMeasurement where it charges or its unit cannot be told, BadConfig.
    """
    folder, gain = _battery(config, system), stated_gain(config, "the phone's maker")
    volt_step = _volt_step(_number(system, folder, "voltage_now"))
    current = _number(system, folder, "current_now")
    ampere_step = _ampere_step(current, _number(system, folder, "voltage_now") * volt_step)
    falls = current < 0

    def read() -> float:
        _check_discharging(system, folder)
        now = _number(system, folder, "current_now")
        if (now < 0) != falls and now:
            raise InvalidMeasurement(f"{folder}/current_now changed its sign; was it plugged in?")
        return abs(now) * ampere_step * _number(system, folder, "voltage_now") * volt_step / 1000

    facts = Facts(kind="power_supply", tier="fuel gauge", rails=("supply",), reads="instant", rate_hz=RATE_HZ,
                  resolution=ampere_step * _number(system, folder, "voltage_now") * volt_step / 1000,
                  gain_error=gain, offset_mw=0.0, lag_s=LAG_S, note=NOTE,
                  source="sysfs-class-power; accuracy: the user's calibration")
    return Source(facts, read)


def survey_charge_counter(config: MeterConfig, system: System) -> Counter:
    """energy_now where there is one, else charge_counter or charge_now with voltage_now.

    Raises as survey_power_supply.
    """
    folder, gain = _battery(config, system), stated_gain(config, "the phone's maker")
    there = system.names(folder)
    charge = next((name for name in CHARGES if name in there), None)
    if "energy_now" not in there and charge is None:
        raise DeviceUnavailable(f"{folder}: neither energy_now nor {' nor '.join(CHARGES)}")
    names = ("energy_now", "status") if "energy_now" in there else (charge, "status", "voltage_now")
    files = tuple(f"{folder}/{name}" for name in names)
    facts = Facts(kind="charge_counter", tier="fuel gauge", rails=("supply",), reads="counter",
                  rate_hz=RATE_HZ, resolution=0.0, gain_error=gain, offset_mw=0.0, lag_s=LAG_S,
                  clock="device", note=NOTE,
                  source="sysfs-class-power; step, age: its readings'; accuracy: the user's calibration")

    def decode(rows: Sequence[Sequence[str]]) -> list[float]:
        for row in rows:
            _refuse_unless_discharging(folder, row[1])
        left = [number_of(files[0], row[0]) for row in rows]
        if len(names) == 2:
            return [-energy_uwh * 3.6 for energy_uwh in left]
        volts = [number_of(files[2], row[2]) for row in rows]
        return _charge_mj(left, [volt * _volt_step(volt) for volt in volts])

    return Counter(facts, files, decode, held=True)


def _charge_mj(left_uah: list[int], millivolts: list[float]) -> list[float]:
    """Used up to each reading: charge since the one before, at the mean of both voltages."""
    total = [0.0]
    for i in range(1, len(left_uah)):
        used_mc = (left_uah[i - 1] - left_uah[i]) * 3.6
        total.append(total[-1] + used_mc * (millivolts[i - 1] + millivolts[i]) / 2 / 1000)
    return total


def _battery(config: MeterConfig, system: System) -> str:
    folders = [config.address] if config.address else [
        folder for name in system.names(FOLDER) if _is_battery(system, folder := f"{FOLDER}/{name}")]
    if len(folders) != 1:
        raise DeviceUnavailable(f"{FOLDER}: {len(folders)} batteries {', '.join(folders)}; name one of them "
                                f"as the meter's address")
    _check_discharging(system, folders[0])
    return folders[0]


def _is_battery(system: System, folder: str) -> bool:
    try:
        return system.read(f"{folder}/type") == "Battery"
    except DeviceUnavailable:
        return False


def _check_discharging(system: System, folder: str) -> None:
    _refuse_unless_discharging(folder, system.read(f"{folder}/status"))


def _refuse_unless_discharging(folder: str, status: str) -> None:
    if status != "Discharging":
        raise InvalidMeasurement(f"{folder}: status is '{status[:20]}'; a gauge sees the device's power only "
                                 f"while it runs from its battery: unplug it, and reach it over Wi-Fi")


def _number(system: System, folder: str, name: str) -> int:
    return number_of(f"{folder}/{name}", system.read(f"{folder}/{name}"))


def _volt_step(value: int) -> float:
    """mV of one step of voltage_now."""
    steps = [step for step in (0.001, 1.0) if LEAST_MV <= value * step <= MOST_MV]
    if not steps:
        raise BadReply(f"voltage_now is {value}: no battery's in microvolts, nor in millivolts")
    return steps[0]


def _ampere_step(value: int, millivolts: float) -> float:
    """mA of one step of current_now: microamperes, or milliamperes, whichever a battery can deliver."""
    steps = [step for step in (0.001, 1.0) if LEAST_MW <= abs(value) * step * millivolts / 1000 <= MOST_MW]
    if len(steps) != 1:
        raise InvalidMeasurement(f"current_now is {value} at {millivolts / 1000:.2f} V, and its unit cannot "
                                 f"be told: neither so many microamperes nor milliamperes make {LEAST_MW} to "
                                 f"{MOST_MW:,} mW; load the device a little, or use another meter")
    return steps[0]
