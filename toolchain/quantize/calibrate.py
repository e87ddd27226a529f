"""Run the canonical float graph on calibration samples and keep what the observers see."""

from collections.abc import Callable, Mapping, Sequence
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
BATCH_BYTES = 1 << 24
"""Activations held at a time, at most; a single sample may be larger."""


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
    samples = samples.fit_to(graph).take(config.samples)
    if not len(samples):
        raise BadSamples(f"{samples.name}: no samples to calibrate {graph.name} with")
    names = observed(graph)
    watch = (open_watch or _reference)(graph, names)
    stats = {name: Accumulator(config) for name in names}
    done = 0
    for feeds in samples.batches(_batch_size(graph, names)):
        seen = watch(feeds)
        count = len(next(iter(feeds.values())))
        for name in names:
            stats[name].add(seen[name], samples.rows[done:done + count])
            if not math.isfinite(stats[name].low + stats[name].high):
                raise _not_finite(name, seen[name], samples, done)
        done += count
        progress(done, len(samples))
        del seen  # before the next batch makes its own
    return {name: accumulator.stats() for name, accumulator in stats.items()}


def _reference(graph: Graph, names: Sequence[str]) -> Watch:
    return lambda feeds: reference.run(graph, feeds, keep=names)


def _batch_size(graph: Graph, names: Sequence[str]) -> int:
    return max(1, BATCH_BYTES // (4 * sum(graph.tensors[name].size for name in names)))


def _not_finite(name: str, values: np.ndarray, samples: Samples, done: int) -> BadSamples:
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    row = samples.rows[done + int(np.argmax(bad))]
    return BadSamples(f"{samples.name}: sample {row} makes {name} NaN or Inf; look at its values and "
                      f"preprocessing, then at the weights before {name}")
