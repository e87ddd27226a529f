"""Locks of this machine, whatever ledger who uses: a file each, locked by the kernel for as long as we live.

A file says nothing and is never written to; others of this machine may lock it too. BSD locks (flock) belong
to the open file: a thread excludes another as a process does, and a killed process has let go.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
import fcntl
import hashlib
import os
from pathlib import Path
import re
import stat
import time

from toolchain.errors import DeviceBusy, DeviceUnavailable

PLACES = ("/run/lock", "/tmp")
"""Folders that every user may write in, and only the owner of a file may remove it from."""

POLL_S = 0.25
"""How often one that waits looks again."""


def lock_folder() -> Path:
    """Made where it is not there. Raises DeviceUnavailable where none of PLACES is usable."""
    for place in map(Path, PLACES):
        folder = place / "edge"
        try:
            folder.mkdir(mode=0o755)
            folder.chmod(0o1777)
        except FileExistsError:
            pass
        except OSError:
            continue
        if stat.S_ISDIR(folder.lstat().st_mode):
            return folder
    raise DeviceUnavailable(f"no folder for locks can be made in {' or '.join(PLACES)}; free one of them")


@contextmanager
def machine_locks(resources: Sequence[str], shared: bool = False, wait_s: float = 0.0) -> Iterator[None]:
    """All of them, in the order of their names, or DeviceBusy.

    shared: along with others that share it; none of them while somebody has it alone
    wait_s: how long to wait for those who have them, in all
    """
    folder, deadline = lock_folder(), time.monotonic() + wait_s
    with ExitStack() as held:
        for resource in sorted(set(resources)):
            file = _opened(folder / _file_name(resource))
            held.callback(os.close, file)
            while not _locked(file, shared):
                if time.monotonic() >= deadline:
                    raise _busy(file, resource)
                time.sleep(POLL_S)
        yield


def _file_name(resource: str) -> str:
    told = re.sub("[^A-Za-z0-9_-]", "_", resource)[:60]
    return f"{told}.{hashlib.sha256(resource.encode()).hexdigest()[:16]}"


def _opened(path: Path) -> int:
    """Read-only, which is enough for a lock. A file of another user is opened, not created: Linux refuses to
    create over it in a folder like /tmp (fs.protected_regular)."""
    for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
        try:
            return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except (FileNotFoundError, FileExistsError):
            continue
        except OSError as error:
            raise DeviceUnavailable(f"{path}: cannot be locked: {error.strerror}; remove it") from None
    raise DeviceUnavailable(f"{path}: comes and goes, so it cannot be locked; who removes it?")


def _locked(file: int, shared: bool) -> bool:
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(file: int, resource: str) -> DeviceBusy:
    holder = _holder(file)
    who = f"process {holder} of this machine" if holder else "another process of this machine"
    return DeviceBusy(f"{resource} is in use by {who}; wait until it ends, or end it")


def _holder(file: int) -> int | None:
    """The process that has the lock, as /proc/locks tells; None where it does not."""
    seen = os.fstat(file)
    place = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for words in map(str.split, lines):
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == place and int(words[4]) > 0:
            return int(words[4])
    return None
