"""What is plugged in, told without serial numbers."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from toolchain.device.usb import Plugged, plugged_in

SERIAL_NUMBER = "066DFF485671664867171425"


def port(device: str, vid: int | None = None, pid: int | None = None, product: str | None = None,
         location: str | None = None, description: str = "n/a") -> SimpleNamespace:
    return SimpleNamespace(device=device, vid=vid, pid=pid, product=product, location=location,
                           description=description, serial_number=SERIAL_NUMBER if vid else None)


@pytest.fixture
def sysfs(tmp_path) -> Path:
    for name, vendor, product in (("1-3", "16d0", "10ba"), ("1-4", "046d", "c52b")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "idVendor").write_text(f"{vendor}\n")
        (folder / "idProduct").write_text(f"{product}\n")
    (tmp_path / "1-3:1.0").mkdir()
    return tmp_path


def test_boards_and_meters_are_known_by_vendor_and_product(sysfs):
    ports = [port("/dev/ttyACM1", 0x1915, 0xC00A), port("/dev/ttyACM0", 0x0483, 0x374B)]
    assert plugged_in(ports, sysfs) == [
        Plugged("/dev/ttyACM0", "board", "ST-LINK/V2-1, as on NUCLEO-L4R5ZI"),
        Plugged("/dev/ttyACM1", "meter ppk2", "Nordic PPK2"),
        Plugged("", "meter joulescope", "Joulescope JS220")]


def test_two_of_a_kind_are_told_by_their_place(tmp_path):
    ports = [port("/dev/ttyACM1", 0x0483, 0x374B, location="1-2:1.2"),
             port("/dev/ttyACM0", 0x0483, 0x374B, location="1-1:1.2")]
    names = [found.name for found in plugged_in(ports, tmp_path)]
    assert [name.split(" at ")[1] for name in names] == ["USB 1-1:1.2", "USB 1-2:1.2"]


def test_ports_that_nobody_knows_are_listed_too(tmp_path):
    ports = [port("/dev/ttyS0"), port("/dev/ttyUSB0", 1, 2, product=f"Gadget\x1b[2J {SERIAL_NUMBER}"),
             port("/dev/ttyAMA0", description="PL011")]
    assert [(found.address, found.role, found.name) for found in plugged_in(ports, tmp_path)] == [
        ("/dev/ttyAMA0", "serial port", "PL011"), ("/dev/ttyS0", "serial port", "no USB"),
        ("/dev/ttyUSB0", "serial port", "Gadget?[2J")]


def test_no_serial_number_is_told(sysfs):
    ports = [port(f"/dev/ttyACM{i}", vid, pid, f"X {SERIAL_NUMBER}") for i, (vid, pid) in
             enumerate([(0x0483, 0x374B), (0x0483, 0x374B), (5, 6)])]
    assert SERIAL_NUMBER not in repr(plugged_in(ports, sysfs))


def test_this_host_is_looked_at():
    assert isinstance(plugged_in(), list)
