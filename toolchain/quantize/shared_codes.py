"""A narrow network that is a slice of a wide one, in the same codes: scales, biases and ranges are its own.

    narrow weight [o, ...] = factor[o] * wide weight [o, ...],  factor > 0,  the first of each axis

As a batch norm of its own makes it, folded (Yu et al. 2019, "Slimmable Neural Networks"). With codes q of the
wide weight at a scale s[o], the narrow one's codes are the first of q, at the scale factor[o] * s[o].
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import QuantParams

TOLERANCE = 1e-4
"""Largest difference, as a share of a channel's largest weight: float32 multiplied in another order."""


@dataclass(frozen=True, eq=False)
class SharedCodes:
    """Of a network's weights, by name: parameters per channel, and codes as an integer graph has them."""

    scales: Mapping[str, QuantParams] = field(default_factory=dict)
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)

    def placed(self, graph: Graph) -> Graph:
        """The QUANTIZED graph with these codes, but for weights whose scale had to be raised for a bias."""
        given = (graph.tensors[name] for name in self.codes if name in graph.tensors)
        return graph.with_tensors(*(
            replace(tensor, data=self.codes[tensor.name]) for tensor in given
            if tensor.quant is not None and tensor.quant.same_as(self.scales[tensor.name])))


def shared_codes(wide: Graph, codes: Graph, narrow: Graph) -> SharedCodes:
    """What the narrow network has of the wide one's: of each op of the same name, where it is a slice.

    wide, narrow: canonical;  codes: the wide one QUANTIZED
    """
    scales, found = {}, {}
    for op in (op for op in narrow.ops if op.kind in WEIGHTED):
        weight, whole, told = (_weight(graph, op) for graph in (narrow, wide, codes))
        if None in (weight, whole, told) or told.quant is None:
            continue
        factors = factors_of(weight.data, whole.data, WEIGHTED[op.kind])
        if factors is not None:
            count, quant = len(factors), told.quant
            scale = (factors * quant.scale[:count].astype(np.float64)).astype(np.float32)
            scales[weight.name] = replace(quant, scale=scale, zero_point=quant.zero_point[:count])
            found[weight.name] = np.ascontiguousarray(told.data[tuple(map(slice, weight.shape))])
    return SharedCodes(scales, found)


def _weight(graph: Graph, op: Op) -> Tensor | None:
    """Of the graph's op of that name and kind; None where there is none, or it is computed."""
    own = graph.producers.get(op.name)
    tensor = graph.tensors[own.inputs[1]] if own and own.kind == op.kind else None
    return tensor if tensor is not None and tensor.is_constant else None


def factors_of(narrow: np.ndarray, wide: np.ndarray, axis: int) -> np.ndarray | None:
    """(channels,) by which the first channels of a weight are multiplied; None where they are no slice, or
    one of another sign. A channel that is 0 in both has a factor of 1."""
    if narrow.ndim != wide.ndim or any(a > b for a, b in zip(narrow.shape, wide.shape)):
        return None
    there = wide[tuple(map(slice, narrow.shape))]
    own, there = (np.moveaxis(each, axis, 0).reshape(narrow.shape[axis], -1).astype(np.float64)
                  for each in (narrow, there))
    length = (there * there).sum(axis=1)
    factors = np.where(length > 0, (own * there).sum(axis=1) / np.where(length > 0, length, 1), 1.0)
    off = np.abs(own - factors[:, None] * there).max(axis=1)
    if (factors <= 0).any() or (off > TOLERANCE * np.abs(own).max(axis=1)).any():
        return None
    return factors
