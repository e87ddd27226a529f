"""Calibration shared among processes: each runs some of the samples, what they see is merged as it comes.

The result is that of one process, byte for byte: the same samples run together, and merging is exact.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
import multiprocessing
import signal

from toolchain.data import Samples
from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.quantize.calibrate import OpenWatch, Watch, observe, shard
from toolchain.quantize.observers import TensorStats
from toolchain.recipe import CalibrateConfig

SHARDS_PER_WORKER = 4
"""So that all have something to do until the end, and what is done is merged now and then."""
Part = tuple[list[int], dict[str, TensorStats]]
"""Rows that ran, and what was seen of each tensor."""


@dataclass(frozen=True, eq=False)
class Gathered:
    """What the processes have observed so far, as an Observation of one.

    rows:   of the samples that ran
    merged: tensor -> its statistics
    """

    rows: list[int]
    merged: dict[str, TensorStats]

    def stats(self) -> dict[str, TensorStats]:
        return dict(self.merged)

    def take_in(self, part: Part) -> None:
        rows, stats = part
        self.rows.extend(rows)
        self.merged.update({name: self.merged[name].merge(new) if name in self.merged else new
                            for name, new in stats.items()})


def observe_in_shards(graph: Graph, config: CalibrateConfig, samples: Samples, open_watch: OpenWatch,
                      batch: int, workers: int) -> Iterator[Gathered]:
    """As `calibrate.observe`, in `workers` processes; yields the same Gathered, grown, as shards are done.

    Raises what `observe` does, and BadInput where a process was killed.
    """
    count = min(workers * SHARDS_PER_WORKER, -(-len(samples) // batch))
    shards, gathered = _Shards(graph, config, samples, open_watch, batch, count), Gathered([], {})
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _start, (shards,)) as pool:
        try:
            for done in as_completed([pool.submit(_observed, index) for index in range(count)]):
                gathered.take_in(done.result())
                yield gathered
        except BrokenProcessPool:
            raise BadInput(f"a process of --workers {workers} was killed, most likely for lack of memory; "
                           f"give fewer workers") from None
        finally:
            pool.shutdown(cancel_futures=True)


class _Shards:
    """What a process needs to run any shard; it opens the runtime once."""

    def __init__(self, graph: Graph, config: CalibrateConfig, samples: Samples, open_watch: OpenWatch,
                 batch: int, count: int):
        self._graph, self._config, self._samples = graph, config, samples
        self._open_watch, self._batch, self._count = open_watch, batch, count
        self._watch: Watch | None = None

    def observed(self, index: int) -> Part:
        part = shard(self._samples, index, self._count, self._batch)
        *_, seen = observe(self._graph, self._config, part, self._opened, self._batch)
        return seen.rows, seen.stats()

    def _opened(self, graph: Graph, names: Sequence[str]) -> Watch:
        if self._watch is None:
            self._watch = self._open_watch(graph, names)
        return self._watch


_shards: _Shards | None = None
"""Of this process, where it is one of the pool's."""


def _start(shards: _Shards) -> None:
    """In a new process: an interrupt is for the one that started it."""
    global _shards
    _shards = shards
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _observed(index: int) -> Part:
    return _shards.observed(index)
