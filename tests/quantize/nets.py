"""Small graphs and samples for the tests of this room; seeded."""

from collections.abc import Mapping

import numpy as np

from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.quant import dequantize, quantize
from toolchain.quantize.observers import TensorStats
from toolchain.runtime import reference


class Net(Builder):
    """A Builder with seeded weights; each method returns the name of its output."""

    def __init__(self, name: str = "net", seed: int = 0):
        super().__init__(name)
        self.rng = np.random.default_rng(seed)

    def weights(self, name: str, *shape: int) -> str:
        return self.constant(name, self.rng.normal(0, 0.5, shape).astype(np.float32))

    def conv(self, x: str, channels: int, output: str, kernel: int = 3, **attrs) -> str:
        weight = self.weights(f"{output}.weight", channels, kernel, kernel, self.tensors[x].shape[-1])
        pad = kernel // 2
        return self.op("conv2d", [x, weight, self.weights(f"{output}.bias", channels)], output,
                       pads=(pad,) * 4, **attrs)

    def dense(self, x: str, channels: int, output: str, **attrs) -> str:
        weight = self.weights(f"{output}.weight", channels, self.tensors[x].shape[-1])
        bias = self.weights(f"{output}.bias", channels)
        return self.op("fully_connected", [x, weight, bias], output, **attrs)


def small_net() -> Graph:
    """What a classifier has: x, conv (with relu6), pool over the whole map, flat, dense, probability."""
    net = Net()
    x = net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv", activation="relu6")
    x = net.op("average_pool2d", [x], "pool", kernel=(6, 6))
    x = net.dense(net.op("reshape", [x], "flat", shape=(1, 4)), 3, "dense")
    return net.graph(net.op("softmax", [x], "probability"))


def samples_of(graph: Graph, count: int = 32, seed: int = 1, scale: float = 1.0) -> Samples:
    """Normal noise for each input."""
    rng = np.random.default_rng(seed)
    x = {name: rng.normal(0, scale, (count, *graph.tensors[name].shape[1:])).astype(np.float32)
         for name in graph.inputs}
    return Samples("noise", x, None, None, np.arange(count))


def stats_of(ranges: Mapping[str, tuple[float, float]]) -> dict[str, TensorStats]:
    return {name: TensorStats(low, high, 1) for name, (low, high) in ranges.items()}


def run_quantized(graph: Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Real outputs of a QUANTIZED graph for real inputs."""
    codes = {name: quantize(x, graph.tensors[name].quant) for name, x in feeds.items()}
    return {name: dequantize(y, graph.tensors[name].quant) for name, y in reference.run(graph, codes).items()}
