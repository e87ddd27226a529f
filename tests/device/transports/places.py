"""What the tests of transports share: tools of small devices, processes that are still there."""

import os
from pathlib import Path
import shutil
import time

import pytest

TOOLS = "cat chmod df env ls mkdir mv rm setsid sha256sum sleep wc".split()
"""All that is asked of a device, and programs that tests start."""
SMALL = {"dash": ("dash", None), "bash": ("bash", None), "android": ("mksh", "toybox"),
         "busybox": ("busybox", "busybox")}
"""A device -> its shell and the one program that its tools are, None for a file each."""


def tools_of(folder: Path, kind: str, without: tuple[str, ...] = ()) -> Path:
    """A folder for PATH in which nothing lies but a shell and TOOLS."""
    shell, program = (needed(name) if name else None for name in SMALL[kind])
    folder.mkdir()
    (folder / "sh").symlink_to(shell)
    for name in set(TOOLS) - set(without):
        (folder / name).symlink_to(program or needed(name))
    return folder


def needed(name: str) -> str:
    """Where a program is; a test without it fails in CI and is skipped elsewhere."""
    if found := shutil.which(name):
        return found
    message = f"needs {name}"
    pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


def gone(words: str, seconds: float = 5.0) -> bool:
    """Whether no process with these words in its command line is left, soon."""
    end = time.monotonic() + seconds
    while running(words) and time.monotonic() < end:
        time.sleep(0.02)
    return not running(words)


def running(words: str) -> list[int]:
    """Processes with these words in their command line, the dead that nobody waited for left out."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder.name.isdigit() and words in line:
            found.append(int(folder.name))
    return found
