"""Places of a lab as boards, with scripts in the part of labgrid; test_labgrid_places.py has the real one."""

import json
import os
import sys

import pytest

from tests.device.lab import own_children  # noqa: F401
from tests.ledger.processes import ended, forked
from toolchain.device import labgrid
from toolchain.device.boards import Board
from toolchain.device.labgrid import Resource, acquired, places, reached_by
from toolchain.device.labgrid_child import holder
from toolchain.errors import BadReply, DeviceLost, DeviceUnavailable

NEAR = Board(target="cortex_m4_qemu", transport="labgrid", address="lab:20408", name="m4")


@pytest.fixture
def child(tmp_path, monkeypatch):
    """child(body): let a Python script stand in for labgrid's."""
    def install(body: str) -> None:
        script, python = tmp_path / "child.py", tmp_path / "python"
        script.write_text(f"import sys, time\n{body}\n")
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        python.chmod(0o755)
        monkeypatch.setenv(labgrid.PYTHON_VARIABLE, str(python))
    return install


def saying(*answers: dict) -> str:
    lines = [f"print({json.dumps(answer)!r}, flush=True)" for answer in answers]
    return "\nsys.stdin.readline()\n".join([*lines, "sys.stdin.read()"])


@pytest.mark.parametrize("body, error, message", [
    (saying({"missing": "labgrid"}), DeviceUnavailable, "/python has no labgrid; `make setup-labgrid` inst"),
    (saying({"unreachable": "refused"}), DeviceUnavailable, "no labgrid coordinator answers at lab:20408"),
    ("sys.exit(3)", DeviceLost, "the connection to labgrid at lab:20408 broke"),
    ("print('hello')", BadReply, "labgrid's child says b'hello'"),
    (saying({"ready": "me"}, {"failed": "KeyError: 'm4'"}), DeviceUnavailable, "fails: KeyError: 'm4'"),
    (saying({"ready": "me"}, {"refused": "Failed to acquire resources for place m4"}), DeviceUnavailable,
     "does not give the place 'm4': Failed to acquire resources"),
    (saying({"ready": "me"}, {"resources": [
        {"kind": "NetworkSerialPort", "name": "x", "at": {}, "there": False}]}, {"released": True}),
     DeviceUnavailable, "the NetworkSerialPort of the place 'm4' is not there now, says its exporter"),
    ("time.sleep(60)", DeviceUnavailable, "labgrid at lab:20408 gave no answer within 1 s")])
def test_a_child_that_fails_is_told(child, monkeypatch, body, error, message):
    monkeypatch.setattr(labgrid, "ANSWER_S", 0.6)
    monkeypatch.setattr(labgrid, "END_S", 0.1)
    child(body)
    with pytest.raises(error, match=message):
        with acquired(NEAR, "serial"):
            pass


def test_errors_name_the_place_and_not_its_address(child):
    at = {"host": "10.9.8.7", "port": 4001}
    child(saying({"ready": "me"}, {"resources": [{"kind": "NetworkSerialPort", "name": "x", "at": at}]},
                 {"released": True}))
    with pytest.raises(DeviceUnavailable) as caught, acquired(NEAR, "serial") as there:
        raise DeviceUnavailable(f"m4 is not reached at {there.address}: nobody listens there")
    assert str(caught.value) == "m4 is not reached at the place 'm4': nobody listens there"


def test_without_labgrid_and_without_a_coordinator(monkeypatch):
    monkeypatch.setenv(labgrid.PYTHON_VARIABLE, "/nowhere/python")
    with pytest.raises(DeviceUnavailable, match="there is no /nowhere/python; `make setup-labgrid` installs"):
        places("lab")
    monkeypatch.delenv(labgrid.COORDINATOR_VARIABLE, raising=False)
    with pytest.raises(DeviceUnavailable, match="board 'm4' is a place .* give its address, or set LG_COOR"):
        with acquired(Board(target="host", transport="labgrid", name="m4"), "serial"):
            pass


@pytest.mark.parametrize("at, baud, address, speed", [
    ({"host": "h", "port": 1, "speed": 9600}, None, "rfc2217://h:1?ign_set_control", 9600),
    ({"host": "h", "port": 1, "protocol": "rfc2217"}, 115200, "rfc2217://h:1?ign_set_control", 115200),
    ({"host": "h", "port": 1, "protocol": "raw"}, None, "socket://h:1", None)])
def test_a_serial_port_as_labgrid_tells_it(at, baud, address, speed):
    """labgrid/resource/serialport.py: NetworkSerialPort's protocol is rfc2217 where nothing is said."""
    given = Board(target="cortex_m4_qemu", transport="labgrid", name="m4", baud=baud)
    there = reached_by(given, "m4", "serial", [Resource(kind="NetworkSerialPort", name="x", at=at)])
    assert (there.address, there.baud) == (address, speed)


def test_a_holder_tells_whether_it_lives():
    computer, me = "bench", holder.user_name("me")
    assert holder.is_ours(f"{computer}/{me}") and not holder.is_dead(f"{computer}/{me}", computer)
    child = forked(lambda: None)
    dead = me.replace(f"-{os.getpid()}-", f"-{child}-")
    ended(child)
    assert holder.is_dead(f"{computer}/{dead}", computer)
    assert not holder.is_dead(f"elsewhere/{dead}", computer)
    reused = me.rpartition("-")[0] + "-1"
    assert holder.is_dead(f"{computer}/{reused}", computer)
    contained = f"me.edge-{child}-1-1"
    assert not holder.is_dead(f"{computer}/{contained}", computer)
    assert not holder.is_dead(f"{computer}/me", computer) and not holder.is_ours(f"{computer}/me")
