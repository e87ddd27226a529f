"""What goes into a loop and comes out of it: copies, at places that follow the number of the step."""

from math import prod

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op
from toolchain.lower.c.arena.views import byte_size
from toolchain.lower.c.call import Call
from toolchain.runtime.codes import expect_same


def step(graph: Graph, op: Op) -> Call:
    _require_runs(graph, op, op.inputs[0])
    return _copied(graph, op, op.name)


def state(graph: Graph, op: Op) -> Call:
    """Before the first step."""
    after = graph.producers[op.inputs[1]]
    if after.kind == "state":
        raise Unsupported(f"{op.name}: state becomes {after.name}, a state too; in C an op has to make it")
    return _copied(graph, op, op.name)


def sequence(graph: Graph, op: Op) -> Call:
    _require_runs(graph, op, op.name)
    return _copied(graph, op, op.inputs[0])


def last(graph: Graph, op: Op) -> Call:
    return _copied(graph, op, op.name)


def _copied(graph: Graph, op: Op, one: str) -> Call:
    """As many bytes as the tensor `one` has."""
    expect_same(op, [x.quant for x in graph.of(op)], graph.tensors[op.name].quant)
    return Call("tk_copy", op.inputs[:1], {"size": byte_size(graph.tensors[one])})


def _require_runs(graph: Graph, op: Op, whole: str) -> None:
    """A step is one run of bytes of the whole."""
    shape, axis = graph.tensors[whole].shape, op.attrs["axis"]
    if prod(shape[:axis]) != 1:
        raise Unsupported(f"{op.name}: {op.kind} along axis {axis} of {shape}; C takes the outermost one: "
                          f"transpose before the loop")
