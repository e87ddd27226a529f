"""Channels picked by constant indices, as pixel shuffle and swapped colours do: the order of the weights
beside."""

from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op, Tensor, constant
from toolchain.ir.rewriting import rewired, sole_pairs

MIXING = ("conv2d", "transpose_conv2d", "fully_connected")
"""Kinds in which each output channel has a row of weights, and each input channel a column."""


def fold_gather(graph: Graph) -> Graph:
    """A gather of the channels that a weighted op makes becomes the order of its rows, one of those that it
    reads the order of its columns."""
    return _into_columns(_into_rows(graph))


def _into_rows(graph: Graph) -> Graph:
    folded, tensors = {}, []
    for conv, gather in sole_pairs(graph, MIXING, {"gather"}):
        indices = _picked_channels(graph, gather)
        if indices is not None and _is_mixing(graph, conv):
            weight, bias = (_in_place_of(graph, tensor, tensor.data[indices], gather.name)
                            for tensor in graph.of(conv)[1:])
            tensors += [weight, bias]
            folded[gather.name] = replace(conv, inputs=(conv.inputs[0], weight.name, bias.name),
                                          outputs=gather.outputs)
    return rewired(graph.with_tensors(*tensors), [folded.get(op.name, op) for op in graph.ops])


def _into_columns(graph: Graph) -> Graph:
    folded, tensors = {}, []
    for gather, conv in sole_pairs(graph, {"gather"}, MIXING):
        indices = _picked_channels(graph, gather)
        if indices is not None and _is_mixing(graph, conv):
            channels, old = graph.tensors[gather.inputs[0]].shape[-1], graph.tensors[conv.inputs[1]]
            weight = _in_place_of(graph, old, _spread(old.data, indices, channels), conv.name)
            tensors.append(weight)
            folded[conv.name] = replace(conv, inputs=(gather.inputs[0], weight.name, conv.inputs[2]))
    return rewired(graph.with_tensors(*tensors), [folded.get(op.name, op) for op in graph.ops])


def _spread(weight: np.ndarray, indices: np.ndarray, channels: int) -> np.ndarray:
    """The weight on all channels: a column that reads channel i moves to i, those of one channel add up."""
    spread = np.zeros((*weight.shape[:-1], channels), np.float32)
    np.add.at(spread, (..., indices), weight)
    return spread


def _in_place_of(graph: Graph, old: Tensor, data: np.ndarray, reader: str) -> Tensor:
    """A constant with the name of the one that it replaces, or one of the reader's where others read that."""
    shared = len(graph.consumers[old.name]) > 1
    return constant(f"{reader}:{old.name}" if shared else old.name, data)


def _picked_channels(graph: Graph, gather: Op) -> np.ndarray | None:
    """The constant indices along the last axis, one after the other."""
    x, indices = graph.of(gather)
    along = not x.is_constant and gather.attrs["axis"] == len(x.shape) - 1
    return indices.data if along and indices.is_constant and len(indices.shape) == 1 else None


def _is_mixing(graph: Graph, conv: Op) -> bool:
    """Whether the weights are known and every row reads every channel: not in groups."""
    x, weight, bias = graph.of(conv)
    return weight.is_constant and bias.is_constant and weight.shape[-1] == x.shape[-1]
