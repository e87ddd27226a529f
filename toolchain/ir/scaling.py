"""Factors go into the weights whose results they multiply: attention divides its queries, or its scores, by
the root of their width.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op, constant
from toolchain.ir.rewriting import rewired, until_nothing_folds, without

MOVING = {
    "reshape": lambda op, x: x.reshape(op.attrs["shape"]),
    "transpose": lambda op, x: x.transpose(op.attrs["perm"]),
    "slice": lambda op, x: x[tuple(map(slice, op.attrs["begin"], op.attrs["end"], op.attrs["strides"]))],
}
"""Kinds that only move values -> how."""
LAYERS = frozenset({"conv2d", "fully_connected"})
"""Kinds whose weights have a row for each channel that they make."""


@until_nothing_folds
def fold_factor(graph: Graph) -> Graph:
    """linear layer -> ops that move -> [product of matrices ->] mul by a number: rows of the layer take it.

    Those of the channels that go this way, if they go no other: of a layer that makes queries, keys and
    values, the queries'.
    """
    for op in graph.ops:
        if op.name not in graph.outputs and (layer := _layer(graph, op)) is not None:
            rows = _rows(graph, layer, _scaled_reader(graph, op))
            if rows is not None:
                return _folded(graph, op, layer, rows)
    return graph


def _layer(graph: Graph, op: Op) -> Op | None:
    """The linear layer whose result is all that a multiplication by a number scales."""
    if op.kind != "mul" or op.attrs["activation"] is not None or not _is_by_number(graph, op):
        return None
    maker = graph.producers.get(_scaled_reader(graph, op).inputs[0])
    while maker is not None and maker.kind in MOVING:
        maker = graph.producers.get(maker.inputs[0])
    linear = maker is not None and maker.kind in LAYERS and maker.attrs["activation"] is None
    return maker if linear and all(t.is_constant for t in graph.of(maker)[1:]) else None


def _is_by_number(graph: Graph, op: Op) -> bool:
    x, number = graph.of(op)
    return number.is_constant and number.size == 1 and graph.tensors[op.name].shape == x.shape


def _scaled_reader(graph: Graph, op: Op) -> Op:
    """What reads the values that the multiplication scales: itself, or a product that it alone reads."""
    product = graph.producers.get(op.inputs[0])
    if product is None or product.kind != "batch_matmul" or product.name in graph.outputs:
        return op
    return product if graph.consumers[product.name] == (op,) else op


def _rows(graph: Graph, layer: Op, reader: Op) -> np.ndarray | None:
    """The layer's channels that `reader` reads first; None where others read some of these too."""
    shape = graph.tensors[layer.name].shape
    ends = list(_ends(graph, layer.name, np.broadcast_to(np.arange(shape[-1]), shape)))
    wanted = [rows for op, name, rows in ends if op is reader and name == reader.inputs[0]]
    others = [rows for op, name, rows in ends if op is not reader or name != reader.inputs[0]]
    alone = len(wanted) == 1 and reader.inputs.count(reader.inputs[0]) == 1
    return wanted[0] if alone and not np.isin(wanted[0], np.concatenate([*others, []])).any() else None


def _ends(graph: Graph, name: str, channels: np.ndarray) -> Iterator[tuple[Op | None, str, np.ndarray]]:
    """(what does more than move them, the tensor that it reads, which channels); None for an output."""
    if name in graph.outputs:
        yield None, name, np.unique(channels)
    for op in graph.consumers[name]:
        if op.kind in MOVING:
            yield from _ends(graph, op.name, MOVING[op.kind](op, channels))
        else:
            yield op, name, np.unique(channels)


def _folded(graph: Graph, op: Op, layer: Op, rows: np.ndarray) -> Graph:
    """Without the multiplication, its number in these rows of the layer's weight and bias."""
    factor = np.ones(graph.tensors[layer.name].shape[-1])
    factor[rows] = float(graph.tensors[op.inputs[1]].data.item())
    parameters = [_scaled(graph, layer, name, factor) for name in layer.inputs[1:]]
    changed = replace(layer, inputs=(layer.inputs[0], *(t.name for t in parameters)))
    graph = graph.with_tensors(*parameters)
    graph = rewired(graph, [changed if other is layer else other for other in graph.ops])
    return without(graph, lambda other: other.name == op.name)


def _scaled(graph: Graph, layer: Op, name: str, factor: np.ndarray):
    tensor = graph.tensors[name]
    along = factor.reshape(-1, *[1] * (len(tensor.shape) - 1))
    shared = len(graph.consumers[name]) > 1
    return constant(f"{layer.name}:{name}" if shared else name, (tensor.data * along).astype(np.float32))
