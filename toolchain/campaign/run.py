"""A campaign seen through: every job done once, whatever happens on the way, by as many processes as like."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
import errno
import time
import traceback
from typing import TypeVar

from toolchain.campaign.plan import Campaign, Job
from toolchain.errors import (
    BadConfig,
    BadReply,
    DeviceBusy,
    DeviceLost,
    DeviceTimeout,
    DeviceUnavailable,
    InvalidMeasurement,
    LeaseLost,
    LedgerError,
    ToolchainError,
)
from toolchain.ledger import jobs
from toolchain.ledger.jobs import Claim, JobRow, JobStatus, Progress
from toolchain.ledger.leases import Lease
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.locks import machine_locks
from toolchain.ledger.records import Record
from toolchain.ledger.renewal import TTL_S
from toolchain.measurement import Evaluation

Built = TypeVar("Built")
Build = Callable[[Job], Built]
Measure = Callable[[Job, Built], Sequence[Record]]
AGAIN = (DeviceLost, DeviceTimeout, BadReply, LeaseLost)
"""Errors after which a job is tried again: the same may go well the next time. After one of them, a device
that is not back yet is one, too."""
TRIES = 3
BACKOFF_S = 1.0
"""Before the second try; twice as long before each further one."""
POLL_S = 0.5
FULL = (errno.ENOSPC, errno.EDQUOT)
HOST = "device:host"
BUILD_WAITS_S = 86400.0
"""How long a build waits for those who measure this host."""
MOST_LETTERS = 2000
"""Of an error's message that is kept."""


def run_campaign(ledger: Ledger, campaign: Campaign, build: Build, measure: Measure, *,
                 say: Callable[[str], None] = lambda message: None, ttl_s: float = TTL_S,
                 backoff_s: float = BACKOFF_S, again: bool = False) -> list[JobStatus]:
    """Begin a campaign or go on with it, until no job of it waits or runs; how each ended.

    build:   job -> what is to be measured; no device is ours meanwhile. The same job may be built again
    measure: job, what was built -> records; the job's device and meters are ours meanwhile
    ttl_s:   how long jobs and devices stay taken by a process that died
    again:   jobs that failed or were invalid wait once more, to begin with
    An error in one job ends that job. Raises LedgerError, OSError where this host's disk is full, and
    KeyboardInterrupt; what was begun is then begun again by the next run.
    """
    run = _Run(ledger, campaign, build, measure, say, ttl_s, backoff_s)
    if again:
        jobs.again(ledger.store, run.number)
    return run.to_the_end()


class _Run:
    """One process at work on one campaign."""

    def __init__(self, ledger: Ledger, campaign: Campaign, build: Build, measure: Measure,
                 say: Callable[[str], None], ttl_s: float, backoff_s: float):
        self._ledger, self._campaign, self._build, self._measure = ledger, campaign, build, measure
        self._say, self._ttl_s, self._backoff_s = say, ttl_s, backoff_s
        self._jobs = {job.key: job for job in campaign.jobs}
        self.number = jobs.register(ledger.store, campaign.name, [
            JobRow(key=job.key, model=job.model, recipe=job.recipe, device=job.device,
                   target=job.profile.name) for job in campaign.jobs])
        self._eta = _Eta(self._progress())

    def _progress(self) -> Progress:
        return jobs.progress(self._ledger.store, self.number)

    def to_the_end(self) -> list[JobStatus]:
        while not self._progress().over:
            with suppress(LeaseLost):  # suspended: what this process was at is claimed anew
                with self._ledger.worker(self._ttl_s) as worker:
                    self._work(worker)
        return jobs.statuses(self._ledger.store, self._campaign.name)

    def _work(self, worker: Lease) -> None:
        while True:
            if claimed := jobs.claim(self._ledger.store, self.number, worker):
                self._attempt(claimed, worker)
                continue
            progress = self._progress()
            if progress.over:
                return
            time.sleep(POLL_S if progress.next_s is None else min(POLL_S, progress.next_s + 0.001))

    def _attempt(self, claimed: Claim, worker: Lease) -> None:
        if (job := self._jobs.get(claimed.key)) is None:
            self._put_back(claimed, worker, "interrupted")
            raise BadConfig(f"campaign '{self._campaign.name}' has other jobs now: its file was changed and "
                            f"begun anew; start again")
        try:
            self._do(job, claimed, worker)
        except LedgerError:
            raise
        except LeaseLost as error:
            self._try_again(job, claimed, worker, error)
        except DeviceBusy as error:
            self._say(f"{job}: {error}")
            self._put_back(claimed, worker, "waiting", error, self._backoff_s)
        except ToolchainError as error:
            again = isinstance(error, AGAIN) or (type(error) is DeviceUnavailable and claimed.tries > 0)
            (self._try_again if again else self._fail)(job, claimed, worker, error)
        except (KeyboardInterrupt, SystemExit):
            with suppress(LeaseLost, LedgerError):
                self._put_back(claimed, worker, "interrupted")
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                self._put_back(claimed, worker, "interrupted", error)
                raise
            self._say("".join(traceback.format_exception(error)).rstrip())
            self._fail(job, claimed, worker, error)

    def _do(self, job: Job, claimed: Claim, worker: Lease) -> None:
        self._say(f"{job}: attempt {claimed.attempt}")
        with machine_locks([HOST], shared=True, wait_s=BUILD_WAITS_S):  # it would disturb who measures here
            built = self._build(job)
        with self._leased(job) as lease:
            results = self._measure(job, built)
            self._ledger.finish(claimed, worker, lease, results)
        self._eta.ended()
        self._tell(f"{job}: {_headline(results)}")

    def _leased(self, job: Job) -> AbstractContextManager[Lease | None]:
        """A killed holder's lease is over by the end of the wait; whoever else is there may take longer."""
        if not job.resources:
            return nullcontext()
        return self._ledger.lease(job.resources, self._ttl_s, wait_s=1.5 * self._ttl_s)

    def _try_again(self, job: Job, claimed: Claim, worker: Lease, error: ToolchainError) -> None:
        if claimed.tries + 1 >= TRIES:
            self._fail(job, claimed, worker, error)
            return
        wait_s = self._backoff_s * 2 ** claimed.tries
        self._say(f"{job}: {error}; tried again in {wait_s:.0f} s")
        self._put_back(claimed, worker, "again", error, wait_s)

    def _put_back(self, claimed: Claim, worker: Lease, outcome, error: Exception | None = None,
                  wait_s: float = 0.0) -> None:
        told = (type(error).__name__, self._message(claimed, error)) if error else ("", "")
        jobs.put_back(self._ledger.store, claimed, worker, outcome, *told, wait_s)

    def _fail(self, job: Job, claimed: Claim, worker: Lease, error: Exception) -> None:
        code = error.exit_code if isinstance(error, ToolchainError) else 1
        told = type(error).__name__, self._message(claimed, error)
        jobs.fail(self._ledger.store, claimed, worker, *told, code)
        self._eta.ended()
        self._tell(f"{job}: {': '.join(told)}")

    def _message(self, claimed: Claim, error: Exception) -> str:
        """Without the addresses and keys of the job's board."""
        message, job = str(error)[:MOST_LETTERS], self._jobs[claimed.key]
        for secret in job.secrets:
            message = message.replace(secret, job.device)
        return message

    def _tell(self, message: str) -> None:
        self._say(f"{message}; {self._eta.told(self._progress)}")


class _Eta:
    """How far the campaign is, looked up once a second at most, and when it may be over."""

    def __init__(self, progress: Progress):
        self._left, self._began, self._seen = _left(progress), time.monotonic(), time.monotonic()
        self._first, self._all = self._left, sum(progress.counts.values())

    def ended(self) -> None:
        self._left = max(0, self._left - 1)

    def told(self, look: Callable[[], Progress]) -> str:
        now = time.monotonic()
        if now - self._seen > 1:
            self._left, self._seen = _left(look()), now
        each_s = (now - self._began) / max(1, self._first - self._left)
        left = f", about {in_words(each_s * self._left)} left" if self._left else ""
        return f"{self._all - self._left} of {self._all} jobs{left}"


def _left(progress: Progress) -> int:
    return progress.counts.get("pending", 0) + progress.counts.get("running", 0)


def in_words(seconds: float) -> str:
    """Seconds, minutes or hours, whole."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _headline(results: Sequence[Record]) -> str:
    """The figures in a few words."""
    return ", ".join(_figure(record) for record in results)


def _figure(record: Record) -> str:
    if isinstance(record, Evaluation):
        return f"{record.metric} {record.value:.4f}"
    if record.problems:
        return f"invalid: {record.problems[0]}"
    if record.latency_us:
        return f"{record.latency_us.median:,.0f} us"
    return f"{record.instructions:,} instructions" if record.instructions is not None else "measured"


def exit_code(statuses: Sequence[JobStatus], accept_invalid: bool = False) -> int:
    """Of a campaign that is over: that of its worst job, a bug (1) before all else."""
    codes = {status.exit_code for status in statuses if status.state == "failed"}
    if not accept_invalid:
        codes |= {InvalidMeasurement.exit_code for status in statuses if status.state == "invalid"}
    return 1 if 1 in codes else max(codes, default=0)
