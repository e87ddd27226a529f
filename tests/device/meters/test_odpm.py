"""Android's rail monitors."""

import pytest

from tests.device.meters.files import config, tree
from toolchain.device.meters.counter import FileCounter
from toolchain.device.meters.meter import Reading
from toolchain.device.meters.odpm import rails_of, survey_odpm
from toolchain.device.meters.system import Host
from toolchain.errors import BadReply, DeviceUnavailable

ENERGY_VALUE = "t={t}\nCH0(T={t})[S10M_VDD_TPU], {a}\nCH1(T={t})[VSYS_PWR_MODEM], {b}"


def test_odpm_adds_the_rails_of_all_its_chips(tmp_path, monkeypatch):
    monkeypatch.setattr("toolchain.device.meters.odpm.FOLDER", str(tmp_path))
    for chip in ("iio:device0", "iio:device1"):
        tree(tmp_path / chip, energy_value=ENERGY_VALUE.format(t=100, a=4000, b=6000))
    tree(tmp_path / "iio:device2", name="accelerometer")
    meter = FileCounter(Host(), lambda system: survey_odpm(config("odpm", gain_error=0.02), system))
    meter.open()
    assert len(meter.files) == 2 and meter.facts.rails == ("S10M_VDD_TPU", "VSYS_PWR_MODEM") * 2
    assert meter.idle(0.001).series.values[0] == pytest.approx(20.0)
    other = ENERGY_VALUE.replace("TPU", "G3D").format(t=200, a=1, b=2)
    with pytest.raises(BadReply, match="does an app select rails"):
        meter.take({path: [Reading(0.0, other)] for path in meter.files})


@pytest.mark.parametrize("text", ["", "t=1", "t=x\nCH0(T=1)[A], 5", "t=1\nCH0(T=1)[A], -5",
                                  "t=1\nCH0(T=1)[A], 5;", "t=1\nCH0(T=1)[" + "A" * 41 + "], 5"])
def test_energy_values_that_no_driver_writes(text):
    with pytest.raises(BadReply, match="not as the driver writes it"):
        rails_of("/sys/x", text)


def test_a_phone_without_odpm(tmp_path):
    with pytest.raises(DeviceUnavailable, match="no energy_value"):
        survey_odpm(config("odpm", str(tmp_path), gain_error=0.02), Host())
