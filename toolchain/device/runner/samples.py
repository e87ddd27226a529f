"""Files of samples, as the runner reads and writes them: one after another, a sample all ports in their
order, each tight, little-endian, in its own dtype and layout.
"""

from collections.abc import Mapping, Sequence
import math

import numpy as np

from toolchain.errors import BadReply
from toolchain.port import Port
from toolchain.runtime.feeds import sample_count


def pack(inputs: Sequence[Port], feeds: Mapping[str, np.ndarray]) -> bytes:
    """The input file of N samples; feeds: name -> (N, ...) as the ports say. Raises BadSamples."""
    count = sample_count(inputs, feeds)
    columns = [_rows(feeds[port.name], port, count) for port in inputs]
    return (columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)).tobytes()


def _rows(values: np.ndarray, port: Port, count: int) -> np.ndarray:
    """uint8 (N, bytes)."""
    tight = np.ascontiguousarray(values, _dtype(port))
    return tight.view(np.uint8).reshape(count, -1)


def unpack(outputs: Sequence[Port], data: bytes, count: int) -> dict[str, np.ndarray]:
    """Name -> (N, ...) of an output file of N samples. Raises BadReply where it is of another size."""
    sizes = [port_bytes(port) for port in outputs]
    if len(data) != count * sum(sizes):
        raise BadReply(f"the device wrote {len(data):,} bytes of outputs; {count:,} samples are "
                       f"{count * sum(sizes):,}")
    rows, start, found = np.frombuffer(data, np.uint8).reshape(count, -1), 0, {}
    for port, size in zip(outputs, sizes, strict=True):
        part = np.ascontiguousarray(rows[:, start:start + size])
        found[port.name] = part.view(_dtype(port)).reshape(count, *port.shape[1:])
        start += size
    return found


def port_bytes(port: Port) -> int:
    """Of one sample."""
    return math.prod(port.shape[1:]) * _dtype(port).itemsize


def _dtype(port: Port) -> np.dtype:
    return np.dtype(port.dtype).newbyteorder("<")
