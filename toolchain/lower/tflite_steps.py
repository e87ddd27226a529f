"""Steps of a sequence as rows of a matrix: cut out and put together without a reshape at each step.

In LiteRT 2.3 a reshape is a copy with a call of its own, of which `ir.unrolling` writes one for each step.
"""

from math import prod

from toolchain.ir.graph import Graph, Op, Shape, Tensor, live_ops
from toolchain.lower.rewriting import Rewriting


def with_rows(graph: Graph) -> Graph:
    """The graph with the pairs of ops that `_Rows` knows written otherwise."""
    rows = _Rows(graph)
    for op in graph.ops:
        rows.add(op)
    made = rows.graph()
    return made.with_ops(live_ops(made.ops, made.outputs))


class _Rows(Rewriting):
    """rows: name of a tensor with all places, and its shape as rows -> the tensor in that shape"""

    def __init__(self, graph: Graph):
        super().__init__(graph)
        self.rows: dict[tuple[str, Shape], str] = {}

    def add(self, op: Op) -> None:
        rewrite = {"reshape": self.cut, "concat": self.stack}.get(op.kind)
        if rewrite is None or not rewrite(op):
            self.ops.append(op)

    def cut(self, op: Op) -> bool:
        """A reshape of one place along an axis: that row of all places, as (places, ...)."""
        cut = self.old.producers.get(op.inputs[0])
        if cut is None or cut.kind != "slice":
            return False
        x, (one, *row) = self.old.of(cut)[0], self.old.tensors[op.name].shape
        axis = _axis(self.old.tensors[cut.name].shape, x.shape)
        if axis is None or one != 1 or x.shape[axis + 1:] != tuple(row):
            return False
        place, rows = cut.attrs["begin"][axis], self.in_rows(x, (x.shape[axis], *row))
        self.last("slice", [rows], op.name, begin=(place, *(0 for _ in row)), end=(place + 1, *row),
                  strides=(1,) * (1 + len(row)))
        return True

    def in_rows(self, x: Tensor, shape: Shape) -> str:
        """The tensor in that shape, made once, of what it was itself reshaped from."""
        while x.name in self.old.producers and self.old.producers[x.name].kind == "reshape":
            (x,) = self.old.of(self.old.producers[x.name])
        if x.shape == shape:
            return x.name
        if (x.name, shape) not in self.rows:
            made = self.inner("reshape", [x.name], f"{x.name}:rows", quant=x.quant, shape=shape)
            self.rows[x.name, shape] = made
        return self.rows[x.name, shape]

    def stack(self, op: Op) -> bool:
        """A concat of reshapes that only add its axis: of what was reshaped, end to end, and one reshape."""
        out, axis = self.old.tensors[op.name], op.attrs["axis"]
        makers = [self.old.producers.get(name) for name in op.inputs]
        if any(maker is None or maker.kind != "reshape" for maker in makers):
            return False
        rows = [self.old.of(maker)[0] for maker in makers]
        row = (1, *out.shape[axis + 1:])
        if prod(out.shape[:axis]) != 1 or {x.shape for x in rows} != {row} or len(row) == 1:
            return False
        whole = self.inner("concat", [x.name for x in rows], f"{op.name}:flat", quant=out.quant, axis=1)
        self.last("reshape", [whole], op.name, shape=out.shape)
        return True


def _axis(cut: Shape, whole: Shape) -> int | None:
    """The one along which one place was cut out, where those before it have one place."""
    differing = [axis for axis, sizes in enumerate(zip(cut, whole, strict=True)) if len(set(sizes)) > 1]
    if len(differing) != 1 or cut[differing[0]] != 1 or prod(whole[:differing[0]]) != 1:
        return None
    return differing[0]
