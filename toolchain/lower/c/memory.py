"""The static arena: which activation lies where, and when. Planned here; the device allocates nothing.

Graph inputs and outputs have places in the arena too: a caller writes an input to its place, or hands in a
buffer of its own. A reshape is another name for the same bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.ir.graph import Graph, Op, Shape, Tensor

ALIGNMENT = 16


@dataclass(frozen=True)
class Buffer:
    """Bytes that are needed while ops number `first` to `last` run, both included."""

    name: str
    bytes: int
    first: int
    last: int

    def meets(self, other: "Buffer") -> bool:
        """Whether some op needs both."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, eq=False)
class Plan:
    """Where everything lies.

    offsets:      tensor or "<op>.scratch" -> bytes from the start of the arena, a multiple of ALIGNMENT
    peak_bytes:   size of the arena
    floor_bytes:  what is alive at once at the worst op: no plan needs less
    peak_op:      that op
    live_at_peak: (name, bytes) of what is alive there, largest first
    """

    offsets: Mapping[str, int]
    peak_bytes: int
    floor_bytes: int
    peak_op: str
    live_at_peak: tuple[tuple[str, int], ...]

    @property
    def peak(self) -> str:
        """The worst op and what is alive there, in words."""
        return f"{self.peak_op} ({', '.join(f'{name} {size:,}' for name, size in self.live_at_peak)})"


def plan_arena(graph: Graph, scratch: Mapping[str, int] | None = None) -> Plan:
    """Place the activations of any graph, and scratch (op name -> bytes): the best of some greedy orders."""
    owners = buffer_owners(graph)
    buffers = lifetimes(graph, owners) + _scratch_buffers(graph, scratch or {})
    plans = (_place(sorted(buffers, key=order)) for order in ORDERS)
    offsets, peak_bytes = min(plans, key=lambda placed: placed[1])
    worst, live = _worst_moment(buffers)
    return Plan(offsets | {name: offsets[owner] for name, owner in owners.items()}, peak_bytes,
                sum(b.bytes for b in live), graph.ops[worst].name if graph.ops else graph.name,
                tuple((b.name, b.bytes) for b in live))


def buffer_owners(graph: Graph) -> dict[str, str]:
    """Activation -> the activation whose bytes it shares: itself, or what a reshape reads.

    A buffer serves one graph input or output at most, because a caller may put each elsewhere.
    """
    outside, owners, taken = {*graph.inputs, *graph.outputs}, {}, set()
    for name in (*graph.inputs, *(op.name for op in graph.ops)):
        source = _renamed(graph.producers.get(name), owners)
        owners[name] = source if source and not (name in outside and source in taken) else name
        taken |= {owners[name]} if name in outside else set()
    return owners


def _renamed(op: Op | None, owners: Mapping[str, str]) -> str | None:
    """The owner of what a reshape of an activation renames."""
    return owners.get(op.inputs[0]) if op is not None and op.kind == "reshape" else None


def lifetimes(graph: Graph, owners: Mapping[str, str]) -> list[Buffer]:
    """One Buffer per owner, from the op that writes it to its last reader; inputs are there from the first op
    on, outputs until the last."""
    moments: dict[str, list[int]] = {owner: [] for owner in owners.values()}
    for number, op in enumerate(graph.ops):
        for name in (*op.inputs, *op.outputs):
            if name in owners:
                moments[owners[name]].append(number)
    for names, moment in ((graph.inputs, 0), (graph.outputs, max(len(graph.ops) - 1, 0))):
        for name in names:
            if name in owners:
                moments[owners[name]].append(moment)
    return [Buffer(owner, byte_size(graph.tensors[owner]), min(m), max(m)) for owner, m in moments.items()]


def byte_size(tensor: Tensor) -> int:
    """Of RAM for the tensor's value."""
    return tensor.size * np.dtype(tensor.dtype).itemsize


def in_bytes(tensor: Tensor) -> Shape:
    """The shape of the tensor's bytes: those of a code are the last axis."""
    return (*tensor.shape, np.dtype(tensor.dtype).itemsize)


def _scratch_buffers(graph: Graph, scratch: Mapping[str, int]) -> list[Buffer]:
    return [Buffer(f"{op.name}.scratch", scratch[op.name], i, i)
            for i, op in enumerate(graph.ops) if scratch.get(op.name)]


ORDERS: tuple[Callable[[Buffer], tuple], ...] = (
    lambda b: (-b.bytes, b.first, b.name),
    lambda b: (-b.bytes * (b.last - b.first + 1), b.name),
    lambda b: (b.first, -b.bytes, b.name),
    lambda b: (b.first - b.last, -b.bytes, b.name),
)
"""Largest first; largest area of bytes and time first; earliest first; longest-lived first."""


def _place(buffers: list[Buffer]) -> tuple[dict[str, int], int]:
    """Each buffer, in order, in the lowest gap between those placed that it meets; and the highest end.

    Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net Inference", section 5.
    """
    placed: list[tuple[int, Buffer]] = []
    for buffer in buffers:
        offset, met = 0, [(start, other) for start, other in placed if other.meets(buffer)]
        for start, other in sorted(met, key=lambda pair: pair[0]):
            if offset + buffer.bytes <= start:
                break
            offset = max(offset, _aligned(start + other.bytes))
        placed.append((offset, buffer))
    end = max((offset + b.bytes for offset, b in placed), default=0)
    return {b.name: offset for offset, b in placed}, end


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _worst_moment(buffers: list[Buffer]) -> tuple[int, list[Buffer]]:
    """The first op where most bytes are alive, and those buffers, largest first."""
    live = {i: [b for b in buffers if b.first <= i <= b.last] for i in {b.first for b in buffers}}
    worst = max(live, key=lambda i: (sum(b.bytes for b in live[i]), -i), default=0)
    return worst, sorted(live.get(worst, []), key=lambda b: (-b.bytes, b.name))
