"""Campaigns that are killed, and campaigns on devices that fail: nothing is lost, doubled or left locked.

Killed: processes that measure tiny networks on this host (and on an emulated board) are ended by `kill -9`
at random instants: while they build, measure, renew leases, between any two statements of a transaction,
before and behind its commit. Others go on, alone or two at a time, until the campaign is over. Then every
measurement that was kept is there once, no two processes were at one board, and no lease outlived its time.

Failing: see soak_faults.py. Campaign number N, and its kills, are the same on every run.

    PYTHONPATH=. python scripts/soak_campaigns.py               # make soak
    PYTHONPATH=. python scripts/soak_campaigns.py --only 17     # one campaign again; its folder is kept
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import fcntl
import json
import os
from pathlib import Path
import random
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback

from soak_faults import FAULTS, inject
from sqlalchemy import Engine, event, select

from toolchain import errors
from toolchain.campaign import work
from toolchain.campaign.plan import load_campaign
from toolchain.campaign.run import run_campaign
from toolchain.errors import DeviceBusy
from toolchain.ledger import locks, renewal, schema
from toolchain.ledger.ledger import Ledger

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
TTL_S = 1.5
SLACK_S = 5.0
"""Beyond a lease's time, for a busy machine."""
MOST_STARTS = 40
POINTS = ("time", "statement", "commit", "build", "measure", "keep", "renew")
FILE = """
devices = [{devices}]
[models.float]
file = "float.tflite"
[models.int8]
file = "int8.tflite"
[recipes]
float = "float.toml"
[measure]
seconds = 0.02
"""
BOARD = '[boards.{name}]\ntarget = "host"\ntransport = "local"\n'
EXPECTED = {"cortex_m4_qemu"}
"""Devices on which the float network cannot run, which is an error of its own."""


# A process of a campaign ------------------------------------------------------------------------------------

@dataclass
class Death:
    """Where a process ends itself: at the count-th time that it comes by a point."""

    point: str
    count: int
    delay_s: float

    def passes(self, point: str) -> None:
        """kill -9 now, or, of what takes longer, somewhere in it."""
        if point != self.point:
            return
        self.count -= 1
        if self.count == 0:
            if point in ("build", "measure"):
                threading.Timer(self.delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)


def a_death(rng: random.Random) -> Death:
    point = rng.choice(POINTS)
    most = {"statement": 60, "commit": 12, "renew": 2, "time": 1}.get(point, 3)
    return Death(point, rng.randint(1, most), rng.uniform(0, 1.5))


def take_part(folder: Path, url: str, death: Death | None) -> None:
    """Go on with the campaign in `folder`, in this process, to its end or death."""
    death = death or Death("never", 0, 0)
    watch(death)
    journal = Journal(folder)
    campaign = load_campaign(folder / "campaign.toml")
    work.cache_folder = lambda: folder / "cache"  # artefacts are built anew, for each campaign

    def build(job):
        death.passes("build")
        return work.build(job)

    def measure(job, built):
        with alone(folder / f"{job.device}.board", journal):
            death.passes("measure")
            found = work.measure(job, built)
        nonce = secrets.token_hex(8)
        found[0].conditions["nonce"] = nonce
        journal.write("measured", job.key, nonce)
        return found

    with Ledger.open(url) as ledger:
        finish = ledger.finish

        def finished(claimed, *how):
            numbers = finish(claimed, *how)
            journal.write("kept", claimed.key, numbers[0])
            death.passes("keep")

        ledger.finish = finished
        run_campaign(ledger, campaign, build, measure, ttl_s=TTL_S, backoff_s=0.05,
                     say=lambda line: print(line, file=sys.stderr, flush=True))


def watch(death: Death) -> None:
    """Where a process may die by itself."""
    event.listen(Engine, "before_cursor_execute", lambda *_: death.passes("statement"))
    event.listen(Engine, "commit", lambda *_: death.passes("commit"))
    real = renewal.renew

    def renew(*what):
        death.passes("renew")
        real(*what)

    renewal.renew = renew


class Journal:
    """What processes did, a line each, written at once."""

    def __init__(self, folder: Path):
        self._file = os.open(folder / "journal", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def write(self, *words) -> None:
        os.write(self._file, (json.dumps(words) + "\n").encode())


@contextmanager
def alone(board: Path, journal: Journal) -> Iterator[None]:
    """Tells the journal where somebody else is at the board."""
    with open(board, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            journal.write("two at one board", board.name)
        yield


def begun(folder: Path, url: str, death: Death | None) -> int:
    """A process at work; its number."""
    if (child := os.fork()) > 0:
        return child
    code = 1
    try:
        log = os.open(folder / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        take_part(folder, url, death)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


# A campaign -------------------------------------------------------------------------------------------------

@dataclass
class Found:
    """kills: where; failures: (campaign, what); leases_s: how long those of the killed were still held"""

    kills: Counter = field(default_factory=Counter)
    outcomes: Counter = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    leases_s: list[float] = field(default_factory=list)
    kept: int = 0

    def check(self, number: int, right: bool, what: str) -> None:
        if not right:
            self.failures.append((number, what))


def soak_campaign(number: int, folder: Path, found: Found, url: str | None = None) -> None:
    """One campaign, killed and gone on with until it is over."""
    rng, devices = random.Random(number), prepare(folder, number)
    url = url or str(folder / "ledger.db")
    with Ledger.open(url):
        pass
    for start in range(MOST_STARTS):
        crowd = 2 if rng.random() < 0.3 else 1
        last = start >= 3 + number % 4
        deaths = [None if last and i == 0 else a_death(rng) for i in range(crowd)]
        codes = [ended(child, death, rng) for child, death in [(begun(folder, url, d), d) for d in deaths]]
        for code, death in zip(codes, deaths):
            found.kills[death.point if death and code == -signal.SIGKILL else "none"] += 1
            found.check(number, code in (0, -signal.SIGKILL), f"a process ended with {code}: {folder}/log")
        if -signal.SIGKILL in codes and rng.random() < 0.3:
            found.leases_s.append(wait_for_leases(url, devices))
            found.check(number, found.leases_s[-1] < TTL_S + SLACK_S, "a lease is stuck")
        if 0 in codes:
            break
    judge(number, folder, url, found)


def prepare(folder: Path, number: int) -> list[str]:
    """The campaign's files; names of its boards, which no other process of this machine has."""
    own = [f"soak-{secrets.token_hex(4)}" for _ in range(2)]
    devices = [*own, "cortex_m4_qemu"] if number % 5 == 0 else own
    for name in ("float.tflite", "int8.tflite"):
        shutil.copy(GOLDEN / name, folder)
    (folder / "float.toml").write_text('[quantize]\nscheme = "float32"\n')
    (folder / "campaign.toml").write_text(FILE.format(devices=", ".join(map(json.dumps, devices))))
    (folder / "boards.toml").write_text("".join(BOARD.format(name=name) for name in own))
    os.environ["EDGE_BOARDS"] = str(folder / "boards.toml")
    locks.PLACES = (str(folder),)  # not the machine's, where files of so many names would be left
    return [f"device:{name}" for name in own]


def ended(child: int, death: Death | None, rng: random.Random) -> int:
    """Its exit code, or minus the signal; killed from here where it is to die at some time."""
    if death and death.point == "time":
        time.sleep(rng.uniform(0, 4))
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_for_leases(url: str, devices: list[str]) -> float:
    """Seconds until they are free."""
    began = time.monotonic()
    with Ledger.open(url) as ledger:
        try:
            with ledger.lease(devices, wait_s=TTL_S + SLACK_S):
                pass
        except DeviceBusy:
            pass
    return time.monotonic() - began


def judge(number: int, folder: Path, url: str, found: Found) -> None:
    """Whether all that was measured and kept is there, once."""
    said = [json.loads(line) for line in (folder / "journal").read_text().splitlines()]
    with Ledger.open(url) as ledger:
        jobs = ledger.jobs("campaign")
        runs = [ledger.run(run.id) for run in ledger.runs()]
        with ledger.store.read() as connection:
            tried = connection.execute(select(schema.attempts.c.outcome, schema.attempts.c.error)).all()
            now = ledger.store.now(connection)
            held = schema.leases.c
            stuck = connection.execute(select(held.resource).where(
                held.owner != "", held.expires > now + TTL_S)).scalars().all()
    measured = {nonce: key for what, key, nonce in (line for line in said if line[0] == "measured")}
    acknowledged = [line[2] for line in said if line[0] == "kept"]
    nonces = [run.record.conditions["nonce"] for run in runs]
    unfinished = [job for job in jobs if job.state not in ("done", "invalid")
                  and not (job.model == "float" and job.device in EXPECTED and job.error == "Unsupported")]
    good = [job for job in jobs if job.state in ("done", "invalid")]
    for right, what in (
            (not [line for line in said if line[0] == "two at one board"], "two processes were at one board"),
            (not unfinished, f"jobs are not done: {unfinished}"),
            (len(runs) == len(good), f"{len(runs)} runs of {len(good)} jobs that are done: lost or doubled"),
            (len(set(nonces)) == len(nonces), "a measurement is there twice"),
            (set(nonces) <= measured.keys(), "a run is there that nobody measured"),
            (set(acknowledged) <= {run.id for run in runs}, "a measurement that was kept is lost"),
            (all(not error or hasattr(errors, error) for _, error in tried), "an error has no type of ours"),
            (not stuck, f"leases are held for too long: {stuck}")):
        found.check(number, right, what)
    found.kept += len(runs)
    found.outcomes.update(outcome for outcome, _ in tried)


def soak(count: int, first: int = 0, keep: bool = False) -> Found:
    """Campaigns first to first + count - 1."""
    found = Found()
    for number in range(first, first + count):
        folder = Path(tempfile.mkdtemp(prefix=f"soak-{number}-"))
        before = len(found.failures)
        soak_campaign(number, folder, found)
        if keep or len(found.failures) > before:
            print(f"campaign {number}: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    return found


# The report -------------------------------------------------------------------------------------------------

def report(campaigns: int, found: Found) -> int:
    told = ", ".join(f"{point} {count}" for point, count in found.kills.most_common())
    longest = f"{max(found.leases_s):.1f} s at most" if found.leases_s else "never looked at"
    attempts = ", ".join(f"{what} {count}" for what, count in found.outcomes.most_common())
    print(f"{campaigns} campaigns, {found.kept} measurements kept; processes by where they were killed: "
          f"{told}; attempts: {attempts}; leases of killed processes were held for {longest}, their time is "
          f"{TTL_S} s")
    for number, what in found.failures:
        print(f"  campaign {number}: {what}")
    return int(bool(found.failures))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of 100 campaigns and 20 of each fault")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="one campaign, its folder kept")
    parser.add_argument("--fault", choices=FAULTS, help="this fault only")
    parser.add_argument("--killed", action="store_true", help="killed campaigns only")
    asked = parser.parse_args()
    if asked.only is not None:
        return report(1, soak(1, asked.only, keep=True))
    code, campaigns, times = 0, max(1, round(100 * asked.share)), max(1, round(20 * asked.share))
    if not asked.fault:
        code = report(campaigns, soak(campaigns))
    for fault in [asked.fault] if asked.fault else () if asked.killed else FAULTS:
        told, failures = inject(fault, times)
        print(told, *(f"\n  {line}" for line in failures))
        code |= bool(failures)
    return code


if __name__ == "__main__":
    sys.exit(main())
