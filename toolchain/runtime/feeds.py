"""What a runtime is fed: name -> samples, checked against the inputs before anything runs."""

from collections.abc import Mapping, Sequence

import numpy as np

from toolchain.errors import BadSamples
from toolchain.ir.graph import Tensor
from toolchain.port import Port


def sample_count(inputs: Sequence[Port | Tensor], feeds: Mapping[str, np.ndarray]) -> int:
    """N: how many samples every input gets, each (N, ...) in its own dtype where the input says (1, ...).

    Raises BadSamples naming the input, what it got and what it takes.
    """
    names = [port.name for port in inputs]
    takes = f"the model takes {', '.join(names)}"
    if missing := [name for name in names if name not in feeds]:
        raise BadSamples(f"no samples for input {', '.join(missing)}; {takes}")
    if unknown := [name for name in feeds if name not in names]:
        raise BadSamples(f"samples for {', '.join(unknown)}, which is no input; {takes}")
    counts = {port.name: _count(port, feeds[port.name]) for port in inputs}
    if len(set(counts.values())) > 1:
        raise BadSamples(f"inputs have different numbers of samples: {counts}")
    return next(iter(counts.values()))


def _count(port: Port | Tensor, samples: np.ndarray) -> int:
    expected = f"{port.dtype} ({', '.join(['N', *map(str, port.shape[1:])])})"
    fits = samples.ndim == len(port.shape) and samples.shape[1:] == port.shape[1:]
    if samples.dtype.name != port.dtype or not fits:
        raise BadSamples(f"input {port.name}: got {samples.dtype} {samples.shape}, expected {expected}")
    if not len(samples):
        raise BadSamples(f"input {port.name}: got no samples, expected {expected}; give at least one")
    return len(samples)
