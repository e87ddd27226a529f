"""What the windows of weighted ops hold: calibration samples, looked at where the ops read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.data import Samples
from toolchain.ir.graph import Graph, Op
from toolchain.runtime import reference
from toolchain.runtime.windows import pad_spatial, windows

ROWS = 4096
"""Windows of an op that are looked at, at most; as many of each sample, at random places."""
BLOCK_BYTES = 1 << 28
"""What the ops that are looked at together keep; a single one may need more."""
BATCH = 32
DAMPING = 1e-4
"""White noise added to inputs, by their mean square: what samples do not tell, weights do."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a window of an op holds.

    taps: K, as many as an output channel has weights
    mean: (K,)
    rows: float32 (N, K) windows in the order of the weight's taps, less their mean; None: white noise
    """

    taps: int
    mean: np.ndarray
    rows: np.ndarray | None = None

    @classmethod
    def of(cls, windows: np.ndarray) -> "Seen":
        """windows: float32 (N, K)"""
        mean = windows.mean(axis=0, dtype=np.float64)
        return cls(windows.shape[1], mean, (windows - mean).astype(np.float32))

    @classmethod
    def white(cls, taps: int) -> "Seen":
        """Numbers that know nothing of each other, around 0."""
        return cls(taps, np.zeros(taps))

    def outputs(self, matrix: np.ndarray) -> np.ndarray:
        """(N, O) of a weight (O, K)."""
        return matrix.T if self.rows is None else self.rows @ matrix.T

    @property
    def noise(self) -> float:
        """Variance of what is added."""
        square = 1 / self.taps if self.rows is None else float(np.square(self.rows, dtype=np.float64).mean())
        return DAMPING * square or 1.0


def seen_by(graph: Graph, ops: Sequence[Op], samples: Samples | None, seed: int = 0) -> Iterator[Seen]:
    """What each of these ops reads, in their order; without samples, white noise.

    ops:     of kinds conv2d, in one group, and fully_connected
    samples: fit to the graph
    """
    if samples is None:
        yield from (Seen.white(_taps(graph, op)) for op in ops)
        return
    for block in _blocks(graph, ops):
        found: dict[str, list[np.ndarray]] = {op.name: [] for op in block}
        places = max(1, ROWS // len(samples))
        rng = np.random.default_rng(seed)
        for feeds in samples.batches(BATCH):
            values = reference.run(graph, feeds, keep=[op.inputs[0] for op in block])
            for op in block:
                kernel = graph.of(op)[1].shape[1:3] if op.kind == "conv2d" else None
                found[op.name].append(_some_windows(op, values[op.inputs[0]], kernel, places, rng))
        yield from (Seen.of(np.concatenate(found.pop(op.name))) for op in block)


def _taps(graph: Graph, op: Op) -> int:
    return graph.of(op)[1].size // graph.of(op)[1].shape[0]


def _blocks(graph: Graph, ops: Sequence[Op]) -> Iterator[list[Op]]:
    """Neighbours, as many as fit BLOCK_BYTES."""
    block, total = [], 0
    for op in ops:
        size = 4 * ROWS * _taps(graph, op)
        if block and total + size > BLOCK_BYTES:
            yield block
            block, total = [], 0
        block.append(op)
        total += size
    if block:
        yield block


def _some_windows(op: Op, x: np.ndarray, kernel: tuple[int, int] | None, places: int,
                  rng: np.random.Generator) -> np.ndarray:
    """(n, K) at up to so many places of each sample; of a fully connected op, its inputs."""
    if kernel is None:
        return x.reshape(-1, x.shape[-1])
    view = windows(pad_spatial(x, op.attrs["pads"], 0), kernel, op.attrs)
    count, height, width = view.shape[:3]
    places = min(places, height * width)
    at = np.stack([rng.choice(height * width, places, replace=False) for _ in range(count)])
    chosen = view[np.arange(count)[:, None], at // width, at % width]
    return chosen.reshape(-1, *view.shape[3:]).transpose(0, 2, 3, 1).reshape(count * places, -1)
