"""Other processes, as tests have them: forked, each with a ledger of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import signal
import sys
import time
import traceback


def forked(work: Callable[[], object]) -> int:
    """The process that does the work and ends: 0 where it went well, 1 where it raised."""
    if (child := os.fork()) > 0:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def a_process(work: Callable[[Callable[[], None]], object]) -> Iterator[int]:
    """A process that is at `work` when this begins: `work` is handed what says so. Killed at the end."""
    reader, writer = os.pipe()
    child = forked(lambda: work(lambda: os.write(writer, b".")))
    os.close(writer)
    try:
        assert os.read(reader, 1) == b".", "the process ended before it was ready"
        yield child
    finally:
        os.close(reader)
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def for_ever() -> None:
    while True:
        time.sleep(60)
