"""A share of the soak: killed campaigns, and a device that fails in each way."""

import random
import subprocess
import sys

import pytest

pytest.importorskip("asyncssh")
import soak_campaigns
import soak_faults

SHARE = 0.05


def test_a_process_dies_where_it_is_said_and_nowhere_else(monkeypatch):
    killed = []
    monkeypatch.setattr(soak_campaigns.os, "kill", lambda *what: killed.append(what))
    death = soak_campaigns.Death("commit", 2, 0.0)
    for point in ("commit", "statement", "statement"):
        death.passes(point)
    assert not killed
    death.passes("commit")
    assert len(killed) == 1


def test_every_point_and_fault_comes_up():
    deaths = [soak_campaigns.a_death(random.Random(seed)) for seed in range(200)]
    assert {death.point for death in deaths} == set(soak_campaigns.POINTS)
    for fault, (bench, _) in soak_faults.FAULTS.items():
        assert hasattr(bench, f"strike_{fault}")


@pytest.mark.slow
def test_killed_campaigns_lose_nothing():
    """In a process of its own: it forks, and threads of other tests are no part of that."""
    done = subprocess.run([sys.executable, soak_campaigns.__file__, "--share", str(SHARE), "--killed"],
                          capture_output=True, text=True, cwd=soak_campaigns.ROOT, timeout=900,
                          env={**soak_campaigns.os.environ, "PYTHONPATH": "."})
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.startswith("5 campaigns, 21 measurements kept")


@pytest.mark.slow
@pytest.mark.emulated
@pytest.mark.parametrize("fault", soak_faults.FAULTS)
def test_a_device_that_fails_loses_nothing(fault):
    told, failures = soak_faults.inject(fault, 2)
    assert not failures, f"{told}: {failures}"
