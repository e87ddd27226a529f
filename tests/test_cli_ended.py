"""What the system ends lets go of what it holds, as what Control-C interrupts does."""

import os
from pathlib import Path
import signal
import subprocess
import time

import pytest

from tests.device.artifacts import residual
from toolchain.ledger.leases import held_by
from toolchain.ledger.ledger import Ledger

EDGE = Path(__file__).resolve().parents[1] / ".venv/bin/edge"
HOST = ["device:host"]
PATIENCE_S = 60


def await_lease(file: Path) -> None:
    """Until somebody measures."""
    deadline = time.monotonic() + PATIENCE_S
    with Ledger.open(str(file)) as ledger:
        while held_by(ledger.store, HOST) is None:
            assert time.monotonic() < deadline, "nobody took the lease"
            time.sleep(0.05)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_ended_bench_lets_go_of_the_device(tmp_path, sent, code):
    folder, temporary, file = residual().write(tmp_path / "net"), tmp_path / "tmp", tmp_path / "ledger.db"
    temporary.mkdir()
    there = set(folder.iterdir())
    process = subprocess.Popen([EDGE, "bench", folder, "--seconds", "120"], stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "EDGE_LEDGER": str(file), "TMPDIR": str(temporary)})
    await_lease(file)
    process.send_signal(sent)
    said = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == code and "Traceback" not in said
    with Ledger.open(str(file)) as ledger:
        assert held_by(ledger.store, HOST) is None and ledger.runs() == []
    assert set(folder.iterdir()) == there and list(temporary.iterdir()) == []
