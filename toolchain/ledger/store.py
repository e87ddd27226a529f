"""Where a ledger lies, and its transactions: whole or not at all, errors in words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import importlib.util
import os
from pathlib import Path
import sqlite3
import time

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Double, Engine, event, literal, literal_column
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from toolchain.atomic import user_folder
from toolchain.errors import LedgerError
from toolchain.pool import try_idle

BUSY_S = 30.0
"""How long another process's transaction is waited for."""
APPLICATION = 0x45444745
"""SQLite's application_id of a ledger: "EDGE"."""
NOW = {"sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
       "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)"}
"""The database's own clock, seconds since 1970."""

Clock = Callable[[Connection], float]


def database_clock(connection: Connection) -> float:
    """Seconds since 1970 as the database tells them, whatever the hosts' clocks say."""
    return connection.exec_driver_sql(NOW[connection.dialect.name]).scalar_one()


def default_url() -> str:
    """EDGE_LEDGER, else ~/.local/share/edge/ledger.db (XDG_DATA_HOME). Raises BadInput."""
    if chosen := os.environ.get("EDGE_LEDGER"):
        return chosen
    return str(user_folder("XDG_DATA_HOME", ".local", "share") / "edge" / "ledger.db")


class Store:
    """A database that is ours.

    name: for messages: its path, or its URL without the password
    """

    def __init__(self, engine: Engine, name: str, clock: Clock = database_clock):
        self.name, self._engine, self._clock = name, engine, clock
        committing = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {}
        self._singly = engine.execution_options(**committing)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view. Raises LedgerError."""
        with self._transaction(self._engine, {"edge_begin": "BEGIN"}) as connection:
            yield connection

    @contextmanager
    def write(self, durable: bool = False) -> Iterator[Connection]:
        """A transaction that has the right to write from its beginning. Raises LedgerError.

        durable: on the disk when this returns, power cut or not. What may fall behind, but never comes apart
                 (claims, heartbeats: of no use to a host that was off), need not be.
        """
        level = "FULL" if durable else "NORMAL"
        options = {"edge_begin": "BEGIN IMMEDIATE", "edge_synchronous": level}
        with self._transaction(self._engine, options) as connection:
            yield connection

    @contextmanager
    def single(self) -> Iterator[Connection]:
        """For one statement alone: one round trip to a server, where BEGIN and COMMIT make it three. What it
        writes may fall behind, as in `write`. Raises LedgerError."""
        with self._transaction(self._singly, {"edge_begin": "", "edge_synchronous": "NORMAL"}) as connection:
            yield connection

    @contextmanager
    def _transaction(self, engine: Engine, options: dict) -> Iterator[Connection]:
        with reported(self.name), engine.connect() as connection:
            connection = connection.execution_options(**options)
            with connection.begin():
                yield connection

    def now(self, connection: Connection) -> float:
        """Seconds since 1970 by the database's clock."""
        return self._clock(connection)

    def now_within(self, connection: Connection) -> ColumnElement[float]:
        """The same, as a part of a statement."""
        if self._clock is database_clock:
            return literal_column(f"({NOW[connection.dialect.name].removeprefix('SELECT ')})", Double)
        return literal(self._clock(connection))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


@contextmanager
def reported(name: str) -> Iterator[None]:
    """What the database refuses, as LedgerError with a remedy."""
    try:
        yield
    except DBAPIError as error:
        raise LedgerError(f"{name}: {_in_words(error)}") from error


def _in_words(error: DBAPIError) -> str:
    cause = str(error.orig).strip().split("\n")[0]
    for words, told in REMEDIES.items():
        if words in cause:
            return told
    return f"the database refuses: {cause}"


REMEDIES = {
    "file is not a database": "is no ledger: not an SQLite file; name another with --ledger or EDGE_LEDGER",
    "malformed": "is damaged; move it away and save what can be read with `sqlite3 FILE .recover`",
    "disk is full": "its disk is full, so nothing of this was written; free space and try again",
    "No space left": "its disk is full, so nothing of this was written; free space and try again",
    "disk I/O error": "its disk failed to read or write, so nothing of this was written; check the disk",
    "readonly database": "may not be written; free it, or name another with --ledger or EDGE_LEDGER",
    "unable to open": "cannot be opened; name another place with --ledger or EDGE_LEDGER",
    "database is locked": f"another process has kept it locked for {BUSY_S:.0f} s; is one stopped or hung?",
    "lock timeout": f"another process has kept it locked for {BUSY_S:.0f} s; is one stopped or hung?",
}
"""Part of SQLite's or PostgreSQL's words -> what they mean here."""


def connect(url: str, clock: Clock = database_clock) -> Store:
    """The database at a path or URL, its folder and file made where there is none.

    Raises LedgerError for a URL of another kind, for a file that is not ours, and where it cannot be opened.
    """
    parsed = _parsed(url)
    if parsed.drivername.startswith("postgresql"):
        return Store(_postgresql(parsed), parsed.render_as_string(hide_password=True), clock)
    path = Path(os.path.expanduser(parsed.database or ""))
    _make_folder(path)
    engine = _sqlite(path)
    with reported(str(path)):
        _require_ours(engine, path)
        _set_wal(engine)
    return Store(engine, str(path), clock)


def _parsed(url: str) -> URL:
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LedgerError("the ledger's URL cannot be read; give a path, sqlite:///PATH or "
                          "postgresql://USER@HOST/DATABASE") from None
    kind = parsed.drivername.split("+")[0]
    if kind not in NOW:
        raise LedgerError(f"a ledger in {kind} is not known; give a path, sqlite:///PATH or "
                          f"postgresql://USER@HOST/DATABASE")
    if kind == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise LedgerError("a ledger in memory would be lost; give a path, or sqlite:///PATH")
    return parsed


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"{path}: its folder cannot be made: {error.strerror}; name another place with "
                          f"--ledger or EDGE_LEDGER") from None


def _sqlite(path: Path) -> Engine:
    engine = sqlalchemy.create_engine(URL.create("sqlite", database=str(path)),
                                      connect_args={"timeout": BUSY_S, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(raw: sqlite3.Connection, _record: object) -> None:
    """Transactions begin where we say so, not where Python's sqlite3 guesses."""
    raw.isolation_level = None
    raw.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    """The right to write is taken at the beginning: no transaction fails half-way because another wrote."""
    options, raw = connection.get_execution_options(), connection.connection.dbapi_connection
    try:
        raw.execute(f"PRAGMA synchronous = {options.get('edge_synchronous', 'FULL')}")
        if begin := options.get("edge_begin", "BEGIN"):
            raw.execute(begin)
    except sqlite3.Error as error:
        raise DBAPIError("BEGIN", None, error) from error


def _require_ours(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        ours = connection.exec_driver_sql("PRAGMA application_id").scalar_one() == APPLICATION
        tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    if tables and not ours:
        raise LedgerError(f"{path}: is another program's SQLite file, not a ledger; name another with "
                          f"--ledger or EDGE_LEDGER")


def _set_wal(engine: Engine) -> None:
    """Readers never wait for writers. Where another process does the same, SQLite does not wait by itself."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            with engine.connect() as connection:
                connection.connection.dbapi_connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise DBAPIError("PRAGMA journal_mode", None, error) from error
            if time.monotonic() > deadline:
                raise LedgerError(f"{engine.url.database}: {REMEDIES['database is locked']}") from error
            time.sleep(0.01)


def _postgresql(url: URL) -> Engine:
    if importlib.util.find_spec("psycopg") is None:
        raise LedgerError("a ledger in PostgreSQL needs the package psycopg; run: pip install "
                          "'edge-toolchain[postgresql]'")
    engine = sqlalchemy.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": 10,
                      "options": f"-c lock_timeout={BUSY_S * 1e3:.0f} -c synchronous_commit=off"})
    try_idle(engine)
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    """A server that fails may forget the last claims and leases: who had them finds out when it records."""
    if connection.get_execution_options().get("edge_synchronous") == "FULL":
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO ON")
