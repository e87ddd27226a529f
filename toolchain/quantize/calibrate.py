"""Run the canonical float graph on calibration samples and keep what the observers see."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np

from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.ir.graph import Graph
from toolchain.quantize.observers import Accumulator, TensorStats
from toolchain.quantize.rules import observed
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference

Watch = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
"""Feeds of some samples -> the tensors that it was opened to watch; the next call may overwrite them."""
OpenWatch = Callable[[Graph, Sequence[str]], Watch]
"""(graph, names of tensors) -> what runs the graph and shows them, in the graph's layout."""
BATCH_BYTES, BATCH = 1 << 23, 32
"""Samples run together while what is watched stays in the processor's cache, and only so many: beyond, the
smallest network gains nothing and larger ones lose."""


def batch_size(graph: Graph, names: Sequence[str]) -> int:
    """How many samples run together while those tensors are watched: a matter of their sizes alone."""
    one = 4 * sum(graph.tensors[name].size for name in names)
    return min(BATCH, max(1, BATCH_BYTES // max(1, one)))


def calibrate(graph: Graph, config: CalibrateConfig, samples: Samples,
              open_watch: OpenWatch | None = None,
              progress: Callable[[int, int], None] = lambda done, total: None) -> dict[str, TensorStats]:
    """Statistics of every tensor whose range the rules ask for. Its memory does not grow with the samples.

    graph:    canonical, so that the tensor observed is the tensor stored
    samples:  of the calibration split; at most config.samples of them are used
    open_watch: opens what runs the graph; the reference by default
    progress: called with (samples done, all)
    Raises BadSamples where there are none, or where an activation becomes NaN or Inf.
    """
    samples = chosen(graph, config, samples)
    for seen in observe(graph, config, samples, open_watch):
        progress(len(seen.rows), len(samples))
    return seen.stats()


def chosen(graph: Graph, config: CalibrateConfig, samples: Samples) -> Samples:
    """The samples that calibration runs, evenly spaced. Raises BadSamples where there are none."""
    taken = samples.fit_to(graph).take(config.samples)
    if not len(taken):
        raise BadSamples(f"{samples.name}: no samples to calibrate {graph.name} with")
    return taken


def shard(samples: Samples, index: int, count: int, batch: int) -> Samples:
    """Part `index` of `count`: neighbouring samples, in whole batches, so that the same ones run together as
    in one piece. Together the parts are all samples; some may be empty."""
    batches = -(-len(samples) // batch)
    first, last = (batches * end // count * batch for end in (index, index + 1))
    return samples.pick(np.arange(first, min(last, len(samples))))


@dataclass(frozen=True, eq=False)
class Observation:
    """What was observed so far.

    rows:  of the samples that ran
    parts: tensor -> its statistics in the making
    """

    rows: list[int]
    parts: Mapping[str, Accumulator]

    def stats(self) -> dict[str, TensorStats]:
        return {name: part.stats() for name, part in self.parts.items()}


def observe(graph: Graph, config: CalibrateConfig, samples: Samples, open_watch: OpenWatch | None = None,
            batch: int | None = None) -> Iterator[Observation]:
    """Run all samples, and yield the same Observation, grown, after each batch.

    samples: fitted to the graph;  batch: how many are fed at a time, by default `batch_size`
    Raises BadSamples, naming tensor and sample, where an activation becomes NaN or Inf.
    """
    names = observed(graph)
    watch = (open_watch or _reference)(graph, names)
    seen = Observation([], {name: Accumulator(config) for name in names})
    for feeds in samples.batches(batch or batch_size(graph, names)):
        done = len(seen.rows)
        rows = samples.rows[done:done + len(next(iter(feeds.values())))]
        _take_in(seen.parts, watch(feeds), rows, samples)
        seen.rows.extend(rows.tolist())
        yield seen


def _take_in(parts: Mapping[str, Accumulator], shown: Mapping[str, np.ndarray], rows: np.ndarray,
             samples: Samples) -> None:
    for name, part in parts.items():
        part.add(shown[name], rows)
        if not math.isfinite(part.low + part.high):
            raise _not_finite(name, shown[name], rows, samples)


def _reference(graph: Graph, names: Sequence[str]) -> Watch:
    return lambda feeds: reference.run(graph, feeds, keep=names)


def _not_finite(name: str, values: np.ndarray, rows: np.ndarray, samples: Samples) -> BadSamples:
    bad = ~np.isfinite(values.reshape(len(rows), -1)).all(axis=1)
    sample = samples.called(int(rows[np.argmax(bad)]))
    return BadSamples(f"{samples.name}: sample {sample} makes {name} NaN or Inf; look at its values and "
                      f"preprocessing, then at the weights before {name}")
