"""Where a ledger lies, what is refused, and that nothing is ever half-written."""

from collections import Counter
import os
from pathlib import Path
import random
import resource
import sqlite3
import threading
import time

import pytest
from sqlalchemy import event

from tests.ledger.measured import a_measurement
from tests.ledger.processes import ended, forked
from toolchain.errors import LedgerError
from toolchain.ledger import store
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.store import APPLICATION, default_url


def test_the_ledger_lies_in_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGE_LEDGER", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_url() == str(Path.home() / ".local/share/edge/ledger.db")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_url() == str(tmp_path / "edge/ledger.db")
    monkeypatch.setenv("EDGE_LEDGER", "postgresql://bench/edge")
    assert default_url() == "postgresql://bench/edge"


def test_its_folder_and_file_are_made(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_LEDGER", str(tmp_path / "new" / "folder" / "ledger.db"))
    with Ledger.open() as ledger:
        assert ledger.runs() == []
    assert (tmp_path / "new" / "folder" / "ledger.db").is_file()


def test_a_path_may_be_written_as_a_url(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.record(a_measurement())
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        assert len(ledger.runs()) == 1


def test_results_are_flushed_to_the_disk_claims_need_not_be(tmp_path):
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        pragma = "PRAGMA synchronous"
        with ledger.store.write(durable=True) as connection:
            assert connection.exec_driver_sql(pragma).scalar_one() == 2  # FULL
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        with ledger.store.write() as connection:
            assert connection.exec_driver_sql(pragma).scalar_one() == 1  # NORMAL


def test_text_is_no_ledger(tmp_path):
    (tmp_path / "notes.txt").write_text("latencies of last week, by hand\n" * 200)
    with pytest.raises(LedgerError, match="notes.txt: is no ledger: not an SQLite file"):
        Ledger.open(str(tmp_path / "notes.txt"))
    assert (tmp_path / "notes.txt").read_text().startswith("latencies")


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "history.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE runs (distance REAL)")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="another program's SQLite file, not a ledger"):
        Ledger.open(str(path))
    assert path.read_bytes() == before


def truth(path: Path) -> str:
    """Everything that is told of a ledger, or LedgerError."""
    try:
        with Ledger.open(str(path)) as ledger:
            return ledger.export()
    except LedgerError as error:
        assert str(error).strip()
        return "LedgerError"


def test_a_damaged_ledger_tells_the_truth_or_that_it_is_damaged(tmp_path):
    path, rng = tmp_path / "ledger.db", random.Random(0)
    with Ledger.open(str(path)) as ledger:
        for i in range(10):
            ledger.record(a_measurement(artifact=f"a{i}", latency_samples_us=[i / 7] * 50))
    whole, before = path.read_bytes(), truth(path)
    found = Counter()
    for trial in range(120):
        damaged = bytearray(whole)
        at, length = rng.randrange(len(whole)), rng.choice((1, 16, 3000))
        damaged[at:at + length] = rng.randbytes(min(length, len(whole) - at))
        path.write_bytes(damaged)
        told = truth(path)
        assert told in ("LedgerError", before), f"trial {trial}, {length} bytes at {at}"
        found[told == before] += 1
    assert found[False] > 20


def test_a_cut_ledger_is_said_so(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.open(str(path)) as ledger:
        for _ in range(30):
            ledger.record(a_measurement())
    os.truncate(path, 8192)
    with pytest.raises(LedgerError, match="ledger.db: "):
        with Ledger.open(str(path)) as ledger:
            ledger.export()


@pytest.mark.parametrize("url, message", [
    ("mysql://bench/edge", "a ledger in mysql is not known"), ("sqlite://", "in memory would be lost"),
    ("sqlite:///:memory:", "in memory would be lost"), ("://", "URL cannot be read")])
def test_other_urls_are_refused(url, message):
    with pytest.raises(LedgerError, match=message):
        Ledger.open(url)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="its folder cannot be made: .*; name another place with --ledger"):
        Ledger.open(str(tmp_path / "file" / "ledger.db"))


def test_a_folder_is_no_ledger(tmp_path):
    with pytest.raises(LedgerError, match="cannot be opened; name another place"):
        Ledger.open(str(tmp_path))


def test_a_password_is_in_no_message():
    with pytest.raises(LedgerError) as caught:
        Ledger.open("postgresql://edge:hunter2@127.0.0.1:9/none")
    assert "hunter2" not in str(caught.value) and "127.0.0.1" in str(caught.value)


def test_without_psycopg_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(store.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LedgerError, match=r"pip install 'edge-toolchain\[postgresql\]'"):
        Ledger.open("postgresql://bench/edge")


def full(ledger: Ledger) -> None:
    """Not a page more may be taken, as on a full disk."""
    def begin(connection):
        connection.connection.dbapi_connection.execute("PRAGMA max_page_count = 1")

    event.listen(ledger.store._engine, "begin", begin)


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        ledger.record(a_measurement())
        big = a_measurement(latency_samples_us=[i * 1.37 for i in range(20_000)])
        full(ledger)
        with pytest.raises(LedgerError, match="its disk is full, so nothing of this was written; free space"):
            ledger.record(big, big)
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        assert len(ledger.runs()) == 1
        ledger.record(big)
        assert ledger.run(2).record == big


def test_a_file_that_may_not_grow_leaves_nothing_half_written(tmp_path):
    """The kernel refuses in the middle of a write (EFBIG), in a child."""
    path = str(tmp_path / "ledger.db")
    with Ledger.open(path) as ledger:
        ledger.record(a_measurement())

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        with pytest.raises(LedgerError, match="nothing of this was written"):
            with Ledger.open(path) as ledger:
                ledger.record(a_measurement(latency_samples_us=[i * 1.37 for i in range(100_000)]))

    assert ended(forked(work)) == 0
    with Ledger.open(path) as ledger:
        assert len(ledger.runs()) == 1


def test_what_another_process_keeps_locked_is_waited_for(tmp_path):
    path = str(tmp_path / "ledger.db")
    with Ledger.open(path) as ledger:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.4, other.execute, ("COMMIT",)).start()
        began = time.monotonic()
        ledger.record(a_measurement())
        assert 0.3 < time.monotonic() - began < 10


def test_what_stays_locked_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BUSY_S", 0.2)
    path = str(tmp_path / "ledger.db")
    with Ledger.open(path) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process has kept it locked for"):
            ledger.record(a_measurement())
        assert ledger.runs() == []  # readers never wait
        other.execute("COMMIT")
        ledger.record(a_measurement())


def test_a_ledger_is_known_by_its_head(tmp_path):
    with Ledger.open(str(tmp_path / "ledger.db")):
        pass
    assert (tmp_path / "ledger.db").read_bytes()[68:72] == APPLICATION.to_bytes(4, "big") == b"EDGE"
