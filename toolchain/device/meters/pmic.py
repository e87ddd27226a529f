"""Raspberry Pi 5: `vcgencmd pmic_read_adc`, currents and voltages of its power chip's rails.

    VDD_CORE_A current(7)=0.75012000A
    VDD_CORE_V volt(15)=0.72178200V

A rail's power is its _A times its _V. EXT5V_V and BATT_V have no current: what hangs on the 5 V rail (USB,
HATs, the fan) is not seen, nor are the chip's own losses.
"""

import re

from toolchain.device.boards import MeterConfig
from toolchain.device.meters.calibration import stated_gain
from toolchain.device.meters.meter import Facts
from toolchain.device.meters.polled import Source
from toolchain.device.meters.system import System
from toolchain.errors import BadReply, DeviceUnavailable

COMMAND = ("vcgencmd", "pmic_read_adc")
ROW = re.compile(r"([A-Z0-9_]{1,30})_([AV]) (current|volt)\(\d{1,3}\)=(\d{1,3}\.\d{1,12})([AV])")
UNIT = {"A": "current", "V": "volt"}
RATE_HZ = 4.0
"""Each reading costs the board a process."""
LAG_S = 0.01


def survey_pmic(config: MeterConfig, system: System) -> Source:
    """Raises DeviceUnavailable where there is no such command or chip, BadReply, BadConfig."""
    gain = stated_gain(config, "Raspberry Pi")
    powers = _read(system)
    if not powers:
        raise DeviceUnavailable("vcgencmd pmic_read_adc: no rail with current and voltage; only a Raspberry "
                                "Pi 5 has them")
    facts = Facts(kind="pmic", tier="rail monitor", rails=tuple(powers), reads="instant", rate_hz=RATE_HZ,
                  resolution=0.0, gain_error=gain, offset_mw=0.0, lag_s=LAG_S,
                  note="the 5 V rail (USB, HATs, fan) and the converters' losses",
                  source="vcgencmd of Raspberry Pi OS; accuracy: the user's calibration")

    def read() -> float:
        return sum(_read(system).values())

    return Source(facts, read)


def _read(system: System) -> dict[str, float]:
    done = system.run(COMMAND)
    if done.code:
        raise DeviceUnavailable(f"vcgencmd pmic_read_adc ended with {done.code}; is this a Raspberry Pi 5, "
                                f"and the user in the group 'video'?")
    return powers_mw(done.stdout.decode("ascii", "replace"))


def powers_mw(text: str) -> dict[str, float]:
    """Rail -> mW, of rails with both a current and a voltage, in order of the currents. Raises BadReply."""
    values: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for line in text.splitlines():
        row = ROW.fullmatch(line.strip())
        if row is None or row[5] != row[2] or UNIT[row[2]] != row[3]:
            raise BadReply(f"vcgencmd pmic_read_adc: {line.strip()[:60]!r}")
        values[row[2]][row[1]] = float(row[4])
    amperes, volts = values["A"], values["V"]
    return {rail: amperes[rail] * volts[rail] * 1000 for rail in amperes if rail in volts}
