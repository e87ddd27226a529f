"""Activations: relu and relu6 become part of the op whose result they clamp, prelu a leaky relu where it is
one."""

from dataclasses import replace

from toolchain.ir.graph import Graph, Op, unique_name
from toolchain.ir.ops import OPS, make
from toolchain.ir.rewriting import rewired, sole_pairs, until_nothing_folds

CLAMPING = frozenset({"relu", "relu6", *(kind for kind, row in OPS.items() if "activation" in row.attrs)})
"""Kinds that can clamp their own result."""
MOVING = frozenset({"reshape", "transpose", "slice", "depth_to_space", "space_to_depth", "resize_nearest"})
"""Kinds that compute no value: they give some of their input's, elsewhere."""


def hoist_activation(graph: Graph) -> Graph:
    """conv -> slice -> relu becomes conv with relu -> slice, and so with all that only moves values.

    The clamped tensor is called after what made it and the activation; the last keeps the activation's name.
    """
    hoisted: dict[str, Op] = {}
    tensors, dropped = dict(graph.tensors), set()
    before = {second.name: first for first, second in sole_pairs(graph, CLAMPING | MOVING, MOVING)}
    for last, relu in sole_pairs(graph, MOVING, {"relu", "relu6"}):
        first = last
        while first.name in before and before[first.name].kind in MOVING:
            first = before[first.name]
        if (maker := before.get(first.name)) is None:
            continue
        clamped = unique_name(f"{maker.name}:{relu.kind}", tensors)
        tensors[clamped] = replace(graph.tensors[maker.name], name=clamped)
        hoisted[maker.name] = replace(_clamped(maker, relu), outputs=(clamped,))
        hoisted[first.name] = replace(first, inputs=(clamped, *first.inputs[1:]))
        hoisted[last.name] = replace(hoisted.get(last.name, last), outputs=relu.outputs)
        dropped.add(relu.name)
    ops = [hoisted.get(op.name, op) for op in graph.ops if op.name not in dropped]
    return rewired(replace(graph, tensors=tensors), ops)


@until_nothing_folds
def fuse_activation(graph: Graph) -> Graph:
    """relu or relu6 behind an op that can clamp its own output, or behind another one, becomes part of it.

    The tensor keeps the activation's name, because that is the value it holds.
    """
    fused = {relu.name: _clamped(op, relu) for op, relu in sole_pairs(graph, CLAMPING, {"relu", "relu6"})}
    return rewired(graph, [fused.get(op.name, op) for op in graph.ops])


def _clamped(op: Op, relu: Op) -> Op:
    """`op` with `relu` behind it as one op. Of two clamps to [0, ..) the tighter one holds: relu6."""
    if op.kind in ("relu", "relu6"):
        return replace(relu, kind="relu6" if "relu6" in (op.kind, relu.kind) else "relu", inputs=op.inputs)
    clamp = "relu6" if "relu6" in (op.attrs["activation"], relu.kind) else "relu"
    return replace(op, outputs=relu.outputs, attrs={**op.attrs, "activation": clamp})


def lower_prelu(graph: Graph) -> Graph:
    """A prelu whose constant slope is one number is a leaky relu, which every runtime runs fast."""
    def lowered(op: Op) -> Op:
        alpha = graph.tensors[op.inputs[1]].data if op.kind == "prelu" else None
        if alpha is None or alpha.size != 1:
            return op
        return make("leaky_relu", op.inputs[:1], op.name, alpha=alpha.item())

    return rewired(graph, list(map(lowered, graph.ops)))
