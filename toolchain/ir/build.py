"""A small builder: doors in and tests add tensors and ops in order, then take the graph."""

from dataclasses import replace

import numpy as np

from toolchain.errors import BadGraph
from toolchain.ir.graph import Graph, Op, Source, Tensor, constant, live_ops, unique_name
from toolchain.ir.ops import make, output_dtype, output_shape
from toolchain.ir.quant import QuantParams


class Builder:
    """Collects a graph; `input`, `tensor`, `constant` and `op` return the name of the tensor they made.

    A name that is taken gets a suffix (".1", ".2"), so two layers of one name stay apart.
    """

    def __init__(self, name: str):
        self.name = name
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []
        self.inputs: list[str] = []

    def unique(self, name: str) -> str:
        """`name`, or `name.N` with the first N that is free."""
        return unique_name(name, self.tensors)

    def input(self, name: str, shape, dtype: str = "float32", quant: QuantParams | None = None) -> str:
        self.inputs.append(self.tensor(name, shape, dtype, quant))
        return self.inputs[-1]

    def tensor(self, name: str, shape, dtype: str = "float32", quant: QuantParams | None = None) -> str:
        name = self.unique(name)
        self.tensors[name] = Tensor(name, tuple(int(n) for n in shape), dtype, None, quant)
        return name

    def constant(self, name: str, data: np.ndarray, quant: QuantParams | None = None) -> str:
        name = self.unique(name)
        self.tensors[name] = constant(name, data, quant)
        return name

    def op(self, kind: str, inputs, output: str, *,
           dtype: str | None = None, quant: QuantParams | None = None, **attrs) -> str:
        """Append an op; its output takes the row's shape and, by default, dtype."""
        if missing := [name for name in inputs if name not in self.tensors]:
            raise BadGraph(f"{output}: {kind} reads {', '.join(missing)}, which nothing has made yet")
        output = self.unique(output)
        op = make(kind, inputs, output, **attrs)
        tensors = [self.tensors[name] for name in op.inputs]
        shape = output_shape(op, [t.shape for t in tensors])
        dtype = dtype or output_dtype(op, [t.dtype for t in tensors])
        self.tensors[output] = Tensor(output, shape, dtype, None, quant)
        self.ops.append(op)
        return output

    def state(self, initial: str, output: str, loop: str) -> str:
        """Append a state, which stays as it begins until `becomes` says otherwise."""
        return self.op("state", (initial, initial), output, loop=loop)

    def becomes(self, state: str, after: str) -> None:
        """What the state is at the next step."""
        self.ops = [replace(op, inputs=(op.inputs[0], after)) if op.name == state else op for op in self.ops]

    def graph(self, *outputs: str, source: Source = Source()) -> Graph:
        """The graph so far with these outputs; what they do not need is dropped."""
        graph = Graph(self.name, self.tensors, (), tuple(self.inputs), tuple(outputs), source=source)
        return graph.with_ops(live_ops(self.ops, outputs))
