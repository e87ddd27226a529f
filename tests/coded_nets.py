"""Whole random networks of codes for generated C: branches, residuals, islands of int16, several ends.

    net = coded_net(7)          # .graph, .feeds: input -> (SAMPLES, ...) codes

Nothing is calibrated: each op's output parameters are drawn around the range that its samples span, zero
points and multipliers out to their limits, and channels are dead now and then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import zlib

import numpy as np

from tests.op_cases_weighted import ACTIVATIONS, window_attrs
from tests.op_maker import FIXED_OUTPUT, SAME_AS_INPUT, SAMPLES, Maker
from toolchain.ir.check import WEIGHTED, check
from toolchain.ir.graph import Graph
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams, dequantize
from toolchain.quantize.rules import at_width
from toolchain.runtime import reference
from toolchain.runtime.kernels_float import FLOAT
from toolchain.runtime.moving import over_samples

CHANNELS = (1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 33)
KERNELS = ((1, 1), (3, 3), (3, 3), (5, 5), (2, 2), (3, 1), (1, 5), (4, 3))
LARGEST = 6_000
"""Codes of an activation, beyond which no op widens it."""


@dataclass(frozen=True, eq=False)
class CodedNet:
    graph: Graph
    feeds: Mapping[str, np.ndarray]


class Grower(Maker):
    """A network that grows op by op, its samples along with it. Each step takes the name of a 4-D activation
    and returns another's."""

    def __init__(self, seed: int, four_bits: bool = False):
        super().__init__(np.random.default_rng(zlib.crc32(f"net-{seed}".encode())), "int8", f"net{seed}")
        self.four_bits, self.codes_of = four_bits, {}

    def shape(self, x: str) -> tuple[int, ...]:
        return self.builder.tensors[x].shape

    def wide(self, x: str) -> bool:
        """Whether x is on 16 bits."""
        return self.builder.tensors[x].dtype == "int16"

    def coded_input(self, codes: np.ndarray, params: QuantParams) -> str:
        name = super().coded_input(codes, params)
        self.codes_of[name] = codes
        return name

    def coded_constant(self, name: str, codes: np.ndarray, params: QuantParams) -> str:
        return super().coded_constant(self.builder.unique(name), codes, params)

    def grown(self, kind: str, inputs, quant: QuantParams | None = None, **attrs) -> str:
        """The op's output, in `quant` or by the rule of its kind; int16 stays int16."""
        inputs = [inputs] if isinstance(inputs, str) else list(inputs)
        if quant is None:
            quant = self._for(kind, inputs, attrs)
        y = self.builder.op(kind, inputs, self.builder.unique(kind), quant=quant,
                            dtype=quant.dtype if kind == "quantize" else None, **attrs)
        alone = self.builder.graph(y)
        read = [name for name in dict.fromkeys(inputs) if name in self.codes_of]
        alone = replace(alone, ops=alone.ops[-1:], inputs=tuple(read))
        self.codes_of[y] = reference.run(alone, {name: self.codes_of[name] for name in read})[y]
        self.reals[y] = dequantize(self.codes_of[y], quant)
        return y

    def _for(self, kind: str, inputs: list[str], attrs) -> QuantParams:
        """By the rule of its kind; no finer than multipliers can be: below 2^30, on 16 bits 2^7."""
        if kind in FIXED_OUTPUT or kind in SAME_AS_INPUT:
            quant = self._output_params(kind, inputs, attrs)
            return at_width(quant, self.builder.tensors[inputs[0]].dtype) if kind in FIXED_OUTPUT else quant
        scales = [self.builder.tensors[name].quant.scale.max() for name in inputs[:2]]
        coarsest = np.prod(scales) if kind in (*WEIGHTED, "mul") else max(scales)
        if not self.wide(inputs[0]):
            quant = self._output_params(kind, inputs, attrs)
            return QuantParams(max(quant.scale, coarsest / 2**18), quant.zero_point)
        with np.errstate(all="ignore"):
            y = FLOAT[kind](over_samples(make(kind, inputs, "y", **attrs), SAMPLES),
                            *(self.reals[name] for name in inputs))
        reach = np.abs(y).max() * self.log_uniform(0.3, 2) / 32768
        return QuantParams(max(reach, coarsest / 100), 0, dtype="int16")

    def weights(self, x: str, shape, axis: int) -> tuple[str, str]:
        """Of the case's width; some outputs dead, some inputs without a weight."""
        weight, bias = super().weights(x, shape, axis)
        w, b = (self.builder.tensors[name] for name in (weight, bias))
        if self.rng.random() < 0.3:
            np.moveaxis(w.data, axis, 0)[self.rng.random(shape[axis]) < 0.4] = 0
        if self.rng.random() < 0.2:
            w.data[..., self.rng.random(shape[-1]) < 0.4] = 0
        if self.four_bits:
            np.clip(w.data // 16, -8, 7, out=w.data)
            quant = replace(w.quant, scale=w.quant.scale * 16, dtype="int4")
            self.builder.tensors[weight] = w = replace(w, quant=quant)
            quant = replace(b.quant, scale=b.quant.scale * 16)
            self.builder.tensors[bias] = b = replace(b, quant=quant, data=b.data // 16)
        if self.wide(x):
            quant, data = replace(b.quant, dtype="int64"), b.data.astype(np.int64)
            self.builder.tensors[bias] = b = replace(b, dtype="int64", data=data, quant=quant)
        self.reals[weight], self.reals[bias] = dequantize(w.data, w.quant), dequantize(b.data, b.quant)
        return weight, bias

    # Steps --------------------------------------------------------------------------------------------------

    def _window(self, x: str) -> tuple[tuple[int, int], dict]:
        """A kernel that fits, padding of any kind."""
        height, width = self.shape(x)[1:3]
        dilation = self.pick((1, 1), (1, 1), (1, 1), (2, 2), (1, 2))
        kernel = self.pick(*(k for k in KERNELS if dilation[0] * (k[0] - 1) < height
                             and dilation[1] * (k[1] - 1) < width))
        attrs = window_attrs(self, kernel, dilation)
        attrs["stride"] = self.pick((1, 1), (1, 1), (1, 1), (2, 2), (1, 2), (2, 1), (3, 3))
        return kernel, attrs | {"dilation": dilation}

    def conv(self, x: str) -> str:
        kernel, attrs = self._window(x)
        return self._conv(x, kernel, self.pick(*CHANNELS), **attrs)

    def _conv(self, x: str, kernel, outputs: int, groups: int = 1, **attrs) -> str:
        if self.shape(x)[1] * self.shape(x)[2] * outputs > LARGEST:
            outputs = 3 * groups
        shape = (outputs, *kernel, self.shape(x)[3] // groups)
        return self.grown("conv2d", (x, *self.weights(x, shape, 0)), **attrs)

    def grouped(self, x: str) -> str:
        groups = next((n for n in (4, 3, 2) if self.shape(x)[3] % n == 0), 1)
        kernel, attrs = self._window(x)
        return self._conv(x, kernel, groups * self.pick(1, 2, 5), groups, **attrs)

    def pointwise(self, x: str) -> str:
        return self._conv(x, (1, 1), self.pick(*CHANNELS), activation=self.pick(*ACTIVATIONS))

    def depthwise(self, x: str) -> str:
        channels, multiplier = self.shape(x)[3], self.pick(1, 1, 1, 1, 2)
        kernel, attrs = self._window(x)
        operands = x, *self.weights(x, (1, *kernel, channels * multiplier), 3)
        return self.grown("depthwise_conv2d", operands, multiplier=multiplier, **attrs)

    def separable(self, x: str) -> str:
        """Depthwise 3x3 and 1x1, as MobileNet has them."""
        if min(self.shape(x)[1:3]) < 2:
            return self.pointwise(x)
        operands = x, *self.weights(x, (1, 3, 3, self.shape(x)[3]), 3)
        y = self.grown("depthwise_conv2d", operands, stride=self.pick((1, 1), (1, 1), (2, 2)),
                       pads=self.pick((1, 1, 1, 1), (0, 1, 0, 1)), activation=self.pick("relu", "relu6"))
        return self.pointwise(y)

    def residual(self, x: str) -> str:
        """Wider, depthwise, narrow again; and x."""
        channels = self.shape(x)[3]
        y = self._conv(x, (1, 1), channels * self.pick(1, 2, 3), activation="relu6")
        y = self.grown("depthwise_conv2d", (y, *self.weights(y, (1, 3, 3, self.shape(y)[3]), 3)),
                       pads=(1, 1, 1, 1), activation="relu")
        y = self._conv(y, (1, 1), channels)
        if self.shape(y) != self.shape(x):
            return y
        kind = self.pick("add", "add", "add", "sub", "mul")
        return self.grown(kind, self.pick((x, y), (y, x)), activation=self.pick(*ACTIVATIONS))

    def pool(self, x: str) -> str:
        kind = self.pick("max_pool2d", "average_pool2d")
        height, width = self.shape(x)[1:3]
        kernel = self.pick(*(k for k in ((1, 1), (2, 2), (3, 3), (1, 3)) if k[0] <= height and k[1] <= width))
        pads = self.pick((0,) * 4, tuple(n for k in kernel for n in ((k - 1) // 2, k // 2)))
        stride = self.pick((1, 1), (2, 2), kernel)
        if kind == "average_pool2d" and any(pads):
            stride = (1, 1)
        return self.grown(kind, x, kernel=kernel, stride=stride, pads=pads)

    def broadcast(self, x: str) -> str:
        """With a constant, or with the mean of the image."""
        kind = self.pick("add", "sub", "mul")
        other = self.grown("mean", x, axes=(1, 2), keepdims=True) if self.wide(x) or self.rng.random() < 0.5 \
            else self.constant("k", self.pick(self.shape(x)[3:], (1,)))
        return self.grown(kind, self.pick((x, other), (other, x)))

    def curve(self, x: str) -> str:
        kind = self.pick("relu", "leaky_relu", "logistic", "tanh")
        return self.grown(kind, x, **({"alpha": 0.1} if kind == "leaky_relu" else {}))

    def joined(self, x: str) -> str:
        """Beside another branch, along any axis."""
        branch = self.pick(self.curve, self.pointwise, lambda name: name)(x)
        shape, quant = self.shape(x), self.builder.tensors[x].quant
        if self.shape(branch)[:3] != shape[:3]:
            return branch
        axis = 3 if self.shape(branch) != shape else self.pick(1, 2, 3, 3)
        if not self.builder.tensors[branch].quant.same_as(quant):
            branch = self.grown("quantize", branch, quant)
        return self.grown("concat", self.pick((x, branch), (branch, x), (x, branch, x)), axis=axis)

    def cut(self, x: str) -> str:
        most = [min(pair) for pair in zip((3, 2, 4), self.shape(x)[1:])]
        begin = [0, *(int(self.rng.integers(0, n)) for n in most)]
        if self.rng.random() < 0.5:
            begin[2:] = [0, 0]
        return self.grown("slice", x, begin=tuple(begin), end=self.shape(x),
                          strides=(1, 1, self.pick(1, 1, 2), 1))

    def padded(self, x: str) -> str:
        pads = ((0, 0), *(self.sizes(0, 2, 2) for _ in range(2)), self.pick((0, 0), (0, 0), (1, 2)))
        return self.grown("pad", x, pads=pads, value=int(self.builder.tensors[x].quant.zero_point))

    def turned(self, x: str) -> str:
        """Transposed, or other axes for the same codes."""
        _, height, width, channels = self.shape(x)
        if self.rng.random() < 0.5:
            return self.grown("transpose", x, perm=self.pick((0, 2, 1, 3), (0, 3, 1, 2), (0, 1, 3, 2)))
        pixels = height * width
        sizes = self.pick((width, height), (pixels, 1), (1, pixels))
        return self.grown("reshape", x, shape=(1, *sizes, channels))

    def island(self, x: str) -> str:
        """On 16 bits for a while, or back."""
        if self.wide(x):
            ends = float(self.reals[x].min()), float(self.reals[x].max())
            scale = max((max(ends) - min(ends)) / 255 * self.log_uniform(0.5, 1.5), 1e-6)
            return self.grown("quantize", x, self.params(scale=np.float32(scale)))
        reach = np.abs(self.reals[x]).max() * self.log_uniform(0.7, 2) / 32768
        finest = self.builder.tensors[x].quant.scale / 1000
        return self.grown("quantize", x, QuantParams(max(reach, finest), 0, dtype="int16"))

    def head(self, x: str) -> str:
        if self.rng.random() < 0.6:
            x = self.grown("mean", x, axes=(1, 2))
        else:
            x = self.grown("reshape", x, shape=(1, int(np.prod(self.shape(x)[1:]))))
        shape = self.pick(1, 2, 7, 12), self.shape(x)[1]
        x = self.grown("fully_connected", (x, *self.weights(x, shape, 0)), activation=self.pick(*ACTIVATIONS))
        return self.grown("softmax", x) if self.rng.random() < 0.5 else x


STEPS: tuple[tuple[Callable[[Grower, str], str], int], ...] = (
    (Grower.conv, 4), (Grower.pointwise, 2), (Grower.depthwise, 3), (Grower.separable, 3),
    (Grower.residual, 2), (Grower.grouped, 1), (Grower.pool, 2), (Grower.broadcast, 1), (Grower.curve, 1),
    (Grower.joined, 2), (Grower.cut, 1), (Grower.padded, 1), (Grower.turned, 1), (Grower.island, 1))


def coded_net(seed: int) -> CodedNet:
    """The seed-th network, the same on every run."""
    net = Grower(seed, four_bits=seed % 7 == 3)
    sizes = net.pick((9, 8), (13, 5), (1, 31), (25, 1), (6, 7), (16, 16))
    xs = [_entered(net, seed, sizes, net.pick(*CHANNELS[:9])) for _ in range(net.pick(1, 1, 1, 2))]
    x = _met(net, xs)
    steps = [step for step, share in STEPS for _ in range(share)]
    between = []
    for _ in range(int(net.rng.integers(2, 8))):
        y = net.pick(*steps)(net, x)
        large = np.prod(net.shape(y)) > LARGEST
        x = net.grown("max_pool2d", y, kernel=(1, 1), stride=(2, 2)) if large else y
        between.append(x)
    ends = [net.head(x) if net.rng.random() < 0.6 else x]
    ends += [name for name in between if net.rng.random() < 0.1 and name not in ends]
    graph = check(net.builder.graph(*ends), "QUANTIZED")
    used = {name for op in graph.ops for name in op.inputs} | set(ends)
    graph = replace(graph, inputs=tuple(name for name in graph.inputs if name in used))
    return CodedNet(graph, {name: net.feeds[name] for name in graph.inputs})


def _entered(net: Grower, seed: int, sizes: tuple[int, int], channels: int) -> str:
    """An input; every fifth network's is on 16 bits."""
    shape = (1, *sizes, channels)
    if seed % 5:
        return net.input(shape)
    codes = net.rng.integers(-32768, 32768, (SAMPLES, *shape[1:])).astype(np.int16)
    return net.coded_input(codes, QuantParams(net.log_uniform(1e-5, 1e-3), 0, dtype="int16"))


def _met(net: Grower, xs: list[str]) -> str:
    """One tensor made of all inputs."""
    if len(xs) == 1:
        return xs[0]
    a, b = (net._conv(x, (1, 1), 6) for x in xs)
    return net.grown("add", (a, b))
