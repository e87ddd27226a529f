"""edge: one verb per stage. Each parses, calls and prints; results on stdout, progress on stderr.

Exit codes: 0 ok, 1 a bug, 2 usage or bad input, 3 gate failed or does not fit, 4 unsupported op or target,
5 device unavailable, 6 measurement invalid, 130 interrupted, 143 terminated.
"""

import signal
import sys

from toolchain.cli import (
    adaptive,
    artifacts,
    machine,
    mlperf,
    models,
    profiling,
    pruning,
    runs,
    searching,
)
from toolchain.cli.app import app

VERBS = (machine, models, pruning, searching, adaptive, artifacts, profiling, mlperf, runs)
"""Modules whose verbs `app` has, by importing them."""


TERMINATED = 128 + signal.SIGTERM


def main() -> None:
    """Entry point of the `edge` command. SIGTERM ends it as Control-C does: what it holds is let go of."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    app()
