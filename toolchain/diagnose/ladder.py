"""The parity ladder: from the float source to the device, each rung beside the one that it should equal.

The first rung that fails is where the trouble begins: a door, the quantization itself, a runtime, the device.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from toolchain.diagnose.findings import Step
from toolchain.errors import BadModel, ToolchainError
from toolchain.ir.graph import Graph
from toolchain.load.selfcheck import TOLERANCE, share_of_range
from toolchain.quantize.reals import as_reals
from toolchain.quantize.sensitivity import mean_sqnr_db

Arrays = Mapping[str, np.ndarray]
ENOUGH_DB = 20.0
"""INT8 beside float. At 20 dB noise has 1 % of the signal's power, and close answers begin to change."""


@dataclass(frozen=True)
class Rung:
    """Something that runs the network.

    name:    "TFLite Micro"
    against: the rung that it is judged by; "" for the first
    run:     gives outputs by name in the graph's layout: reals, of an integer network codes. Raises a
             ToolchainError where the rung does not apply
    judge:   (its outputs, the other's) -> the figures and whether it passed
    locate:  of a rung that failed, the tensor where the difference begins, in words
    """

    name: str
    against: str
    run: Callable[[], Arrays]
    judge: Callable[[Arrays, Arrays], Step]
    locate: Callable[[], str] = lambda: ""


def climb(rungs: Sequence[Rung], say: Callable[[str], None] = lambda message: None) -> tuple[Step, ...]:
    """A Step for each rung. A rung whose counterpart did not run does not apply either."""
    results: dict[str, Arrays] = {}
    steps = []
    for rung in rungs:
        say(f"parity: {rung.name}")
        try:
            results[rung.name] = rung.run()
        except ToolchainError as error:
            steps.append(Step(rung=rung.name, against=rung.against, note=_one_line(error)))
            continue
        steps.append(_judged(rung, results))
    return tuple(steps)


def _judged(rung: Rung, results: Mapping[str, Arrays]) -> Step:
    if not rung.against:
        return Step(rung=rung.name, passed=True, note="what all others are held to")
    if rung.against not in results:
        note = f"nothing to compare with: {rung.against} did not run"
        return Step(rung=rung.name, against=rung.against, note=note)
    step = rung.judge(results[rung.name], results[rung.against])
    note = rung.locate() if step.passed is False else step.note
    return msgspec.structs.replace(step, rung=rung.name, against=rung.against, note=note)


def _one_line(error: Exception) -> str:
    """The first line, and with a list what it begins with."""
    first, *items = map(str.strip, str(error).splitlines())
    return f"{first} {items[0]}{', ...' if items[1:] else ''}" if items else first


# Judges ----------------------------------------------------------------------------------------------------

def same_floats(got: Arrays, expected: Arrays) -> Step:
    """Float runtimes sum in another order."""
    worst = _worst_share(got, expected)
    return Step(rung="", worst=worst, unit="of range", sqnr_db=db(got, expected), passed=worst <= TOLERANCE,
                allowed=f"{TOLERANCE:g} of the range: float32 sums in another order")


def enough_signal(graph: Graph) -> Callable[[Arrays, Arrays], Step]:
    """`graph`'s codes beside reals: INT8 rounds; what counts is how much of the signal is left."""
    def judge(got: Arrays, expected: Arrays) -> Step:
        reals = as_reals(graph, got)
        left = db(reals, expected)
        return Step(rung="", worst=_worst_share(reals, expected), unit="of range", sqnr_db=left,
                    passed=left >= ENOUGH_DB, allowed=f"{ENOUGH_DB:g} dB: noise of 1 % of the signal's power")

    return judge


def same_codes(got: Arrays, expected: Arrays) -> Step:
    """The numeric contract: bit for bit."""
    worst, differing = _codes(got, expected)
    return Step(rung="", worst=worst, unit="codes", differing=differing, passed=worst == 0,
                allowed="none: the same integer arithmetic")


def near_codes(graph: Graph, exact: Arrays) -> Callable[[Arrays, Arrays], Step]:
    """Codes of a runtime that may round each requantization to the code beside.

    exact: the float outputs; all these roundings together may cost no more than INT8 itself does
    """
    def judge(got: Arrays, expected: Arrays) -> Step:
        worst, differing = _codes(got, expected)
        reals = as_reals(graph, expected)
        own, left = db(reals, exact), db(as_reals(graph, got), reals)
        return Step(rung="", worst=worst, unit="codes", differing=differing, sqnr_db=left,
                    passed=worst <= 1 or left >= own,
                    allowed=f"1 code, or {own:.1f} dB, which INT8 itself has: it rounds otherwise")

    return judge


def _codes(got: Arrays, expected: Arrays) -> tuple[int, float]:
    """(largest difference, share of the codes that differ). Raises BadModel for other shapes."""
    apart = []
    for name, codes in expected.items():
        if got[name].shape != codes.shape:
            raise BadModel(f"output {name} has shape {got[name].shape}, not {codes.shape}; build it again")
        apart.append(np.abs(got[name].astype(np.float64) - codes).ravel())
    apart = np.concatenate(apart)
    return int(np.ceil(apart.max())), float((apart > 0).mean())


def _worst_share(got: Arrays, expected: Arrays) -> float:
    return max(share_of_range(got[name], expected[name]) for name in expected)


def db(got: Arrays, expected: Arrays) -> float:
    """SQNR of the worst output, mean over samples."""
    return min(mean_sqnr_db(expected[name], got[name]) for name in expected)
