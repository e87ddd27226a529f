"""Who has a place: a name of which others can tell whether its process still lives.

A coordinator knows a holder as "computer/user" and keeps a place for one that was killed. So our user's part
ends in the process's number, the namespace of numbers, and when it began: ".edge-812-f0000001-2a".
Source: proc(5), /proc/PID/stat field 22; namespaces(7).
"""

import os
from pathlib import Path
import re

OURS = re.compile(r"(?P<computer>[^/]+)/.+\.edge-(?P<process>\d+)-(?P<space>[0-9a-f]+)-(?P<began>[0-9a-f]+)")


def user_name(user: str) -> str:
    """Of this process, as it goes to the coordinator behind the computer's name and a slash."""
    return f"{user}.edge-{os.getpid()}-{_space():x}-{_began(os.getpid()):x}"


def is_ours(holder: str) -> bool:
    """Whether a process of the toolchain, on whatever computer, calls itself so."""
    return OURS.fullmatch(holder) is not None


def is_dead(holder: str, computer: str) -> bool:
    """Whether it is a process of the toolchain on this computer that has ended. False where nobody can tell:
    on another computer, or in another container."""
    told = OURS.fullmatch(holder)
    if told is None or told["computer"] != computer or int(told["space"], 16) != _space():
        return False
    process = int(told["process"])
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    try:
        return _stat(process)[0] in "ZX" or _began(process) != int(told["began"], 16)
    except FileNotFoundError:
        return True


def _space() -> int:
    """The namespace that numbers of processes are told in."""
    return os.stat("/proc/self/ns/pid").st_ino


def _began(process: int) -> int:
    """In ticks since the computer started."""
    return int(_stat(process)[19])


def _stat(process: int) -> list[str]:
    """From the third field on, its state; the second, a name in brackets, may hold spaces."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
