"""Figures of a model file on a device that runs programs, and whether they stand."""

from collections.abc import Mapping
import math

import numpy as np

from toolchain.artifact import Artifact, Port, convert
from toolchain.device.android import benchmark_program
from toolchain.device.benchmark_model import run_benchmark_model
from toolchain.device.boards import HOST
from toolchain.device.conditions.history import history
from toolchain.device.conditions.judge import judge
from toolchain.device.conditions.look import look, watch_paths
from toolchain.device.latency.figures import latency_figures
from toolchain.device.metering import NO_METER, Metering
from toolchain.device.parity import parity
from toolchain.device.place import Place
from toolchain.device.programs import ProgramSession
from toolchain.device.runner.record import MOST_WATCHED, Record
from toolchain.device.ways import Way
from toolchain.errors import BadReply
from toolchain.measurement import ColdStart, Latency, OpTime
from toolchain.profile import Format

LEAST, EMULATED_LEAST = 30, 2
"""Inferences of a timed run, however long they take."""
PROFILE_S = 0.3
Arrays = Mapping[str, np.ndarray]


def program_figures(artifact: Artifact, place: Place, way: Way, threads: int, seconds: float) -> dict:
    """What a Measurement has of a device that runs programs.

    Raises what a transport raises; BadModel where the runtime refuses the file.
    """
    session = ProgramSession(place, artifact, way, threads)
    checked, wrong = parity(artifact, way.fmt, session)
    feeds = bench_feeds(artifact, way.fmt)
    figures = _counted(session, feeds) if place.emulated else _timed(session, feeds, seconds)
    conditions = {"threads": threads, **figures.pop("conditions")}
    if way.note:
        conditions["note"] = way.note
    if place.name == HOST and artifact.manifest.target != HOST:
        conditions["note"] = (f"built for {artifact.manifest.target}, run on this host: not a figure of that "
                              f"device")
    return {"runtime": session.runtime, "runner": way.runner, "parity": checked, "conditions": conditions,
            "flash_bytes": session.file_bytes, **figures, "problems": (*wrong, *figures.get("problems", ()))}


def benchmark_figures(artifact: Artifact, place: Place, way: Way, threads: int, seconds: float) -> dict:
    """What the user's benchmark_model tells: times of its own taking, on inputs of its own."""
    program, model = benchmark_program(place.board, place.isa), artifact.model(way.fmt)
    run = run_benchmark_model(place.transport, program, model, threads=threads, seconds=seconds)
    told = {} if place.emulated else {
        "cold_us": ColdStart(run.init_us, run.first_us),
        "latency_us": Latency(run.inference.median_us or run.inference.mean_us, samples=run.inference.count)}
    conditions = {"threads": threads, "note": way.note, "energy": NO_METER,
                  "memory_growth_mb": run.overall_mb}
    return {"runtime": "LiteRT, benchmark_model", "flash_bytes": len(model), "conditions": conditions, **told}


def bench_feeds(artifact: Artifact, fmt: Format) -> dict[str, np.ndarray]:
    """Inputs of the test vectors as the file takes them; seeded noise for a file without any."""
    ports = artifact.manifest.inputs
    if artifact.vectors:
        return {want.name: convert(artifact.vectors[f"input/{have.name}"], have, want)
                for have, want in zip(ports["graph"], ports[fmt], strict=True)}
    random = np.random.default_rng(0)
    return {port.name: _noise(random, port) for port in ports[fmt]}


def _noise(random: np.random.Generator, port: Port) -> np.ndarray:
    if port.dtype == "bool":
        return random.integers(0, 2, port.shape).astype(bool)
    if port.dtype.startswith("float"):
        return random.standard_normal(port.shape).astype(port.dtype)
    codes = np.iinfo(port.dtype)
    return random.integers(codes.min, codes.max, port.shape, port.dtype, endpoint=True)


def _counted(session: ProgramSession, feeds: Arrays) -> dict:
    """Of an emulated device: memory and instructions; its clock says nothing."""
    record = session.time(feeds, 0.0, EMULATED_LEAST)
    return {"instructions": record.instructions, "peak_rss_bytes": _bytes(record.vm_hwm_kb),
            "conditions": {"time": "emulated: none", "energy": "emulated: none"}}


def _timed(session: ProgramSession, feeds: Arrays, seconds: float) -> dict:
    transport, family = session.place.transport, session.place.profile.family
    before = look(transport, family)
    with Metering(session) as metering:
        watch = (*metering.files, *watch_paths(before))[:MOST_WATCHED]
        record = metering.run(lambda: session.time(feeds, metering.seconds(seconds), LEAST, watch))
        after = look(transport, family)
    own, first = watch[len(metering.files):], len(metering.files)
    seen = [(w.index - first, w.time_ns, w.value) for w in record.watched if w.index >= first]
    judged = judge(history(before, own, seen, after), _own_cpu_s(record))
    latency_us, unsteady = latency_figures([sample.wall_ns / 1e3 for sample in record.samples])
    return {"latency_us": latency_us, "latency_samples_us": [s.wall_ns / 1e3 for s in record.samples],
            "cpu_samples_us": [s.cpu_ns / 1e3 for s in record.samples],
            "cold_us": ColdStart(record.load_ns / 1e3, record.first_ns / 1e3),
            "peak_rss_bytes": _bytes(record.vm_hwm_kb), "instructions": record.instructions,
            "cycles": record.cycles, "ops": _ops(session, feeds), "energy": metering.energy,
            "conditions": {**judged.facts, **metering.conditions},
            "problems": (*judged.problems, *unsteady, *metering.problems)}


def _own_cpu_s(record: Record) -> float:
    """Of the process: loading, and all inferences."""
    return (record.load_ns + math.fsum(sample.cpu_ns for sample in record.samples)) / 1e9


def _ops(session: ProgramSession, feeds: Arrays) -> tuple[OpTime, ...]:
    """None where the runtime has no profiler."""
    try:
        record = session.profile(feeds, PROFILE_S)
    except BadReply:
        return ()
    return tuple(OpTime(op.name, op.kind, op.ns / 1e3 / max(record.inferences, 1)) for op in record.ops)


def _bytes(kilobytes: int | None) -> int | None:
    return None if kilobytes is None else 1024 * kilobytes
