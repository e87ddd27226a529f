"""Leases that last as long as the work: one thread of ours renews them all, each at a third of its time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
import threading
import time

from toolchain.errors import DeviceBusy, LeaseLost, LedgerError
from toolchain.ledger.leases import Lease, give_back, held_by, renew, take
from toolchain.ledger.locks import POLL_S, machine_locks
from toolchain.ledger.store import Store

TTL_S = 30.0
"""How long a lease is good for once nobody renews it."""


class Renewal:
    """The leases of this process in one ledger. The thread ends with the last of them."""

    def __init__(self, store: Store):
        self._store = store
        self._due: dict[str, tuple[float, Lease]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, resources: Sequence[str], ttl_s: float = TTL_S, wait_s: float = 0.0,
             locked: bool = True) -> Iterator[Lease]:
        """All of the resources, or none; renewed as long as this lasts, given back at its end.

        wait_s: how long to wait for those who have them
        locked: take this machine's locks too, which hold beyond this ledger; else what a process of this host
                had that died is taken at once
        Raises DeviceBusy naming the holder, LedgerError.
        """
        lease, until_the_end = _waited(lambda: self._acquire(resources, ttl_s, locked), wait_s)
        with until_the_end:
            yield lease

    def _acquire(self, resources: Sequence[str], ttl_s: float, locked: bool) -> tuple[Lease, ExitStack]:
        with ExitStack() as stack:
            if locked:
                self._lock(stack, resources)
            lease = take(self._store, resources, ttl_s, from_the_dead=not locked)
            stack.callback(self._end, lease)
            self._begin(lease)
            return lease, stack.pop_all()

    def _lock(self, stack: ExitStack, resources: Sequence[str]) -> None:
        """Who is in the way is told from the ledger, where it knows."""
        try:
            stack.enter_context(machine_locks(resources))
        except DeviceBusy as busy:
            raise held_by(self._store, resources) or busy from None

    def _begin(self, lease: Lease) -> None:
        with self._changed:
            self._due[lease.owner] = (time.monotonic() + lease.ttl_s / 3, lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="edge-leases")
                self._thread.start()
            self._changed.notify()

    def _end(self, lease: Lease) -> None:
        """Where it cannot be given back, it ends by itself."""
        with self._changed:
            self._due.pop(lease.owner, None)
            self._changed.notify()
        with suppress(LedgerError):
            give_back(self._store, lease)

    def _run(self) -> None:
        while (lease := self._next()) is not None:
            with suppress(LedgerError):  # tried again: the lease may outlast the trouble
                self._renew(lease)

    def _renew(self, lease: Lease) -> None:
        try:
            renew(self._store, lease)
        except LeaseLost:
            with self._changed:
                self._due.pop(lease.owner, None)

    def _next(self) -> Lease | None:
        """The next lease to renew, once it is due; None when there are no more."""
        with self._changed:
            while self._due:
                due_s, lease = min(self._due.values(), key=lambda each: each[0])
                left_s = due_s - time.monotonic()
                if left_s <= 0:
                    self._due[lease.owner] = (time.monotonic() + lease.ttl_s / 3, lease)
                    return lease
                self._changed.wait(left_s)
            self._thread = None
            return None


def _waited(acquire: Callable[[], tuple[Lease, ExitStack]], wait_s: float) -> tuple[Lease, ExitStack]:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return acquire()
        except DeviceBusy:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise
        time.sleep(min(POLL_S, left_s))
