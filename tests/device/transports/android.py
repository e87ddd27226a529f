"""What tests over adb share: a device behind Android's protocol, and an adb server of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import socket
import subprocess
import sys

import pytest

from tests.device.transports.places import needed, tools_of
from toolchain.device.boards import Board
from toolchain.device.cache import cache_folder
from toolchain.profile import TARGETS

ADBD = TARGETS / "machines/android_virt/adbd"
GETPROP = """#!{shell}
echo '[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a,armeabi]'
echo '[ro.build.version.sdk]: [35]'
echo '[ro.product.model]: [StandIn]'
"""


class Phone:
    """An adbd of ours, with mksh and toybox behind it and this computer's files."""

    def __init__(self, folder: Path, *options: str):
        self.faults, self.tools = folder / "faults.json", folder / "tools"
        if not self.tools.exists():
            tools_of(self.tools, "android")
            self.tool("getprop", GETPROP.format(shell=self.tools / "sh"))
        self.broken({})
        self.process = subprocess.Popen(
            [sys.executable, ADBD, "0", "--path", self.tools, "--faults", self.faults, *options],
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[-1])
        self.serial = f"127.0.0.1:{self.port}"
        self.board = Board(target="android_arm64", transport="adb", address=self.serial, name="phone")

    def tool(self, name: str, text: str) -> None:
        """A program of the device's."""
        path = self.tools / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def broken(self, plan: dict) -> None:
        """From now on; see faults.py of adbd."""
        unfinished = self.faults.with_suffix(".new")
        unfinished.write_text(json.dumps(plan))
        unfinished.rename(self.faults)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def adb_server(folder: Path) -> Iterator[None]:
    """On a port of its own, with keys of its own; ended with the block."""
    needed("adb")
    with socket.socket() as free, pytest.MonkeyPatch.context() as patch:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        patch.setenv("EDGE_CACHE", str(cache_folder()))
        patch.setenv("HOME", str(folder))
        patch.delenv("ANDROID_SERIAL", raising=False)
        try:
            yield
        finally:
            adb("kill-server")


def adb(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["adb", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                          env=os.environ)
