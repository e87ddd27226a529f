"""An empty ledger in each database that one may lie in."""

import importlib.util
import os
import secrets

import pytest
import sqlalchemy

from tests.ledger.postgresql import binaries, server
from toolchain.ledger.ledger import Ledger


@pytest.fixture(autouse=True)
def no_locks_left(own_locks):
    """Those of many names would be left in the machine's. Forked processes have ours too."""


@pytest.fixture(scope="session")
def postgresql_url():
    programs = binaries()
    if programs is None or importlib.util.find_spec("psycopg") is None:
        message = "no PostgreSQL: apt-get install postgresql; pip install 'psycopg[binary]'"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    with server(programs) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path):
    """Of a database that holds nothing yet."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    address, name = request.getfixturevalue("postgresql_url"), f"test_{secrets.token_hex(6)}"
    engine = sqlalchemy.create_engine(address.format(database="postgres").replace("://", "+psycopg://"),
                                      isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return address.format(database=name)


@pytest.fixture
def ledger(url):
    with Ledger.open(url) as opened:
        yield opened
