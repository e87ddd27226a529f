"""Which tensor of an INT8 file is which of the float model's: by name, else by weights and structure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.errors import BadInput
from toolchain.ir.check import CONVERSIONS, WEIGHTED
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import dequantize

ALIKE = 0.9
"""Least correlation of weights with those that they were quantized from; 4 bits leave 0.99."""
REMEDY = "give the float model that it was made from"


@dataclass(frozen=True, eq=False)
class Matched:
    """The INT8 graph in the float graph's names, and how many of the float graph's ops were found in it.

    by_name, by_structure, missing: names of ops
    """

    graph: Graph
    by_name: tuple[str, ...]
    by_structure: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        found, count = len(self.by_name) + len(self.by_structure), len(self.missing)
        text = (f"{found} of {found + count} ops were matched, {len(self.by_name)} by name, "
                f"{len(self.by_structure)} by weights and structure")
        return text + (f"; not found: {', '.join(self.missing)}" if count else "")


def matched(float_graph: Graph, quantized: Graph) -> Matched:
    """The ops of both, paired. Both canonical; raises BadInput where inputs or outputs do not pair up.

    A weighted op is known by its weights' correlation, another by what it reads, its kind and its shape.
    """
    theirs = without_borders(quantized)
    search = _Search(float_graph, theirs, dict(_ports(float_graph, theirs)))
    found = {op.name: search.find(op) for op in float_graph.ops}
    names = dict(_last(float_graph, theirs, search.names))
    graph = _renamed(theirs, {b: a for a, b in names.items()})
    return Matched(graph, *(tuple(name for name, how in found.items() if how == way)
                            for way in ("name", "structure", "")))


def without_borders(graph: Graph) -> Graph:
    """The graph from codes to codes: inputs are not converted from reals any more, nor outputs to them."""
    told, dropped = {}, set()
    for name in graph.inputs:
        readers = graph.consumers[name]
        if len(readers) == 1 and readers[0].kind == "quantize" and graph.tensors[name].dtype == "float32":
            told[name] = readers[0].name
            dropped.add(readers[0].name)
    for name in graph.outputs:
        maker = graph.producers.get(name)
        if maker is not None and maker.kind == "dequantize" and not graph.consumers[name]:
            told[name] = maker.inputs[0]
            dropped.add(name)
    inputs, outputs = (tuple(told.get(name, name) for name in names)
                       for names in (graph.inputs, graph.outputs))
    permutations = {told.get(name, name): perm for name, perm in graph.permutations.items()}
    bare = replace(graph, inputs=inputs, outputs=outputs, permutations=permutations)
    return bare.with_ops(op for op in graph.ops if op.name not in dropped)


class _Search:
    """names: tensors of ours -> of theirs, as far as they are known."""

    def __init__(self, ours: Graph, theirs: Graph, names: dict[str, str]):
        self.ours, self.theirs, self.names = ours, theirs, names
        self.left = {op.name: op for op in theirs.ops}

    def find(self, op: Op) -> str:
        """Pair the op with one of theirs; by "name", by "structure", or "" where there is none."""
        same = self.left.get(op.name)
        if same is not None and self.suits(op, same) and self.likeness(op, same) >= ALIKE:
            return self.pair(op, same, "name")
        likeness = {name: self.likeness(op, other) for name, other in self.left.items()
                    if self.suits(op, other)}
        best = max(likeness, key=likeness.get, default=None)
        if best is None or likeness[best] < ALIKE:
            return ""
        return self.pair(op, self.left[best], "structure")

    def pair(self, op: Op, other: Op, way: str) -> str:
        self.names[op.name] = other.name
        del self.left[other.name]
        return way

    def suits(self, op: Op, other: Op) -> bool:
        shapes = self.ours.tensors[op.name].shape, self.theirs.tensors[other.name].shape
        return op.kind == other.kind and shapes[0] == shapes[1]

    def likeness(self, op: Op, other: Op) -> float:
        """Of weighted ops the correlation of their weights; of others 1 where they read the same."""
        if op.kind in WEIGHTED:
            return correlation(self.ours.of(op)[1].data, _reals(self.theirs, other.inputs[1]))
        read = [self.names.get(t.name) for t in self.ours.of(op) if not t.is_constant]
        return float(read == [origin(self.theirs, t.name, self.names.values())
                              for t in self.theirs.of(other) if not t.is_constant])


def origin(graph: Graph, name: str, known) -> str:
    """Where a tensor's values come from, behind conversions of its codes."""
    while name not in known and name in graph.producers and graph.producers[name].kind in CONVERSIONS:
        name = graph.producers[name].inputs[0]
    return name


def correlation(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Of all elements, around 0; 0 for other shapes or what is no constant, 1 where both are zero."""
    if a is None or b is None or a.shape != b.shape:
        return 0.0
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    power = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / power) if power else float(not a.any() and not b.any())


def _reals(graph: Graph, name: str) -> np.ndarray | None:
    tensor = graph.tensors[name]
    coded = tensor.quant is not None and tensor.is_constant
    return dequantize(tensor.data, tensor.quant) if coded else tensor.data


def _ports(ours: Graph, theirs: Graph) -> Iterator[tuple[str, str]]:
    """Inputs by name where all agree, else in order."""
    same = set(ours.inputs) == set(theirs.inputs)
    for name, other in zip(ours.inputs, ours.inputs if same else theirs.inputs):
        _require_shape(ours, theirs, name, other)
        yield name, other
    if len(ours.inputs) != len(theirs.inputs) or len(ours.outputs) != len(theirs.outputs):
        raise BadInput(f"{theirs.name}: {len(theirs.inputs)} inputs and {len(theirs.outputs)} outputs, but "
                       f"{ours.name} has {len(ours.inputs)} and {len(ours.outputs)}; {REMEDY}")


def _last(ours: Graph, theirs: Graph, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """All pairs, the outputs among them: those that no op was found for go in order."""
    yield from names.items()
    taken = set(names.values())
    for name, other in zip(ours.outputs, theirs.outputs):
        if name not in names and other not in taken:
            _require_shape(ours, theirs, name, other)
            yield name, other


def _require_shape(ours: Graph, theirs: Graph, name: str, other: str) -> None:
    a, b = ours.tensors[name].shape, theirs.tensors[other].shape
    if a != b:
        raise BadInput(f"{theirs.name}: {other} has shape {b}, but {name} of {ours.name} has {a}; "
                       f"{REMEDY}")


def _renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The graph with tensors called otherwise, inputs and outputs too; what would clash gets a prefix."""
    wanted = set(names.values())

    def new(name: str) -> str:
        return names.get(name) or (f"theirs:{name}" if name in wanted else name)

    renamed = replace(graph, inputs=(), outputs=()).renamed({name: new(name) for name in graph.tensors})
    inputs, outputs = (tuple(map(new, each)) for each in (graph.inputs, graph.outputs))
    return replace(renamed, inputs=inputs, outputs=outputs,
                   permutations={new(name): perm for name, perm in graph.permutations.items()})
