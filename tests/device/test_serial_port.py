"""Serial ports over ptys, TCP and RFC 2217: one user at a time, words for what fails, cables pulled."""

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import os
import socket
import threading
import time

import pytest

from tests.device.standins.dut import ScriptedDut
from tests.device.standins.pty_server import PtyServer
from toolchain.device import serial_port
from toolchain.device.protocol import Dut
from toolchain.device.serial_port import connect, open_line, shown
from toolchain.errors import BadConfig, DeviceBusy, DeviceLost, DeviceRefused, DeviceUnavailable


class TcpServer:
    """A board at the other end of a TCP connection."""

    def __init__(self, dut: ScriptedDut, rfc2217: bool = False):
        self._listener, self._dut, self._rfc2217 = socket.create_server(("127.0.0.1", 0)), dut, rfc2217
        self.port = self._listener.getsockname()[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "TcpServer":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.pull()
        self._thread.join(10)
        self._listener.close()

    def pull(self) -> None:
        """The connection breaks."""
        self._ended.set()

    def _serve(self) -> None:
        self._listener.settimeout(0.02)
        connection = None
        while not self._ended.is_set() and connection is None:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
        if connection:
            with connection:
                (self._answer_as_rfc2217 if self._rfc2217 else self._answer)(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(0.02)
        while not self._ended.is_set():
            try:
                data = connection.recv(4096)
            except TimeoutError:
                continue
            if not data:
                return
            connection.sendall(self._dut.answer(data))

    def _answer_as_rfc2217(self, connection: socket.socket) -> None:
        """pyserial's own server side, which needs a serial port: loop:// lends its settings."""
        from serial import rfc2217, serial_for_url

        class Writer:
            @staticmethod
            def write(data: bytes) -> None:
                connection.sendall(data)

        far = rfc2217.PortManager(serial_for_url("loop://", 115200), Writer())
        connection.settimeout(0.02)
        while not self._ended.is_set():
            try:
                data = connection.recv(4096)
            except TimeoutError:
                continue
            if not data:
                return
            plain = b"".join(far.filter(data))
            connection.sendall(b"".join(far.escape(self._dut.answer(plain))))


@contextmanager
def at(kind: str) -> Iterator[tuple[str, object]]:
    """A scripted board's address by each way, and what breaks it."""
    board = ScriptedDut()
    if kind == "pty":
        with PtyServer(board.answer) as server:
            yield server.path, server
    else:
        with TcpServer(board, kind == "rfc2217") as server:
            yield f"{kind}://127.0.0.1:{server.port}", server


KINDS = ("pty", "socket", "rfc2217")


@pytest.mark.parametrize("kind", KINDS)
def test_a_board_answers_by_every_way(kind):
    """All 256 bytes among the inputs, which telnet's commands are made of too."""
    data = bytes(range(256)) + bytes([255] * 20)
    with at(kind) as (address, _), open_line(address, 115200, "board") as line:
        dut = Dut(line, "board")
        dut.greet()
        assert dut.vendor() == "my_board"
        dut.load_codes([data])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cable_that_is_pulled(kind):
    with at(kind) as (address, server), open_line(address, 115200, "board") as line:
        dut = Dut(line, "board")
        dut.greet()
        server.pull()
        with pytest.raises(DeviceLost, match="the serial line of board broke off: .*; is it still plugged"):
            for _ in range(5):
                dut.command("name", seconds=1.0)
                time.sleep(0.1)


def test_one_user_at_a_time():
    with PtyServer(ScriptedDut().answer) as server, open_line(server.path, 115200, "board"):
        with pytest.raises(DeviceBusy, match="the port of other, is in use; end the other program"):
            connect(server.path, 115200, "other")


def test_a_port_is_free_again():
    with PtyServer(ScriptedDut().answer) as server:
        for _ in range(2):
            with open_line(server.path, 115200, "board") as line:
                dut = Dut(line, "board")
                dut.greet()
                assert dut.vendor()


def test_a_port_that_is_not_there():
    with pytest.raises(DeviceUnavailable, match="there is no /dev/ttyNONE, the port of board; is it") as told:
        connect("/dev/ttyNONE", 115200, "board")
    assert "Errno" not in str(told.value)


def test_a_file_that_is_no_port(tmp_path):
    (tmp_path / "port").write_text("")
    with pytest.raises(DeviceUnavailable, match="the port of board, is no serial port"):
        connect(str(tmp_path / "port"), 115200, "board")


@pytest.mark.parametrize("member, mode, remedy", [
    (False, 0o660, "belongs to the group '.*'; join it, then log in again: sudo usermod -aG .* \\$USER"),
    (True, 0o660, "which you have joined since; log in again"),
    (False, 0o600, "only its owner may; a udev rule with GROUP=\"dialout\"")])
def test_a_port_that_one_may_not_use(monkeypatch, tmp_path, member, mode, remedy):
    import grp

    import serial

    path = tmp_path / "port"
    path.write_text("")
    path.chmod(mode)
    own = grp.getgrgid(path.stat().st_gid)
    monkeypatch.setattr(serial_port.getpass, "getuser", lambda: "somebody")
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(
        (own.gr_name, "x", gid, ["somebody"] if member else [])))

    def refuse(*_, **__):
        raise serial.SerialException(errno.EACCES, "could not open port: [Errno 13] Permission denied")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(DeviceRefused, match=f"you may not use {path}, the port of board: .*{remedy}") as told:
        connect(str(path), 115200, "board")
    assert "Errno" not in str(told.value)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DeviceUnavailable, match=f"board is not reached at .*:{port}: nobody listens there"):
        connect(f"socket://127.0.0.1:{port}", 115200, "board")


def test_a_host_that_nobody_knows(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    with pytest.raises(DeviceUnavailable, match="not reached at socket://nowhere.invalid:1: no such host"):
        connect("socket://nowhere.invalid:1", 115200, "board")


@pytest.mark.parametrize("address", [
    "spy:///dev/ttyACM0?file=log", "alt:///dev/ttyACM0?class=PosixPollSerial", "loop://", "hwgrep://.*", "",
    "socket://host", "socket://host:1/../x", "socket://a b:1", "rfc2217://host:1?x=$(reboot)", "ttyACM0",
    "/dev/tty\n"])
def test_addresses_of_no_known_form(address):
    with pytest.raises(BadConfig, match="is no address of a serial line; give /dev/ttyACM0, socket://host:port"):
        connect(address, 115200, "board")


def test_links_by_serial_number_are_not_shown(monkeypatch):
    monkeypatch.setattr(os.path, "realpath", lambda path: "/dev/ttyACM3")
    assert shown("/dev/serial/by-id/usb-STMicroelectronics_066DFF48-if02") == "/dev/ttyACM3"
    assert shown("/dev/ttyUSB0") == "/dev/ttyUSB0" and shown("socket://pi:2000") == "socket"
