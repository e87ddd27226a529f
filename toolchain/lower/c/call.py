"""A kernel call as a value: constants for flash, parameters, and how they look in C."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
import textwrap
from typing import NamedTuple, TypeAlias

import numpy as np

C_TYPE = {"int8": "int8_t", "uint8": "uint8_t", "bool": "uint8_t", "int16": "int16_t", "uint16": "uint16_t",
          "int32": "int32_t", "int64": "int64_t"}
PER_LINE = {"int8": 20, "uint8": 20, "bool": 20, "int16": 15, "uint16": 15, "int32": 8, "int64": 6}
SUFFIX = {"int8": "s8", "int16": "s16"}
"""dtype of codes -> how kernels on them are called."""


@dataclass(frozen=True, eq=False)
class Array:
    """A constant array in flash; `role` completes its name: <op>_<role>."""

    role: str
    data: np.ndarray


class Blocks(NamedTuple):
    """How a slice lies in a larger array, in bytes: rows of parts, of each part its first run; words: whether
    both are of int32. As tk_fetch_params has it."""

    rows: int
    parts: int
    run: int
    row_step: int
    part_step: int
    words: int


@dataclass(frozen=True, eq=False)
class Borrowed:
    """A constant array that another network's array holds, so that it has no bytes of its own in flash.

    symbol: of that array
    blocks: how it lies there: laid out in RAM before the call; None: it begins that array, and is read there
    """

    role: str
    data: np.ndarray
    symbol: str
    blocks: Blocks | None = None


Value: TypeAlias = "int | Array | Borrowed | tuple[int, ...] | Mapping[str, Value]"
FETCH_ALIGNMENT = 8
"""Of what is laid out in RAM before a call."""


@dataclass(frozen=True)
class Overlap:
    """Where a kernel's output may lie over one of its operands, if nothing reads that one afterwards.

    operand: its number among the call's operands
    before:  the output may start any number of bytes before the operand's start, from this one on: it is
             written in ascending order, and no byte is lost that is still to be read
    after:   the output may end any number of bytes after the operand's end, from this one on: the same in
             descending order
    exact:   the output may lie on the operand's own bytes, start on start
    None, False: not so.
    """

    operand: int = 0
    before: int | None = None
    after: int | None = None
    exact: bool = False


@dataclass(frozen=True, eq=False)
class Call:
    """One call of `kernel(&params, operands..., scratch, output)`.

    operands:      the op's inputs that the kernel reads, by tensor name
    scratch_bytes: 0 where the kernel takes no scratch
    struct:        the parameters' type where several kernels share one; else <kernel>_params
    overlaps:      where its output may lie over operands
    backwards:     the same work from its last output to its first, with overlaps of its own
    work:          unit -> how often: what the cost model (costs.py) multiplies
    """

    kernel: str
    operands: tuple[str, ...]
    params: Mapping[str, Value]
    scratch_bytes: int = 0
    struct: str = ""
    overlaps: tuple[Overlap, ...] = ()
    backwards: "Call | None" = None
    work: Mapping[str, int] = field(default_factory=dict)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Every constant array of its own that the parameters point to."""
        return tuple(_found(self.params, Array))

    @property
    def borrowed(self) -> tuple[Borrowed, ...]:
        """Every one of another network's."""
        return tuple(_found(self.params, Borrowed))

    @property
    def fetched(self) -> dict[Borrowed, int]:
        """What is laid out in RAM before the call -> where, in bytes from the start of the call's memory,
        which begins with its scratch."""
        found, end = {}, self.scratch_bytes
        for each in self.borrowed:
            if each.blocks:
                found[each] = -(-end // FETCH_ALIGNMENT) * FETCH_ALIGNMENT
                end = found[each] + each.data.nbytes
        return found

    @property
    def memory_bytes(self) -> int:
        """Of RAM while it runs: scratch, and what is fetched."""
        return max([self.scratch_bytes, *(place + each.data.nbytes for each, place in self.fetched.items())])


def _found(value: Value, kind: type) -> Iterator[Value]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _found(part, kind)


def initializer(params: Mapping[str, Value], name_of: Callable[[Array | Borrowed], str]) -> str:
    """A C99 initializer with designators, wrapped; arrays by their names."""
    return textwrap.fill(_initializer(params, name_of), 106, subsequent_indent="     ",
                         break_long_words=False, break_on_hyphens=False)


def _initializer(value: Value, name_of: Callable[[Array | Borrowed], str]) -> str:
    if isinstance(value, Array | Borrowed):
        return name_of(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f".{key} = {_initializer(part, name_of)}"
                               for key, part in value.items()) + "}"
    if isinstance(value, tuple):
        return "{" + ", ".join(map(_literal, value)) + "}"
    return _literal(value)


def _literal(value: int) -> str:
    """-2**31 has no literal of its own in C."""
    return "(-2147483647 - 1)" if value == -(2**31) else str(int(value))


def array_text(data: np.ndarray) -> str:
    """The values of an integer array, some to a line."""
    values, width = [_literal(v) for v in data.ravel().tolist()], PER_LINE[data.dtype.name]
    return ",\n".join("    " + ", ".join(values[i:i + width]) for i in range(0, len(values), width))
