"""Two artefacts, timed in turn in the same processes: which is faster, and by how much.

Blocks A B B A ... of inferences; how a process happens to lie in memory shifts its figures by percents, so
that each process start is one sample: the median over its A B B A groups of log(B / A) in CPU time. What is
common to A and B (the clock's frequency, a neighbour in the caches) cancels within a group. Which artefact is
loaded first, and which begins, change from process to process. Student's t on the processes' values decides,
what the order of loading does to them taken out (two groups, one variance).

Whether the machine was fit to compare on is decided first, from what does not depend on the difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, expm1, sqrt
from typing import NamedTuple

import numpy as np

from toolchain.comparison import Comparison
from toolchain.device.latency.disturbance import disturbances
from toolchain.device.latency.student import probability, quantile
from toolchain.device.runner.record import Block, Record
from toolchain.errors import InvalidMeasurement

ALPHA = 0.01
POWER = 0.95
PROCESSES, PAIRS, BLOCK_US = 10, 40, 2000
"""By default: 10 starts of 160 ms of inferences each; networks of more than 2 ms take longer."""
FEWEST_PROCESSES, FEWEST_GROUPS = 6, 5
GROUP = 4
"""Blocks of one A B B A group."""


@dataclass(frozen=True)
class Process:
    """One process that timed both, in mode "compare" of the runner.

    swapped:     its first model was B
    involuntary: switches away from it that it did not ask for; 0 where the device does not count them
    """

    blocks: Sequence[Block]
    swapped: bool
    involuntary: int = 0


class Turn(NamedTuple):
    """How one process is started: which artefact it loads first, and which of its models begins."""

    swapped: bool
    first: int


def turns(processes: int) -> list[Turn]:
    """The orders in turn, so that what they do to the figures cancels over four processes."""
    return [Turn(bool(number & 1), number >> 1 & 1) for number in range(processes)]


def interleaved(start: Callable[[Turn], Record], processes: int = PROCESSES) -> list[Process]:
    """Start so many processes one after another.

    start: one of them, in mode "compare" of the runner: its model is B and its `other` A where the turn is
           swapped; `first` is the turn's
    """
    return [_process(turn, start(turn)) for turn in turns(processes)]


def _process(turn: Turn, record: Record) -> Process:
    return Process(record.blocks, turn.swapped, record.switches[1] if record.switches else 0)


def compare(processes: Sequence[Process], conditions: Sequence[str] = ()) -> Comparison:
    """B against A.

    conditions: what was wrong with the device meanwhile, one line each; it makes the run invalid
    Raises InvalidMeasurement, naming everything that disturbed the run, before any verdict is reached.
    """
    _require_enough(processes)
    switches = [process.involuntary for process in processes]
    if problems := (*conditions, *disturbances([_in_order(p) for p in processes], switches)):
        raise InvalidMeasurement("\n  ".join(("the comparison is invalid:", *problems)))
    return decide(processes)


def decide(processes: Sequence[Process]) -> Comparison:
    """Without asking whether the machine was fit. Student's t, one variance for both orders of loading."""
    orders = [np.array([process_difference(_in_order(p)) for p in processes if p.swapped == order])
              for order in (False, True)]
    counts = np.array([len(order) for order in orders])
    degrees = int(counts.sum()) - len(orders)
    mean = float(np.mean([order.mean() for order in orders]))
    variance = sum(((order - order.mean())**2).sum() for order in orders) / degrees
    return _told(mean, sqrt(variance * (1 / counts).sum()) / len(orders), degrees)


def _told(mean: float, error: float, degrees: int) -> Comparison:
    """mean, error: of the logarithm of B / A, and its standard error"""
    p = 1 - probability(abs(mean) / error, degrees) if error else float(mean == 0)
    reach = quantile(1 - ALPHA, degrees) * error
    verdict = "no difference told" if p >= ALPHA else "slower" if mean > 0 else "faster"
    least = reach + quantile(2 * POWER - 1, degrees) * error
    return Comparison(ratio=exp(mean), low=exp(mean - reach), high=exp(mean + reach), p=p, verdict=verdict,
                      least=expm1(least), processes=degrees + 2, alpha=ALPHA, power=POWER)


def _in_order(process: Process) -> np.ndarray:
    """(blocks, 4) float: model (0 is A, 1 is B), inferences, wall and CPU ns; whole groups only."""
    whole = process.blocks[:len(process.blocks) // GROUP * GROUP]
    table = np.array([(b.model, b.inferences, b.wall_ns, b.cpu_ns) for b in whole], dtype=np.float64)
    if process.swapped:
        table[:, 0] = 1 - table[:, 0]
    return table


def process_difference(table: np.ndarray) -> float:
    """The median over A B B A groups of log(B / A), of CPU time an inference.

    table: (blocks, 4) as of a run's record: model, inferences, wall ns, CPU ns
    """
    times = np.log(table[:, 3] / table[:, 1]).reshape(-1, GROUP)
    signs = np.where(table[:, 0].reshape(-1, GROUP) == 1, 0.5, -0.5)
    return float(np.median((times * signs).sum(axis=1)))


def _require_enough(processes: Sequence[Process]) -> None:
    if len(processes) < FEWEST_PROCESSES:
        raise InvalidMeasurement(f"{len(processes)} processes were compared; each start is one sample, and "
                                 f"{FEWEST_PROCESSES} are needed")
    if 2 * (swapped := sum(process.swapped for process in processes)) != len(processes):
        raise InvalidMeasurement(f"{swapped} of {len(processes)} processes loaded B first; half of them must")
    for number, process in enumerate(processes):
        _require_groups(number, process.blocks)


def _require_groups(number: int, blocks: Sequence[Block]) -> None:
    groups = len(blocks) // GROUP
    if groups < FEWEST_GROUPS:
        raise InvalidMeasurement(f"process {number} has {groups} groups of {GROUP} blocks; {FEWEST_GROUPS} "
                                 f"are needed")
    if any(min(block.inferences, block.wall_ns, block.cpu_ns) <= 0 for block in blocks):
        raise InvalidMeasurement(f"process {number}: a block of no time; make blocks longer (block_us)")
    models = np.array([block.model for block in blocks[:groups * GROUP]]).reshape(-1, GROUP)
    if not (np.isin(models, (0, 1)).all() and (models.sum(axis=1) == GROUP // 2).all()):
        raise InvalidMeasurement(f"process {number}: blocks are not A B B A")
