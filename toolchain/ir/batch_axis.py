"""Axis 0 is the batch again where a source put tokens there, as multi-head attention does between its linear
layers. No value moves: the batch is 1.
"""

from dataclasses import replace
from math import prod

import numpy as np

from toolchain.ir.graph import Graph, Op, Shape, Tensor, unique_name
from toolchain.ir.ops import make, output_shape
from toolchain.ir.readers import BROADCASTING, POINTWISE
from toolchain.ir.rewriting import rewired

FROM_THE_END = POINTWISE | BROADCASTING | {"softmax", "log_softmax", "batch_matmul"}
"""Kinds that mean the same behind one more axis."""
MOST_AXES = 5
"""Of a tensor that may get one more: TFLite's operators take few."""


def batch_first(graph: Graph) -> Graph:
    """Transposes that move the batch, and linear layers of tokens on its axis, between reshapes; of reshapes
    in a row that put tokens there and back, the last."""
    rewriting = _BatchFirst(graph)
    for op in graph.ops:
        rewriting.add(replace(op, inputs=tuple(rewriting.alias.get(name, name) for name in op.inputs)))
    return rewired(replace(graph, tensors=rewriting.tensors), rewriting.ops)


class _BatchFirst:
    """alias: tensor of the old graph -> what has its shape now, where another has its name
    shows: tensor with tokens on axis 0 that a reshape makes -> what that reads
    """

    def __init__(self, graph: Graph):
        self.old, self.tensors = graph, dict(graph.tensors)
        self.ops: list[Op] = []
        self.alias: dict[str, str] = {}
        self.shows: dict[str, str] = {}

    def add(self, op: Op) -> None:
        x = self.tensors[op.inputs[0]]
        if x.is_constant or not x.shape:
            self.ops.append(op)
        elif op.kind == "reshape":
            self.reshape(op.inputs[0], op.name)
        elif op.kind == "transpose" and (x.shape[0] != 1 or op.attrs["perm"][0] != 0):
            self.transpose(op, x.shape)
        elif x.shape[0] != 1 and self.is_linear(op):
            self.between(self.each_place(op), [(1, 1, prod(x.shape[:-1]), x.shape[-1])])
        elif self.counts_from_the_end(op):
            self.between(op, [(1, *self.tensors[name].shape) for name in op.inputs
                              if not self.tensors[name].is_constant])
        else:
            self.ops.append(op)

    def transpose(self, op: Op, shape: Shape) -> None:
        """Without unit axes, behind a batch of 1: a reshape where only those move."""
        wide = [axis for axis, n in enumerate(shape) if n != 1]
        order = [axis for axis in op.attrs["perm"] if axis in wide]
        if order == wide:
            self.reshape(op.inputs[0], op.name)
            return
        perm = (0, *(1 + wide.index(axis) for axis in order))
        self.between(replace(op, attrs={"perm": perm}), [(1, *(shape[axis] for axis in wide))])

    def counts_from_the_end(self, op: Op) -> bool:
        """Whether an op on heads in the place of the batch is the same behind one more axis."""
        shapes = [t.shape for t in (self.tensors[name] for name in op.inputs) if not t.is_constant]
        rank = len(self.tensors[op.name].shape)
        return (op.kind in FROM_THE_END and 2 < rank < MOST_AXES and shapes[0][0] != 1
                and all(len(shape) == rank for shape in shapes))

    def is_linear(self, op: Op) -> bool:
        """Whether the op multiplies each row by a constant matrix."""
        if op.kind not in ("conv2d", "fully_connected") or not self.tensors[op.inputs[1]].is_constant:
            return False
        window = self.tensors[op.inputs[1]].shape[1:-1], op.attrs.get("stride", (1, 1))
        return set(sum(window, ())) <= {1} and not any(op.attrs.get("pads", ()))

    def each_place(self, op: Op) -> Op:
        """A fully connected layer as the 1x1 convolution that linear layers of tokens are."""
        if op.kind == "conv2d":
            return op
        weight = self.tensors[op.inputs[1]]
        rows, columns = weight.shape
        image = replace(weight, name=unique_name(f"{weight.name}:1x1", self.tensors),
                        shape=(rows, 1, 1, columns), data=np.reshape(weight.data, (rows, 1, 1, columns)))
        self.tensors[image.name] = image
        return make("conv2d", (op.inputs[0], image.name, op.inputs[2]), op.name, **op.attrs)

    def between(self, op: Op, shapes: list[Shape]) -> None:
        """The op on its activations in other shapes, and what it makes in the shape that readers know."""
        given = dict(zip((name for name in op.inputs if not self.tensors[name].is_constant), shapes))
        inputs = [self.given(op, name, given[name]) if name in given else name for name in op.inputs]
        made, known = output_shape(op, [self.tensors[name].shape for name in inputs]), self.tensors[op.name]
        if op.name in self.old.outputs:
            inner, outer = self.named(f"{op.name}:inner", known, made), op.name
        else:
            inner, outer = op.name, self.named(f"{op.name}:tokens", known, known.shape)
            self.tensors[inner], self.alias[op.name] = replace(known, shape=made), outer
        self.ops.append(replace(op, inputs=tuple(inputs), outputs=(inner,)))
        self.reshape(inner, outer)

    def given(self, op: Op, name: str, shape: Shape) -> str:
        read = self.named(f"{op.name}:batch", self.tensors[name], shape)
        self.reshape(name, read)
        return read

    def reshape(self, name: str, made: str) -> None:
        """`made`, a tensor of its own, is the same values."""
        read, shape = self.shows.get(name, name), self.tensors[made].shape
        self.ops.append(make("reshape", [read], made, shape=shape))
        if shape[0] != 1:
            self.shows[made] = read

    def named(self, name: str, like: Tensor, shape: Shape) -> str:
        name = unique_name(name, self.tensors)
        self.tensors[name] = replace(like, name=name, shape=shape)
        return name
