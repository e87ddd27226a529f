"""Ledger: the door to all of it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
import secrets
from typing import Literal

from toolchain.errors import BadInput
from toolchain.ledger import jobs, leases, runs
from toolchain.ledger.export import EXPORT
from toolchain.ledger.leases import Lease
from toolchain.ledger.migrations import migrate
from toolchain.ledger.records import Record, Subject
from toolchain.ledger.renewal import TTL_S, Renewal
from toolchain.ledger.runs import Filter, Run, WholeRun
from toolchain.ledger.store import Clock, Store, connect, database_clock, default_url
from toolchain.measurement import Measurement


class Ledger:
    """A ledger that is open. Threads may share it; a forked child opens its own.

    Every method raises LedgerError where the database fails; then nothing of what it was to write is there.
    """

    def __init__(self, store: Store):
        self.store, self._renewal = store, Renewal(store)

    @classmethod
    def open(cls, url: str | None = None, clock: Clock = database_clock) -> "Ledger":
        """At a path or URL, by default where EDGE_LEDGER says; made where there is none, brought up to date.

        Raises LedgerError for one that is not ours, damaged, or of a newer version.
        """
        store = connect(url or default_url(), clock)
        try:
            migrate(store)
        except BaseException:
            store.close()
            raise
        return cls(store)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self.store.close()

    def record(self, *results: Record, subject: Subject | None = None,
               lease: Lease | None = None) -> list[int]:
        """Keep measurements and evaluations, all or none; their ids. On the disk when this returns.

        subject: what evaluations are of; by default what the measurement among `results` is of
        lease:   under which they were measured
        Raises LeaseLost where the lease ran out meanwhile, InvalidMeasurement for numbers that are not
        finite.
        """
        with self.store.write(durable=True) as connection:
            now, of = self.store.now(connection), subject or _subject(results)
            if lease:
                leases.require(connection, lease, now)
            return [runs.add(connection, record, of, now) for record in results]

    def finish(self, claimed: jobs.Claim, worker: Lease, lease: Lease | None,
               results: Sequence[Record]) -> list[int]:
        """Keep the results of a job and end it, in one transaction.

        It is "invalid" where a measurement is. Raises LeaseLost where the job or the lease on its device
        is no longer ours; then nothing is kept.
        """
        invalid = any(isinstance(record, Measurement) and record.problems for record in results)
        with self.store.write(durable=True) as connection:
            now, of = self.store.now(connection), _subject(results)
            jobs.require_claim(connection, claimed, worker)
            if lease:
                leases.require(connection, lease, now)
            kept = [runs.add(connection, record, of, now, claimed, part)
                    for part, record in enumerate(results)]
            jobs.end(connection, claimed, now, "invalid" if invalid else "done")
        return kept

    def runs(self, wanted: Filter = Filter()) -> list[Run]:
        """Oldest first. Raises BadInput for a date that is none."""
        with self.store.read() as connection:
            return runs.listed(connection, wanted)

    def run(self, number: int) -> WholeRun:
        """Raises BadInput where there is none."""
        with self.store.read() as connection:
            return runs.whole(connection, number)

    def export(self, as_: Literal["json", "csv"] = "json", wanted: Filter = Filter()) -> str:
        """Runs as text, in one consistent view. Raises BadInput."""
        if as_ not in EXPORT:
            raise BadInput(f"runs are not exported as '{as_}'; choose {' or '.join(EXPORT)}")
        with self.store.read() as connection:
            found = runs.listed(connection, wanted)
            return EXPORT[as_](runs.whole(connection, run.id) for run in found)

    def jobs(self, campaign: str) -> list[jobs.JobStatus]:
        """How far each job of the campaign of that name is. Raises BadInput where there is none."""
        return jobs.statuses(self.store, campaign)

    def lease(self, resources: Sequence[str], ttl_s: float = TTL_S,
              wait_s: float = 0.0) -> AbstractContextManager[Lease]:
        """`with ledger.lease(["device:pi", "meter:ppk2"]) as lease:` all of them or none, on this
        machine and, where the ledger is shared, beyond. Raises DeviceBusy naming who has one.

        ttl_s: how long it outlives a holder that died;  wait_s: how long to wait for others
        """
        return self._renewal.held(resources, ttl_s, wait_s)

    def claim(self, what: str, ttl_s: float = TTL_S) -> AbstractContextManager[Lease]:
        """A piece of work that is nobody else's as long as this lasts, and no longer than the process that is
        at it, where that is of this host. Raises DeviceBusy."""
        return self._renewal.held([what], ttl_s, locked=False)

    def unclaimed(self, what: Sequence[str]) -> list[str]:
        """The pieces of work that `claim` would give now."""
        return leases.free(self.store, what)

    def worker(self, ttl_s: float = TTL_S) -> AbstractContextManager[Lease]:
        """This process at work on campaigns or a search: jobs and trials that it has begun are anybody's once
        this lease is over. `unclaimed` knows it by the name in its `tokens`."""
        return self._renewal.held([f"worker:{secrets.token_hex(8)}"], ttl_s, locked=False)


def _subject(results: Sequence[Record]) -> Subject:
    for record in results:
        if isinstance(record, Measurement):
            return Subject(record.artifact, record.artifact_digest, record.target)
    return Subject()
