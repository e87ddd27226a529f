"""Run the canonical float graph on calibration samples and keep what the observers see."""

from collections.abc import Callable, Mapping, Sequence
import math

import numpy as np

from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.ir.graph import Graph
from toolchain.quantize.observers import OBSERVER, TensorStats
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
    stats: dict[str, TensorStats] = {}
    done = 0
    for feeds in samples.batches(_batch_size(graph, names)):
        seen = watch(feeds)
        for name in names:
            new = OBSERVER[config.observer](seen[name], config)
            if not math.isfinite(new.low + new.high):
                raise _not_finite(name, seen[name], samples, done)
            stats[name] = stats[name].merge(new) if name in stats else new
        done += len(next(iter(feeds.values())))
        progress(done, len(samples))
        del seen  # before the next batch makes its own
    return stats


def _reference(graph: Graph, names: Sequence[str]) -> Watch:
    return lambda feeds: reference.run(graph, feeds, keep=names)


def _batch_size(graph: Graph, names: Sequence[str]) -> int:
    return max(1, BATCH_BYTES // (4 * sum(graph.tensors[name].size for name in names)))


def _not_finite(name: str, values: np.ndarray, samples: Samples, done: int) -> BadSamples:
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    row = samples.rows[done + int(np.argmax(bad))]
    return BadSamples(f"{samples.name}: sample {row} makes {name} NaN or Inf; look at its values and "
                      f"preprocessing, then at the weights before {name}")
