"""Graph rewrites of the doors out: ops that a format lacks, or is slow at, become ops that it has."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op, Tensor, constant, unique_name
from toolchain.ir.ops import make, output_dtype, output_shape
from toolchain.ir.quant import QuantParams


class Rewriting:
    """A graph whose ops are replaced one after another; `constant` and `op` return the tensor's name."""

    def __init__(self, graph: Graph):
        self.old = graph
        self.tensors = dict(graph.tensors)
        self.ops: list[Op] = []

    def constant(self, name: str, data: np.ndarray, quant: QuantParams | None = None) -> str:
        name = unique_name(name, self.tensors)
        self.tensors[name] = constant(name, data, quant)
        return name

    def inner(self, kind: str, inputs: Iterable[str], name: str, *, quant: QuantParams | None = None,
              dtype: str | None = None, **attrs) -> str:
        """Append an op that makes a new tensor, called `name` or nearly so; shape and dtype by its row."""
        op = make(kind, inputs, unique_name(name, self.tensors), **attrs)
        inputs = [self.tensors[name] for name in op.inputs]
        shape = output_shape(op, [t.shape for t in inputs])
        dtype = dtype or output_dtype(op, [t.dtype for t in inputs])
        self.tensors[op.name] = Tensor(op.name, shape, dtype, None, quant)
        self.ops.append(op)
        return op.name

    def last(self, kind: str, inputs: Iterable[str], name: str, **attrs) -> None:
        """Append an op that makes a tensor which the graph has."""
        self.ops.append(make(kind, inputs, name, **attrs))

    def graph(self) -> Graph:
        return replace(self.old, tensors=self.tensors).with_ops(self.ops)


def rewritten(graph: Graph, rewrite: Callable[[Rewriting, Op], bool]) -> Graph:
    """The graph with each op as `rewrite` emits it; where it says False, as it is."""
    rewriting = Rewriting(graph)
    for op in graph.ops:
        if not rewrite(rewriting, op):
            rewriting.ops.append(op)
    return rewriting.graph()
