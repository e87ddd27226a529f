"""What /proc/cpuinfo tells of the machine, and what of it is kept."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.device.conditions.processor import processor

CORE = "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: {}\nCPU variant\t: 0x0\nCPU part\t: {}\n\n"
PI = CORE.format("0x41", "0xd08") * 4 + ("Revision\t: c03114\nSerial\t\t: 10000000deadbeef\n"
                                         "Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n")
PC = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 2\nmodel name\t: AMD EPYC\nflags\t\t: fpu\n\n" * 2


@pytest.mark.parametrize("text, name", [
    (PI, "Raspberry Pi 4 Model B Rev 1.4, Cortex-A72"), (PC, "AMD EPYC"), ("", ""), ("Serial : 1234", ""),
    (CORE.format("0x41", "0xd05") + CORE.format("0x41", "0xd0b") * 2 + CORE.format("0x51", "0x804"),
     "Cortex-A55, Cortex-A76, core 0x804 of maker 0x51"),
    (CORE.format("0x41", "0xfff"), "core 0xfff of maker 0x41"), (CORE.format("0x41", "many"), ""),
    ("model name\t: evil\x1b[2Jname\n", "")])
def test_what_it_is(text, name):
    assert processor(text) == name


def test_the_serial_number_is_left_where_it_is():
    assert "deadbeef" not in processor(PI) and "c03114" not in processor(PI)


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    assert processor(text).isprintable()
