"""Whether samples are what a network was trained on: shape, type, range, and normalization.

The strongest witness is the network itself: a batch norm knows mean and variance of what came to it in
training. Samples that are normalized otherwise arrive with others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import msgspec
import numpy as np

from toolchain.data import Preprocessing, Samples
from toolchain.data.checks import DataSummary, Finding, examine, in_order_of_weight
from toolchain.errors import BadSamples
from toolchain.ir.graph import Graph, Op
from toolchain.runtime import reference

LOOKED_AT = 32
"""Samples that `findings` runs through the first layers."""
WRONG_STD = 0.75
"""Median over channels of |log2(std seen / std in training)| from which on normalization is doubted.

EfficientNet-Lite0 on photographs: 0.1 as it was trained, 1.0 with 0..1 instead of -1..1, 1.1 with ImageNet's
mean and std, 6.9 with 0..255; other data of the right size, white noise, 0.6."""
WRONG_MEAN = 1.0
"""Median over channels of |mean seen - mean in training|, in standard deviations of training."""
PIXELS: dict[str, Preprocessing] = {
    "0..255 as they are": Preprocessing(),
    "0..1, x / 255": Preprocessing(0.0, 255.0),
    "-1..1, (x - 127.5) / 127.5": Preprocessing(127.5, 127.5),
    "ImageNet's mean and std": Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""Usual normalizations of pixels 0..255."""


def findings(samples: Samples, graph: Graph) -> tuple[Finding, ...]:
    """What looks wrong with a few of the samples, and with feeding them to the graph; errors first.

    samples: of one split, evenly spaced ones are looked at
    graph:   FLOAT as it was loaded: where its batch norms are still there, they are asked
    Costs a few samples through the layers up to the first batch norms. How often classes occur is nothing
    that a few can tell.
    """
    few = replace(samples.take(LOOKED_AT), y=None)
    own = [finding for finding in examine(few).findings if finding.severity != "note"]
    return in_order_of_weight([*own, *of_graph(few, graph)])


def examined(samples: Samples, graph: Graph) -> DataSummary:
    """All samples looked at once, and a few of them fed to the graph."""
    summary = examine(samples)
    found = in_order_of_weight([*summary.findings, *of_graph(samples.take(LOOKED_AT), graph)])
    return msgspec.structs.replace(summary, findings=found)


def of_graph(samples: Samples, graph: Graph) -> list[Finding]:
    """What speaks against feeding these samples to the graph."""
    try:
        fitted = samples.fit_to(graph)
        feeds = fitted.feeds(slice(None))
    except BadSamples as error:
        return [Finding("error", "", str(error))]
    found = [*_beside_metadata(graph, feeds), *_beside_batch_norms(fitted, graph, feeds)]
    return found or list(_unnormalized(fitted, graph, feeds))


def _beside_metadata(graph: Graph, feeds: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Values outside what the model file says of its input, or in a small corner of it."""
    for name, frames in graph.metadata.frames.items():
        mean, std = np.asarray(frames.mean), np.asarray(frames.std)
        low, high = float(((0 - mean) / std).min()), float(((255 - mean) / std).max())
        got = float(feeds[name].min()), float(feeds[name].max())
        slack = 0.02 * (high - low)
        if got[0] < low - slack or got[1] > high + slack or got[1] - got[0] < slack:
            yield Finding("warning", name, f"values are in {got[0]:g}..{got[1]:g}, but the model says that "
                          f"it takes {low:g}..{high:g} ({frames})")


def _unnormalized(samples: Samples, graph: Graph, feeds: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Pixels as they are where nothing says that the network wants them so."""
    if first_norms(graph) or samples.preprocessing != Preprocessing():
        return
    for name, x in feeds.items():
        tensor = graph.tensors[name]
        plain = name not in samples.numbers and name not in graph.metadata.frames and tensor.quant is None
        if plain and x.ndim == 4 and x.min() >= 0 and 2 < x.max() <= 255 and (x == np.round(x)).all():
            yield Finding("warning", name, f"values are whole numbers in {x.min():g}..{x.max():g}, pixels by "
                          f"the look of them: unless the network was trained on those, write [preprocessing] "
                          f"mean and scale in the set's manifest")


# Batch norms ------------------------------------------------------------------------------------------------

def _beside_batch_norms(samples: Samples, graph: Graph, feeds: Mapping[str, np.ndarray]) -> list[Finding]:
    """What arrives at the first batch norms beside what came to them in training."""
    norms = first_norms(graph)
    if not norms or all(_fits(*distance(graph, norm, feeds)) for norm in norms):
        return []
    norm = max(norms, key=lambda norm: abs(distance(graph, norm, feeds)[1]))
    offset, octaves = distance(graph, norm, feeds)
    names = ", ".join(name for name in graph.inputs if name in _above(graph, norm.inputs[0]))
    seen = f"vary {2.0 ** abs(octaves):.3g} times {'more' if octaves > 0 else 'less'} than"
    seen = seen if abs(octaves) >= WRONG_STD else f"lie {offset:.2g} standard deviations off"
    better = _better(samples, graph, norm, feeds)
    return [Finding("warning", names, f"normalized otherwise than in training, by the look of it: values at "
                    f"{norm.inputs[0]} {seen} what its batch norm knows from then{better and '; '}{better}")]


def _fits(offset: float, octaves: float) -> bool:
    return offset < WRONG_MEAN and abs(octaves) < WRONG_STD


def first_norms(graph: Graph) -> list[Op]:
    """Trained batch norms that no other stands before, of values that depend on an input."""
    behind: dict[str, bool] = {name: False for name in graph.inputs}
    found = []
    for op in graph.ops:
        above = [behind[name] for name in op.inputs if name in behind]
        if not above:
            continue
        if op.kind == "batch_norm" and not any(above) and _is_trained(graph, op):
            found.append(op)
        behind |= {name: any(above) or op.kind == "batch_norm" for name in op.outputs}
    return found


def _is_trained(graph: Graph, norm: Op) -> bool:
    mean, variance = (tensor.data for tensor in graph.of(norm)[3:5])
    return mean is not None and variance is not None and not ((mean == 0).all() and (variance == 1).all())


def _above(graph: Graph, name: str) -> set[str]:
    """The tensor and all that it depends on."""
    needed = {name}
    for op in reversed(graph.ops):
        if needed & set(op.outputs):
            needed |= set(op.inputs)
    return needed


def distance(graph: Graph, norm: Op, feeds: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """(|mean seen - mean of training| in standard deviations, log2(std seen / std of training)).

    Each a median over the channels that were alive in training: single channels may well differ.
    """
    name = norm.inputs[0]
    needed = _above(graph, name)
    part = replace(graph.with_ops([op for op in graph.ops if needed & set(op.outputs)]), outputs=(name,))
    seen = reference.run(part, feeds)[name].astype(np.float64)
    seen = seen.reshape(-1, seen.shape[-1])
    mean, variance = (tensor.data.astype(np.float64) for tensor in graph.of(norm)[3:5])
    alive = variance > 1e-6 * variance.max()
    std = np.sqrt(variance[alive])
    octaves = np.log2(np.maximum(seen.std(axis=0)[alive], 1e-12) / std)
    return float(np.median(np.abs(seen.mean(axis=0)[alive] - mean[alive]) / std)), float(np.median(octaves))


def _better(samples: Samples, graph: Graph, norm: Op, feeds: Mapping[str, np.ndarray]) -> str:
    """The usual normalization of pixels that fits the batch norm, in words; "" where none does."""
    if len(feeds) != 1:
        return ""
    (name, x), = feeds.items()
    pixels = _pixels(samples, x)
    if pixels is None:
        return ""
    scores = {}
    for words, steps in PIXELS.items():
        if isinstance(steps.mean, tuple) and x.shape[-1] != len(steps.mean):
            continue
        normalized = (pixels - np.float32(steps.mean)) / np.float32(steps.scale)
        offset, octaves = distance(graph, norm, {name: normalized.astype(np.float32)})
        if _fits(offset, octaves):
            scores[words] = abs(octaves) + offset
    if not scores:
        return ""
    return f"pixels normalized to {min(scores, key=scores.get)} would fit"


def _pixels(samples: Samples, x: np.ndarray) -> np.ndarray | None:
    """The pixels 0..255 that an image input was made of; None where it is none."""
    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        return None
    steps = samples.preprocessing
    raw = x if steps == Preprocessing() else x * np.float32(steps.scale) + np.float32(steps.mean)
    low, high = float(raw.min()), float(raw.max())
    if low > -0.5 and 2 < high < 255.5:
        return raw
    if low >= 0 and high <= 1:
        return raw * np.float32(255)
    return raw * np.float32(127.5) + np.float32(127.5) if -1 <= low and high <= 1 else None
