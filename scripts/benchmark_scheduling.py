"""What sharing devices costs: claims, leases and records of a job that does nothing, and places of a lab.

A campaign of empty jobs on 8 devices, by 1, 2 and 4 processes; a lab on paper: 10,000 jobs on 200 devices of
which 199 are taken; places of a labgrid coordinator of this computer; searches by 1 and 4 workers, whose
trials sleep, and searches of up to 10,000 trials. In SQLite (searches: a journal's file beside it) and,
started for it, in PostgreSQL. The least of three rounds, for what else runs here only adds to it; CPU time is
that of ours.
Prints a table, and writes build/benchmark/scheduling/scheduling.json.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time

from benchmark_peers import OUT, ROOT, say
from peers_report import own_conditions, table
from scheduling_searches import SIZES, WORKERS, long, long_table, shared, shared_table
import sqlalchemy

from tests.campaign.jobs import a_job
from tests.device.lab import lab, serial_at
from tests.ledger.measured import a_measurement
from tests.ledger.postgresql import binaries, server
from tests.ledger.processes import forked
from toolchain.campaign.plan import Campaign
from toolchain.campaign.run import run_campaign
from toolchain.device.boards import Board
from toolchain.device.labgrid import PYTHON, acquired
from toolchain.ledger import jobs, leases, locks
from toolchain.ledger.ledger import Ledger

FOLDER = OUT / "scheduling"
JOBS, DEVICES, PROCESSES = 400, 8, (1, 2, 4)
LAB_JOBS, LAB_DEVICES = 10_000, 200
SAMPLES = [20.0] * 1000
"""Of latency, that a measurement keeps."""
ROUNDS, PLACES = 3, 50
"""Of a campaign; times that a place is acquired."""
Cost = tuple[float, float]
"""Milliseconds of a job: by the clock, of CPU time."""


@contextmanager
def databases() -> Iterator[dict[str, list[str]]]:
    """Database -> URLs of empty ledgers, as many as there are campaigns."""
    count = ROUNDS * (len(PROCESSES) + 1 + len(WORKERS))
    if binaries() is None:
        sys.exit("benchmark: no PostgreSQL: apt-get install postgresql")
    with tempfile.TemporaryDirectory() as folder, server(binaries()) as address:
        engine = sqlalchemy.create_engine(address.format(database="postgres").replace("://", "+psycopg://"),
                                          isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for i in range(count):
                connection.exec_driver_sql(f"CREATE DATABASE lab{i}")
        engine.dispose()
        locks.PLACES = (folder,)
        yield {"SQLite": [f"{folder}/{i}.db" for i in range(count)],
               "PostgreSQL": [address.format(database=f"lab{i}") for i in range(count)]}


def campaign(count: int, devices: int) -> Campaign:
    return Campaign("empty", tuple(a_job(f"model{i}", f"board{i % devices}") for i in range(count)))


def work(url: str, wanted: Campaign) -> None:
    """Every job of the campaign that nobody else does."""
    with Ledger.open(url) as ledger:
        run_campaign(ledger, wanted, lambda job: None, lambda job, built: [
            a_measurement(artifact=job.model, device=job.device, latency_samples_us=SAMPLES)])


def crowd(url: str, processes: int) -> Cost:
    """What a process spends on a job, beside the others."""
    wanted = campaign(JOBS, DEVICES)
    with Ledger.open(url) as ledger:
        jobs.register(ledger.store, wanted.name, [])
    began, cpu_s = time.monotonic(), 0.0
    for child in [forked(lambda: work(url, wanted)) for _ in range(processes)]:
        _, status, used = os.wait4(child, 0)
        assert status == 0
        cpu_s += used.ru_utime + used.ru_stime
    return (time.monotonic() - began) * processes / JOBS * 1e3, cpu_s / JOBS * 1e3


def full_lab(url: str) -> Cost:
    """Of a job on the one board that nobody has."""
    wanted, times = campaign(LAB_JOBS, LAB_DEVICES), LAB_JOBS // LAB_DEVICES
    rows = [jobs.JobRow(key=job.key, model=job.model, recipe=job.recipe, device=job.device,
                        target=job.profile.name) for job in wanted.jobs]
    by_key = {job.key: job for job in wanted.jobs}
    with Ledger.open(url) as ledger, ledger.worker(600.0) as others, ledger.worker(600.0) as worker:
        number = jobs.register(ledger.store, wanted.name, rows)
        for _ in range(LAB_DEVICES - 1):
            jobs.claim(ledger.store, number, others)
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        for _ in range(times):
            claimed = jobs.claim(ledger.store, number, worker)
            job = by_key[claimed.key]
            with ledger.lease(job.resources) as lease:
                ledger.finish(claimed, worker, lease, [a_measurement(device=job.device,
                                                                     latency_samples_us=SAMPLES)])
        return ((time.monotonic() - began_s) / times * 1e3,
                (time.process_time() - began_cpu_s) / times * 1e3)


def renewal_ms(url: str) -> float:
    """Of a lease, which a process does every ten seconds for itself and for its device."""
    with Ledger.open(url) as ledger, ledger.lease(["device:renewed"]) as lease:
        began = time.monotonic()
        for _ in range(PLACES):
            leases.renew(ledger.store, lease)
        return (time.monotonic() - began) / PLACES * 1e3


def places() -> dict[str, float]:
    """Seconds until the first place is ours, milliseconds of a further one: acquired and given back."""
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder)) as shared:
        shared.export({"board": serial_at(4001)})
        board = Board(target="cortex_m4_qemu", transport="labgrid", address=shared.address, name="board")
        first_s, alone_s = place_s(board), min(place_s(board) for _ in range(PLACES))
        command = [PYTHON, ROOT / "scripts" / "labgrid_crowd.py", shared.address, str(LAB_DEVICES),
                   str(LAB_DEVICES)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as others:
            assert others.stdout.readline() == b"ready\n"
            crowded_s = min(place_s(board) for _ in range(PLACES))
            others.stdin.close()
    return {"first_s": first_s, "alone_ms": alone_s * 1e3, "crowded_ms": crowded_s * 1e3}


def place_s(board: Board) -> float:
    began = time.monotonic()
    with acquired(board, "serial"):
        pass
    return time.monotonic() - began


def main() -> None:
    found: dict[str, dict] = {}
    with databases() as ledgers:
        for name, urls in ledgers.items():
            say(f"{name}: {JOBS} empty jobs by {PROCESSES} processes, then {LAB_JOBS:,} on {LAB_DEVICES}")
            empty = iter(urls)
            found[name] = {str(count): min(crowd(next(empty), count) for _ in range(ROUNDS))
                           for count in PROCESSES}
            found[name]["lab"] = min(full_lab(next(empty)) for _ in range(ROUNDS))
            say(f"{name}: searches by {WORKERS} workers")
            found[name]["search"] = {str(count): [shared(next(empty), count) for _ in range(ROUNDS)]
                                     for count in WORKERS}
            found[name]["renewal"] = min(renewal_ms(url) for url in urls)
    say(f"searches of {SIZES} trials")
    with tempfile.TemporaryDirectory() as folder:
        found["trials"] = {str(size): long(Path(folder), size) for size in SIZES}
    say(f"labgrid: a place, {PLACES} times")
    found["labgrid"] = places()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "scheduling.json").write_text(json.dumps(found, indent=1))
    print(report(found))


def report(found: dict[str, dict]) -> str:
    head = ["milliseconds of a job, by the clock (CPU)", "1 process", "2 processes", "4 processes",
            f"{LAB_JOBS:,} jobs, {LAB_DEVICES - 1} of {LAB_DEVICES} devices taken", "a lease renewed"]
    rows = [[name, *(f"{found[name][key][0]:.1f} ({found[name][key][1]:.1f})"
                     for key in (*map(str, PROCESSES), "lab")), f"{found[name]['renewal']:.1f}"]
            for name in ("SQLite", "PostgreSQL")]
    place = found["labgrid"]
    told = (f"A place of labgrid, acquired and given back: {place['first_s']:.2f} s the first time in a "
            f"process, then {place['alone_ms']:.0f} ms; {place['crowded_ms']:.0f} ms with "
            f"{LAB_DEVICES} places and {LAB_DEVICES} others there.")
    searches = {name: found[name]["search"] for name in ("SQLite", "PostgreSQL")}
    return "\n\n".join([own_conditions(), table(head, rows), shared_table(searches),
                        long_table(found["trials"]), told])


if __name__ == "__main__":
    main()
