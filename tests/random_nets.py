"""Small random networks, float and int8, for tests of doors and runtimes; seeded."""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference


class RandomNet:
    """Grows a network from a [1, H, W, C] input; every method takes and returns the name of a 4-D tensor."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.build = Builder(f"net{seed}")

    def shape(self, x: str) -> tuple[int, ...]:
        return self.build.tensors[x].shape

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def weight(self, name: str, *shape: int) -> str:
        spread = 1 / np.sqrt(np.prod(shape[1:]) or 1)
        return self.build.constant(name, self.rng.normal(0, spread, shape).astype(np.float32))

    def window(self, x: str, kernel: int) -> dict:
        """Pads of any kind: none, SAME's, and lopsided ones."""
        low, high = (kernel - 1) // 2, kernel // 2
        pads = self.pick((0,) * 4, (low, high, low, high), (low, low, low, low), (1, 0, 0, 1))
        return {"stride": self.pick((1, 1), (2, 2), (1, 2)), "pads": pads}

    def conv(self, x: str) -> str:
        name, kernel, channels = self.build.unique("conv"), self.pick(1, 2, 3), int(self.rng.integers(2, 9))
        weight = self.weight(f"{name}.weight", channels, kernel, kernel, self.shape(x)[-1])
        return self.build.op("conv2d", [x, weight, self.weight(f"{name}.bias", channels)], name,
                             activation=self.pick(None, "relu", "relu6"), **self.window(x, kernel))

    def depthwise(self, x: str) -> str:
        name, multiplier = self.build.unique("depthwise"), self.pick(1, 2)
        channels = self.shape(x)[-1] * multiplier
        weight = self.weight(f"{name}.weight", 1, 3, 3, channels)
        return self.build.op("depthwise_conv2d", [x, weight, self.weight(f"{name}.bias", channels)], name,
                             multiplier=multiplier, activation=self.pick(None, "relu6"), **self.window(x, 3))

    def pool(self, x: str) -> str:
        kind, kernel = self.pick("max_pool2d", "average_pool2d"), self.pick((2, 2), (3, 3), (1, 2))
        padded = kind == "max_pool2d" and kernel[0] > 1
        attrs = self.window(x, kernel[1]) if padded else {"stride": self.pick((1, 1), (2, 2))}
        return self.build.op(kind, [x], self.build.unique("pool"), kernel=kernel, **attrs)

    def binary(self, x: str) -> str:
        other = self.pick(x, self.weight(self.build.unique("constant"), *self.pick((1,), self.shape(x)[-1:])))
        return self.build.op(self.pick("add", "sub", "mul"), [x, other], self.build.unique("binary"),
                             activation=self.pick(None, "relu"))

    def unary(self, x: str) -> str:
        kind = self.pick("relu", "relu6", "leaky_relu", "logistic", "tanh")
        attrs = {"alpha": 0.1} if kind == "leaky_relu" else {}
        return self.build.op(kind, [x], self.build.unique(kind), **attrs)

    def moved(self, x: str) -> str:
        """Shapes: pad, concat, transpose and back by reshape."""
        padded = self.build.op("pad", [x], self.build.unique("pad"), pads=((0, 0), (1, 0), (0, 2), (0, 0)))
        joined = self.build.op("concat", [padded, padded], self.build.unique("concat"), axis=3)
        turned = self.build.op("transpose", [joined], self.build.unique("transpose"), perm=(0, 2, 1, 3))
        back = tuple(self.shape(turned)[axis] for axis in (0, 2, 1, 3))
        return self.build.op("reshape", [turned], self.build.unique("reshape"), shape=back)

    def head(self, x: str) -> str:
        mean = self.build.op("mean", [x], "mean", axes=(1, 2))
        classes, features = int(self.rng.integers(2, 6)), self.shape(mean)[-1]
        weight, bias = self.weight("head.weight", classes, features), self.weight("head.bias", classes)
        logits = self.build.op("fully_connected", [mean, weight, bias], "head")
        return self.build.op("softmax", [logits], "softmax")


class ModernNet(RandomNet):
    """Grows by the kinds that convolutional networks of today have beside those; all have int8 kernels in
    TFLite Micro."""

    def grouped(self, x: str) -> str:
        """Channels twice over, in two groups, and mixed again by depth-to-space."""
        name, channels = self.build.unique("grouped"), self.shape(x)[-1]
        doubled = self.build.op("concat", [x, x], f"{name}.x", axis=3)
        weight, bias = self.weight(f"{name}.weight", 8, 3, 3, channels), self.weight(f"{name}.bias", 8)
        y = self.build.op("conv2d", [doubled, weight, bias], name, **self.window(doubled, 3))
        return self.build.op("depth_to_space", [y], f"{name}.y", block=2)

    def transposed(self, x: str) -> str:
        name, kernel = self.build.unique("transposed"), self.pick(2, 3)
        channels = int(self.rng.integers(2, 6))
        weight = self.weight(f"{name}.weight", channels, kernel, kernel, self.shape(x)[-1])
        return self.build.op("transpose_conv2d", [x, weight, self.weight(f"{name}.bias", channels)], name,
                             stride=self.pick((1, 1), (2, 2)), pads=self.pick((0, 0, 0, 0), (0, 1, 0, 1)))

    def curve(self, x: str) -> str:
        kind = self.pick("hard_swish", "elu", "abs", "prelu")
        alpha = [self.weight(self.build.unique("alpha"), self.shape(x)[-1])] if kind == "prelu" else []
        return self.build.op(kind, [x, *alpha], self.build.unique(kind))

    def clipped(self, x: str) -> str:
        low, high = (self.build.constant(self.build.unique("bound"), np.float32([v])) for v in (-0.7, 0.4))
        y = self.build.op("maximum", [x, low], self.build.unique("maximum"))
        return self.build.op("minimum", [y, high], self.build.unique("minimum"))

    def gated(self, x: str) -> str:
        """Squeeze and excite by the largest and by the sum of the image."""
        most = self.build.op("reduce_max", [x], self.build.unique("most"), axes=(1, 2), keepdims=True)
        total = self.build.op("sum", [x], self.build.unique("total"), axes=(1, 2), keepdims=True)
        size = self.build.constant(self.build.unique("size"), np.float32([0.01]))
        share = self.build.op("mul", [total, size], self.build.unique("share"))
        gate = self.build.op("sub", [most, share], self.build.unique("gate"))
        gate = self.build.op("logistic", [gate], self.build.unique("open"))
        return self.build.op("mul", [x, gate], self.build.unique("gated"))

    def resized(self, x: str) -> str:
        _, height, width, _ = self.shape(x)
        kind, half = self.pick("resize_nearest", "resize_bilinear"), self.pick(True, False)
        return self.build.op(kind, [x], self.build.unique(kind), half_pixel_centers=half,
                             size=self.pick((height + 3, width + 1), (2 * height, width)))

    def cut(self, x: str) -> str:
        """Slice, mirror pad, and picks along one axis."""
        _, height, width, channels = self.shape(x)
        part = self.build.op("slice", [x], self.build.unique("slice"), begin=(0, 1, 0, 0),
                             end=(1, height, width, channels), strides=(1, self.pick(1, 2), 1, 1))
        pads = ((0, 0), (1, 1), self.pick((0, 2), (1, 0)), (0, 0))
        padded = self.build.op("mirror_pad", [part], self.build.unique("mirror"), pads=pads)
        indices = self.rng.integers(0, channels, channels).astype(np.int32)
        order = self.build.constant(self.build.unique("order"), indices)
        return self.build.op("gather", [padded, order], self.build.unique("picked"), axis=3)


def modern_net(seed: int) -> Graph:
    """Six steps of which each is of another kind; out come logits, log-probabilities, the likeliest class."""
    net = ModernNet(seed)
    x = net.build.input("x", (1, *(int(n) for n in net.rng.integers(6, 9, 2)), int(net.rng.integers(2, 5))))
    steps = [net.grouped, net.transposed, net.curve, net.clipped, net.gated, net.resized, net.cut]
    for index in net.rng.permutation(len(steps))[:6]:
        x = steps[index](x)
    flat = net.build.op("mean", [x], "logits", axes=(1, 2))
    answer = net.build.op("argmax", [flat], "answer", axis=1, to="int32")
    return net.build.graph(net.build.op("log_softmax", [flat], "score"), flat, answer)


def random_net(seed: int) -> Graph:
    """A float network of about six ops and a classifier."""
    net = RandomNet(seed)
    x = net.build.input("x", (1, *(int(n) for n in net.rng.integers(11, 15, 2)), int(net.rng.integers(1, 5))))
    for _ in range(6):
        if min(net.shape(x)[1:3]) < 4:
            break
        step = net.pick(net.conv, net.conv, net.depthwise, net.pool, net.binary, net.unary, net.moved)
        x = step(x)
    return net.build.graph(net.head(x))


def noise(graph: Graph, count: int, seed: int = 1) -> Mapping[str, np.ndarray]:
    """Normal floats, or codes over the whole range, for each input."""
    rng = np.random.default_rng(seed)
    draw: dict[str, Callable] = {
        "float32": lambda shape: rng.standard_normal(shape, np.float32),
        "int8": lambda shape: rng.integers(-128, 128, shape, np.int8),
        "uint8": lambda shape: rng.integers(0, 256, shape, np.uint8)}
    tensors = (graph.tensors[name] for name in graph.inputs)
    return {t.name: draw[t.dtype]((count, *t.shape[1:])) for t in tensors}


def quantized(graph: Graph) -> Graph:
    """Its canonical form in int8, calibrated with noise. The constants keep their names, all in int8."""
    ready = canonical(graph)
    samples = Samples("noise", dict(noise(ready, 8)), None, None, np.arange(8))
    return quantize(ready, calibrate(ready, CalibrateConfig(observer="minmax"), samples))


def same_outputs(a: Graph, b: Graph, count: int = 3) -> bool:
    """Whether the reference gives the same numbers for both, bit for bit."""
    feeds = noise(a, count)
    left, right = reference.run(a, feeds), reference.run(b, feeds)
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)
