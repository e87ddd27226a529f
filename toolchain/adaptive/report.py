"""What is told of a chain: how sure its stages are, when they answer, what that costs and what it loses."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from toolchain.adaptive.threshold import Choice
from toolchain.metric import standard_error


class StageFigures(msgspec.Struct, frozen=True):
    """A stage on its own.

    accuracy, error: on test samples, and its standard error
    cost:            of an inference that it answers, with all stages before it
    temperature:     of its policy, and the expected calibration error on selection samples without and with
                     it; None of the last, which is not asked
    """

    name: str
    accuracy: float
    error: float
    cost: float
    temperature: float | None = None
    calibration_error: tuple[float, float] | None = None


class Paired(msgspec.Struct, frozen=True):
    """The chain against its last stage on the same test samples.

    drop:            percent points lost, with the ends of its 95 % interval (bootstrap)
    only_chain, only_last: samples that one of both alone has right;  p: of McNemar's exact test
    """

    drop: float
    low: float
    high: float
    only_chain: int
    only_last: int
    p: float


class Share(msgspec.Struct, frozen=True):
    """Of n samples those that are answered right, and its standard error."""

    value: float
    error: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.error:.4f}"


def share_right(hits: np.ndarray) -> Share:
    """hits: (n,) whether an answer is right"""
    hits = hits.astype(np.float64)
    return Share(float(hits.mean()), standard_error(hits), len(hits))


class LevelFigures(msgspec.Struct, frozen=True):
    """What a budget may choose.

    name:            of the network, or of the stage that answers at the latest
    cost:            as Levels has it
    selection, test: share of such samples that it answers right
    problems:        why its cost cannot be trusted, one line each
    alone:           what a network takes without others beside it; None of a stage
    """

    name: str
    cost: int
    selection: Share
    test: Share
    problems: tuple[str, ...] = ()
    alone: int | None = None

    def told(self, number: int, unit: str) -> str:
        """A line for a terminal."""
        broken = f"; its cost does not stand: {'; '.join(self.problems)}" if self.problems else ""
        return (f"level {number}, {self.name}: {self.cost:,} {unit}; top1 {self.test} on {self.test.n} test "
                f"samples, {self.selection} on {self.selection.n} selection samples{broken}")


class OnDevice(msgspec.Struct, frozen=True, kw_only=True):
    """The chain on a device, on n test samples.

    same_path, same_logits: share of samples with the host reference's path; with its logits too, bit for bit
    mean, most:             instructions of an inference; None where the device does not count them
    budget:                 that it was held to, in the unit of its levels
    """

    device: str
    runtime: str
    n: int
    same_path: float
    same_logits: float
    mean: float | None = None
    most: int | None = None
    budget: int | None = None
    artifact_digest: str = ""
    schema: str = "edge.chain_check"
    schema_version: int = 1


class ChainReport(msgspec.Struct, frozen=True, kw_only=True):
    """unit: of costs;  alone: of the last stage's network on its own

    chosen: on selection samples, by the goal
    tested: the same bound on test samples;  worst: cost where no stage but the last answers, over `alone`
    levels: the chain where a budget lets it go no further than each stage
    """

    name: str
    target: str
    unit: str
    goal: str
    stages: tuple[StageFigures, ...]
    alone: float
    chosen: Choice
    tested: Choice
    paired: Paired
    levels: tuple[LevelFigures, ...] = ()
    schema: str = "edge.chain"
    schema_version: int = 1

    @property
    def worst(self) -> float:
        return self.stages[-1].cost / self.alone


def report_text(report: ChainReport, checked: OnDevice | None = None) -> str:
    """A few lines for a terminal."""
    return "\n".join([*_lines(report), *([device_text(checked)] if checked else [])])


def _lines(report: ChainReport) -> Iterator[str]:
    n = report.tested.n
    for number, (stage, share) in enumerate(zip(report.stages, report.tested.shares, strict=True)):
        told = (f"stage {number}, {stage.name}: top1 {stage.accuracy:.4f} ± {stage.error:.4f} on {n} test "
                f"samples; answers {share:.1%} of them, for {stage.cost:,.0f} {report.unit}")
        if stage.calibration_error:
            before, after = stage.calibration_error
            told += f"; temperature {stage.temperature:.3f}, calibration error {before:.4f} -> {after:.4f}"
        yield told
    yield f"goal: {report.goal}"
    yield f"chosen: {report.chosen}"
    tested, paired = report.tested, report.paired
    yield (f"on {n} test samples: top1 {tested.accuracy:.4f}, {tested.drop:.2f} ± {tested.drop_error:.2f} "
           f"points less than the last stage alone (95 % interval {paired.low:.2f} to {paired.high:.2f}; it "
           f"alone is right {paired.only_last} times, the chain alone {paired.only_chain}, p = "
           f"{paired.p:.3f})")
    yield (f"{report.unit}: expected {tested.cost * report.alone:,.0f}, {tested.cost:.3f}x of the last "
           f"network's {report.alone:,.0f}; worst case {report.worst:.3f}x")
    yield from (level.told(number, report.unit) for number, level in enumerate(report.levels))


def device_text(found: OnDevice) -> str:
    """A line for a terminal."""
    held = "" if found.budget is None else f", held to {found.budget:,}"
    told = (f"{found.device} ({found.runtime}){held}, {found.n} test samples: the same path as on the host "
            f"on {found.same_path:.2%}, the same logits on {found.same_logits:.2%}")
    if found.mean is None:
        return told
    return f"{told}; {found.mean:,.0f} instructions on average, {found.most:,} at most"


class LevelsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Networks side by side: unit, measured_on: of costs;  left_out: a line on each that another one beats"""

    name: str
    target: str
    unit: str
    levels: tuple[LevelFigures, ...]
    left_out: tuple[str, ...] = ()
    measured_on: str = ""
    schema: str = "edge.levels"
    schema_version: int = 1


def levels_text(report: LevelsReport, checked: Sequence[OnDevice] = ()) -> str:
    """A line for each level, for what is left out, and for each check of a device."""
    return "\n".join([*(level.told(number, report.unit) for number, level in enumerate(report.levels)),
                      *([f"measured on {report.measured_on}"] if report.measured_on else []),
                      *report.left_out, *map(device_text, checked)])
