"""What the constants of a network take whose weights share few values, stored in ways that make use of it.

All of these have to be unpacked before a kernel reads them: dense kernels gain no time, as with zeros
(`sparse_size.py`). A batch norm or a scale for each output channel makes as many values of one as there are
channels; indices are the same ones then, and each channel has a codebook of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2
import zlib

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Tensor
from toolchain.prune.sparse_size import NO_GAIN, bits_of, bytes_of, dense_bytes, stored


@dataclass(frozen=True)
class ClusterSize:
    """Bytes of a network's constants; of codebooks, each tensor as it is where that is less.

    dense:     as they are
    codebooks: the values of a tensor, or of each output channel, and for each weight the number of its value
    entropy:   the same with numbers in as many bits as they tell (Huffman codes take at most 1 more for each)
    zlib:      one after another through zlib (level 9), as an archive or a download has them
    most:      values of an output channel of a weight
    """

    dense: int
    codebooks: int
    entropy: int
    zlib: int
    most: int

    @property
    def summary(self) -> str:
        """One line for people."""
        return (f"at most {self.most} values in an output channel: {self.dense:,} bytes dense, "
                f"{self.codebooks:,} with codebooks, {self.entropy:,} with their entropy, {self.zlib:,} "
                f"through zlib; {NO_GAIN}")


def cluster_size(graph: Graph) -> ClusterSize:
    """Of all constants of the graph, float or in codes, as they would be stored."""
    axes = {op.inputs[1]: WEIGHTED[op.kind] for op in graph.ops if op.kind in WEIGHTED}
    constants = graph.constants
    packed = zlib.compress(b"".join(stored(tensor) for tensor in constants), 9)
    parts = [_coded(tensor, axes.get(tensor.name)) for tensor in constants]
    most = max((len(counts) for tensor in constants if tensor.name in axes
                for counts in _of_channels(tensor, axes[tensor.name])), default=0)
    return ClusterSize(sum(map(dense_bytes, constants)), sum(fixed for fixed, _ in parts),
                       sum(entropy for _, entropy in parts), len(packed), most)


def _coded(tensor: Tensor, axis: int | None) -> tuple[int, int]:
    """(bytes with codebooks, the same by entropy), at most what it takes as it is. axis: of its outputs"""
    ways = [[_counts(tensor.data)], *([list(_of_channels(tensor, axis))] if axis is not None else [])]
    dense, bits = dense_bytes(tensor), bits_of(tensor)
    return tuple(min([dense, *(bytes_of(ceil(sum(of(counts) + bits * len(counts) for counts in books)))
                               for books in ways)]) for of in (_fixed_bits, _entropy_bits))


def _of_channels(tensor: Tensor, axis: int) -> Iterator[np.ndarray]:
    return map(_counts, np.moveaxis(tensor.data, axis, 0))


def _counts(numbers: np.ndarray) -> np.ndarray:
    """How often each value comes."""
    return np.unique(numbers, return_counts=True)[1]


def _fixed_bits(counts: np.ndarray) -> int:
    """Of all indices."""
    return int(counts.sum()) * ceil(log2(len(counts)))


def _entropy_bits(counts: np.ndarray) -> float:
    """Of all indices (Shannon 1948)."""
    return float(counts @ np.log2(counts.sum() / counts))
