"""Figures that the user's own benchmark_model tells; the device's conditions are looked at all the same."""

from toolchain.artifact import Artifact
from toolchain.device.android import benchmark_program
from toolchain.device.benchmark_model import BenchmarkRun, run_benchmark_model
from toolchain.device.conditions.history import history
from toolchain.device.conditions.judge import judge
from toolchain.device.conditions.look import look
from toolchain.device.metering import NO_METER
from toolchain.device.place import Place
from toolchain.device.ways import EMULATED, Way
from toolchain.measurement import ColdStart, Latency

NOT_METERED = "not measured: benchmark_model does not tell when its inferences began and ended"


def benchmark_figures(artifact: Artifact, place: Place, way: Way, threads: int, seconds: float) -> dict:
    """Times of its own taking, on inputs of its own, without outputs and so without parity."""
    program, model = benchmark_program(place.board, place.isa), artifact.model(way.fmt)
    before = look(place.transport, place.profile.family)
    run = run_benchmark_model(place.transport, program, model, threads=threads, seconds=seconds)
    judged = judge(history(before, (), (), look(place.transport, place.profile.family)))
    figures = {"runtime": "LiteRT, benchmark_model", "flash_bytes": len(model)}
    conditions = {"threads": threads, "memory_growth_mb": run.overall_mb,
                  "note": "; ".join(filter(None, (way.note, *judged.notes)))}
    if place.emulated:
        return {**figures, "conditions": {**conditions, **EMULATED}}
    conditions |= {**judged.facts, "energy": NOT_METERED if place.board.meters else NO_METER,
                   "latency": "a median" if run.inference.median_us else "a mean: it tells no median"}
    return {**figures, "cold_us": ColdStart(run.init_us, run.first_us), "latency_us": _latency(run),
            "conditions": conditions, "problems": judged.problems}


def _latency(run: BenchmarkRun) -> Latency:
    return Latency(run.inference.median_us or run.inference.mean_us, samples=run.inference.count)
