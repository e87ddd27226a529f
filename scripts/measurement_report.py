"""What benchmark_measurement.py found, as a page, and what of it is not good enough."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
import os
import re

import msgspec
import numpy as np
from peers_report import processor

from toolchain.comparison import Comparison
from toolchain.device.latency.comparison import ALPHA, BLOCK_US, PAIRS, PROCESSES
from toolchain.device.latency.disturbance import (
    LEAST_CPU_SHARE,
    LEAST_STRETCH_SHARE,
    MOST_DRIFT,
    MOST_SWITCHES_HZ,
)

SLOWER, NO_DIFFERENCE = "slower", "no difference told"


@dataclass(frozen=True)
class Kind:
    """other:       key of the file that is compared with the model
    title:       of its row
    right:       the verdict that is true
    least_right: share of valid comparisons that must say so
    disturbed:   beside a busy process; then none may be valid
    comparisons: how many
    """

    other: str
    title: str
    right: str
    least_right: float
    disturbed: bool = False
    comparisons: int = 100


KINDS: Mapping[str, Kind] = {
    "equal": Kind("same", "the same network twice", NO_DIFFERENCE, 0.97),
    "more": Kind("more", "22 layers against 20", SLOWER, 0.97),
    "equal, disturbed": Kind("same", "the same twice, disturbed", NO_DIFFERENCE, 0.0, True, 20),
    "more, disturbed": Kind("more", "22 against 20, disturbed", SLOWER, 0.0, True, 20),
}


class Pair(msgspec.Struct, frozen=True):
    """The number-th comparison of a kind."""

    kind: str
    number: int


class Outcome(msgspec.Struct, frozen=True):
    """A comparison, or what made it invalid.

    unsaid: what an invalid one would have said; nobody is told but readers of the page
    """

    pair: Pair
    seconds: float
    comparison: Comparison | None = None
    problems: tuple[str, ...] = ()
    unsaid: Comparison | None = None

    @property
    def verdict(self) -> str:
        return self.comparison.verdict if self.comparison else "invalid"


def shortcomings(found: Sequence[Outcome], wanted: Mapping[str, int]) -> list[str]:
    """A line for each bound that is missed."""
    lines = []
    for name, kind in KINDS.items():
        valid = [one for one in _of(found, name) if one.comparison]
        right = sum(one.verdict == kind.right for one in valid)
        if kind.disturbed:
            lines += [f"{name}: {len(valid)} disturbed comparisons were valid, none may be"] if valid else []
        elif len(valid) < wanted[name]:
            lines.append(f"{name}: {len(valid)} valid comparisons of {len(_of(found, name))} begun, "
                         f"{wanted[name]} are needed; measure on a quieter machine")
        elif right < kind.least_right * len(valid):
            lines.append(f"{name}: {right} of {len(valid)} valid comparisons say '{kind.right}', "
                         f"{kind.least_right:.0%} must")
    return lines


def _of(found: Sequence[Outcome], kind: str) -> list[Outcome]:
    return [one for one in found if one.pair.kind == kind]


def page(found: Sequence[Outcome], macs: int, more_macs: int) -> str:
    """Markdown."""
    seconds = np.median([one.seconds for one in found]) if found else 0
    blocks = PAIRS * BLOCK_US * 2 / 1e6
    return "\n".join((
        "# Comparisons of two artefacts: how often they are right", "",
        f"`make benchmark-measurement`, {datetime.now(UTC):%Y-%m-%d}, {processor()}, {os.cpu_count()} CPUs, "
        f"shared with others; ai-edge-litert {version('ai-edge-litert')} in the native runner, one thread.",
        "",
        f"A comparison is {PROCESSES} processes, each with {PAIRS} pairs of blocks of {BLOCK_US / 1e3:g} ms "
        f"({blocks:.2f} s); Student's t on the processes' medians at alpha {ALPHA}. It took {seconds:.1f} s "
        f"(median). Networks: {macs:,} multiplications in 20 equal layers, {more_macs:,} in 22: "
        f"{more_macs / macs - 1:.1%} more. Disturbed: a process that never rests on the same CPU, from the "
        f"middle of the run on.", "",
        *_verdicts(found), "", *_estimates(found), "", *_invalid(found), ""))


def _verdicts(found: Sequence[Outcome]) -> list[str]:
    lines = ["| pairs | begun | valid | no difference told | slower | faster | invalid | would be right |",
             "| --- | --: | --: | --: | --: | --: | --: | --: |"]
    for name, kind in KINDS.items():
        count = Counter(one.verdict for one in _of(found, name))
        unsaid = sum(one.unsaid is not None and one.unsaid.verdict == kind.right for one in _of(found, name))
        lines.append(f"| {kind.title} | {count.total()} | {count.total() - count['invalid']} | "
                     f"{count[NO_DIFFERENCE]} | {count[SLOWER]} | {count['faster']} | {count['invalid']} | "
                     f"{unsaid} |")
    return lines


def _estimates(found: Sequence[Outcome]) -> list[str]:
    lines = ["| pairs | ratio, mean | its spread | half of the 99 % interval | told from (median) |",
             "| --- | --: | --: | --: | --: |"]
    for name, kind in KINDS.items():
        valid = [one.comparison for one in _of(found, name) if one.comparison]
        if len(valid) > 1:
            ratios = np.array([one.ratio for one in valid])
            half = np.median([(one.high - one.low) / 2 for one in valid])
            least = np.median([one.least for one in valid])
            lines.append(f"| {kind.title} | {ratios.mean():.4f} | {ratios.std(ddof=1):.4f} | "
                         f"{half:.4f} | {least:.1%} |")
    return lines


def _invalid(found: Sequence[Outcome]) -> list[str]:
    reasons = Counter(re.split(r": | by | [0-9,]+ times", problem)[0] for one in found
                      for problem in one.problems)
    return [f"Invalid is a run that had less than {LEAST_CPU_SHARE:.0%} of its CPU (less than "
            f"{LEAST_STRETCH_SHARE:.0%} in a third of it), was interrupted more than {MOST_SWITCHES_HZ:.0f} "
            f"times a second, changed its speed by more than {MOST_DRIFT:.0%} or had two speeds: told before "
            f"the difference is looked at. An invalid comparison is not repeated: it is counted, and the "
            f"next one is another.", "",
            *(f"- {reason}: {count} times" for reason, count in reasons.most_common())]
