"""x86's energy counters."""

import pytest

from tests.device.meters.files import config, package
from toolchain.device.meters.counter import FileCounter
from toolchain.device.meters.meter import Reading
from toolchain.device.meters.rapl import survey_rapl
from toolchain.device.meters.system import Host
from toolchain.errors import BadConfig, DeviceRefused, DeviceUnavailable


class ForbiddenSystem(Host):
    """One that root's eyes alone may read."""

    def read(self, path: str) -> str:
        if path.endswith("energy_uj"):
            raise DeviceUnavailable(f"{path}: permission denied")
        return super().read(path)


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
