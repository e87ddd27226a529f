"""TensorFlow Lite's benchmark_model, a program of the user's: started on a device, its output read strictly.

It feeds random numbers and shows no outputs, so what it says is of time and memory only. Its words are those
of lite/tools/benchmark (benchmark_model.cc, profile_summary_formatter.cc) and core/util/stats_calculator.cc;
those of benchmark_litert_model.h, which wrap the same counts, are read too.
"""

from dataclasses import dataclass
from math import isclose
import re

from toolchain.device.transports.folder import excerpt
from toolchain.device.transports.transport import Transport
from toolchain.errors import BadReply, DeviceUnavailable
from toolchain.measurement import OpTime

PROGRAM, MODEL = "benchmark_model", "model.tflite"
WARM_UP_S = 0.5
MOST_BYTES = 4 * 2**20
"""Of its output: a row for each op, three times."""
PATIENCE_S = 120.0
"""For loading, and for the inference that runs when its time is over."""

NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
LINE = r"^(?:INFO: )?"
COUNTED = rf"count=(\d+)((?: [a-z0-9]+={NUMBER}(?:\(all same\))?)+)$"
COUNTS = re.compile(LINE + COUNTED, re.MULTILINE)
STARTED = re.compile(rf"{LINE}Initialized session in {NUMBER}ms\.?$", re.MULTILINE)
SUMMARY = re.compile(rf"{LINE}Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, "
                     rf"Warmup \(avg\): {NUMBER}, Inference \(avg\): {NUMBER}$", re.MULTILINE)
MEMORY = re.compile(rf"{LINE}(?:Memory footprint delta from the start of the tool|Peak memory footprint) "
                    rf"\(MB\): init={NUMBER} overall={NUMBER}$", re.MULTILINE)
LITERT_MEMORY = re.compile(rf"Init footprint: +{NUMBER} MB\n.*Overall footprint: +{NUMBER} MB$", re.MULTILINE)
RESULTS = "BENCHMARK RESULTS"
"""Heads the summary of benchmark_litert_model."""
REGULAR = "Operator-wise Profiling Info for Regular Benchmark Runs:"
TABLE = re.compile(r"^=+ Run Order =+\n(\t.*\[node type\]\t.*)\n((?:\t.*\n)+)", re.MULTILINE)
PROFILED = re.compile(rf"^Timings \(microseconds\): {COUNTED}", re.MULTILINE)
COLUMNS = ("[node type]", "[%]", "[Name]")
ROUNDED = 1e-5
"""Relative; numbers are printed with six digits."""
MOST_OFF = 1.0
"""Per cent that the rows of a table may add up to beside 100: each has three digits behind the point."""


@dataclass(frozen=True)
class Timings:
    """Of inferences in microseconds. Quantiles: None in versions before 2024."""

    count: int
    first_us: float
    mean_us: float
    min_us: float
    max_us: float
    std_us: float
    p5_us: float | None = None
    median_us: float | None = None
    p95_us: float | None = None


@dataclass(frozen=True)
class BenchmarkRun:
    """What it said.

    init_us:      load until ready; first_us: the first inference, which opens the warm-up
    init_mb, overall_mb: growth of its memory, as it measures it; None where it does not say
    ops:          in order, with their share of an inference; only where it profiled
    """

    init_us: float
    first_us: float
    warm_up: Timings
    inference: Timings
    init_mb: float | None
    overall_mb: float | None
    ops: tuple[OpTime, ...]


def run_benchmark_model(transport: Transport, program: bytes, model: bytes, *, threads: int = 1,
                        seconds: float = 1.0, least: int = 50, profile: bool = False) -> BenchmarkRun:
    """Push both, run, read. profile: times each op, which costs time itself.

    Raises BadReply, DeviceUnavailable where the device does not run the program, and what the transport does.
    """
    paths = transport.push({PROGRAM: program, MODEL: model}, executable=[PROGRAM])
    done = transport.start(command(paths[PROGRAM], paths[MODEL], threads, seconds, least, profile),
                           seconds=WARM_UP_S + seconds + PATIENCE_S, most_bytes=MOST_BYTES)
    if done.code in (126, 127):
        raise DeviceUnavailable(f"{transport.name}: benchmark_model does not start there: "
                                f"{excerpt(done.stderr)}; is it for this device's processor and Android?")
    if done.code:
        raise BadReply(f"{transport.name}: benchmark_model ended with code {done.code}: "
                       f"{excerpt(done.stderr[-400:] or done.stdout[-400:])}")
    return parse(done.stdout + b"\n" + done.stderr, profiled=profile)


def command(program: str, model: str, threads: int, seconds: float, least: int, profile: bool) -> list[str]:
    """Options that every version since 2019 has."""
    options = {"graph": model, "num_threads": threads, "warmup_runs": 1, "warmup_min_secs": WARM_UP_S,
               "num_runs": least, "min_secs": f"{seconds:g}", "max_secs": f"{seconds + PATIENCE_S / 2:g}",
               "enable_op_profiling": str(profile).lower()}
    return [program, *(f"--{name}={value}" for name, value in options.items())]


def parse(output: bytes, profiled: bool = False) -> BenchmarkRun:
    """profiled: ops are expected. Raises BadReply for anything that is not whole or contradicts itself."""
    text = output.decode("utf-8", "replace").replace("\r\n", "\n")
    started = {float(value) * 1000 for value in STARTED.findall(text)}
    counts = [_timings(found[0], found[1]) for found in COUNTS.findall(text)]
    summaries = SUMMARY.findall(text)
    if len(started) != 1 or len(counts) != 2 or not (summaries or RESULTS in text):
        raise BadReply(f"benchmark_model: {len(started)} times of loading where 1 is due, {len(counts)} of "
                       f"runs where 2 are, {len(summaries)} summaries, in {excerpt(output)!r}")
    run = BenchmarkRun(*started, counts[0].first_us, *counts, *_memory(text), _ops(text) if profiled else ())
    told = (run.init_us, run.first_us, run.warm_up.mean_us, run.inference.mean_us)
    for summary in summaries:
        if not all(isclose(float(word), value, rel_tol=ROUNDED) for word, value in zip(summary, told)):
            raise BadReply(f"benchmark_model: its summary ({', '.join(summary)} us) contradicts its counts "
                           f"({', '.join(f'{value:g}' for value in told)} us)")
    return run


def _timings(count: str, words: str) -> Timings:
    """Of "count=N first=.. curr=.. min=..": where all are equal, or one, only `curr`. Raises BadReply."""
    pairs = (word.split("=") for word in words.replace("(all same)", "").split())
    told = {name: float(value) for name, value in pairs}
    if "avg" not in told and "curr" in told:
        only = told["curr"]
        told = {"first": only, "avg": only, "min": only, "max": only, "std": 0.0} | told
    try:
        found = Timings(int(count), told["first"], told["avg"], told["min"], told["max"], told["std"],
                        told.get("p5"), told.get("median"), told.get("p95"))
    except KeyError as missing:
        raise BadReply(f"benchmark_model: no {missing} in 'count={count}{words}'") from None
    more = 1 + ROUNDED
    if not found.count or not found.min_us / more <= found.mean_us <= found.max_us * more:
        raise BadReply(f"benchmark_model: 'count={count}{words}' cannot be: its mean lies outside")
    return found


def _memory(text: str) -> tuple[float | None, float | None]:
    found = MEMORY.search(text) or LITERT_MEMORY.search(text)
    return (float(found[1]), float(found[2])) if found else (None, None)


def _ops(text: str) -> tuple[OpTime, ...]:
    """The table in run order of the regular runs. Raises BadReply.

    An op's time is its share of the profiled mean: the table's milliseconds have three digits behind the
    point, and are of one call where an op is called several times.
    """
    part = text.partition(REGULAR)[2] or text
    table, profiled = TABLE.search(part), PROFILED.search(part)
    if not table or not profiled:
        raise BadReply("benchmark_model: no table of ops in run order; was it built with profiling?")
    names = [name.strip() for name in table[1].split("\t")]
    if missing := [name for name in COLUMNS if name not in names]:
        raise BadReply(f"benchmark_model: its table of ops has no column {missing[0]}")
    rows = [_row(names, line) for line in table[2].splitlines()]
    if abs(sum(share for share, _, _ in rows) - 100) > MOST_OFF:
        raise BadReply(f"benchmark_model: its {len(rows)} ops add up to {sum(row[0] for row in rows):.1f} % "
                       f"of an inference")
    mean_us = _timings(profiled[1], profiled[2]).mean_us
    return tuple(OpTime(name, kind, share / 100 * mean_us) for share, kind, name in rows)


def _row(names: list[str], line: str) -> tuple[float, str, str]:
    """(per cent, kind, name) of an op. Raises BadReply."""
    cells = [cell.strip() for cell in line.split("\t")]
    told = dict(zip(names, cells))
    share = re.fullmatch(r"(\d+\.\d+)%", told.get("[%]", ""))
    if not share or len(cells) != len(names):
        raise BadReply(f"benchmark_model: not a row of its table of ops: {excerpt(line.encode())!r}")
    return float(share[1]), told["[node type]"], told["[Name]"]
