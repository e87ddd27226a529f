"""Processes that are killed, stopped and in each other's way."""

import os
from pathlib import Path
import secrets
import signal
import threading
import time

import pytest
from sqlalchemy import event, select

from tests.ledger.measured import a_measurement, an_evaluation
from tests.ledger.processes import a_process, ended, for_ever, forked
from toolchain.errors import DeviceBusy, DeviceUnavailable, LeaseLost
from toolchain.ledger import locks
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.locks import machine_locks
from toolchain.ledger.schema import leases

TTL_S = 1.0
SLACK_S = 1.5
"""Of a busy machine."""


@pytest.fixture
def device() -> str:
    """A name that no other test has: locks are the machine's."""
    return f"device:test-{secrets.token_hex(8)}"


def alone(place: Path) -> None:
    """Fails where somebody else is in here."""
    os.close(os.open(place, os.O_CREAT | os.O_EXCL))
    time.sleep(0.02)
    place.unlink()


def at_one_board(urls: list[str], device: str, place: Path) -> list[int]:
    """Exit codes of processes that lease a device three times each, one process a ledger."""
    def work(url: str) -> None:
        with Ledger.open(url) as ledger:
            for _ in range(3):
                with ledger.lease([device, f"{device}-meter"], wait_s=60) as lease:
                    alone(place)
                    ledger.record(a_measurement(), lease=lease)

    return [ended(child) for child in [forked(lambda url=url: work(url)) for url in urls]]


def test_no_two_processes_are_at_one_device(url, device, tmp_path):
    assert at_one_board([url] * 4, device, tmp_path / "board") == [0] * 4
    with Ledger.open(url) as ledger:
        assert len(ledger.runs()) == 12


def test_nor_where_their_ledgers_know_nothing_of_each_other(device, tmp_path):
    """By the machine's locks, which are the same whatever the ledger is in."""
    urls = [str(tmp_path / f"{number}.db") for number in range(4)]
    assert at_one_board(urls, device, tmp_path / "board") == [0] * 4


def test_leases_in_opposite_orders_come_to_no_deadlock(url, device):
    def work(order: int) -> None:
        with Ledger.open(url) as ledger:
            for _ in range(10):
                with ledger.lease([f"{device}-a", f"{device}-b"][::order], wait_s=60):
                    pass

    children = [forked(lambda order=order: work(order)) for order in (1, -1)]
    assert [ended(child) for child in children] == [0, 0]


def holding(url: str, device: str):
    def work(ready) -> None:
        with Ledger.open(url) as ledger, ledger.lease([device], TTL_S):
            ready()
            for_ever()
    return work


def test_a_killed_holders_lease_is_free_after_its_time(url, device):
    with Ledger.open(url) as ledger, a_process(holding(url, device)) as child:
        time.sleep(TTL_S * 1.5)  # renewed meanwhile
        with pytest.raises(DeviceBusy, match=f"{device} is in use by process {child} of "):
            with ledger.lease([device]):
                pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        began = time.monotonic()
        with ledger.lease([device], wait_s=60):
            assert time.monotonic() - began < TTL_S + SLACK_S


def test_who_was_stopped_for_too_long_records_nothing(url, device):
    def work(ready) -> None:
        with Ledger.open(url) as ledger, ledger.lease([device], TTL_S) as lease:
            ready()
            time.sleep(0.5)
            assert lease.ended.wait(20), "nobody told that the lease is over"
            with pytest.raises(LeaseLost):
                ledger.record(a_measurement(), lease=lease)

    with Ledger.open(url) as ledger, a_process(work) as child:
        os.kill(child, signal.SIGSTOP)
        time.sleep(TTL_S * 1.5)
        with pytest.raises(DeviceBusy):  # by the machine's lock: it may go on any time
            with ledger.lease([device]):
                pass
        os.kill(child, signal.SIGCONT)
        assert ended(child) == 0
        assert ledger.runs() == []
        with ledger.lease([device]):
            pass


def test_threads_of_one_process_exclude_each_other(url, device):
    with Ledger.open(url) as ledger:
        with ledger.lease([device]):
            with pytest.raises(DeviceBusy):
                with ledger.lease([device]):
                    pass
        with ledger.lease([device]):
            pass


def test_one_thread_renews_all_leases_and_ends_with_them(url, device):
    def renewing() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "edge-leases"]

    def expires() -> list[float]:
        with ledger.store.read() as connection:
            return list(connection.execute(select(leases.c.expires).order_by(leases.c.resource)).scalars())

    clock = [1e9]  # of the database: it stands still where a busy machine keeps the thread from its work
    with Ledger.open(url, lambda _: clock[0]) as ledger:
        with ledger.lease([f"{device}-a"], 0.6) as first, ledger.lease([f"{device}-b"], 0.9) as second:
            for _ in range(3):
                clock[0] += 0.5
                deadline = time.monotonic() + 30
                while expires() != [clock[0] + 0.6, clock[0] + 0.9]:
                    assert time.monotonic() < deadline, "a lease was not renewed"
                    time.sleep(0.05)
            assert len(renewing()) == 1
            ledger.record(a_measurement(), lease=first)
            ledger.record(a_measurement(), lease=second)
        for thread in renewing():
            thread.join(5)
        assert renewing() == []


def test_what_goes_wrong_under_a_lease_gives_it_back(url, device):
    with Ledger.open(url) as ledger:
        with pytest.raises(DeviceBusy, match="something else"):
            with ledger.lease([device], wait_s=60):
                raise DeviceBusy("something else")
        with ledger.lease([device]):
            pass


def statements(url: str) -> int:
    """How many a record takes, once the versions of tools are known."""
    said = []
    with Ledger.open(url) as ledger:
        ledger.record(a_measurement())
        event.listen(ledger.store._engine, "before_cursor_execute", lambda *seen: said.append(seen[2]))
        ledger.record(a_measurement(), an_evaluation())
    return len(said)


def test_a_process_killed_at_any_point_of_a_record_leaves_all_or_nothing(url, tmp_path):
    """Before each statement, before the commit, and behind it."""
    points = statements(url) + 2

    def work(point: int) -> None:
        with Ledger.open(url) as ledger:
            seen = iter(range(points + 1))

            def die(*_) -> None:
                if next(seen) == point:
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(ledger.store._engine, "before_cursor_execute", die)
            event.listen(ledger.store._engine, "commit", die)
            ledger.record(a_measurement(artifact=f"at {point}"), an_evaluation())
            die()

    with Ledger.open(url) as ledger:
        before = len(ledger.runs())
        for point in range(points):
            assert ended(forked(lambda point=point: work(point))) == -signal.SIGKILL
            found = len(ledger.runs()) - before
            assert found == (2 if point == points - 1 else 0), f"killed at {point} of {points}"


def test_a_build_and_a_measurement_of_this_host_exclude_each_other():
    host = f"device:test-host-{secrets.token_hex(8)}"
    with machine_locks([host], shared=True), machine_locks([host], shared=True):
        with pytest.raises(DeviceBusy, match=f"{host} is in use by process {os.getpid()} of this machine"):
            with machine_locks([host]):
                pass
    with machine_locks([host]):
        with pytest.raises(DeviceBusy):
            with machine_locks([host], shared=True, wait_s=0.3):
                pass
    with machine_locks([host]):
        pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    """Anybody may write in the folder of locks."""
    with machine_locks(["device:x"]):
        pass
    lock, = (tmp_path / "edge").iterdir()
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    with pytest.raises(DeviceUnavailable, match="cannot be locked"):
        with machine_locks(["device:x"]):
            pass
    assert not (tmp_path / "victim").exists()


def test_without_a_folder_for_locks_nothing_is_measured(tmp_path, monkeypatch):
    (tmp_path / "edge").write_text("not a folder")
    monkeypatch.setattr(locks, "PLACES", (str(tmp_path), str(tmp_path / "missing")))
    with pytest.raises(DeviceUnavailable, match="no folder for locks can be made in"):
        with machine_locks(["device:x"]):
            pass


def test_the_names_of_resources_are_no_paths(tmp_path):
    with machine_locks(["device:../../etc/passwd", "device:" + "x" * 500]):
        assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {tmp_path / "edge"}


def test_work_of_a_process_of_this_host_that_died_is_anybodys_at_once(url, ledger):
    """A device of it is not: hosts may share a name."""
    def work(ready):
        with Ledger.open(url) as own, own.claim("trial:1"), own.lease(["device:pi"]):
            ready()
            for_ever()

    with a_process(work) as child:
        with pytest.raises(DeviceBusy), ledger.claim("trial:1"):
            pass
        assert ledger.unclaimed(["trial:1"]) == []
        os.kill(child, signal.SIGKILL)
        ended(child)
        assert ledger.unclaimed(["trial:1"]) == ["trial:1"]
        with ledger.claim("trial:1"), pytest.raises(DeviceBusy), ledger.claim("trial:1"):
            pass
        with pytest.raises(DeviceBusy), ledger.lease(["device:pi"]):
            pass


def test_work_of_a_host_of_another_name_is_its_own_until_its_lease_ends(url, ledger, monkeypatch):
    def work(ready):
        with Ledger.open(url) as own, own.claim("trial:1"):
            ready()
            for_ever()

    with a_process(work) as child:
        os.kill(child, signal.SIGKILL)
        ended(child)
        monkeypatch.setattr("socket.gethostname", lambda: "another")
        assert ledger.unclaimed(["trial:1"]) == []
        with pytest.raises(DeviceBusy), ledger.claim("trial:1"):
            pass
