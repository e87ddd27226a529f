"""A computer with emulated boards: each behind a TCP port, started when somebody connects, as a reset would.

    python -m tests.device.standins.tcp_boards TARGET COUNT RECORDS FIRMWARE.elf

prints the ports in a line of JSON and serves until its standard input ends. What the boards saw goes to
RECORDS, a line of JSON a session: the board's number, what came from the host, and when (by one clock) it
connected and was heard last. Nobody is turned away: who shares boards is to see to it that nobody comes while
another is there, and `overlaps` tells of two that were.
"""

import base64
from collections.abc import Iterable, Mapping
from itertools import pairwise
import json
import os
from pathlib import Path
import select
import socket
import subprocess
import sys
import threading
import time

from toolchain.device import qemu
from toolchain.profile import load_target

WAKE_S = 0.005


class Boards:
    """`count` boards of a target, all with the same firmware."""

    def __init__(self, target: str, count: int, records: Path, firmware: Path):
        profile = load_target(target)
        self._command = qemu._command(firmware, profile, "stdio")
        self._records = os.open(records, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        self.ports = [listener.getsockname()[1] for listener in self._listeners]

    def serve(self) -> None:
        for board, listener in enumerate(self._listeners):
            threading.Thread(target=self._accept, args=(board, listener), daemon=True).start()

    def _accept(self, board: int, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._session, args=(board, connection), daemon=True).start()

    def _session(self, board: int, connection: socket.socket) -> None:
        began = time.monotonic()
        with connection:
            heard, until = self._relayed(connection)
        told = {"board": board, "began": began, "until": until, "heard": base64.b64encode(heard).decode()}
        os.write(self._records, (json.dumps(told) + "\n").encode())

    def _relayed(self, connection: socket.socket) -> tuple[bytes, float]:
        """A board's life from its start until the host lets go of it; what it heard, and when it did last."""
        wake, theirs = socket.socketpair()
        monitor = ["-chardev", f"socket,id=wake,fd={theirs.fileno()}", "-mon", "chardev=wake,mode=readline"]
        heard, said, until = b"", b"", time.monotonic()
        with wake, subprocess.Popen([*self._command, *monitor], stdin=subprocess.PIPE, bufsize=0,
                                    stdout=subprocess.PIPE, pass_fds=[theirs.fileno()]) as machine:
            theirs.close()
            while not said.endswith(b"m-ready\r\n"):  # what is sent while it starts would be lost
                said += machine.stdout.read(4096)
            threading.Thread(target=_pass_on, args=(machine.stdout, connection, wake), daemon=True).start()
            try:
                while data := connection.recv(4096):
                    heard, until = heard + data, time.monotonic()
                    machine.stdin.write(data)
            except OSError:  # the host was killed
                pass
            machine.kill()
        return heard, until


def _pass_on(said, connection: socket.socket, wake: socket.socket) -> None:
    """What the board says. QEMU may sleep for a second while input waits; a word to its monitor wakes it."""
    try:
        while True:
            if select.select([said], [], [], WAKE_S)[0]:
                if not (data := said.read(4096)):
                    return
                connection.sendall(data)
                continue
            wake.sendall(b"\n")
            if select.select([wake], [], [], 0)[0]:
                wake.recv(4096)
    except (OSError, ValueError):  # the host, or QEMU's end of the pipe, is gone
        return


def overlaps(sessions: Iterable[Mapping]) -> list[tuple[Mapping, Mapping]]:
    """Sessions of one board of which the first was heard after the second had connected.

    A host that lets go before another comes is heard of no more: it has had the answer to all that it sent.
    """
    found = []
    for board in {session["board"] for session in sessions}:
        of_board = sorted((session for session in sessions if session["board"] == board),
                          key=lambda session: session["began"])
        found += [pair for pair in pairwise(of_board) if pair[0]["until"] > pair[1]["began"]]
    return found


def main(target: str, count: str, records: str, firmware: str) -> None:
    boards = Boards(target, int(count), Path(records), Path(firmware))
    boards.serve()
    print(json.dumps(boards.ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
