"""Figures of a model file on a device that runs programs, and whether they stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np

from toolchain.artifact import Artifact
from toolchain.device.boards import HOST
from toolchain.device.conditions.history import History, history
from toolchain.device.conditions.judge import Judgement, judge
from toolchain.device.conditions.look import Look, look, watch_paths
from toolchain.device.conditions.sustained import MINUTE_S, sustained
from toolchain.device.latency.figures import latency_figures
from toolchain.device.metering import Metering
from toolchain.device.parity import parity, vector_feeds
from toolchain.device.place import Place
from toolchain.device.programs import ProgramSession
from toolchain.device.runner.record import MOST_WATCHED, Record
from toolchain.device.ways import EMULATED, Way
from toolchain.errors import BadReply, InvalidMeasurement
from toolchain.measurement import ColdStart, OpTime, Sustained
from toolchain.port import Port
from toolchain.profile import Format

LEAST, EMULATED_LEAST = 30, 2
"""Inferences of a timed run, however long they take."""
LONG_S, TRIAL_S, TRIAL_LEAST = 5.0, 0.5, 5
"""A run of more seconds is planned by a trial, so that no more than MOST_TOLD of its inferences are told."""
MOST_TOLD = 100_000
PROFILE_S = 0.3
Arrays = Mapping[str, np.ndarray]


def program_figures(artifact: Artifact, place: Place, way: Way, threads: int, seconds: float) -> dict:
    """What a Measurement has of a device that runs programs.

    Raises what a transport raises; BadModel where the runtime refuses the file.
    """
    session = ProgramSession(place, artifact, way, threads)
    checked, wrong = parity(artifact, way.fmt, session)
    feeds = bench_feeds(artifact, way.fmt)
    figures = _counted(session, feeds) if place.emulated else _timed(session, feeds, threads, seconds)
    notes = [way.note, _elsewhere(artifact, place), figures["conditions"].get("note", "")]
    conditions = {"threads": threads, **figures["conditions"], "note": "; ".join(filter(None, notes))}
    return {"runtime": session.runtime, "parity": checked, "flash_bytes": session.file_bytes, **figures,
            "conditions": conditions, "problems": (*wrong, *figures.get("problems", ()))}


def _elsewhere(artifact: Artifact, place: Place) -> str:
    """Of what was built for another device than the one that it is run on."""
    target = artifact.manifest.target
    return "" if place.name != HOST or target == HOST else (
        f"built for {target}, run on this host: not a figure of that device")


def bench_feeds(artifact: Artifact, fmt: Format) -> dict[str, np.ndarray]:
    """Inputs of the test vectors as the file takes them; seeded noise for a file without any."""
    if artifact.vectors:
        return vector_feeds(artifact, fmt)
    random = np.random.default_rng(0)
    return {port.name: _noise(random, port) for port in artifact.manifest.inputs[fmt]}


def _noise(random: np.random.Generator, port: Port) -> np.ndarray:
    """Of whole numbers that stand for nothing else 0 and 1, which any table has."""
    if port.scale is None and port.dtype in ("int32", "int64"):
        return random.integers(0, 2, port.shape, port.dtype)
    if port.dtype == "bool":
        return random.integers(0, 2, port.shape).astype(bool)
    if port.dtype.startswith("float"):
        return random.standard_normal(port.shape).astype(port.dtype)
    codes = np.iinfo(port.dtype)
    return random.integers(codes.min, codes.max, port.shape, port.dtype, endpoint=True)


def _counted(session: ProgramSession, feeds: Arrays) -> dict:
    """Of an emulated device: memory and instructions; its clock says nothing, and it has no energy."""
    record = session.time(feeds, 0.0, EMULATED_LEAST)
    return {"instructions": record.instructions, "peak_rss_bytes": _bytes(record.vm_hwm_kb),
            "conditions": EMULATED}


@dataclass(frozen=True)
class _Run:
    """A timed run: what the runner told, what was seen of the device, and what its meter says."""

    record: Record
    seen: History
    metering: Metering


def _timed(session: ProgramSession, feeds: Arrays, threads: int, seconds: float) -> dict:
    run = _run(session, feeds, seconds)
    record, judged = run.record, judge(run.seen, _own_cpu_s(run.record))
    samples_us = [sample.wall_ns / 1e3 for sample in record.samples]
    cpu_us = [sample.cpu_ns / 1e3 for sample in record.samples]
    latency_us, unsteady = latency_figures(samples_us, cpu_us if threads == 1 else ())
    lasting, too_short = _sustained(run, samples_us, latency_us.warm_up, seconds)
    ops, unprofiled = _ops(session, feeds)
    return {"latency_us": latency_us, "latency_samples_us": samples_us, "cpu_samples_us": cpu_us,
            "cold_us": ColdStart(record.load_ns / 1e3, record.first_ns / 1e3), "sustained": lasting,
            "peak_rss_bytes": _bytes(record.vm_hwm_kb), "instructions": record.instructions,
            "cycles": record.cycles, "ops": ops, "energy": run.metering.energy,
            "conditions": {**_conditions(judged, run), **unprofiled},
            "problems": (*judged.problems, *unsteady, *too_short, *run.metering.problems)}


def _run(session: ProgramSession, feeds: Arrays, seconds: float) -> _Run:
    transport, family = session.place.transport, session.place.profile.family
    before = look(transport, family)
    with Metering(session) as metering:
        seconds = metering.seconds(seconds)
        every = _every(session, feeds, seconds)
        watch = (*metering.files, *watch_paths(before))[:MOST_WATCHED]
        record = metering.run(lambda: session.time(feeds, seconds, LEAST, watch, every))
        after = look(transport, family)
    return _Run(record, _history(before, watch, len(metering.files), record, after), metering)


def _history(before: Look, watch: Sequence[str], meters: int, record: Record, after: Look) -> History:
    """meters: so many of the watched files, the first, are a meter's"""
    seen = [(one.index - meters, one.time_ns, one.value) for one in record.watched if one.index >= meters]
    return history(before, watch[meters:], seen, after)


def _every(session: ProgramSession, feeds: Arrays, seconds: float) -> int:
    """One of so many inferences in a row is told, by how many a short trial lets expect."""
    if seconds <= LONG_S:
        return 1
    trial = session.time(feeds, TRIAL_S, TRIAL_LEAST)
    expected = trial.inferences * seconds * 1e9 / max(trial.ended_ns - trial.began_ns, 1)
    return max(1, math.ceil(expected / MOST_TOLD))


def _conditions(judged: Judgement, run: _Run) -> dict:
    told = {"one_told_of": run.record.every} if run.record.every > 1 else {}
    return {**judged.facts, "inferences": run.record.inferences, **told, **run.metering.conditions,
            "note": "; ".join(judged.notes)}


def _own_cpu_s(record: Record) -> float:
    """Of the process: loading, and all inferences, by those that are told."""
    return (record.load_ns + record.every * math.fsum(sample.cpu_ns for sample in record.samples)) / 1e9


def _sustained(run: _Run, samples_us: Sequence[float], warm_up: int,
               seconds: float) -> tuple[Sustained | None, tuple[str, ...]]:
    """How speed lasted, of runs of two minutes and more; why it cannot be told of one that ended early."""
    if seconds < 2 * MINUTE_S:
        return None, ()
    starts_ns = [sample.start_ns for sample in run.record.samples]
    try:
        return sustained(starts_ns, samples_us, run.seen, run.record.began_ns, warm_up), ()
    except InvalidMeasurement as error:
        return None, (str(error),)


def _ops(session: ProgramSession, feeds: Arrays) -> tuple[tuple[OpTime, ...], dict[str, str]]:
    """By the runtime's own profiler, and a condition that says why there are none."""
    if not session.way.profiles:
        return (), {"ops": f"not told: {session.way.runtime} has no profiler for this runner"}
    try:
        record = session.profile(feeds, PROFILE_S)
    except BadReply as error:
        return (), {"ops": f"not told: {error}"}
    return tuple(OpTime(op.name, op.kind, op.ns / 1e3 / record.inferences) for op in record.ops), {}


def _bytes(kilobytes: int | None) -> int | None:
    return None if kilobytes is None else 1024 * kilobytes
