"""Serial ports of this host, and others' over TCP or RFC 2217: opened by us alone; words for what fails."""

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import getpass
import os
from pathlib import Path
import re
import socket
import time

from toolchain.errors import BadConfig, DeviceBusy, DeviceLost, DeviceRefused, DeviceUnavailable

POLL_S = 0.05
"""Of one look at the port; a time limit is met to within it."""
WRITE_S = 10.0
"""Nobody takes what is written for so long: gone."""
URL = re.compile(r"(socket|rfc2217)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}(\?[a-z_]+(=[0-9.]+)?)?")
PATH = re.compile(r"/[\w./:+@-]+|COM\d+", re.ASCII)


class SerialLine:
    """An open port. Whatever breaks is DeviceLost.

    name: for messages
    """

    def __init__(self, port, name: str):
        self._port, self.name = port, name

    def write(self, data: bytes) -> None:
        """All of it."""
        with self._told():
            self._port.write(data)

    def read(self, seconds: float) -> bytes:
        """What has come; waits for the first byte, b"" where none comes in time."""
        deadline = time.monotonic() + seconds
        with self._told():
            while True:
                data = self._port.read(max(self._port.in_waiting, 1))
                if data or time.monotonic() >= deadline:
                    return data

    def close(self) -> None:
        """Let others have the port. A second time does nothing."""
        self._port.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, TypeError) as error:
            raise DeviceLost(f"the serial line of {self.name} broke off: {_reason(error)}; is it still "
                             f"plugged in, and does no other program read its port?") from None


@contextmanager
def open_line(address: str, baud: int, name: str) -> Iterator[SerialLine]:
    """The port at an address, for us alone; what waited there is dropped.

    address: /dev/ttyACM0, socket://host:port, or rfc2217://host:port, which sets the far port's baud too
    name:    the board's or the meter's, for messages
    Raises BadConfig for another form of address; DeviceBusy, DeviceRefused, DeviceUnavailable, and
    inside DeviceLost.
    """
    line = connect(address, baud, name)
    try:
        yield line
    finally:
        line.close()


def connect(address: str, baud: int, name: str) -> SerialLine:
    """As open_line, for the caller to close."""
    import serial

    remote = bool(URL.fullmatch(address))
    if not remote and not PATH.fullmatch(address):
        raise BadConfig(f"{name}: {address!r} is no address of a serial line; give /dev/ttyACM0, "
                        f"socket://host:port or rfc2217://host:port")
    options = {} if remote else {"exclusive": True, "write_timeout": WRITE_S}
    try:
        return SerialLine(serial.serial_for_url(address, baud, timeout=POLL_S, **options), name)
    except (OSError, ValueError) as error:
        raise (_unreachable(address, name, error) if remote else
               _unopened(address, baud, name, error)) from None


def shown(address: str) -> str:
    """An address for reports: links by a device's serial number are followed to where they lead; a host is
    not named."""
    if "://" in address:
        return address.partition("://")[0]
    return os.path.realpath(address) if address.startswith("/dev/serial/") else address


def _unopened(address: str, baud: int, name: str, error: Exception) -> DeviceUnavailable:
    place, code = shown(address), getattr(error, "errno", None)
    if code in (errno.EAGAIN, errno.EBUSY):
        return DeviceBusy(f"{place}, the port of {name}, is in use; end the other program (a terminal, "
                          f"another measurement) and try again")
    if code in (errno.EACCES, errno.EPERM):
        return DeviceRefused(f"you may not use {place}, the port of {name}: {_how_to_be_let_in(address)}")
    if code in (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO):
        return DeviceUnavailable(f"there is no {place}, the port of {name}; is it plugged in, by a cable "
                                 f"that carries data? `edge devices` lists the ports")
    if isinstance(error, ValueError):
        return DeviceUnavailable(f"{place}, the port of {name}, cannot do {baud} baud; give another `baud`")
    return DeviceUnavailable(f"{place}, the port of {name}, is no serial port; `edge devices` lists them")


def _how_to_be_let_in(address: str) -> str:
    import grp

    found = Path(address).stat()
    if not found.st_mode & 0o060:
        return "only its owner may; a udev rule with GROUP=\"dialout\", MODE=\"0660\" lets you in"
    group = grp.getgrgid(found.st_gid)
    if getpass.getuser() in group.gr_mem:
        return f"it belongs to the group '{group.gr_name}', which you have joined since; log in again"
    return (f"it belongs to the group '{group.gr_name}'; join it, then log in again: sudo usermod -aG "
            f"{group.gr_name} $USER")


def _unreachable(address: str, name: str, error: Exception) -> DeviceUnavailable:
    cause = error.__context__ or error
    if isinstance(cause, ConnectionRefusedError):
        reason = "nobody listens there; is ser2net or the like running?"
    elif isinstance(cause, socket.gaierror):
        reason = "no such host"
    elif isinstance(cause, TimeoutError):
        reason = "no answer in time"
    elif address.startswith("rfc2217") and not isinstance(cause, OSError):
        reason = "what listens there does not speak RFC 2217; try socket://"
    else:
        reason = _reason(cause)
    return DeviceUnavailable(f"{name} is not reached at {address}: {reason}")


def _reason(error: Exception) -> str:
    """In words, without an error number or a port's name."""
    code = getattr(error, "errno", None) or getattr(error.__context__, "errno", None)
    return os.strerror(code).lower() if code else "the other end is gone"
