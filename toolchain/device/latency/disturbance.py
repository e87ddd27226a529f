"""Whether a machine was left alone while two artefacts were compared on it.

Every bound is on what both artefacts have in common, so that none depends on which of them is faster. They
were set by runs on an idle shared virtual machine, and beside a busy process: docs/measurement-benchmark.md.
"""

from collections.abc import Iterator, Sequence

import numpy as np

LEAST_CPU_SHARE, LEAST_STRETCH_SHARE = 0.90, 0.80
MOST_SWITCHES_HZ = 100.0
MOST_DRIFT = 0.15
LEAST_STEP, LEAST_SHARE, LEAST_SEPARATION = 0.10, 0.20, 4.0
STRETCHES = 3


def disturbances(tables: Sequence[np.ndarray], involuntary: Sequence[int]) -> tuple[str, ...]:
    """What was wrong, one line each.

    tables:      of each process in order, (blocks, 4): model, inferences, wall ns, CPU ns
    involuntary: of each process, switches to other programs that it did not ask for
    """
    levels = _levels(tables)
    return (*_others(tables), *_switches(tables, involuntary), *_drift(levels), *_modes(levels))


def _others(tables: Sequence[np.ndarray]) -> Iterator[str]:
    """Wall and CPU time part where something else ran instead of us."""
    share = _cpu_share(tables)
    worst = min(_cpu_share(part) for part in _stretches(tables))
    if share < LEAST_CPU_SHARE or worst < LEAST_STRETCH_SHARE:
        yield (f"other programs took the CPU: the run had {share:.0%} of it, {worst:.0%} in its worst third; "
               f"{LEAST_CPU_SHARE:.0%} and {LEAST_STRETCH_SHARE:.0%} are needed. End them, or choose a CPU "
               f"of its own")


def _cpu_share(tables: Sequence[np.ndarray]) -> float:
    return sum(table[:, 3].sum() for table in tables) / sum(table[:, 2].sum() for table in tables)


def _switches(tables: Sequence[np.ndarray], involuntary: Sequence[int]) -> Iterator[str]:
    seconds = sum(table[:, 2].sum() for table in tables) / 1e9
    rate = sum(involuntary) / seconds
    if rate > MOST_SWITCHES_HZ:
        yield (f"other programs interrupted the run {rate:,.0f} times a second (involuntary context "
               f"switches); {MOST_SWITCHES_HZ:,.0f} are the most. End them, or choose a CPU of its own")


def _levels(tables: Sequence[np.ndarray]) -> list[np.ndarray]:
    """log CPU time of each block against its model's median over the run: one array a process."""
    medians = np.median([[_median_cpu(table, model) for model in (0, 1)] for table in tables], axis=0)
    return [np.log(table[:, 3] / table[:, 1] / medians[table[:, 0].astype(int)]) for table in tables]


def _median_cpu(table: np.ndarray, model: int) -> float:
    rows = table[table[:, 0] == model]
    return float(np.median(rows[:, 3] / rows[:, 1]))


def _drift(levels: Sequence[np.ndarray]) -> Iterator[str]:
    """The machine at the end of the run against the beginning."""
    medians = [float(np.median(np.concatenate(part))) for part in _stretches(levels)]
    drift = float(np.expm1(max(medians) - min(medians)))
    if drift > MOST_DRIFT:
        yield (f"the machine's speed changed by {drift:.0%} during the run; {MOST_DRIFT:.0%} is the most. "
               f"Fix its clock (governor), cool it")


def _modes(levels: Sequence[np.ndarray]) -> Iterator[str]:
    """Two clearly separate speeds: cores of two kinds, steps of a clock, a neighbour on the same core."""
    step, share, separation = two_modes(np.concatenate(levels))
    if step > LEAST_STEP and share > LEAST_SHARE and separation > LEAST_SEPARATION:
        yield (f"the machine ran at two speeds, {step:.0%} apart, {share:.0%} of the blocks at the rarer "
               f"one. Keep the run on one CPU, fix its clock (governor)")


def two_modes(levels: np.ndarray) -> tuple[float, float, float]:
    """The best split in two (least squares: Otsu 1979): relative step between them, share of the smaller, and
    Ashman's D (Ashman, Bird & Zepf 1994): 2.7 for a single normal cut in its middle."""
    ordered = np.sort(levels)
    n = len(ordered)
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    counts = np.arange(1, n)
    within = (squares[:-1] - sums[:-1]**2 / counts
              + squares[-1] - squares[:-1] - (sums[-1] - sums[:-1])**2 / (n - counts))
    cut = int(np.argmin(within)) + 1
    below, above = ordered[:cut], ordered[cut:]
    gap = float(above.mean() - below.mean())
    spread = float(np.sqrt((below.var() + above.var()) / 2))
    return float(np.expm1(gap)), min(cut, n - cut) / n, gap / spread if spread else float("inf")


def _stretches(parts: Sequence[np.ndarray]) -> list[Sequence[np.ndarray]]:
    """The processes in thirds, in order."""
    ends = [len(parts) * k // STRETCHES for k in range(STRETCHES + 1)]
    return [parts[begin:end] for begin, end in zip(ends[:-1], ends[1:], strict=True)]
