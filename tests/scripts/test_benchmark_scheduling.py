"""What sharing devices costs, as it is told."""

from benchmark_scheduling import full_lab, report
import pytest
from scheduling_searches import long, shared

SEARCHES = {"1": [(9.0, 4.0, 0.0), (7.0, 5.0, 3.0), (8.0, 6.0, 1.0)], "4": [(12.0, 4.5, 2.5)]}
FOUND = {"SQLite": {"1": (1.0, 0.5), "2": (2.0, 0.6), "4": (4.0, 0.7), "lab": (3.0, 2.0), "renewal": 0.2,
                    "search": SEARCHES},
         "PostgreSQL": {"1": (5.0, 0.5), "2": (6.0, 0.6), "4": (7.0, 0.7), "lab": (8.0, 2.0), "renewal": 0.4,
                        "search": SEARCHES},
         "trials": {"60": {"ours_ms": 3.0, "optuna_ms": 2.0, "open_s": 0.01},
                    "10000": {"ours_ms": 13.0, "optuna_ms": 12.0, "open_s": 1.01}},
         "labgrid": {"first_s": 0.7, "alone_ms": 10.2, "crowded_ms": 170.4}}


def test_a_row_for_each_database():
    said = report(FOUND)
    assert "| SQLite | 1.0 (0.5) | 2.0 (0.6) | 4.0 (0.7) | 3.0 (2.0) | 0.2 |" in said
    assert "| PostgreSQL | 5.0 (0.5) | 6.0 (0.6) | 7.0 (0.7) | 8.0 (2.0) | 0.4 |" in said
    assert "| PostgreSQL | 7.0, 8.0 (4.0; 3.0) | 12.0, 12.0 (4.5; 2.5) |" in said
    assert "| a search of so many trials | 60 | 10,000 |" in said
    assert "| CPU milliseconds of a further trial | 3.0 | 13.0 |" in said
    assert said.endswith("0.70 s the first time in a process, then 10 ms; 170 ms with 200 places and 200 "
                         "others there.")


@pytest.mark.slow
def test_the_lab_on_paper_costs_no_more_than_a_trial_may(own_locks, tmp_path):
    """10,000 jobs, 199 of 200 devices taken: 20 ms of CPU time each are the most."""
    assert full_lab(str(tmp_path / "ledger.db"))[1] < 20.0


@pytest.mark.slow
def test_a_search_of_ten_thousand_trials_asks_and_tells_within_milliseconds(own_locks, tmp_path):
    """Of CPU time: 18, and twice that where others use the same caches; point by point over a hundred."""
    assert long(tmp_path, 10_000)["ours_ms"] < 40.0


@pytest.mark.slow
def test_four_workers_spend_no_more_than_20_ms_on_a_trial(own_locks, tmp_path):
    """Of CPU time. What they sleep does not count, nor what starts them."""
    wall_ms, cpu_ms, waited_ms, _ = shared(str(tmp_path / "ledger.db"), 4, trials=8, sleep_s=0.1)
    assert wall_ms > 0 <= waited_ms and cpu_ms < 20.0
