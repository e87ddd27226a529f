"""Fixtures that every room's tests share."""

import os
from pathlib import Path

# xdist's workers are the parallelism; set before numpy or torch loads
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings
import pytest

# the same examples on every run, and no deadline: a busy machine is no failure
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")

# a test machine runs more than one thing: its latencies do not stand, and say so
os.environ.setdefault("EDGE_ACCEPT_INVALID", "1")

KIT = Path(os.environ.get("EDGE_KIT", Path(__file__).resolve().parents[2] / "shared" / "kit"))


@pytest.fixture(scope="session", autouse=True)
def ledger_of_tests(tmp_path_factory) -> None:
    """Measurements of tests are kept apart from the user's."""
    os.environ["EDGE_LEDGER"] = str(tmp_path_factory.mktemp("ledger") / "ledger.db")


@pytest.fixture
def own_locks(tmp_path, monkeypatch) -> None:
    """Locks that no other test of this machine takes: its host is one device to all of them."""
    monkeypatch.setattr("toolchain.ledger.locks.PLACES", (str(tmp_path),))


@pytest.fixture(scope="session")
def kit() -> Path:
    """Folder of the measuring kit: real labelled samples and trained models that are not ours to publish."""
    if not (KIT / "SHA256SUMS").is_file():
        message = f"no measuring kit at {KIT}; set EDGE_KIT to its folder"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return KIT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that takes the `kit` fixture is marked so: `-m "not kit"` leaves them out."""
    for item in items:
        if "kit" in getattr(item, "fixturenames", ()):
            item.add_marker("kit")
