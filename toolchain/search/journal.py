"""A search's journal in PostgreSQL: what Optuna's JournalStorage writes to a file, line by line, in a table.

A look at what is new is one statement. Optuna's own tables take some ninety of them a trial.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
import json

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, ProgrammingError

LINES = sql.Table("edge_search_lines", sql.MetaData(),
                  sql.Column("search", sql.Text, primary_key=True),
                  sql.Column("number", sql.BigInteger, primary_key=True),
                  sql.Column("line", sql.Text, nullable=False))
"""number: of a search's lines, from 0 on, without a gap"""
OURS = LINES.c.search == sql.bindparam("of")
READ = sql.select(LINES.c.line).where(OURS, LINES.c.number >= sql.bindparam("first")).order_by(LINES.c.number)
APPEND = sql.insert(LINES).from_select(
    ["search", "number", "line"],
    sql.select(sql.bindparam("of", type_=sql.Text), sql.func.coalesce(sql.func.max(LINES.c.number) + 1, 0),
           sql.bindparam("text", type_=sql.Text)).where(OURS))
"""Of two at once the later one waits for the other, finds the number taken, and is tried again."""


class DatabaseJournal:
    """A backend of Optuna's JournalStorage.

    url: sqlalchemy's;  search: name of the search whose lines it has
    Every method raises SQLAlchemyError where the database fails.
    """

    def __init__(self, url: str, search: str):
        self._engine, self._search = sql.create_engine(url, isolation_level="AUTOCOMMIT"), search
        with suppress(IntegrityError, ProgrammingError):  # another process made it meanwhile
            LINES.create(self._engine, checkfirst=True)

    def read_logs(self, log_number_from: int) -> Iterator[dict]:
        """The lines from this number on."""
        with self._engine.connect() as connection:
            found = connection.execute(READ, {"of": self._search, "first": log_number_from}).scalars().all()
        return map(json.loads, found)

    def append_logs(self, logs: Sequence[dict]) -> None:
        """Write them, in order."""
        with self._engine.connect() as connection:
            for log in logs:
                self._append(connection, json.dumps(log))

    def _append(self, connection, text: str) -> None:
        while True:
            with suppress(IntegrityError):
                connection.execute(APPEND, {"of": self._search, "text": text})
                return


def searches_in(url: str) -> list[str]:
    """Names of the searches that a database has. Raises SQLAlchemyError."""
    DatabaseJournal(url, "")
    names = sql.select(LINES.c.search).distinct().order_by(LINES.c.search)
    with sql.create_engine(url).connect() as connection:
        return list(connection.execute(names).scalars())
