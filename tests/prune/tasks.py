"""Samples and a loss for a graph, made by hand: what criteria look at."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from toolchain.data import Samples
from toolchain.prune.evidence import Evidence
from toolchain.prune.masks import with_masks
from toolchain.runtime import reference
from toolchain.runtime.torch_module import GraphModule


def evidence(graph, count=12, seed=0, labels=True):
    """Random inputs; random classes, or those that the network itself gives."""
    rng = np.random.default_rng(seed)
    x = {name: rng.standard_normal((count, *graph.tensors[name].shape[1:])).astype(np.float32)
         for name in graph.inputs}
    output = graph.outputs[0]
    y = rng.integers(graph.tensors[output].shape[-1], size=count)
    y = torch.from_numpy(y if labels else reference.run(graph, x)[output].argmax(-1))
    samples = Samples("random", x, y.numpy() if labels else None, None, np.arange(count))

    def loss(values, positions):
        return functional.cross_entropy(values[output], y[positions], reduction="none")
    return Evidence(samples, (output,), loss)


class Exact:
    """The loss with a graph's channels scaled, in float64: nothing of it is what criteria run through but the
    masked graph."""

    def __init__(self, graph, groups, shown):
        self.masked, self.shown, self.sizes = with_masks(graph, groups), shown, [g.channels for g in groups]
        self.feeds = {name: torch.from_numpy(x).double()
                      for name, x in shown.samples.feeds(slice(0, len(shown.samples))).items()}

    def losses(self, scales) -> np.ndarray:
        """(n,) of each sample. scales: per group (channels,)"""
        graph = replace(self.masked.at(scales), outputs=self.shown.outputs)
        module = GraphModule(graph).eval().double()
        with torch.no_grad():
            return self.shown.loss(module(self.feeds), np.arange(len(self.shown.samples))).numpy()

    def moved(self, group, channel, to) -> np.ndarray:
        """With one channel scaled by `to`, the others whole."""
        scales = [np.ones(size) for size in self.sizes]
        scales[group][channel] = to
        return self.losses(scales)

    def per_channel(self, function) -> list[np.ndarray]:
        """Per group (channels,) of function(group, channel)."""
        return [np.array([function(group, channel) for channel in range(size)])
                for group, size in enumerate(self.sizes)]
