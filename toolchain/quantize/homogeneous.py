"""Where a channel's scale goes: which coordinates have to be scaled by one factor for the function to stay.

An op is homogeneous where f(s x) = s f(x) for s > 0: it hands a scale on (Nagel et al. 2019, section 4.1).
An op with weights ends one scale and starts another: its weights take both in. Any other op pins its tensors.
"""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.ir.channels import Link, Slot
from toolchain.ir.check import WEIGHTED
from toolchain.ir.elements import links_of
from toolchain.ir.graph import Graph, Op, Tensor

CLAMPS = (None, "relu")
"""Fused activations that are homogeneous; relu6 is not."""
PASSING = frozenset({"relu", "leaky_relu", "abs", "neg", "max_pool2d", "average_pool2d", "mean",
                     "reduce_max", "reduce_min", "resize_nearest", "resize_bilinear", "mirror_pad", "concat",
                     "slice", "tile", "reshape", "transpose"})
"""Kinds that hand each channel's scale on as the op table links channels."""


def scaling_links(graph: Graph, op: Op) -> list[Link]:
    """Slots of activations that one factor scales; what is in none is pinned."""
    if op.attrs.get("activation") not in CLAMPS:
        return _ends(graph, op, makes=False) if op.kind in WEIGHTED else []
    if op.kind in WEIGHTED:
        return _ends(graph, op)
    if op.kind in PASSING:
        return [] if any(t.is_constant for t in graph.of(op)) else links_of(graph, op)
    return LINKS[op.kind](graph, op) if op.kind in LINKS else []


def absorbs(graph: Graph, op: Op) -> bool:
    """Whether the op has weights of its own that take in scales of what it reads and of what it makes."""
    parameters = graph.of(op)[1:]
    own = all(t.is_constant and len(graph.consumers[t.name]) == 1 for t in parameters)
    return op.kind in WEIGHTED and own and parameters[0].name not in graph.outputs


def _last(tensor: Tensor) -> Slot:
    return Slot(tensor.name, len(tensor.shape) - 1, np.arange(tensor.shape[-1]))


def _ends(graph: Graph, op: Op, makes: bool = True) -> list[Link]:
    """An op with weights: the channels that it reads on their own, and those that it makes on theirs.

    makes: whether they may be scaled
    """
    if not absorbs(graph, op):
        return []
    return [(_last(graph.of(op)[0]),), *([(_last(graph.tensors[op.name]),)] if makes else [])]


def _sum(graph: Graph, op: Op) -> list[Link]:
    """s a + s b = s (a + b); a term that is constant, or repeated for all channels, cannot follow."""
    tensors = (*graph.of(op), graph.tensors[op.name])
    if any(t.is_constant or t.shape[-1:] != tensors[-1].shape[-1:] for t in tensors) or not tensors[-1].shape:
        return []
    return [tuple(map(_last, tensors))]


def _product(graph: Graph, op: Op) -> list[Link]:
    """(s a) b = s (a b): the larger factor hands its scale on, as a gated image does, and pins the other."""
    a, b = graph.of(op)
    return _carried(graph, op, b if a.is_constant or (not b.is_constant and b.size > a.size) else a)


def _first(graph: Graph, op: Op) -> list[Link]:
    """(s a) / b = s (a / b), whatever the sign of a that decides on a slope."""
    return _carried(graph, op, graph.of(op)[0])


def _carried(graph: Graph, op: Op, carrier: Tensor) -> list[Link]:
    """From `carrier` to the output; pinned where it is constant, is read twice, or is repeated for all
    channels."""
    output = graph.tensors[op.name]
    if carrier.is_constant or op.inputs.count(carrier.name) > 1 or not output.shape:
        return []
    return [(_last(carrier), _last(output))] if carrier.shape[-1:] == output.shape[-1:] else []


def _pad(graph: Graph, op: Op) -> list[Link]:
    """What is added has no maker that could scale it."""
    return [] if op.attrs["value"] else _handed_on(graph, op)


def _handed_on(graph: Graph, op: Op) -> list[Link]:
    """Channels of what the op reads that are channels of what it makes; what a sum ends is pinned."""
    x = op.inputs[0]
    if graph.tensors[x].is_constant:
        return []
    return [link for link in links_of(graph, op) if {slot.tensor for slot in link} == {x, op.name}]


def _gather(graph: Graph, op: Op) -> list[Link]:
    """Along channels, output k is a copy of channel indices[k]: a shuffle, for one."""
    x, indices = graph.of(op)
    if op.attrs["axis"] != len(x.shape) - 1:
        return [] if x.is_constant else links_of(graph, op)
    if x.is_constant or not indices.is_constant or len(indices.shape) != 1:
        return []
    picked = indices.data % x.shape[-1]
    rest = np.setdiff1d(np.arange(x.shape[-1]), picked)
    return [(Slot(x.name, len(x.shape) - 1, picked), _last(graph.tensors[op.name])),
            (Slot(x.name, len(x.shape) - 1, rest),)]


def _matmul(graph: Graph, op: Op) -> list[Link]:
    """a (s b) = s (a b) along the columns of b: attention's values. The matrix a is pinned."""
    b, output = graph.of(op)[1], graph.tensors[op.name]
    if b.is_constant or op.attrs["transpose_b"] or op.inputs[0] == op.inputs[1]:
        return []
    return [(_last(b), _last(output))]


def _layer_norm(graph: Graph, op: Op) -> list[Link]:
    """gamma and beta take in the scale of what it makes (Xiao et al. 2023, section 4.1)."""
    output = graph.tensors[op.name]
    return [(_last(output),)] if scales_own_output(graph, op) else []


def scales_own_output(graph: Graph, op: Op) -> bool:
    """Whether it is a norm with a gamma and a beta of its own for each channel."""
    if op.kind != "layer_norm":
        return False
    parameters, channels = graph.of(op)[1:], graph.tensors[op.name].shape[-1:]
    return all(t.is_constant and len(graph.consumers[t.name]) == 1 and t.shape[-1:] == channels
               for t in parameters)


LINKS: Mapping[str, Callable[[Graph, Op], list[Link]]] = {
    "add": _sum, "sub": _sum, "minimum": _sum, "maximum": _sum,
    "mul": _product, "div": _first, "prelu": _first,
    "sum": _handed_on, "pad": _pad, "gather": _gather, "batch_matmul": _matmul, "layer_norm": _layer_norm,
}
"""Kinds with links of their own."""
