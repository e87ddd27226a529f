"""A lab of labgrid's on this computer: a coordinator, an exporter, and emulated boards behind TCP ports."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

from toolchain.device import labgrid
from toolchain.device.labgrid import INSTALL, PYTHON

ROOT = Path(__file__).resolve().parents[2]


def programs() -> Path:
    """The folder with labgrid's commands. Without it the test is skipped, and fails in CI."""
    if not PYTHON.is_file():
        message = f"no labgrid: {INSTALL}"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return PYTHON.parent


@pytest.fixture(autouse=True)
def own_children(monkeypatch):
    """Not those of another test: nobody is left connected."""
    monkeypatch.setattr(labgrid, "_IDLE", {})
    yield
    for client in sum(labgrid._IDLE.values(), []):
        client.end()


def require_ser2net() -> None:
    """With which an exporter serves its own serial ports. As `programs` where there is none."""
    if not (shutil.which("ser2net") or Path("/usr/sbin/ser2net").is_file()):
        message = "no ser2net: apt-get install ser2net"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


@contextmanager
def emulated_boards(folder: Path, count: int, firmware: bytes) -> Iterator[list[int]]:
    """Ports of so many Cortex-M4 boards, which keep folder/records."""
    (folder / "firmware.elf").write_bytes(firmware)
    command = [sys.executable, "-m", "tests.device.standins.tcp_boards", "cortex_m4_qemu", str(count),
               folder / "records", folder / "firmware.elf"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as boards:
        yield json.loads(boards.stdout.readline())
        boards.stdin.close()


def records(folder: Path) -> list[dict]:
    """What the boards saw, a session each."""
    return [json.loads(line) for line in (folder / "records").read_text().splitlines()]


class Lab:
    """A coordinator at `address`, the process of that number, and labgrid-client's commands to it."""

    def __init__(self, folder: Path, address: str, process: int):
        self.folder, self.address, self.process, self._exporters = folder, address, process, []

    def client(self, *words: str) -> str:
        done = subprocess.run([programs() / "labgrid-client", "-x", self.address, *words], text=True,
                              capture_output=True, env={**os.environ, "LG_HOSTNAME": "elsewhere"})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def export(self, groups: Mapping[str, Mapping]) -> None:
        """An exporter of these groups of resources, each with a place of its name."""
        file = self.folder / f"exporter{len(self._exporters)}.yaml"
        file.write_text(json.dumps(groups))  # which YAML takes
        exporter = subprocess.Popen(
            [programs() / "labgrid-exporter", "-c", self.address, "-n", file.stem, "--hostname", "127.0.0.1",
             file], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._exporters.append(exporter)
        while exporter.stdout.readline() != "Exporter ready\n":
            assert exporter.poll() is None, "the exporter ended"
        for name in groups:
            self.client("-p", name, "create")
            self.client("-p", name, "add-match", f"*/{name}/*")

    def holders(self) -> dict[str, str]:
        """Place -> computer/user who has acquired it."""
        rows = [line.split() for line in self.client("who").splitlines()[1:]]
        return {place: f"{computer}/{user}" for user, computer, place, *_ in rows}

    def close(self) -> None:
        for exporter in self._exporters:
            exporter.kill()
            exporter.communicate()


@contextmanager
def lab(folder: Path, port: int = 0) -> Iterator[Lab]:
    """Without an exporter yet. port: of the coordinator, one that is free by default"""
    command = [programs() / "labgrid-coordinator", "-l", f"127.0.0.1:{port}"]
    coordinator = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
    address = coordinator.stdout.readline().removeprefix("listening on ").strip()
    opened = Lab(folder, address, coordinator.pid)
    try:
        yield opened
    finally:
        opened.close()
        coordinator.kill()
        coordinator.communicate()


def serial_at(port: int, **more) -> dict:
    """An exporter's group: a serial port that somebody else serves already."""
    return {"NetworkSerialPort": {"host": "127.0.0.1", "port": port, "protocol": "raw", **more}}
