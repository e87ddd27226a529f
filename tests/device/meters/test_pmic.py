"""A Raspberry Pi 5's rails."""

import pytest

from tests.device.meters.files import Shell, config
from toolchain.device.meters.pmic import powers_mw, survey_pmic
from toolchain.device.meters.system import Remote
from toolchain.device.transports.transport import Finished
from toolchain.errors import BadReply, DeviceUnavailable

PMIC = (" 3V7_WL_SW_A current(0)=0.10000000A\n  VDD_CORE_A current(7)=2.00000000A\n"
        " 3V7_WL_SW_V volt(8)=3.70000000V\n  VDD_CORE_V volt(15)=0.80000000V\n"
        "     EXT5V_V volt(24)=5.09066000V\n      BATT_V volt(25)=0.00000000V\n")


def test_rails_with_current_and_voltage_are_summed_and_the_5_volt_rail_is_left_out():
    assert powers_mw(PMIC) == pytest.approx({"3V7_WL_SW": 370.0, "VDD_CORE": 1600.0})
    system = Remote(Shell({("vcgencmd", "pmic_read_adc"): Finished(0, PMIC.encode(), b"")}))
    source = survey_pmic(config("pmic", gain_error=0.02), system)
    assert source.read() == pytest.approx(1970.0) and "5 V rail" in source.facts.note
    assert source.facts.rails == ("3V7_WL_SW", "VDD_CORE") and source.facts.tier == "rail monitor"


@pytest.mark.parametrize("line", [
    "VDD_CORE_A current(7)=nanA", "VDD_CORE_A volt(7)=1.0V", "VDD_CORE_A current(7)=1.0V",
    "error=1 error_msg=\"Command not registered\"", "A_A current(7)=-1.0A"])
def test_lines_that_vcgencmd_does_not_write(line):
    with pytest.raises(BadReply, match="pmic_read_adc"):
        powers_mw(PMIC + line)


def test_an_earlier_raspberry_pi_is_told_apart():
    system = Remote(Shell({("vcgencmd", "pmic_read_adc"): Finished(255, b"", b"")}))
    with pytest.raises(DeviceUnavailable, match="Raspberry Pi 5"):
        survey_pmic(config("pmic", gain_error=0.02), system)
