"""QEMU's machine protocol: JSON lines over a socket that QEMU inherits. See its docs/interop/qmp-spec."""

import json
import socket
import time

from toolchain.errors import DeviceUnavailable

MOST_BYTES = 2**20


class Qmp:
    """QEMU's monitor. line: our end of the socket; seconds: that an answer may take."""

    def __init__(self, line: socket.socket, seconds: float):
        self._line, self._seconds, self._pending = line, seconds, b""
        self._next("QMP")
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> object:
        """What QEMU returns. Raises DeviceUnavailable where it refuses, ends or is silent."""
        asked = json.dumps({"execute": command, "arguments": arguments}).encode()
        try:
            self._line.sendall(asked + b"\n")
        except OSError as error:
            raise DeviceUnavailable(f"QEMU is gone: {error}") from None
        return self._next("return")

    def pass_file(self, name: str, number: int) -> None:
        """Give QEMU an open file, which it knows by that name then. Raises DeviceUnavailable."""
        asked = json.dumps({"execute": "getfd", "arguments": {"fdname": name}}).encode()
        try:
            socket.send_fds(self._line, [asked + b"\n"], [number])
        except OSError as error:
            raise DeviceUnavailable(f"QEMU is gone: {error}") from None
        self._next("return")

    def forwarded_port(self, guest_port: int) -> int:
        """The host's port that leads to the guest's. Raises DeviceUnavailable."""
        said = self.ask("human-monitor-command", **{"command-line": "info usernet"})
        for line in str(said).splitlines():
            # TCP[HOST_FORWARD]  13  127.0.0.1 38013  10.0.2.15 22  0  0
            words = line.split()
            if words and words[0] == "TCP[HOST_FORWARD]" and words[5] == str(guest_port):
                return int(words[3])
        raise DeviceUnavailable("QEMU forwards no port to the emulated device")

    def _next(self, wanted: str) -> object:
        """The next message that has the key; events in between are passed over."""
        deadline = time.monotonic() + self._seconds
        while True:
            message = json.loads(self._read_line(deadline))
            if "error" in message:
                raise DeviceUnavailable(f"QEMU: {message['error'].get('desc')}")
            if wanted in message:
                return message[wanted]

    def _read_line(self, deadline: float) -> bytes:
        while b"\n" not in self._pending:
            self._line.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                received = self._line.recv(65536)
            except TimeoutError:
                raise DeviceUnavailable(f"QEMU does not answer in {self._seconds:g} s") from None
            except OSError as error:
                raise DeviceUnavailable(f"QEMU is gone: {error}") from None
            if not received or len(self._pending) > MOST_BYTES:
                raise DeviceUnavailable("QEMU has ended")
            self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        return line
