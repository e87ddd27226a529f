"""Patch-based execution: the first layers in horizontal bands, so that none of their outputs is ever whole.

Each band goes through all of those layers before the next begins, and computes the rows that it shares with
its neighbours again. Lin et al. 2021, "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep
Learning" (arXiv 2110.15352). Codes are the same, bit for bit: a band is padded where the whole is, and only
there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor, unique_name
from toolchain.ir.ops import graph_macs, make

WINDOWED = frozenset({"conv2d", "depthwise_conv2d", "average_pool2d", "max_pool2d"})
POINTWISE = frozenset({
    "abs", "add", "div", "elu", "exp", "gelu", "hard_swish", "leaky_relu", "log", "logistic", "maximum",
    "minimum", "mul", "neg", "pow", "prelu", "quantize", "relu", "relu6", "rsqrt", "softplus", "sqrt", "sub",
    "tanh"})
BANDS = (2, 3, 4, 5, 6, 8, 12, 16, 24)
"""Numbers of bands that are tried."""
Rows = tuple[int, int]
"""First row and end."""


def in_bands(graph: Graph, count: int, bands: int) -> Graph:
    """The graph with its first `count` ops, which `runs` gave, in bands of their output's rows."""
    last = graph.ops[count - 1]
    height = graph.tensors[last.name].shape[1]
    ends = [i * height // bands for i in range(bands + 1)]
    made = [_Band(graph, count, i, rows) for i, rows in enumerate(zip(ends, ends[1:]))]
    whole = make("concat", [band.output for band in made], last.name, axis=1)
    tensors = [tensor for band in made for tensor in band.tensors]
    ops = [op for band in made for op in band.ops]
    return graph.with_tensors(*tensors).with_ops([*ops, whole, *graph.ops[count:]])


def runs(graph: Graph) -> Iterator[int]:
    """How many of the first ops can be done in bands: nothing of them but the last one's output is used
    outside."""
    used = set(graph.outputs)
    for count, op in enumerate(graph.ops, start=1):
        if not _can_be_cut(graph, op):
            return
        inside = {each.name for each in graph.ops[:count - 1]}
        after = used | {name for each in graph.ops[count:] for name in each.inputs}
        if not inside & after and count > 1:
            yield count


def choices(graph: Graph, counts: Iterable[int], bands: Sequence[int] = BANDS) -> list[Graph]:
    """The graph with so many of its first ops in so many bands: those with fewest multiply-accumulates
    first."""
    heights = {count: graph.tensors[graph.ops[count - 1].name].shape[1] for count in counts}
    return sorted((in_bands(graph, count, n) for count, height in heights.items() for n in bands
                   if n <= height), key=graph_macs)


def _can_be_cut(graph: Graph, op: Op) -> bool:
    """Whether rows of the output follow from rows of the input in a known way."""
    x, out = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    if x.is_constant or len(out.shape) != 4 or len(x.shape) != 4:
        return False
    if op.kind in WINDOWED:
        others = graph.of(op)[1:]
        return all(t.is_constant for t in others) and all(
            begin < end for begin, end in (_read(graph, op, (row, row + 1)) for row in range(out.shape[1])))
    return op.kind in POINTWISE and all(_goes_along(tensor, out) for tensor in graph.of(op))


def _goes_along(operand: Tensor, out: Tensor) -> bool:
    """An activation with all of the output's rows, or a constant that is the same for each."""
    rows = operand.shape[-3] if len(operand.shape) > 2 else 1
    return rows == 1 if operand.is_constant else len(operand.shape) == 4 and rows == out.shape[1]


def _window(graph: Graph, op: Op) -> tuple[int, int, int]:
    """Rows that a window spans, its stride, padding above."""
    kernel = graph.of(op)[1].shape[1] if op.kind in WEIGHTED else op.attrs["kernel"][0]
    dilation = op.attrs.get("dilation", (1, 1))[0]
    return dilation * (kernel - 1) + 1, op.attrs["stride"][0], op.attrs["pads"][0]


def _reach(graph: Graph, op: Op, rows: Rows) -> Rows:
    """Rows under the windows of these output rows, those of the padding too."""
    if op.kind not in WINDOWED:
        return rows
    span, stride, above = _window(graph, op)
    return rows[0] * stride - above, (rows[1] - 1) * stride - above + span


def _read(graph: Graph, op: Op, rows: Rows) -> Rows:
    """Rows of the input that these output rows are made of."""
    begin, end = _reach(graph, op, rows)
    return max(begin, 0), min(end, graph.of(op)[0].shape[1])


class _Band:
    """The first `count` ops for some rows of the last one's output: ops, tensors, the name of that part."""

    def __init__(self, graph: Graph, count: int, number: int, rows: Rows):
        self.graph, self.number = graph, number
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.parts: dict[tuple[str, Rows], str] = {}
        self.computed = _needed(graph, graph.ops[:count], rows)
        for op in graph.ops[:count]:
            self._add(op)
        self.output = self.parts[graph.ops[count - 1].name, rows]

    def _add(self, op: Op) -> None:
        """The op on the rows that the band needs of it."""
        rows = self.computed[op.name]
        inputs = [name if self.graph.tensors[name].is_constant else
                  self._part(name, _read(self.graph, op, rows)) for name in op.inputs]
        attrs = dict(op.attrs)
        if op.kind in WINDOWED:
            reach, read = _reach(self.graph, op, rows), _read(self.graph, op, rows)
            attrs["pads"] = (read[0] - reach[0], reach[1] - read[1], *op.attrs["pads"][2:])
        name = self._new(op.name, rows)
        self.ops.append(replace(op, inputs=tuple(inputs), outputs=(name,), attrs=attrs))

    def _new(self, name: str, rows: Rows) -> str:
        """The tensor for some rows of another."""
        tensor = self.graph.tensors[name]
        part = unique_name(f"{name}.band{self.number}", self.graph.tensors, {t.name for t in self.tensors})
        shape = (tensor.shape[0], rows[1] - rows[0], *tensor.shape[2:])
        self.tensors.append(replace(tensor, name=part, shape=shape))
        self.parts[name, rows] = part
        return part

    def _part(self, name: str, rows: Rows) -> str:
        """Those rows of an activation: as they were computed, or cut from it."""
        shape = self.graph.tensors[name].shape
        have = self.computed[name] if name in self.graph.producers else (0, shape[1])
        source = self.parts[name, have] if name in self.graph.producers else name
        if rows == have:
            return source
        if (name, rows) not in self.parts:
            begin, end = rows[0] - have[0], rows[1] - have[0]
            part = self._new(name, rows)
            self.ops.append(make("slice", (source,), part, begin=(0, begin, 0, 0),
                                 end=(shape[0], end, *shape[2:]), strides=(1, 1, 1, 1)))
        return self.parts[name, rows]


def _needed(graph: Graph, ops: tuple[Op, ...], rows: Rows) -> Mapping[str, Rows]:
    """Rows of each op's output that these rows of the last one's take, from the first to the last."""
    needed = {ops[-1].name: rows}
    for op in reversed(ops):
        for name in op.inputs:
            if not graph.tensors[name].is_constant:
                begin, end = _read(graph, op, needed[op.name])
                known = needed.get(name, (begin, end))
                needed[name] = min(begin, known[0]), max(end, known[1])
    return needed
