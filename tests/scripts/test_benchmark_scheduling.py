"""What sharing devices costs, as it is told."""

from benchmark_scheduling import full_lab, report
import pytest

from toolchain.ledger import locks

FOUND = {"SQLite": {"1": (1.0, 0.5), "2": (2.0, 0.6), "4": (4.0, 0.7), "lab": (3.0, 2.0), "renewal": 0.2},
         "PostgreSQL": {"1": (5.0, 0.5), "2": (6.0, 0.6), "4": (7.0, 0.7), "lab": (8.0, 2.0), "renewal": 0.4},
         "labgrid": {"first_s": 0.7, "alone_ms": 10.2, "crowded_ms": 170.4}}


def test_a_row_for_each_database():
    said = report(FOUND)
    assert "| SQLite | 1.0 (0.5) | 2.0 (0.6) | 4.0 (0.7) | 3.0 (2.0) | 0.2 |" in said
    assert "| PostgreSQL | 5.0 (0.5) | 6.0 (0.6) | 7.0 (0.7) | 8.0 (2.0) | 0.4 |" in said
    assert said.endswith("0.70 s the first time in a process, then 10 ms; 170 ms with 200 places and 200 "
                         "others there.")


@pytest.mark.slow
def test_the_lab_on_paper_costs_no_more_than_a_trial_may(tmp_path, monkeypatch):
    """10,000 jobs, 199 of 200 devices taken: 20 ms of CPU time each are the most."""
    monkeypatch.setattr(locks, "PLACES", (str(tmp_path),))
    assert full_lab(str(tmp_path / "ledger.db"))[1] < 20.0
