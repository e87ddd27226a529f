"""What the constants of a network with many zeros take, stored in ways that make use of them.

All of these have to be unpacked before a kernel reads them: dense kernels gain no time. Measured on LiteRT
2.3.0 with XNNPACK on x86-64: four 1x1 convolutions of 128 channels on 28 x 28 take the same, to 1 %, dense,
with 80 % zeros (single ones, or blocks of 1x4 or 4x1) and with 2:4, in float32 as in INT8, from files that
hold zeros as they hold any weight.
"""

from dataclasses import dataclass
import zlib

import numpy as np

from toolchain.ir.graph import Graph, Tensor

NO_GAIN = "dense kernels gain no time"


@dataclass(frozen=True)
class SparseSize:
    """Bytes of a network's constants; of ways that use zeros, each tensor as it is where that is less.

    dense:   as they are; codes of 4 bits two to a byte
    bitmask: a bit for each element, and what is not zero
    rows:    compressed rows: what is not zero with its column, and where each row begins
    zlib:    one after another through zlib (level 9), as an archive or a download has them
    zeros:   share of the elements
    """

    dense: int
    bitmask: int
    rows: int
    zlib: int
    zeros: float

    @property
    def summary(self) -> str:
        """One line for people."""
        return (f"{self.zeros:.1%} of the constants are zero: {self.dense:,} bytes dense, {self.bitmask:,} "
                f"with bitmasks, {self.rows:,} in compressed rows, {self.zlib:,} through zlib; {NO_GAIN}")


def sparse_size(graph: Graph) -> SparseSize:
    """Of all constants of the graph, float or in codes, as they would be stored."""
    constants = graph.constants
    zeros = sum(int((_codes(tensor) == 0).sum()) for tensor in constants)
    packed = zlib.compress(b"".join(stored(tensor) for tensor in constants), 9)
    return SparseSize(sum(dense_bytes(tensor) for tensor in constants),
                      sum(min(dense_bytes(tensor), _bitmask(tensor)) for tensor in constants),
                      sum(min(dense_bytes(tensor), _rows(tensor)) for tensor in constants),
                      len(packed), zeros / max(1, graph.parameters))


def _codes(tensor: Tensor) -> np.ndarray:
    """What is zero where the real value is: codes from their zero point."""
    if tensor.quant is None:
        return tensor.data
    _, zero_point = tensor.quant.along(tensor.data.ndim)
    return tensor.data.astype(np.int64) - zero_point


def bits_of(tensor: Tensor) -> int:
    """Of an element."""
    return 4 if _in_nibbles(tensor) else 8 * tensor.data.dtype.itemsize


def _in_nibbles(tensor: Tensor) -> bool:
    return tensor.quant is not None and tensor.quant.dtype == "int4" and tensor.dtype == "int8"


def stored(tensor: Tensor) -> bytes:
    """Its bytes; codes of 4 bits two to a byte, the first one low."""
    if not _in_nibbles(tensor):
        return np.ascontiguousarray(tensor.data).tobytes()
    nibbles = np.append(tensor.data.reshape(-1), np.zeros(tensor.size % 2, np.int8)).view(np.uint8) & 15
    return (nibbles[::2] | nibbles[1::2] << 4).tobytes()


def dense_bytes(tensor: Tensor) -> int:
    """As it is."""
    return bytes_of(tensor.size * bits_of(tensor))


def _bitmask(tensor: Tensor) -> int:
    return bytes_of(tensor.size) + bytes_of(_others(tensor) * bits_of(tensor))


def _rows(tensor: Tensor) -> int:
    """Of a matrix whose rows run along the first axis."""
    rows = tensor.shape[0] if tensor.shape else 1
    column, start = _index_bytes(tensor.size // max(1, rows)), _index_bytes(_others(tensor) + 1)
    return _others(tensor) * column + bytes_of(_others(tensor) * bits_of(tensor)) + (rows + 1) * start


def _others(tensor: Tensor) -> int:
    """How many elements are not zero."""
    return int(np.count_nonzero(_codes(tensor)))


def bytes_of(bits: int) -> int:
    """That so many bits take."""
    return -(-bits // 8)


def _index_bytes(count: int) -> int:
    """Of an unsigned number below `count`."""
    return next(size for size in (1, 2, 4, 8) if count <= 256**size)
