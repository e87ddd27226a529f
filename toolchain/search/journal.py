"""A search's journal: what Optuna's JournalStorage writes, several lines together; in PostgreSQL, in a table.

A look at what is new is one statement, and so is all that is written of an outcome: what a disk takes to keep
a line is most of what a trial costs. Optuna's own tables take some ninety statements a trial.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
import json

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, ProgrammingError

from toolchain.pool import try_idle

LINES = sql.Table("edge_search_lines", sql.MetaData(),
                  sql.Column("search", sql.Text, primary_key=True),
                  sql.Column("number", sql.BigInteger, primary_key=True),
                  sql.Column("line", sql.Text, nullable=False))
"""number: of a search's lines, from 0 on, without a gap"""
OURS = LINES.c.search == sql.bindparam("of")
READ = sql.select(LINES.c.line).where(OURS, LINES.c.number >= sql.bindparam("first")).order_by(LINES.c.number)
APPEND = sql.text(
    "INSERT INTO edge_search_lines (search, number, line) SELECT :of, first + place - 1, line FROM "
    "(SELECT coalesce(max(number) + 1, 0) AS first FROM edge_search_lines WHERE search = :of) AS seen, "
    "unnest(CAST(:lines AS text[])) WITH ORDINALITY AS added (line, place)")
"""Of two at once the later one waits for the other, finds the number taken, and is tried again."""


class Journal:
    """A backend of Optuna's JournalStorage, in front of the one that keeps the lines."""

    def __init__(self, kept_in):
        self._kept_in = kept_in
        self._held: list[dict] | None = None
        self._alone, self._stale = False, True

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written meanwhile is kept in one go, at the end; nothing is read before."""
        self._held = []
        try:
            yield
            held = self._held
        finally:
            self._held = None
        if held:
            self.append_logs(held)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """What was read just before still holds: what is new is looked for behind a line that is written
        meanwhile, and not else."""
        self._alone, self._stale = True, False
        try:
            yield
        finally:
            self._alone, self._stale = False, True

    def read_logs(self, log_number_from: int) -> Iterable[dict]:
        """The lines from this number on."""
        if self._held is not None or not self._stale:
            return ()
        self._stale = not self._alone
        return self._kept_in.read_logs(log_number_from)

    def append_logs(self, logs: Sequence[dict]) -> None:
        """Write them, in order."""
        if self._held is None:
            self._kept_in.append_logs(logs)
            self._stale = True
        else:
            self._held += logs


class DatabaseJournal:
    """A backend of Optuna's JournalStorage.

    url: sqlalchemy's;  search: name of the search whose lines it has
    Every method raises SQLAlchemyError where the database fails.
    """

    def __init__(self, url: str, search: str):
        self._engine, self._search = sql.create_engine(url, isolation_level="AUTOCOMMIT"), search
        try_idle(self._engine)
        with suppress(IntegrityError, ProgrammingError):  # another process made it meanwhile
            LINES.create(self._engine, checkfirst=True)

    def read_logs(self, log_number_from: int) -> Iterator[dict]:
        """The lines from this number on."""
        with self._engine.connect() as connection:
            found = connection.execute(READ, {"of": self._search, "first": log_number_from}).scalars().all()
        return map(json.loads, found)

    def append_logs(self, logs: Sequence[dict]) -> None:
        """Write them, in order and behind each other."""
        lines = [json.dumps(log) for log in logs]
        with self._engine.connect() as connection:
            while True:
                with suppress(IntegrityError):
                    connection.execute(APPEND, {"of": self._search, "lines": lines})
                    return


def searches_in(url: str) -> list[str]:
    """Names of the searches that a database has. Raises SQLAlchemyError."""
    DatabaseJournal(url, "")
    names = sql.select(LINES.c.search).distinct().order_by(LINES.c.search)
    with sql.create_engine(url).connect() as connection:
        return list(connection.execute(names).scalars())
