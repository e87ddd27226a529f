"""Draws of the op matrix: kinds that multiply by weights or matrices, and normalization."""

from collections.abc import Callable
from itertools import combinations

from tests.op_maker import Maker
from toolchain.ir.graph import Graph

ACTIVATIONS = (None, "relu", "relu6")


def window_attrs(m: Maker, kernel, dilation=(1, 1)) -> dict[str, object]:
    reach = [step * (size - 1) for size, step in zip(kernel, dilation)]
    same = tuple(n for size in reach for n in (size // 2, size - size // 2))
    pads = m.pick((0, 0, 0, 0), same, tuple(int(m.rng.integers(0, reach[i // 2] + 1)) for i in range(4)))
    return {"stride": m.sizes(1, 3, 2), "pads": pads, "activation": m.pick(*ACTIVATIONS)}


def draw_conv2d(m: Maker, number: int) -> Graph:
    kernel, dilation = m.sizes(1, 4, 2), m.pick((1, 1), (1, 1), m.sizes(1, 2, 2))
    channels, outputs, groups = m.pick(1, 3, 8, 17), m.pick(1, 4, 9), m.pick(1, 1, 2, 3)
    if (m.dtype, number) == ("int8", 0):  # longer sums than float32 holds exactly
        channels, groups = 1100, 1
    x = m.input((1, *(n + 7 for n in kernel), channels * groups))
    weight, bias = m.weights(x, (outputs * groups, *kernel, channels), 0)
    return m.finish("conv2d", (x, weight, bias), dilation=dilation, **window_attrs(m, kernel, dilation))


def draw_depthwise_conv2d(m: Maker, number: int) -> Graph:
    kernel, dilation = m.sizes(1, 4, 2), m.pick((1, 1), (1, 1), m.sizes(1, 2, 2))
    channels, multiplier = m.pick(1, 3, 8, 17), m.pick(1, 1, 2, 3)
    x = m.input((1, *(n + 7 for n in kernel), channels))
    weight, bias = m.weights(x, (1, *kernel, channels * multiplier), 3)
    return m.finish("depthwise_conv2d", (x, weight, bias), dilation=dilation, multiplier=multiplier,
                    **window_attrs(m, kernel, dilation))


def draw_transpose_conv2d(m: Maker, number: int) -> Graph:
    """Pads of torch's padding and output_padding, of TFLite's SAME, and any others."""
    kernel, stride, channels = m.sizes(1, 4, 2), m.sizes(1, 3, 2), m.pick(1, 3, 8)
    same = [max(k - s, 0) for k, s in zip(kernel, stride)]
    padding = [int(m.rng.integers(0, (k + 1) // 2)) for k in kernel]
    pads = m.pick((0, 0, 0, 0), tuple(n for total in same for n in (total // 2, total - total // 2)),
                  tuple(n for p, s in zip(padding, stride) for n in (p, p - int(m.rng.integers(0, s)))))
    x = m.input((1, *m.sizes(3, 6, 2), channels))
    weight, bias = m.weights(x, (m.pick(1, 4, 9), *kernel, channels), 0)
    return m.finish("transpose_conv2d", (x, weight, bias), stride=stride, pads=pads,
                    activation=m.pick(*ACTIVATIONS))


def draw_fully_connected(m: Maker, number: int) -> Graph:
    features = 1500 if (m.dtype, number) == ("int8", 0) else m.pick(1, 10, 64, 257)
    x = m.input((1, features))
    return m.finish("fully_connected", (x, *m.weights(x, (m.pick(1, 2, 12, 33), features), 0)),
                    activation=m.pick(*ACTIVATIONS))


def draw_batch_matmul(m: Maker, number: int) -> Graph:
    """Both matrices computed, or the second a constant; with axes before them or without."""
    rows, inner, columns = m.sizes(1, 9, 3)
    before, (turn_a, turn_b) = m.pick((1,), (1, 3), (1, 2, 2)), m.rng.integers(0, 2, 2) == 1
    a = m.input((*before, *((inner, rows) if turn_a else (rows, inner))))
    b = (columns, inner) if turn_b else (inner, columns)
    b = m.pick(lambda: m.input((*before, *b)), lambda: m.constant("b", (*before, *b)),
               lambda: m.constant("b", b))()
    return m.finish("batch_matmul", (a, b), transpose_a=bool(turn_a), transpose_b=bool(turn_b))


def draw_batch_norm(m: Maker, number: int) -> Graph:
    channels = m.pick(1, 5, 16)
    x = m.input((1, *m.sizes(1, 6, m.pick(1, 2)), channels))
    parameters = [m.constant(name, (channels,)) for name in ("gamma", "beta", "mean")]
    variance = m.plain_constant("variance", m.log_uniform(1e-2, 1e2, channels))
    return m.finish("batch_norm", (x, *parameters, variance), epsilon=m.pick(1e-5, 1e-3))


def draw_layer_norm(m: Maker, number: int) -> Graph:
    """Layer norm over the last axis or the image, instance norm, group norm of channels parted before."""
    rank = m.pick(2, 3, 4, 5)
    shape = (1, *m.sizes(2, 6, rank - 1))
    axes = m.pick((rank - 1,), tuple(range(1, rank)), tuple(range(1, max(rank - 1, 2))))
    across = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))
    parameters = m.pick(shape[-1:], (1,), across)
    gamma, beta = (m.plain_constant(name, m.normal(parameters)) for name in ("gamma", "beta"))
    return m.finish("layer_norm", (m.input(shape), gamma, beta), axes=axes, epsilon=m.pick(1e-5, 1e-3))


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


def draw_reduction(kind: str) -> Callable[[Maker, int], Graph]:
    def draw(m: Maker, number: int) -> Graph:
        if number == 0:
            return m.finish(kind, m.input((1, 7, 2000)), axes=(1,), keepdims=False)
        rank = m.pick(2, 3, 4)
        axes = m.pick(*(axes for count in (1, 2) for axes in combinations(range(1, rank), count)))
        return m.finish(kind, m.input((1, *m.sizes(1, 9, rank - 1))), axes=axes,
                        keepdims=m.pick(True, False))

    return draw


def draw_argmax(m: Maker, number: int) -> Graph:
    to, shape = ("int32", "int64")[number % 2], (1, *m.sizes(1, 9, m.pick(1, 2, 3)))
    if to == "int64":
        m.lacks["tflm"] = "its ARG_MAX gives int32 alone"
    return m.finish("argmax", m.input(shape), axis=int(m.rng.integers(1, len(shape))), to=to)
