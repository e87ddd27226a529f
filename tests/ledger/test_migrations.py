"""A ledger of any version becomes today's, with all that it holds."""

from hashlib import sha256
import json

import pytest
import sqlalchemy
from sqlalchemy import inspect, text

from tests.ledger.measured import a_measurement
from tests.ledger.processes import ended, forked
from toolchain.errors import LedgerError
from toolchain.ledger import migrations
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.migrations import MIGRATIONS, VERSION, migrate
from toolchain.ledger.records import packed
from toolchain.ledger.schema import METADATA
from toolchain.ledger.store import connect


def columns(connection) -> dict[str, set[tuple[str, bool]]]:
    """Table -> (column, whether it may be empty)"""
    seen = inspect(connection)
    return {table: {(column["name"], column["nullable"] and not column.get("primary_key"))
                    for column in seen.get_columns(table)} for table in seen.get_table_names()}


def test_migrated_tables_are_those_that_the_code_knows(ledger):
    today = sqlalchemy.create_engine("sqlite://")
    METADATA.create_all(today)
    with ledger.store.read() as connection, today.connect() as fresh:
        assert columns(connection) == columns(fresh)
        assert connection.execute(text("SELECT max(version) FROM schema_version")).scalar_one() == VERSION


def test_versions_are_numbered_without_gaps():
    assert list(MIGRATIONS) == list(range(1, VERSION + 1)) and VERSION >= 2


def of_version_1(url: str) -> None:
    """As the first version wrote it: a run with samples, a lease."""
    store = connect(url)
    migrate(store, 1)
    record = json.dumps({
        "artifact": "kws", "artifact_digest": "ab" * 32, "target": "host", "device": "pi", "emulated": False,
        "runtime": "LiteRT", "conditions": {"threads": 2, "governor": None}})
    samples, versions = packed([1.5, 2.5]), '{"edge": "0.1.0"}'
    sealed = json.dumps(["measurement", 1.0, "pi", "host", "kws", "ab" * 32, "LiteRT", False, True, "",
                         record, [["latency_samples_us", sha256(samples).hexdigest()]]])
    with store.write() as connection:
        for line in (f"INSERT INTO tools VALUES (1, '{sha256(versions.encode()).hexdigest()}', '{versions}')",
                     "INSERT INTO leases VALUES ('device:pi', 'o', 'h', 1, 1.0, 2.0, 41)"):
            connection.exec_driver_sql(line)
        connection.execute(text(
            "INSERT INTO runs VALUES (1, 'measurement', 1.0, 2.0, 'pi', 'host', 'kws', :digest, 'LiteRT', "
            ":no, :yes, '', 1, :record, :sha256)"), {
                "digest": "ab" * 32, "record": record, "no": False, "yes": True,
                "sha256": sha256(sealed.encode()).hexdigest()})
        connection.execute(text("INSERT INTO samples VALUES (1, 'latency_samples_us', 2, :data)"),
                           {"data": samples})
    store.close()


def test_a_ledger_of_version_1_keeps_what_it_holds(url):
    of_version_1(url)
    with Ledger.open(url) as ledger:
        run = ledger.run(1)
        assert run.record.latency_samples_us == [1.5, 2.5] and run.record.conditions["threads"] == 2
        assert (run.tools, run.campaign, run.attempt) == ({"edge": "0.1.0"}, "", None)
        with ledger.store.read() as connection:
            found = connection.execute(text("SELECT name, value FROM conditions ORDER BY name")).all()
            assert [tuple(row) for row in found] == [("governor", "null"), ("threads", "2")]
        with ledger.lease(["device:pi"]) as lease:
            assert lease.tokens == {"device:pi": 42}  # goes on counting


def test_runs_after_a_migration_are_numbered_on(tmp_path):
    of_version_1(str(tmp_path / "ledger.db"))
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        assert ledger.record(a_measurement()) == [2]


def test_a_migration_that_fails_leaves_the_version_before(url, monkeypatch):
    of_version_1(url)

    def fails(connection):
        connection.execute(text("SELECT x FROM nowhere"))

    monkeypatch.setitem(migrations.MIGRATIONS, 2, (MIGRATIONS[2][0], fails))
    with pytest.raises(LedgerError, match="nowhere"):
        Ledger.open(url)
    monkeypatch.undo()
    with Ledger.open(url) as ledger:
        assert ledger.run(1).record.latency_samples_us == [1.5, 2.5]


def test_a_newer_ledger_is_refused(ledger, url):
    with ledger.store.write() as connection:
        connection.execute(text(f"INSERT INTO schema_version VALUES ({VERSION + 1}, 0)"))
    with pytest.raises(LedgerError, match=f"has version {VERSION + 1}, written by a newer edge; this one "
                                          f"knows up to {VERSION}. Bring edge up to date"):
        Ledger.open(url)


def test_tables_of_others_are_left_alone(url):
    store = connect(url)
    with store.write() as connection:
        connection.execute(text("CREATE TABLE runs (distance DOUBLE PRECISION)"))
    store.close()
    with pytest.raises(LedgerError, match="not a ledger|has a table 'runs' that is not a ledger's"):
        Ledger.open(url)


def test_a_ledger_that_is_up_to_date_opens_without_the_right_to_write(ledger, url):
    with ledger.store.write():  # another process writes
        with Ledger.open(url) as other:
            assert other.runs() == []


def test_processes_that_open_a_new_ledger_at_once_agree(url):
    def work() -> None:
        with Ledger.open(url) as ledger:
            ledger.record(a_measurement())

    children = [forked(work) for _ in range(8)]
    assert [ended(child) for child in children] == [0] * 8
    with Ledger.open(url) as ledger:
        assert len(ledger.runs()) == 8
