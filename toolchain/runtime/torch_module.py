"""A float Graph as a torch.nn.Module: trains its constants and writes them back.

Activations are in the Graph's layout. A channels-last tensor seen through a permutation is what torch calls
the channels_last memory format, so image ops get a view and no data moves.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import OPS
from toolchain.ir.unrolling import unrolled
from toolchain.runtime.reference import keeps_batch
from toolchain.runtime.torch_forward import FORWARD

TRAINED = frozenset({"weight", "bias", "gamma", "beta", "alpha"})
"""Roles of the op table whose float constants are parameters; all other constants are buffers."""
TRAINED_OPERANDS = frozenset({("batch_matmul", "a"), ("batch_matmul", "b"), ("gather", "x")})
"""(kind, role) of operands whose float constants are parameters too: matrices and tables of embeddings."""

THREADS = 1
"""Gradients and statistics are sums whose order follows the number of threads. Small networks gain little
from more of them, and lose much where another process wants the core."""


@contextmanager
def fixed_threads() -> Iterator[None]:
    """The same bits whatever number of cores the process sees; its own setting is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class GraphModule(nn.Module):
    """Computes `graph` in float32 for any number of samples.

    flat:     the graph with its loops written out: what is computed
    momentum: share of a batch in batch norm's running statistics; None: they average all batches alike
    In train mode batch norm uses the batch's statistics and updates the running ones. to_graph() has the
    digest of `graph` until something trains. Raises Unsupported for an op that has no float form here.
    """

    def __init__(self, graph: Graph, momentum: float | None = 0.1):
        super().__init__()
        self.graph, self.momentum = graph, momentum
        self.flat = _checked(unrolled(graph).graph)
        self.keys: dict[str, str] = {}
        self.batches = 0
        self.steps = steps_of(self.flat)
        trained = trained_constants(graph)
        for index, tensor in enumerate(graph.constants):
            self.keys[tensor.name] = f"constant{index}"  # torch allows no "." in a name
            value = torch.tensor(np.asarray(tensor.data))
            if tensor.name in trained:
                self.register_parameter(self.keys[tensor.name], nn.Parameter(value))
            else:
                self.register_buffer(self.keys[tensor.name], value)

    def constant(self, name: str) -> torch.Tensor:
        """The parameter or buffer of a constant of the graph."""
        return getattr(self, self.keys[name])

    def forward(self, *inputs) -> dict[str, torch.Tensor]:
        """Graph output -> (N, ...), of one mapping by input name or of the inputs in the graph's order."""
        named = isinstance(inputs[0], Mapping)
        values = dict(inputs[0]) if named else dict(zip(self.graph.inputs, inputs, strict=True))
        self.batches += self.training
        for op, last in self.steps:
            self.compute(values, (op,))
            for name in last:
                del values[name]
        return {name: values[name] for name in self.graph.outputs}

    def compute(self, values: dict[str, torch.Tensor], ops: Iterable[Op]) -> None:
        """Put what these ops give into `values`, tensor name -> (N, ...), which has what they read but for
        constants."""
        for op in ops:
            parts = [values[n] if n in values else self.constant(n) for n in op.inputs]
            values[op.name] = FORWARD[op.kind](self, op, parts)

    def key(self) -> str:
        """What besides the graph decides what it computes; a checkpoint of another is not gone on with."""
        return ""

    def to_graph(self) -> Graph:
        """The graph with the constants as they are now."""
        changed = []
        for tensor in self.graph.constants:
            value = self.constant(tensor.name).detach().cpu().numpy()
            if value.tobytes() != tensor.data.tobytes():
                changed.append(replace(tensor, data=value.copy()))
        return self.graph.with_tensors(*changed)


def steps_of(graph: Graph) -> list[tuple[Op, list[str]]]:
    """The ops in their order, each with the activations that nothing reads after it."""
    needed, found = set(graph.outputs), []
    for op in reversed(graph.ops):
        found.append((op, [name for name in dict.fromkeys(op.inputs)
                           if name not in needed and not graph.tensors[name].is_constant]))
        needed.update(op.inputs)
    return found[::-1]


def _checked(graph: Graph) -> Graph:
    """Every op has a float form, and the first axis is the batch all the way."""
    if missing := sorted({op.kind for op in graph.ops} - set(FORWARD)):
        raise Unsupported(f"{graph.name}: training has no {', '.join(missing)}; train the float graph")
    for op in graph.ops:
        if not keeps_batch(graph, op):
            raise Unsupported(f"{op.name}: {op.kind} moves the batch away from the first axis; such a graph "
                              f"can be run but not trained")
    return graph


def trained_constants(graph: Graph) -> set[str]:
    """Names of the float constants that some op reads as a weight, bias, gamma, beta or alpha, or that it
    multiplies matrices with or looks rows up in."""
    roles = ((op.kind, role, name) for op in graph.ops for role, name in zip(OPS[op.kind].inputs, op.inputs))
    return {name for kind, role, name in roles if role in TRAINED or (kind, role) in TRAINED_OPERANDS
            if graph.tensors[name].is_constant and graph.tensors[name].dtype == "float32"}
