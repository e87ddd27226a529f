"""x86's RAPL: the processor's own energy counters, Documentation/power/powercap/powercap.rst.

energy_uj counts microjoules since boot and begins again after max_energy_range_uj; the processor updates it
about every millisecond (Intel SDM vol. 3B, 16.10). Readable by root only since CVE-2020-8694 (Platypus).
"""

from collections.abc import Sequence

from toolchain.device.boards import MeterConfig
from toolchain.device.meters.calibration import stated_gain
from toolchain.device.meters.counter import Counter
from toolchain.device.meters.meter import Facts
from toolchain.device.meters.system import System, number_of
from toolchain.errors import DeviceRefused, DeviceUnavailable

FOLDER = "/sys/class/powercap/intel-rapl:0"
UPDATE_S = 1e-3
UNIT_MJ = 2 ** -14 * 1000
"""One step of the processor's counter where it does not say: 61 uJ; the kernel shows it in microjoules."""


def survey_rapl(config: MeterConfig, system: System) -> Counter:
    """config.address: a zone's folder, the first package's where it is empty.

    Raises DeviceUnavailable, DeviceRefused where only root may read it, BadConfig without a calibration.
    """
    folder = config.address or FOLDER
    path = f"{folder}/energy_uj"
    gain = stated_gain(config, "Intel (or AMD)")
    name = _read(system, f"{folder}/name", folder)
    limit = f"{folder}/max_energy_range_uj"
    range_uj = number_of(limit, _read(system, limit, folder))
    _read(system, path, folder)
    facts = Facts(kind="rapl", tier="rail monitor", rails=(name,), reads="counter", rate_hz=1 / UPDATE_S,
                  resolution=UNIT_MJ, gain_error=gain, offset_mw=0.0, lag_s=2 * UPDATE_S, clock="device",
                  note="the processor's package only: no memory, disk, board or supply losses",
                  source="powercap.rst; Intel SDM vol. 3B, 16.10; accuracy: the user's calibration")

    def decode(rows: Sequence[Sequence[str]]) -> list[float]:
        return [number_of(path, text) / 1000 for text, in rows]

    return Counter(facts, (path,), decode, wraps_mj=range_uj / 1000)


def _read(system: System, path: str, folder: str) -> str:
    try:
        return system.read(path)
    except DeviceUnavailable as error:
        if "permission denied" in str(error):
            raise DeviceRefused(f"{path}: for root only, since energy leaks secrets (CVE-2020-8694); on a "
                                f"bench of your own: sudo chmod o+r {path}") from None
        if system.names(folder):
            raise
        raise DeviceUnavailable(f"{folder}: no such zone; virtual machines and other processors than x86 "
                                f"have no RAPL, a kernel may need modprobe intel_rapl_msr") from None
