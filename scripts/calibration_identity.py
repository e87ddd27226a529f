"""Whether statistics are the same bytes however they were made: shared out, merged, killed and gone on with.

Part of benchmark_calibration_cost.py, on its model and images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial, reduce
import itertools
from math import factorial
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time

from benchmark_peers import ONE_THREAD, ROOT, say
import numpy as np
from peers_report import table

from toolchain.calibration import calibrate_model
from toolchain.data import load_samples
from toolchain.execution import watch
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.quantize.calibrate import chosen, observe, shard
from toolchain.quantize.stats_file import StatsFile, merge_stats, read_stats, write_stats
from toolchain.recipe import CalibrateConfig

OBSERVERS = ("minmax", "moving_average", "percentile", "entropy", "mse")
COUNT, FEW, SHARDS = 48, 4, 4
BATCHES = (1, 7, 32)
EDGE = 1e-5
"""Largest relative difference of a range's edge between sizes of batches."""
KILLED = """
import sys
from pathlib import Path
from toolchain import calibration
from toolchain.recipe import CalibrateConfig
calibration.SNAPSHOT_S = 0.02
model, data, out, observer, count = sys.argv[1:]
calibration.calibrate_model(model, data, Path(out), CalibrateConfig(observer=observer, samples=int(count)))
"""


@dataclass(frozen=True)
class Identity:
    """What was compared, with which observers, what came out, whether it is as promised."""

    what: str
    runs: str
    result: str
    holds: bool


class Runs:
    """Calibrations of one model on one set, in a folder that is thrown away."""

    def __init__(self, source: Path, folder: Path):
        self.model, self.data, self.folder = str(source / "model.tflite"), str(source), folder

    def file(self, name: str, observer: str, count: int = COUNT, runtime: str = "litert", **options) -> Path:
        out = self.folder / f"{name}.json"
        calibrate_model(self.model, self.data, out,
                        CalibrateConfig(observer=observer, samples=count, runtime=runtime), **options)
        return out

    def shards(self, observer: str) -> list[StatsFile]:
        """Files of parts of the samples, as separate machines would make them."""
        graph = canonical(load(self.model))
        config = CalibrateConfig(observer=observer, samples=COUNT)
        samples, open_watch = chosen(graph, config, load_samples(self.data)), partial(watch, runtime="litert")
        whole = read_stats(self.file("whole", observer))
        parts = [shard(samples, index, SHARDS, 1) for index in range(SHARDS)]
        seen = [list(observe(graph, config, part, open_watch))[-1] for part in parts]
        return [StatsFile.of(graph, one.stats(), one.rows, samples=whole.samples, runtime=whole.runtime,
                             runtime_version=whole.runtime_version, samples_sha256=whole.samples_sha256)
                for one in seen]

    def killed(self, observer: str) -> int:
        """Start a calibration, kill it, go on from what it left; how many samples it had seen."""
        out, left = self.folder / "killed.json", self.folder / "killed.partial.json"
        command = [sys.executable, "-c", KILLED, self.model, self.data, out, observer, str(COUNT)]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
        child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while not left.exists() and child.poll() is None:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        seen = len(read_stats(left).seen_rows)
        self.file("killed", observer, resume=left)
        return seen


def _workers(runs: Runs, observer: str) -> str:
    whole = runs.file("whole", observer).read_bytes()
    same = all(runs.file("shared", observer, workers=workers).read_bytes() == whole for workers in (2, 3))
    return "" if same else "differs"


def _merged(runs: Runs, observer: str) -> str:
    whole, parts = runs.file("whole", observer).read_bytes(), runs.shards(observer)
    for order in itertools.permutations(parts):
        write_stats(runs.folder / "merged.json", reduce(merge_stats, order))
        if (runs.folder / "merged.json").read_bytes() != whole:
            return "differs"
    return ""


def _killed(runs: Runs, observer: str) -> str:
    whole = runs.file("whole", observer).read_bytes()
    seen = runs.killed(observer)
    if (runs.folder / "killed.json").read_bytes() != whole:
        return "differs"
    return "" if 0 < seen < COUNT else f"killed after {seen} samples, which shows nothing"


def _batched_reference(runs: Runs, observer: str) -> str:
    found = {runs.file("batched", observer, FEW, "reference", batch=batch).read_bytes() for batch in BATCHES}
    return "" if len(found) == 1 else "differs"


SAME = {f"{COUNT} images in 1, 2 and 3 processes": _workers,
        f"{SHARDS} shards, merged in all {factorial(SHARDS)} orders": _merged,
        "killed after its first snapshot, and gone on with": _killed,
        f"batches of {', '.join(map(str, BATCHES))} in the reference, {FEW} images": _batched_reference}
"""What makes the same bytes -> what tries it and says how it does not."""


def identities(source: Path) -> Iterator[Identity]:
    """source: model.tflite and a sample set."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(source, Path(folder))
        for what, difference in SAME.items():
            say(what)
            found = {observer: difference(runs, observer) for observer in OBSERVERS}
            failed = [f"{observer}: {why}" for observer, why in found.items() if why]
            yield Identity(what, ", ".join(OBSERVERS), "; ".join(failed) or "the same bytes", not failed)
        for runtime in ("litert", "onnxruntime"):
            say(f"batches in {runtime}")
            worst = max(_worst_edge(runs, observer, runtime) for observer in ("minmax", "percentile"))
            yield Identity(f"batches of {', '.join(map(str, BATCHES))} in {runtime}, {COUNT} images",
                           "minmax, percentile", f"worst range edge: {worst:.1e} of its value", worst <= EDGE)


def _worst_edge(runs: Runs, observer: str, runtime: str) -> float:
    """Largest relative difference of any tensor's range edge between sizes of batches."""
    edges = np.array([[record.range for _, record in sorted(read_stats(
        runs.file("batched", observer, COUNT, runtime, batch=batch)).tensors.items())] for batch in BATCHES])
    largest = np.abs(edges).max(axis=0)
    return float((np.ptp(edges, axis=0)[largest > 0] / largest[largest > 0]).max())


def identity_table(found: list[Identity]) -> str:
    rows = [[one.what, one.runs, one.result] for one in found]
    return table(["what was tried", "observers", "what came out"], rows)
