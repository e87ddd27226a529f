"""Android's on-device power rails monitor (ODPM), on Pixel 6 and later: energy counters of rails.

/sys/bus/iio/devices/iio:deviceN/energy_value, as the kernel's s2mpg1x-odpm driver writes it:

    t=<milliseconds since boot>
    CH0(T=<milliseconds>)[S10M_VDD_TPU], <microwattseconds>
"""

from collections.abc import Sequence
import re

from toolchain.device.boards import MeterConfig
from toolchain.device.meters.calibration import stated_gain
from toolchain.device.meters.counter import Counter
from toolchain.device.meters.meter import Facts
from toolchain.device.meters.system import System
from toolchain.errors import BadReply, DeviceUnavailable

FOLDER = "/sys/bus/iio/devices"
CHANNEL = re.compile(r"CH(\d{1,2})\(T=\d{1,20}\)\[([A-Za-z0-9_]{1,40})\], (\d{1,20})")
RATE_HZ = 8.0
"""The slowest the chips are set to sample the rails at; Android sets 125 or more."""


def survey_odpm(config: MeterConfig, system: System) -> Counter:
    """config.address: one iio:deviceN's folder; every one that has energy_value where it is empty.

    Raises DeviceUnavailable, BadReply, BadConfig without a calibration.
    """
    gain = stated_gain(config, "Google")
    folders = [config.address] if config.address else [f"{FOLDER}/{name}" for name in system.names(FOLDER)]
    files = tuple(f"{folder}/energy_value" for folder in folders if "energy_value" in system.names(folder))
    if not files:
        raise DeviceUnavailable(f"{config.address or FOLDER}: no energy_value; Pixel 6 and later have it")
    rails = tuple(name for path in files for name, _ in rails_of(path, system.read(path)))

    def energy_mj(texts: Sequence[str]) -> float:
        found = [rail for path, text in zip(files, texts) for rail in rails_of(path, text)]
        if (names := tuple(name for name, _ in found)) != rails:
            raise BadReply(f"odpm: its rails are {', '.join(names)} and were {', '.join(rails)} at first; "
                           f"does an app select rails?")
        return sum(energy_uj for _, energy_uj in found) / 1000

    facts = Facts(kind="odpm", tier="rail monitor", rails=rails, reads="counter", rate_hz=RATE_HZ,
                  resolution=0.001 * len(rails), gain_error=gain, offset_mw=0.0, lag_s=1 / RATE_HZ,
                  clock="device", note="rails that no channel is set to, and the converters' losses",
                  source="s2mpg1x-odpm driver; accuracy: the user's calibration")
    return Counter(facts, files, lambda rows: [energy_mj(row) for row in rows])


def rails_of(path: str, text: str) -> list[tuple[str, int]]:
    """(rail, microjoules) of each channel. Raises BadReply."""
    first, *lines = text.splitlines() or [""]
    rows = [CHANNEL.fullmatch(line) for line in lines]
    if not re.fullmatch(r"t=\d{1,20}", first) or not rows or None in rows:
        raise BadReply(f"{path}: not as the driver writes it: {text[:60]!r}")
    return [(row[2], int(row[3])) for row in rows]
