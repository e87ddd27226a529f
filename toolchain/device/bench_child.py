"""Runs in a process of its own: load a model, warm up, time single inferences, print one JSON object.

python -m toolchain.device.bench_child FORMAT MODEL THREADS SECONDS
"""

import json
from pathlib import Path
import re
import sys
import time

import numpy as np

from toolchain.artifact import Port
from toolchain.device.local import open_session
from toolchain.errors import ToolchainError

WARM_UP_S = 0.2
FEWEST, MOST = 30, 5000


def main(fmt: str, path: str, threads: str, seconds: str) -> None:
    started = time.perf_counter_ns()
    session = open_session(fmt, Path(path).read_bytes(), int(threads))
    loaded = time.perf_counter_ns()
    feeds = _random_feeds(session)
    first = _timed(session, feeds)
    _for_seconds(session, feeds, WARM_UP_S, fewest=3)
    samples = _for_seconds(session, feeds, float(seconds), FEWEST)
    print(json.dumps({"samples_us": samples, "load_us": (loaded - started) / 1e3, "first_us": first,
                      "peak_rss_bytes": _peak_rss_bytes(), "runtime": session.runtime}))


def _random_feeds(session) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {port.name: _random(rng, port) for port in session.inputs}


def _random(rng: np.random.Generator, port: Port) -> np.ndarray:
    if port.dtype == "float32":
        return rng.standard_normal(port.shape, np.float32)
    codes = np.iinfo(port.dtype)
    return rng.integers(codes.min, codes.max, port.shape, port.dtype, endpoint=True)


def _timed(session, feeds) -> float:
    start = time.perf_counter_ns()
    session.run(feeds)
    return (time.perf_counter_ns() - start) / 1e3


def _for_seconds(session, feeds, seconds: float, fewest: int) -> list[float]:
    samples, end = [], time.perf_counter() + seconds
    while len(samples) < fewest or (time.perf_counter() < end and len(samples) < MOST):
        samples.append(_timed(session, feeds))
    return samples


def _peak_rss_bytes() -> int:
    """High-water mark of resident memory of this process (proc(5), VmHWM)."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ToolchainError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
