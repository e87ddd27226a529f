"""An emulated board on a line that breaks: reset by its own reset line, disturbed, hung, pulled.

A relay stands between QEMU's serial line and the host; QEMU's monitor protocol resets the machine.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import socket

import msgspec
import numpy as np
import pytest

from tests.device.standins.pty_server import PtyServer
from tests.device.test_qemu import artifact, random_feeds
from tests.lower.c.nets import two_ended_net
from toolchain.artifact import Artifact
from toolchain.device import protocol, qemu
from toolchain.device.board import open_board
from toolchain.device.firmware import build_firmware
from toolchain.errors import DeviceBusy, DeviceLost, DeviceTimeout, DeviceUnavailable
from toolchain.profile import load_target
from toolchain.runtime import reference

pytestmark = pytest.mark.emulated
PROFILE = load_target("cortex_m4_qemu")
BOARD = msgspec.structs.replace(PROFILE, name="my_board", transport="serial", machine="")
SAMPLES = 4


class Relay:
    """Passes bytes on, and what the board says through `spoil`."""

    def __init__(self, device: str, monitor: Path):
        import serial

        self._board = serial.Serial(device, timeout=0)
        self._monitor = monitor
        self.spoil: Callable[[bytes], bytes] = lambda data: data
        self.server = PtyServer(self._down, self._up)

    def _down(self, data: bytes) -> bytes:
        self._board.write(data)
        return b""

    def _up(self) -> bytes:
        data = self._board.read(4096)
        return self.spoil(data) if data else b""

    def reset(self) -> None:
        """The board's reset line; QEMU was told to end instead (-no-reboot)."""
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.connect(str(self._monitor))
            replies = qmp.makefile("rb")
            replies.readline()
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": "set-action", "arguments": {"reboot": "reset"}},
                            {"execute": "system_reset"}):
                qmp.sendall(json.dumps(command).encode())
                assert b"error" not in replies.readline()

    def once(self, at: int, fault: Callable[[bytes], bytes]) -> None:
        """Spoil the piece of which byte `at`, from now on, is part."""
        seen = 0

        def spoil(data: bytes) -> bytes:
            nonlocal seen
            before, seen = seen, seen + len(data)
            return fault(data) if before <= at < seen else data

        self.spoil = spoil


@pytest.fixture(scope="module")
def built() -> Artifact:
    return artifact(two_ended_net())


@pytest.fixture(scope="module")
def relay(built, tmp_path_factory) -> Iterator[Relay]:
    monitor = tmp_path_factory.mktemp("qmp") / "monitor"
    options = ("-qmp", f"unix:{monitor},server=on,wait=off")
    with qemu.powered(build_firmware(built, BOARD).elf, PROFILE, options) as (device, _):
        relay = Relay(device, monitor)
        with relay.server:
            yield relay


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    for name in ("REPLY_S", "HELLO_S"):
        monkeypatch.setattr(protocol, name, 1.0)
    monkeypatch.setattr("toolchain.device.session.INFER_S", 3.0)


@contextmanager
def opened(built: Artifact, relay: Relay):
    relay.spoil = lambda data: data
    with open_board(built, BOARD, relay.server.path) as board:
        yield board


def reset_in_it(relay: Relay) -> Callable[[bytes], bytes]:
    def fault(data: bytes) -> bytes:
        relay.reset()
        return data[:len(data) // 2]
    return fault


FAULTS = {"reset": reset_in_it, "garbage": lambda relay: lambda data: b"\xff\x00\x13" + data,
          "nothing": lambda relay: lambda data: b"", "half": lambda relay: lambda data: data[:len(data) // 2]}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", FAULTS)
def test_every_answer_is_right_after_a_fault(built, relay, name, seed):
    graph = two_ended_net()
    feeds = random_feeds(graph, SAMPLES, seed)
    expected = reference.run(graph, feeds)
    with opened(built, relay) as board:
        relay.once(int(np.random.default_rng(seed).integers(0, 600)), FAULTS[name](relay))
        got = board.run(feeds)
    assert all(np.array_equal(value, got[key]) for key, value in expected.items())
    assert board.conditions.get("tries_again", 0) == board.tries_again <= 2


def test_a_board_that_is_reset_without_end(built, relay, monkeypatch):
    monkeypatch.setattr(protocol, "HELLOS", 4)
    with opened(built, relay) as board:
        relay.spoil = reset_in_it(relay)
        with pytest.raises((DeviceLost, DeviceUnavailable)):
            board.run(random_feeds(two_ended_net(), 1))
    relay.spoil = lambda data: data


def test_a_board_that_falls_silent(built, relay, monkeypatch):
    monkeypatch.setattr(protocol, "HELLOS", 2)
    with opened(built, relay) as board:
        relay.spoil = lambda data: b""
        with pytest.raises(DeviceUnavailable, match="my_board at /dev/pts/.* says nothing: 2 hellos") as told:
            board.run(random_feeds(two_ended_net(), 1))
    assert not isinstance(told.value, DeviceTimeout)


def test_two_processes_never_measure_on_one_board(built, relay):
    with opened(built, relay):
        with pytest.raises(DeviceBusy, match="the port of my_board, is in use"):
            with open_board(built, BOARD, relay.server.path):
                pass


def test_the_address_and_the_baud_are_the_callers(built, relay):
    elsewhere = msgspec.structs.replace(BOARD, port="/dev/ttyNONE")
    with open_board(built, elsewhere, relay.server.path, 9600) as board:
        assert board.conditions["port"] == relay.server.path and board.conditions["baud"] == 9600


def test_a_cable_that_is_pulled(built, relay):
    """The last test: the relay's end is closed for good."""
    with opened(built, relay) as board:
        relay.server.pull()
        with pytest.raises(DeviceLost, match="the serial line of my_board broke off"):
            board.run(random_feeds(two_ended_net(), 1))
