"""Slices of one tensor that are all turned alike, as queries, keys and values are: turned once, then sliced.

One transpose for many, and slices of what lies together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from toolchain.ir.graph import Graph, Op, Shape, Tensor, unique_name
from toolchain.ir.ops import make
from toolchain.ir.reshaping import blocks
from toolchain.ir.rewriting import rewired


@dataclass(frozen=True)
class _Branch:
    """A slice and the transpose behind it, perhaps behind a reshape.

    place: which of the equal parts along `axis` it takes;  shape: in which it is turned
    """

    last: Op
    axis: int
    place: int
    count: int
    shape: Shape


def turn_before_slicing(graph: Graph) -> Graph:
    """Where all that reads a tensor are slices of equal parts, each behind the same transpose."""
    made: dict[str, list[Op]] = {}
    tensors: list[Tensor] = []
    for name in graph.tensors:
        branches = _branches(graph, name)
        if place := _place_of_parts(graph, name, branches):
            new, ops = _turned(graph, name, branches, place)
            tensors += new
            made |= ops
    graph = graph.with_tensors(*tensors)
    return rewired(graph, [new for op in graph.ops for new in made.get(op.name, [op])])


def _branches(graph: Graph, name: str) -> list[_Branch]:
    """[] where anything else reads the tensor, or they are not alike."""
    readers = graph.consumers[name]
    if len(readers) < 2 or name in graph.outputs or any(op.kind != "slice" for op in readers):
        return []
    found = [branch for op in readers for branch in _branch(graph, op)]
    alike = {(b.axis, b.count, b.shape, b.last.attrs["perm"]) for b in found}
    return found if len(found) == len(readers) and len(alike) == 1 else []


def _branch(graph: Graph, part: Op) -> Iterator[_Branch]:
    whole, cut = graph.tensors[part.inputs[0]].shape, graph.tensors[part.name].shape
    axes = [axis for axis, n in enumerate(whole) if cut[axis] != n]
    last = _only_reader(graph, part)
    if last is not None and last.kind == "reshape":
        last = _only_reader(graph, last)
    if last is None or last.kind != "transpose" or len(axes) != 1 or axes == [0]:
        return
    axis, = axes
    size, begin, shape = cut[axis], part.attrs["begin"][axis], graph.tensors[last.inputs[0]].shape
    keeps_batch = shape[0] == 1 and last.attrs["perm"][0] == 0
    if keeps_batch and part.attrs["strides"][axis] == 1 and begin % size == whole[axis] % size == 0:
        yield _Branch(last, axis, begin // size, whole[axis] // size, shape)


def _only_reader(graph: Graph, op: Op) -> Op | None:
    readers = graph.consumers[op.name]
    return readers[0] if len(readers) == 1 and op.name not in graph.outputs else None


def _place_of_parts(graph: Graph, name: str, branches: list[_Branch]) -> int | None:
    """Before which axis of the branches' shape the parts lie side by side; None where inside one."""
    if not branches:
        return None
    axis, shape = branches[0].axis, branches[0].shape
    cut = list(graph.tensors[name].shape)
    cut[axis] //= branches[0].count
    for olds, news in blocks(tuple(cut), shape):
        if olds[0] >= axis:
            return news[0]
        if olds[-1] >= axis:
            return None
    return len(shape)


def _turned(graph: Graph, name: str, branches: list[_Branch],
            place: int) -> tuple[list[Tensor], dict[str, list[Op]]]:
    """New tensors, and for the last op of each branch what comes in its place."""
    names = [op.name for op in graph.ops]
    branches = sorted(branches, key=lambda branch: names.index(branch.last.name))
    first, whole = branches[0], graph.tensors[name]
    shape = (*first.shape[:place], first.count, *first.shape[place:])
    perm = (0, place, *(axis + (axis >= place) for axis in first.last.attrs["perm"][1:]))
    turned_shape = tuple(shape[axis] for axis in perm)
    tensors = [replace(whole, name=unique_name(f"{name}:{suffix}", graph.tensors), shape=new)
               for suffix, new in (("parts", shape), ("turned", turned_shape))]
    parts, turned = (t.name for t in tensors)
    ahead = [make("reshape", [name], parts, shape=shape), make("transpose", [parts], turned, perm=perm)]
    made = {}
    for branch in branches:
        part = replace(whole, name=unique_name(f"{branch.last.name}:part", graph.tensors),
                       shape=(1, 1, *turned_shape[2:]))
        tensors.append(part)
        made[branch.last.name] = [
            *ahead, _part(turned, part, branch.place, turned_shape),
            make("reshape", [part.name], branch.last.name, shape=(1, *turned_shape[2:]))]
        ahead = []
    return tensors, made


def _part(turned: str, part: Tensor, place: int, shape: Shape) -> Op:
    begin, end = (0, place, *[0] * (len(shape) - 2)), (1, place + 1, *shape[2:])
    return make("slice", [turned], part.name, begin=begin, end=end, strides=(1,) * len(shape))
