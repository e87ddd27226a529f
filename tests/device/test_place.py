"""Which device is meant, and that nobody else has it meanwhile."""

import os
from pathlib import Path

import msgspec
import pytest

from toolchain.device.boards import Board, find_board
from toolchain.device.place import Place, board_resources, open_place, resources
from toolchain.errors import DeviceUnavailable
from toolchain.profile import load_target

PI = load_target("raspberry_pi_4")
BOARDS = """
[boards.raspberry_pi_4]
target = "raspberry_pi_4"
transport = "ssh"
address = "pi@127.0.0.1"
port = 1
[boards.bench-pi]
target = "raspberry_pi_4"
transport = "virtual"
address = "pi-virt"
[boards.mote]
target = "cortex_m4_qemu"
transport = "serial"
address = "{line}"
[boards.far]
target = "cortex_m4_qemu"
transport = "serial"
address = "socket://lab.example:4000"
"""


@pytest.fixture
def line(monkeypatch, tmp_path) -> str:
    """A serial line, whose name in /dev/serial/by-id holds a serial number."""
    ours, theirs = os.openpty()
    name = tmp_path / "usb-Maker_Board_0123456789AB"
    name.symlink_to(os.ttyname(theirs))
    (tmp_path / "boards.toml").write_text(BOARDS.format(line=name))
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    yield str(name)
    os.close(ours), os.close(theirs)


@pytest.mark.usefixtures("line")
def test_a_board_that_is_called_as_its_target_is_the_board():
    assert resources(PI, "raspberry_pi_4") == ["device:raspberry_pi_4"]
    with pytest.raises(DeviceUnavailable, match="nothing listens"), open_place(PI, "raspberry_pi_4"):
        pytest.fail("this computer was taken for it")


@pytest.mark.usefixtures("line")
def test_a_virtual_board_is_emulated_whatever_its_entry_says():
    board = find_board("bench-pi")
    assert Place("bench-pi", PI, board).emulated and board_resources(board) == []


def test_a_line_is_one_resource_by_any_name_and_gives_no_serial_number_away(line):
    own = f"line:{Path(line).resolve()}"
    assert board_resources(find_board("mote")) == ["device:mote", own]
    serial = msgspec.structs.replace(load_target("cortex_m4_qemu"), transport="serial")
    assert resources(serial, line) == resources(serial, str(Path(line).resolve())) == [own]


@pytest.mark.usefixtures("line")
def test_an_emulated_board_at_a_line_is_shared_like_any_other():
    """Only of virtual machines everyone starts their own."""
    emulated = msgspec.structs.replace(find_board("mote"), emulated=True)
    assert board_resources(emulated) == board_resources(find_board("mote")) != []


def test_a_place_of_a_lab_is_one_resource_by_any_name(monkeypatch):
    first = Board(target="host", transport="labgrid", address="lab.example:20408", place="pi-3", name="pi")
    monkeypatch.setenv("LG_COORDINATOR", "lab.example:20408")
    second = Board(target="host", transport="labgrid", name="pi-3")
    device, place = board_resources(first)
    assert board_resources(second) == ["device:pi-3", place] and device == "device:pi"
    assert place.startswith("place:") and "lab.example" not in place


@pytest.mark.usefixtures("line")
def test_a_line_that_is_not_plugged_in_or_far_away_is_not_named():
    at = "/dev/serial/by-id/usb-x_0123456789AB"
    gone = board_resources(msgspec.structs.replace(find_board("mote"), address=at))
    told = " ".join((*gone, *board_resources(find_board("far"))))
    assert "0123456789AB" not in told and "lab.example" not in told and told.count("line:") == 2
