"""Does a comparison of two artefacts tell the truth? Pairs of equal networks, pairs of which one does a tenth
more, and both beside a busy process (docs/measurement-benchmark.md).

LiteRT in our native runner on this host. Every comparison is kept in build/benchmark/measurement/, so that a
rerun goes on where the last one ended. Exits with 3 where a bound of measurement_report.py is missed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from benchmark_peers import say
from kit_data import ROOT
from measurement_report import KINDS, Outcome, Pair, page, shortcomings
import msgspec
import numpy as np
import typer

from toolchain.device.latency.comparison import (
    BLOCK_US,
    PAIRS,
    PROCESSES,
    Turn,
    compare,
    decide,
    interleaved,
)
from toolchain.device.runner.command import command, complaint
from toolchain.device.runner.native import RUNNER, build_runner
from toolchain.device.runner.record import Record, parse
from toolchain.device.runner.wheels import runtime_library
from toolchain.errors import InvalidMeasurement
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.lower.tflite import write_tflite

FOLDER = ROOT / "build" / "benchmark" / "measurement"
PAGE = ROOT / "docs" / "measurement-benchmark.md"
LAYERS, MORE_LAYERS = 20, 22
SHAPE = (1, 25, 5, 32)
"""Of every activation: with 20 layers 2.56 M multiplications, as MLPerf Tiny's keyword spotting has."""
BUSY = "while True: pass"
REST_S, QUIET_SHARE, PATIENCE_S = 0.5, 0.25, 600.0


def network(layers: int) -> Graph:
    """So many equal 1x1 convolutions, one behind the other."""
    random, build = np.random.default_rng(7), Builder("equal_layers")
    weights = (0.2 * random.standard_normal((SHAPE[3], 1, 1, SHAPE[3]))).astype(np.float32)
    x = build.input("x", SHAPE)
    for layer in range(layers):
        name = f"layer{layer}"
        x = build.op("conv2d", [x, build.constant(f"{name}.weight", weights),
                                build.constant(f"{name}.bias", np.zeros(SHAPE[3], np.float32))], name)
    return build.graph(x)


def files() -> dict[str, Path]:
    """The runner with its library, the models and their input, written into FOLDER."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    library, content = runtime_library("litert", "x86_64")
    model, more = (write_tflite(network(layers)) for layers in (LAYERS, MORE_LAYERS))
    noise = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    contents = {"runner": (RUNNER, build_runner("x86_64", "litert")), "library": (library, content),
                "model": ("model.tflite", model), "same": ("same.tflite", model),
                "more": ("more.tflite", more), "input": ("input.bin", noise.tobytes())}
    for name, data in contents.values():
        (FOLDER / name).write_bytes(data)
    (FOLDER / RUNNER).chmod(0o755)
    return {key: FOLDER / name for key, (name, _) in contents.items()}


def start(paths: dict[str, Path], other: str, cpu: int | None, turn: Turn) -> Record:
    """One process that times both, on one CPU where it is told which."""
    models = [paths["model"], paths[other]]
    first, second = reversed(models) if turn.swapped else models
    argv = command([str(paths["runner"])], "litert", "compare", str(first), other=str(second),
                   input=str(paths["input"]), other_input=str(paths["input"]), library=str(paths["library"]),
                   pairs=PAIRS, block_us=BLOCK_US, first=turn.first, cpus=() if cpu is None else (cpu,))
    done = subprocess.run(argv, capture_output=True, timeout=120)
    if done.returncode:
        raise SystemExit(f"the runner ended with {done.returncode}: {complaint(done.stderr)}")
    return parse(done.stdout, "compare")


@contextmanager
def nothing() -> Iterator[None]:
    """No disturbance."""
    yield


@contextmanager
def busy(cpu: int) -> Iterator[None]:
    """A process that never rests, on one CPU."""
    child = subprocess.Popen(["taskset", "-c", str(cpu), sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def disturbed(run: Callable[[Turn], Record], cpu: int) -> Callable[[Turn], Record]:
    """`run`, from its second half on beside a busy process."""
    started = iter(range(PROCESSES))

    def beside(turn: Turn) -> Record:
        late = next(started) >= PROCESSES // 2
        with busy(cpu) if late else nothing():
            return run(turn)

    return beside


def outcome(pair: Pair, paths: dict[str, Path]) -> Outcome:
    """One comparison; what made it invalid, if anything did."""
    kind = KINDS[pair.kind]
    cpu = max(os.sched_getaffinity(0)) if kind.disturbed else None
    run = partial(start, paths, kind.other, cpu)
    began = time.perf_counter()
    processes = interleaved(disturbed(run, cpu) if cpu is not None else run)
    seconds = time.perf_counter() - began
    try:
        return Outcome(pair, seconds, compare(processes))
    except InvalidMeasurement as error:
        problems = tuple(map(str.strip, str(error).splitlines()[1:]))
        return Outcome(pair, seconds, problems=problems, unsaid=decide(processes))


def idle() -> float:
    """Share of the CPUs' time in REST_S that nobody used (/proc/stat)."""
    def ticks() -> np.ndarray:
        return np.array(Path("/proc/stat").read_text().splitlines()[0].split()[1:9], dtype=float)

    before = ticks()
    time.sleep(REST_S)
    passed = ticks() - before
    return float(passed[3] / passed.sum())


def wait_for_rest() -> None:
    """Until others leave most of the CPUs alone, or patience is over. Decided before a comparison begins."""
    end = time.monotonic() + PATIENCE_S
    while idle() < 1 - QUIET_SHARE and time.monotonic() < end:
        time.sleep(2)


def kept(path: Path) -> list[Outcome]:
    """What earlier runs found."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Outcome) for line in lines]


def missing(found: list[Outcome], wanted: dict[str, int]) -> Pair | None:
    """The next comparison: kinds in turn, each until so many were valid, or three times as many were begun;
    of a disturbed kind, so many begun."""
    def begun(kind: str) -> list[Outcome]:
        return [one for one in found if one.pair.kind == kind]

    def open_(kind: str) -> bool:
        valid = sum(one.comparison is not None for one in begun(kind))
        if KINDS[kind].disturbed:
            return len(begun(kind)) < wanted[kind]
        return valid < wanted[kind] and len(begun(kind)) < 3 * wanted[kind]

    left = [kind for kind in KINDS if open_(kind)]
    kind = min(left, key=lambda kind: len(begun(kind)) / wanted[kind], default=None)
    return Pair(kind, len(begun(kind))) if kind else None


def main(quick: bool = typer.Option(False, help="a tenth of the comparisons"),
         fresh: bool = typer.Option(False, help="forget what earlier runs found"),
         waiting: bool = typer.Option(True, help="wait for a quiet machine before each comparison")) -> None:
    """Compare; print the page."""
    paths = files()
    log = FOLDER / ("quick.jsonl" if quick else "comparisons.jsonl")
    if fresh:
        log.unlink(missing_ok=True)
    wanted = {name: kind.comparisons // (10 if quick else 1) for name, kind in KINDS.items()}
    found = kept(log)
    while pair := missing(found, wanted):
        if waiting:
            wait_for_rest()
        found.append(outcome(pair, paths))
        with log.open("ab") as lines:
            lines.write(msgspec.json.encode(found[-1]) + b"\n")
        say(f"{pair.kind} {pair.number + 1}: {found[-1].verdict} ({found[-1].seconds:.1f} s)")
    text = page(found, graph_macs(network(LAYERS)), graph_macs(network(MORE_LAYERS)))
    (FOLDER / "measurement.md").write_text(text, encoding="utf-8")
    if not quick:
        PAGE.write_text(text, encoding="utf-8")
    print(text, end="")
    if lines := shortcomings(found, wanted):
        say("\n".join(lines))
        raise typer.Exit(3)


if __name__ == "__main__":
    typer.run(main)
