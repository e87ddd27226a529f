"""Cases of the op matrix: for each kind of op, seeded draws of shapes, strides, pads and other attributes."""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import combinations
import zlib

import numpy as np

from tests.op_maker import FIXED_OUTPUT, Case, Maker
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS
from toolchain.ir.quant import QuantParams

ACTIVATIONS = (None, "relu", "relu6")


def window_attrs(m: Maker, kernel, dilation=(1, 1)) -> dict[str, object]:
    reach = [step * (size - 1) for size, step in zip(kernel, dilation)]
    same = tuple(n for size in reach for n in (size // 2, size - size // 2))
    pads = m.pick((0, 0, 0, 0), same, tuple(int(m.rng.integers(0, reach[i // 2] + 1)) for i in range(4)))
    return {"stride": m.sizes(1, 3, 2), "pads": pads, "activation": m.pick(*ACTIVATIONS)}


def draw_conv2d(m: Maker, number: int) -> Graph:
    kernel, dilation = m.sizes(1, 4, 2), m.pick((1, 1), (1, 1), m.sizes(1, 2, 2))
    channels = m.pick(1, 3, 8, 17)
    if (m.dtype, number) == ("int8", 0):  # longer sums than float32 holds exactly
        channels = 1100
    x = m.input((1, *(n + 7 for n in kernel), channels))
    weight, bias = m.weights(x, (m.pick(1, 4, 9), *kernel, channels), 0)
    return m.finish("conv2d", (x, weight, bias), dilation=dilation, **window_attrs(m, kernel, dilation))


def draw_depthwise_conv2d(m: Maker, number: int) -> Graph:
    kernel, dilation = m.sizes(1, 4, 2), m.pick((1, 1), (1, 1), m.sizes(1, 2, 2))
    channels, multiplier = m.pick(1, 3, 8, 17), m.pick(1, 1, 2, 3)
    x = m.input((1, *(n + 7 for n in kernel), channels))
    weight, bias = m.weights(x, (1, *kernel, channels * multiplier), 3)
    return m.finish("depthwise_conv2d", (x, weight, bias), dilation=dilation, multiplier=multiplier,
                    **window_attrs(m, kernel, dilation))


def draw_fully_connected(m: Maker, number: int) -> Graph:
    features = 1500 if (m.dtype, number) == ("int8", 0) else m.pick(1, 10, 64, 257)
    x = m.input((1, features))
    return m.finish("fully_connected", (x, *m.weights(x, (m.pick(1, 2, 12, 33), features), 0)),
                    activation=m.pick(*ACTIVATIONS))


def draw_batch_norm(m: Maker, number: int) -> Graph:
    channels = m.pick(1, 5, 16)
    x = m.input((1, *m.sizes(1, 6, m.pick(1, 2)), channels))
    parameters = [m.constant(name, (channels,)) for name in ("gamma", "beta", "mean")]
    variance = m._constant("variance", m.log_uniform(1e-2, 1e2, channels), None)
    return m.finish("batch_norm", (x, *parameters, variance), epsilon=m.pick(1e-5, 1e-3))


def draw_binary(kind: str) -> Callable[[Maker, int], Graph]:
    """Both activations; or one of them, or a constant, broadcast along some axes."""

    def draw(m: Maker, number: int) -> Graph:
        shape = (1, 60, 70) if number == 0 else (1, *m.sizes(1, 6, m.pick(1, 2, 3)))
        small = (*(1 for _ in shape[:-1]), shape[-1])
        operand = m.pick(lambda: m.input(shape), lambda: m.input(small), lambda: m.constant("k", shape[-1:]),
                         lambda: m.constant("k", small), lambda: m.constant("k", (1,)))
        inputs = [m.input(shape), operand()]
        return m.finish(kind, inputs[::m.pick(1, -1)], activation=m.pick(*ACTIVATIONS))

    return draw


def draw_unary(kind: str, **attrs) -> Callable[[Maker, int], Graph]:
    def draw(m: Maker, number: int) -> Graph:
        shape = (1, 16, 17) if m.dtype == "int8" else (1, *m.sizes(1, 9, m.pick(1, 2, 3)))
        params = m.params(scale=m.log_uniform(1e-4, 20)) if kind in FIXED_OUTPUT else m.params()
        if m.dtype == "int8" and kind in FIXED_OUTPUT and params.scale >= 4:
            m.lacks |= dict.fromkeys(("float", "litert", "onnx"), "a code is past the curve: Micro clips it")
        drawn = {name: m.pick(*options) for name, options in attrs.items()}
        return m.finish(kind, m.input(shape, params), **drawn)

    return draw


def draw_relu6(m: Maker, number: int) -> Graph:
    """TFLite Micro ignores the output's parameters and does not take an input in which 6.0 has no code."""
    params = QuantParams(m.log_uniform(6 / 120, 1), -128 + int(m.rng.integers(0, 8)))
    x = m.input((1, 300), params)
    if m.dtype == "int8" and number % 2:
        return m.builder.graph(m.builder.op("relu6", (x,), "y", quant=params))
    if m.dtype == "int8":
        m.lacks["tflm"] = "its relu6 copies codes whatever the output's parameters are"
    return m.finish("relu6", x)


def draw_softmax(m: Maker, number: int) -> Graph:
    shape = (1, *m.sizes(1, 5, m.pick(0, 2)), m.pick(1, 2, 10, 300))
    if shape[-1] == 1:
        m.lacks["onnx"] = "onnxruntime's uint8 softmax over a single code gives 0"
    params = m.params(scale=m.log_uniform(1e-3, 30))
    return m.finish("softmax", m.input(shape, params), beta=m.pick(1.0, 1.0, 0.3, 2.0))


def draw_pool(kind: str) -> Callable[[Maker, int], Graph]:
    def draw(m: Maker, number: int) -> Graph:
        kernel = m.sizes(1, 4, 2)
        x = m.input((1, *(n + 7 for n in kernel), m.pick(1, 3, 16)))
        attrs = window_attrs(m, kernel)
        if kind == "average_pool2d":  # its padding is left out of the count, so it must be SAME or VALID
            attrs |= {"stride": (1, 1)}
            attrs["pads"] = m.pick((0, 0, 0, 0), tuple(n for k in kernel for n in ((k - 1) // 2, k // 2)))
        return m.finish(kind, x, kernel=kernel, **attrs)

    return draw


def draw_mean(m: Maker, number: int) -> Graph:
    if number == 0:
        return m.finish("mean", m.input((1, 7, 2000)), axes=(1,), keepdims=False)
    rank = m.pick(2, 3, 4)
    axes = m.pick(*(axes for count in (1, 2) for axes in combinations(range(1, rank), count)))
    return m.finish("mean", m.input((1, *m.sizes(1, 9, rank - 1))), axes=axes, keepdims=m.pick(True, False))


def draw_pad(m: Maker, number: int) -> Graph:
    rank = m.pick(2, 3, 4)
    pads = ((0, 0), *(m.sizes(0, 3, 2) for _ in range(rank - 1)))
    return m.finish("pad", m.input((1, *m.sizes(1, 5, rank - 1))), pads=pads)


def draw_concat(m: Maker, number: int) -> Graph:
    shape = [1, *m.sizes(1, 5, m.pick(1, 2, 3))]
    axis, params = int(m.rng.integers(1, len(shape))), m.params()
    names = [m.input([*shape[:axis], n, *shape[axis + 1:]], params) for n in m.sizes(1, 5, m.pick(2, 3))]
    if m.pick(True, False):
        names.append(m.constant("k", shape, params))
    return m.finish("concat", [*names, m.pick(*names)], axis=axis)


def draw_reshape(m: Maker, number: int) -> Graph:
    a, b, c = m.sizes(1, 6, 3)
    shape = m.pick((1, a * b * c), (1, a * b, c), (1, c, 1, a * b))
    return m.finish("reshape", m.input((1, a, b, c)), shape=shape)


def draw_transpose(m: Maker, number: int) -> Graph:
    rank = m.pick(3, 4)
    perm = (0, *(int(n) for n in m.rng.permutation(np.arange(1, rank))))
    return m.finish("transpose", m.input((1, *m.sizes(1, 6, rank - 1))), perm=perm)


def draw_quantize(m: Maker, number: int) -> Graph:
    """From reals (case dtype float32), or between codes of two kinds."""
    if m.dtype == "float32":
        x, out = m.input((1, 300)), m.params(scale=m.log_uniform(1e-2, 1e-1))
    else:
        before, after = m.pick(("int8", "int8"), ("int8", "uint8"), ("uint8", "int8"))
        x = m.input((1, 300), m.params(before))
        out = m.params(after, m.builder.tensors[x].quant.scale * m.pick(np.float32(1), m.log_uniform(0.3, 3)))
    return m.builder.graph(m.builder.op("quantize", (x,), "y", dtype=out.dtype, quant=out))


def draw_dequantize(m: Maker, number: int) -> Graph:
    x = m.input((1, 300), m.params(m.pick("int8", "uint8")))
    return m.builder.graph(m.builder.op("dequantize", (x,), "y", dtype="float32"))


DRAW: Mapping[str, tuple[int, Callable[[Maker, int], Graph]]] = {
    "conv2d": (24, draw_conv2d),
    "depthwise_conv2d": (24, draw_depthwise_conv2d),
    "fully_connected": (16, draw_fully_connected),
    "batch_norm": (4, draw_batch_norm),
    "add": (16, draw_binary("add")),
    "sub": (16, draw_binary("sub")),
    "mul": (16, draw_binary("mul")),
    "relu": (8, draw_unary("relu")),
    "relu6": (8, draw_relu6),
    "leaky_relu": (10, draw_unary("leaky_relu", alpha=(0.01, 0.3, 1.5, -0.2))),
    "logistic": (16, draw_unary("logistic")),
    "tanh": (16, draw_unary("tanh")),
    "softmax": (16, draw_softmax),
    "average_pool2d": (16, draw_pool("average_pool2d")),
    "max_pool2d": (12, draw_pool("max_pool2d")),
    "mean": (20, draw_mean),
    "pad": (8, draw_pad),
    "concat": (8, draw_concat),
    "reshape": (4, draw_reshape),
    "transpose": (6, draw_transpose),
    "quantize": (12, draw_quantize),
    "dequantize": (6, draw_dequantize),
}


@cache
def cases(kind: str, dtype: str) -> tuple[Case, ...]:
    """The kind's cases in one dtype, the same on every run; none where its row does not know the dtype."""
    if dtype not in OPS[kind].dtypes or kind not in DRAW:
        return ()
    count, draw = DRAW[kind]
    found = []
    for number in range(count):
        name = f"{kind}-{dtype}-{number}"
        maker = Maker(np.random.default_rng(zlib.crc32(name.encode())), dtype, name)
        graph = draw(maker, number)
        found.append(Case(kind, dtype, number, graph, maker.feeds, maker.lacks))
    return tuple(found)
