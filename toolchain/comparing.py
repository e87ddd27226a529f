"""Which of two artefacts is faster on a device, and by how much: timed in turn, in the same processes."""

from functools import partial

import msgspec

from toolchain.artifact import Artifact
from toolchain.comparison import Comparison
from toolchain.deploy import own_profile, ways_of
from toolchain.device.conditions.history import history
from toolchain.device.conditions.judge import judge
from toolchain.device.conditions.look import look
from toolchain.device.latency.comparison import BLOCK_US, PAIRS, Turn, compare, interleaved
from toolchain.device.measure_programs import bench_feeds
from toolchain.device.place import Place, open_place
from toolchain.device.programs import ProgramSession
from toolchain.device.runner.record import Record
from toolchain.device.ways import Way
from toolchain.errors import Unsupported


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """baseline, candidate: name, 12 digits of the digest; the comparison is the candidate's with the other"""

    baseline: str
    candidate: str
    device: str
    runtime: str
    runner: str
    comparison: Comparison


def compared(baseline: Artifact, candidate: Artifact, device: str | None, fmt: str | None = None,
             runtime: str | None = None, runner: str | None = None) -> Compared:
    """The candidate against the baseline, in one way that runs both, on the device.

    Raises InvalidMeasurement where the device was disturbed, Unsupported where it keeps no time or no way
    runs two models in one process, DeviceUnavailable and its kinds.
    """
    with open_place(own_profile(baseline), device) as place:
        way = _way(place, baseline, candidate, (fmt, runtime, runner))
        sessions = [ProgramSession(place, artifact, way) for artifact in (baseline, candidate)]
        feeds = [bench_feeds(artifact, way.fmt) for artifact in (baseline, candidate)]
        before = look(place.transport, place.profile.family)
        processes = interleaved(partial(_process, sessions, feeds))
        after = look(place.transport, place.profile.family)
        found = compare(processes, judge(history(before, (), (), after)).problems)
    names = [f"{artifact.manifest.name} {artifact.digest[:12]}" for artifact in (baseline, candidate)]
    return Compared(baseline=names[0], candidate=names[1], device=place.name, runtime=sessions[0].runtime,
                    runner=way.runner, comparison=found)


def _way(place: Place, baseline: Artifact, candidate: Artifact, asked: tuple[str | None, ...]) -> Way:
    """The first that runs both."""
    if place.emulated or place.transport is None:
        raise Unsupported(f"{place.name} keeps no time that two artefacts could be compared by; an emulated "
                          f"device counts instructions exactly: compare what `edge bench` says of each")
    both = [way for way in ways_of(baseline, place, *asked)
            if way.fmt in candidate.manifest.formats and way.fmt != "c"]
    if not both:
        raise Unsupported(f"{baseline.manifest.name} and {candidate.manifest.name} have no .tflite or .onnx "
                          f"file in common that {place.name} runs")
    return both[0]


def _process(sessions: list[ProgramSession], feeds: list[dict], turn: Turn) -> Record:
    a, b = (1, 0) if turn.swapped else (0, 1)
    return sessions[a].compare(feeds[a], sessions[b], feeds[b], first=turn.first, pairs=PAIRS,
                               block_us=BLOCK_US)


def as_text(found: Compared) -> str:
    """The verdict, its figures, and what they are of."""
    c = found.comparison
    return (f"{found.candidate} beside {found.baseline}: {c.verdict}\n"
            f"{c.ratio:.4f} of its CPU time, {100 * (1 - c.alpha):.0f} % interval {c.low:.4f} to "
            f"{c.high:.4f}, p = {c.p:.2g}, {c.processes} processes\n"
            f"a difference of {100 * c.least:.1f} % would have been told with probability {c.power:.2f}\n"
            f"on {found.device}, {found.runtime}, {found.runner} runner")
