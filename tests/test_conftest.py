"""The kit fixture: a missing kit is a skip that says why, under CI a failure."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[1]
NEEDS_KIT = "tests/scripts/test_sample_sets.py::test_the_committed_windows_are_the_kits"


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_a_missing_kit_is_never_silent(tmp_path, ci, outcome):
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", NEEDS_KIT]
    env = os.environ | {"CI": ci, "EDGE_KIT": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert f"no measuring kit at {tmp_path}; set EDGE_KIT to its folder" in done.stdout
    assert outcome in done.stdout.splitlines()[-1]
