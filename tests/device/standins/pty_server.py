"""Something that answers on a pty, in this process."""

from collections.abc import Callable
import os
import select
import threading
import tty


class PtyServer:
    """answer: bytes from the host -> bytes for it; tick: called a hundred times a second, bytes for the host.

    path: of the host's end
    """

    def __init__(self, answer: Callable[[bytes], bytes], tick: Callable[[], bytes] = lambda: b""):
        self._answer, self._tick, self._ended = answer, tick, threading.Event()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "PtyServer":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._ended.set()
        self._thread.join(10)
        self.pull()

    def pull(self) -> None:
        """The cable."""
        for end in (self._master, self._slave):
            if end >= 0:
                os.close(end)
        self._master = self._slave = -1

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                ready, _, _ = select.select([self._master], [], [], 0.01)
                said = self._answer(os.read(self._master, 4096)) if ready else b""
                said += self._tick()
                if said:
                    os.write(self._master, said)
            except (OSError, ValueError):
                return
