"""Views: tensors whose bytes are part of another's, so that no kernel need move them."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import numpy as np

from toolchain.ir.graph import Graph, Op, Shape, Tensor

KINDS = ("reshape", "slice", "concat")


@dataclass(frozen=True)
class Place:
    """`offset` bytes from the start of tensor `owner`, which has bytes of its own."""

    owner: str
    offset: int = 0


@dataclass(frozen=True, eq=False)
class Layout:
    """places: activation -> where its bytes lie;  views: ops that only name bytes of what they read"""

    places: dict[str, Place]
    views: frozenset[str]

    def in_place(self, graph: Graph, op: Op) -> list[bool]:
        """For each input of a concat: whether it is written straight into its place in the output."""
        out = self.places[op.name]
        return [self.places.get(name) == Place(out.owner, out.offset + offset)
                for name, offset in zip(op.inputs, _part_offsets(graph, op))]


def byte_size(tensor: Tensor) -> int:
    """Of RAM for the tensor's value."""
    return prod(in_bytes(tensor))


def in_bytes(tensor: Tensor) -> Shape:
    """The shape of the tensor's bytes: those of a code are the last axis."""
    return (*tensor.shape, np.dtype(tensor.dtype).itemsize)


def lay_out(graph: Graph, kinds: Collection[str] = KINDS) -> Layout:
    """Which activations share bytes: what a reshape, or a slice that takes one run, reads; and what a concat
    along the outermost axis puts side by side.

    A caller may put each graph input and output elsewhere, so that no bytes serve two of them, and none are
    part of another's but by a view of an input.
    """
    layout = _Sharing(graph)
    for op in graph.ops:
        if op.kind in kinds:
            {"reshape": layout.view, "slice": layout.view, "concat": layout.join}[op.kind](op)
        layout.take(op.name)
    return layout.finish()


class _Sharing:
    """The layout as it grows, in the order of the ops."""

    def __init__(self, graph: Graph):
        self.graph, self.parents, self.views = graph, {}, set()
        self.outside, self.taken = {*graph.inputs, *graph.outputs}, set(graph.inputs)

    def place(self, name: str) -> Place:
        offset = 0
        while name in self.parents:
            name, step = self.parents[name]
            offset += step
        return Place(name, offset)

    def take(self, name: str) -> None:
        """Of a graph output: its bytes are where the caller wants them."""
        if name in self.outside:
            self.taken.add(self.place(name).owner)

    def view(self, op: Op) -> None:
        """A reshape or slice, if it may be one."""
        x, out = (self.graph.tensors[name] for name in (op.inputs[0], op.name))
        offset = 0 if op.kind == "reshape" else _run_offset(op, x)
        if x.is_constant or offset is None or not _same_codes(x, out):
            return
        owner = self.place(x.name).owner
        whole = byte_size(out) == byte_size(self.graph.tensors[owner])
        if op.name not in self.outside or (whole and owner not in self.taken):
            self.parents[op.name] = (x.name, offset)
            self.views.add(op.name)

    def join(self, op: Op) -> None:
        """The inputs of a concat that nobody else needs elsewhere."""
        out = self.graph.tensors[op.name]
        parts = self.graph.of(op)
        if prod(out.shape[:op.attrs["axis"]]) != 1 or not all(_same_codes(x, out) for x in parts):
            return
        for x, offset in zip(parts, _part_offsets(self.graph, op)):
            owner = self.place(x.name).owner
            whole = byte_size(x) == byte_size(self.graph.tensors[owner])
            if whole and not x.is_constant and owner not in self.taken:
                self.parents[owner] = (op.name, offset)

    def finish(self) -> Layout:
        names = (*self.graph.inputs, *(op.name for op in self.graph.ops))
        return Layout({name: self.place(name) for name in names}, frozenset(self.views))


def _same_codes(x: Tensor, out: Tensor) -> bool:
    """Whether equal bytes mean the same."""
    if x.quant is None or out.quant is None:
        return x.quant is out.quant and x.dtype == out.dtype
    return out.quant.same_as(x.quant)


def _part_offsets(graph: Graph, op: Op) -> list[int]:
    """Where the inputs of a concat along the outermost axis begin in its output."""
    return [0, *accumulate(byte_size(x) for x in graph.of(op)[:-1])]


def _run_offset(op: Op, x: Tensor) -> int | None:
    """Where the one run of bytes begins that a slice takes; None where it takes several."""
    counts = [end - begin for begin, end in zip(op.attrs["begin"], op.attrs["end"], strict=True)]
    cut = [axis for axis, (count, size) in enumerate(zip(counts, x.shape, strict=True)) if count < size]
    if any(step > 1 and count > 1 for step, count in zip(op.attrs["strides"], counts, strict=True)):
        return None
    if cut and prod(counts[:cut[-1]]) != 1:
        return None
    shape = in_bytes(x)
    return sum(begin * prod(shape[axis + 1:]) for axis, begin in enumerate(op.attrs["begin"]))
