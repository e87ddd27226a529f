"""An empty ledger in each database that one may lie in."""

import pytest

from tests.ledger.conftest import no_locks_left, postgresql_url, url  # noqa: F401
from toolchain.ledger.ledger import Ledger


@pytest.fixture
def ledger(url):  # noqa: F811
    with Ledger.open(url) as opened:
        yield opened
