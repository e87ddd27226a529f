"""A line to a scripted board on which something goes wrong once, at a place that a seed chooses."""

from collections.abc import Callable

import numpy as np

from tests.device.standins.dut import ScriptedDut

Fault = Callable[[bytes, ScriptedDut, np.random.Generator], bytes]


def _middle(data: bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(0, max(len(data) - 1, 1)))


def reset(data: bytes, dut: ScriptedDut, rng: np.random.Generator) -> bytes:
    """The answer breaks off, and the board starts anew."""
    return data[:_middle(data, rng)] + dut.restart()


def garbage(data: bytes, dut: ScriptedDut, rng: np.random.Generator) -> bytes:
    at = _middle(data, rng)
    return data[:at] + rng.bytes(int(rng.integers(1, 20))) + data[at:]


def half_a_line(data: bytes, dut: ScriptedDut, rng: np.random.Generator) -> bytes:
    return data[:_middle(data, rng)]


def nuls(data: bytes, dut: ScriptedDut, rng: np.random.Generator) -> bytes:
    at = _middle(data, rng)
    return data[:at] + bytes(int(rng.integers(1, 5))) + data[at:]


def lost_byte(data: bytes, dut: ScriptedDut, rng: np.random.Generator) -> bytes:
    at = _middle(data, rng)
    return data[:at] + data[at + 1:]


def endless_line(data: bytes, dut: ScriptedDut, rng: np.random.Generator) -> bytes:
    return b"x" * 300_000 + data


def twice(data: bytes, dut: ScriptedDut, rng: np.random.Generator) -> bytes:
    """A bridge that repeats itself: the second is stale for whatever is asked next."""
    return data + data


def silence(data: bytes, dut: ScriptedDut, rng: np.random.Generator) -> bytes:
    return b""


FAULTS: dict[str, Fault] = {made.__name__: made for made in (reset, garbage, half_a_line, nuls, lost_byte,
                                                              endless_line, twice, silence)}


class FaultyLine:
    """The host's end of a line to `dut`. The answer to write number `at` and, where it is `lasting`, to all
    behind it, goes through `fault`.

    writes: so far
    """

    def __init__(self, dut: ScriptedDut, fault: Fault | None = None, at: int = 0, seed: int = 0,
                 lasting: bool = False):
        self.dut, self.writes, self._said = dut, 0, b""
        self._fault, self._at, self._lasting = fault, at, lasting
        self._rng = np.random.default_rng(seed)

    def write(self, data: bytes) -> None:
        answer = self.dut.answer(data)
        due = self.writes >= self._at if self._lasting else self.writes == self._at
        if self._fault and due:
            answer = self._fault(answer, self.dut, self._rng)
        self.writes += 1
        self._said += answer

    def read(self, seconds: float) -> bytes:
        said, self._said = self._said, b""
        return said
