"""`edge calibrate`: a model and samples in, a file with the statistics of its activations out.

While it runs, what it has so far is in a partial file beside the one to write, whole at any moment: a run
that was killed goes on from there. It ends with the same bytes as a run that was not, and as one whose
samples were shared among processes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
import hashlib
from pathlib import Path
import time
from typing import NamedTuple

import msgspec
import numpy as np

from toolchain.atomic import require_place
from toolchain.data import SETS, Samples, load_samples
from toolchain.data.manifest import MANIFEST
from toolchain.errors import BadInput
from toolchain.execution import fastest, version_of, watch
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import Shapes, load
from toolchain.quantize.calibrate import Observation, batch_size, chosen, observe
from toolchain.quantize.rules import observed
from toolchain.quantize.stability import OVER, Stability, spread_order
from toolchain.quantize.stats_file import (
    ObserverRecord,
    StatsFile,
    merge_stats,
    observer_of,
    read_stats,
    write_stats,
)
from toolchain.recipe import CalibrateConfig
from toolchain.report.progress import progress_bar
from toolchain.shards import Gathered, observe_in_shards

SNAPSHOT_S = 5.0
"""Seconds between two snapshots."""
ALL = 2**31
"""More samples than a source has."""


class Settled(msgspec.Struct, frozen=True):
    """What --until-stable found.

    stable:  whether the ranges stopped moving before the samples ended
    samples: that were looked at
    last:    the tensor whose range was last to move by more than `share` in `over` samples, "" where none was
    last_samples, last_share: after how many samples that was, and by how much of its width
    """

    stable: bool
    samples: int
    share: float
    over: int
    last: str = ""
    last_samples: int = 0
    last_share: float = 0.0


class CalibrationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was calibrated.

    samples:  whose statistics are in the file, of which `resumed` came from an earlier run
    runtime:  name and version
    seconds:  that running the others took, on the clock
    """

    out: str
    graph: str
    tensors: int
    samples: int
    resumed: int
    observer: str
    runtime: str
    workers: int
    batch: int
    seconds: float
    settled: Settled | None = None


class Grown(NamedTuple):
    """How far calibration is: how many samples, the file as it would be now, whether it ends there."""

    samples: int
    file: Callable[[], StatsFile]
    settled: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """A calibration that is about to run.

    config:  with a runtime by its name
    samples: all that it is over, fitted to the graph, in the order in which they run
    earlier: what was seen in a run before, or None
    identity: the fields that files of one calibration have in common
    """

    graph: Graph
    config: CalibrateConfig
    samples: Samples
    batch: int
    workers: int
    earlier: StatsFile | None
    identity: dict[str, str]

    @property
    def resumed(self) -> np.ndarray:
        """Rows that need not run."""
        return self.earlier.seen_rows if self.earlier else np.zeros(0, np.int64)

    def grown(self) -> Iterator[Grown]:
        """Run what was not seen before."""
        todo = self.samples.pick(np.flatnonzero(~np.isin(self.samples.rows, self.resumed)))
        open_watch = partial(watch, runtime=self.config.runtime, batch=self.batch)
        what = (self.graph, self.config, todo, open_watch, self.batch)
        before = len(self.resumed)
        for seen in observe(*what) if self.workers == 1 else observe_in_shards(*what, self.workers):
            yield Grown(before + len(seen.rows), partial(self._file, seen))

    def _file(self, seen: Observation | Gathered) -> StatsFile:
        new = StatsFile.of(self.graph, seen.stats(), seen.rows, **self.identity)
        return merge_stats(self.earlier, new) if self.earlier else new


def calibrate_model(model: str, data: str, out: Path, config: CalibrateConfig, *, workers: int = 1,
                    resume: Path | None = None, until_stable: bool = False, batch: int | None = None,
                    shapes: Shapes | None = None, checkpoint: Path | None = None,
                    quiet: bool = True) -> CalibrationRecord:
    """Write the statistics of a model's activations over the samples of a set's calibration split.

    workers: processes that share the samples;  batch: samples that run together
    resume:  a file of an earlier run, finished or not: its samples are not run again
    until_stable: stop when the ranges have stopped moving, by the rule of `quantize.stability`
    Raises BadInput where these contradict each other, or the earlier run is another's.
    """
    if until_stable and workers > 1:
        raise BadInput("--until-stable looks at samples one after another; leave out --workers")
    require_place(out)
    graph = canonical(load(model, shapes=shapes, checkpoint=checkpoint))
    plan = _plan(graph, data, config, workers, resume, batch, until_stable)
    stability = Stability(over=-(-OVER // plan.batch) * plan.batch) if until_stable else None
    started, partial_file = time.monotonic(), out.with_name(f"{out.stem}.partial{out.suffix}")
    growing = plan.grown() if stability is None else _until_settled(plan, stability)
    with progress_bar("calibrating", len(plan.samples), unit="samples", done=len(plan.resumed),
                      quiet=quiet) as tell:
        made = _kept(growing, plan.earlier, tell, partial_file)
    write_stats(out, made)
    partial_file.unlink(missing_ok=True)
    return _record(plan, out, made, time.monotonic() - started, stability)


def config_of(until_stable: bool, **asked: str | float | None) -> CalibrateConfig:
    """The settings that were asked for, the recipe's defaults for the others; `until_stable`, all samples."""
    given = {name: value for name, value in asked.items() if value is not None}
    return CalibrateConfig(**({"samples": ALL} if until_stable else {}) | given)


def _plan(graph: Graph, data: str, config: CalibrateConfig, workers: int, resume: Path | None,
          batch: int | None, until_stable: bool) -> Plan:
    names = observed(graph)
    if config.runtime == "fastest":
        config = msgspec.structs.replace(config, runtime=fastest(graph, names))
    samples = chosen(graph, config, load_samples(data).split("calibration"))
    if until_stable:
        samples = samples.pick(spread_order(len(samples)))
    identity = {"samples": samples.name, "samples_sha256": _sha256(data), "runtime": config.runtime,
                "runtime_version": version_of(config.runtime)}
    plan = Plan(graph, config, samples, batch or batch_size(graph, names), workers,
                read_stats(resume) if resume else None, identity)
    _require_own(plan, resume)
    return plan


def _sha256(data: str) -> str:
    """Of a set's manifest, which holds its samples' own, or of a file; "" for a folder of files."""
    paths = [SETS / data / MANIFEST, Path(data) / MANIFEST, Path(data)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _require_own(plan: Plan, resume: Path | None) -> None:
    """Raise BadInput where the earlier run was of something else."""
    if plan.earlier is None:
        return
    for field, own in {"graph_digest": plan.graph.digest, **plan.identity}.items():
        if (theirs := getattr(plan.earlier, field)) != own:
            raise _other(resume, field, theirs, own)
    if (theirs := plan.earlier.observer) != (own := observer_of(plan.config)):
        raise _other(resume, "observer", _told(theirs), _told(own))
    if (extra := np.setdiff1d(plan.resumed, plan.samples.rows)).size:
        raise BadInput(f"{resume}: cannot be resumed: it has seen {extra.size} samples, row {extra[0]} the "
                       f"first, that are none of the {len(plan.samples)} of this run; give the same --data "
                       f"and --samples, or calibrate anew")


def _other(resume: Path, field: str, theirs: str, own: str) -> BadInput:
    return BadInput(f"{resume}: cannot be resumed: its {field} is '{theirs}', of this run '{own}'; calibrate "
                    f"anew, without --resume")


def _told(observer: ObserverRecord) -> str:
    return ", ".join(map(str, msgspec.to_builtins(observer).values()))


def _kept(growing: Iterator[Grown], earlier: StatsFile | None, tell: Callable[[int], None],
          partial_file: Path) -> StatsFile:
    """The file of all samples; now and then, and when interrupted, that of those so far is written."""
    grown, written = None, time.monotonic()
    try:
        for grown in growing:
            tell(grown.samples)
            if time.monotonic() - written >= SNAPSHOT_S and not grown.settled:
                write_stats(partial_file, grown.file())
                written = time.monotonic()
    except KeyboardInterrupt:
        if grown is None:
            raise
        write_stats(partial_file, grown.file())
        raise KeyboardInterrupt(f"go on with --resume {partial_file}") from None
    return earlier if grown is None else grown.file()


def _until_settled(plan: Plan, stability: Stability) -> Iterator[Grown]:
    """Every `stability.over` samples, until no range moves any more: a run that goes on from there does as
    one that was never interrupted."""
    if plan.earlier is not None:
        stability.settled(len(plan.resumed), _ranges(plan.earlier))
    for grown in plan.grown():
        if grown.samples % stability.over:
            if grown.samples == len(plan.samples):  # the last are too few to compare with
                yield grown
            continue
        file = grown.file()
        settled = stability.settled(grown.samples, _ranges(file))
        yield Grown(grown.samples, partial(_same, file), settled)
        if settled:
            return


def _same(file: StatsFile) -> StatsFile:
    return file


def _ranges(file: StatsFile) -> dict[str, tuple[float, float]]:
    return {name: record.range for name, record in file.tensors.items()}


def _record(plan: Plan, out: Path, made: StatsFile, seconds: float,
            stability: Stability | None) -> CalibrationRecord:
    return CalibrationRecord(
        out=str(out), graph=made.graph, tensors=len(made.tensors), samples=len(made.seen_rows),
        resumed=len(plan.resumed), observer=plan.config.observer,
        runtime=f"{made.runtime} {made.runtime_version}", workers=plan.workers, batch=plan.batch,
        seconds=round(seconds, 3), settled=None if stability is None else _settled(made, stability))


def _settled(made: StatsFile, stability: Stability) -> Settled:
    return Settled(stability.stable, len(made.seen_rows), stability.share, stability.over,
                   *(stability.last or ()))


def calibration_text(record: CalibrationRecord) -> str:
    """Lines for a terminal."""
    ran = record.samples - record.resumed
    speed = f", {ran / record.seconds:.0f} a second" if ran and record.seconds else ""
    resumed = f", {record.resumed} of them from before" if record.resumed else ""
    text = (f"{record.out}: {record.tensors} tensors of {record.graph}, {record.samples} samples{resumed}"
            f"{speed}, observer {record.observer}, {record.runtime}")
    return f"{text}\n{_settled_text(record.settled)}" if record.settled else text


def _settled_text(found: Settled) -> str:
    rule = f"no range moved by more than {found.share:.0%} over the last {found.over} samples"
    mover = f"{found.last}, which moved by {found.last_share:.1%} up to sample {found.last_samples}"
    if not found.stable:
        restless = f"; farthest: {mover}" if found.last else ""
        return f"not stable after all {found.samples} samples{restless}; give more samples"
    last = f"; last to settle: {mover}" if found.last else ""
    return f"stable after {found.samples} samples: {rule}{last}"
