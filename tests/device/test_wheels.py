"""Wheels for devices: what is asked of pip, and what is said where it fails."""

from pathlib import Path
import re
import subprocess

import pytest

from toolchain.device import wheels
from toolchain.device.wheels import GLIBC, REQUIREMENTS, device_wheels
from toolchain.errors import DeviceUnavailable


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[list[str]]:
    """pip's command lines; it writes two empty wheels."""
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path))
    commands: list[list[str]] = []

    def run(command, **_):
        commands.append(command)
        folder = Path(next(word for word in command if word.startswith("--dest="))[7:])
        for name in ("b-1.whl", "a-1.whl"):
            (folder / name).touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(wheels.subprocess, "run", run)
    return commands


@pytest.mark.parametrize("architecture", GLIBC)
def test_every_runtime_is_pinned_by_its_digest(architecture):
    text = (REQUIREMENTS / f"device-{architecture}.txt").read_text()
    pinned = re.findall(r"^[a-z-]+==[\d.]+ \\\n    --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert pinned and len(pinned) == len(re.findall(r"^[a-z]", text, re.MULTILINE))


def test_wheels_are_fetched_once_for_their_own_platform(asked):
    first, second = device_wheels("armv7l"), device_wheels("armv7l")
    assert [path.name for path in first] == ["a-1.whl", "b-1.whl"] and first == second
    (command,) = asked
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:",
            "--platform=manylinux_2_34_armv7l"} <= set(command)
    assert f"--requirement={REQUIREMENTS / 'device-armv7l.txt'}" in command


def test_what_pip_says_is_told_and_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path))
    said = "WARNING: retrying\nERROR: No matching distribution found for tflite-runtime==2.14.0\n"
    monkeypatch.setattr(wheels.subprocess, "run",
                        lambda command, **_: subprocess.CompletedProcess(command, 1, stderr=said))
    with pytest.raises(DeviceUnavailable, match="device-armv7l.txt: .*No matching distribution"):
        device_wheels("armv7l")
    assert not [path for path in (tmp_path / "wheels").iterdir() if path.is_dir()]
