"""Draws of the op matrix: kinds that move values, images, and conversions."""

from collections.abc import Callable

import numpy as np

from tests.op_maker import SAMPLES, Maker
from toolchain.ir.graph import Graph
from toolchain.ir.quant import dequantize


def draw_pad(m: Maker, number: int) -> Graph:
    """With 0 or, in int8, with what one of the codes stands for."""
    rank, x_params = m.pick(2, 3, 4), m.params()
    pads = ((0, 0), *(m.sizes(0, 3, 2) for _ in range(rank - 1)))
    value = m.pick(0.0, float(dequantize(m.codes(()), x_params)))
    if m.dtype not in ("float32", "int8"):
        value = float(round(value))
    return m.finish("pad", m.input((1, *m.sizes(1, 5, rank - 1)), x_params), pads=pads, value=value)


def draw_mirror_pad(m: Maker, number: int) -> Graph:
    mode, shape = m.pick("reflect", "symmetric"), (1, *m.sizes(2, 6, m.pick(1, 2, 3)))
    pads = ((0, 0), *(tuple(int(p) for p in m.rng.integers(0, n, 2)) for n in shape[1:]))
    return m.finish("mirror_pad", m.input(shape), pads=pads, mode=mode)


def draw_concat(m: Maker, number: int) -> Graph:
    shape = [1, *m.sizes(1, 5, m.pick(1, 2, 3))]
    axis, params = int(m.rng.integers(1, len(shape))), m.params()
    names = [m.input([*shape[:axis], n, *shape[axis + 1:]], params) for n in m.sizes(1, 5, m.pick(2, 3))]
    if m.pick(True, False):
        names.append(m.constant("k", shape, params))
    return m.finish("concat", [*names, m.pick(*names)], axis=axis)


def draw_slice(m: Maker, number: int) -> Graph:
    shape = (1, *m.sizes(2, 7, m.pick(1, 2, 3)))
    begin = (0, *(int(m.rng.integers(0, n)) for n in shape[1:]))
    end = (1, *(int(m.rng.integers(a + 1, n + 1)) for a, n in zip(begin[1:], shape[1:])))
    strides = (1, *m.pick((1,) * (len(shape) - 1), m.sizes(1, 3, len(shape) - 1)))
    return m.finish("slice", m.input(shape), begin=begin, end=end, strides=strides)


def draw_gather(m: Maker, number: int) -> Graph:
    """Rows of a constant table by indices that go in, or of an activation by constant ones."""
    integer = m.pick("int32", "int32", "int64")
    if integer == "int64":
        m.lacks["tflm"] = "its GATHER takes int32 indices alone"
    if number % 2:
        tokens = m.rng.integers(0, 9, (SAMPLES, *m.sizes(1, 4, m.pick(1, 2)))).astype(integer)
        return m.finish("gather", (m.constant("table", (9, 5)), m.plain_input(tokens)), axis=0)
    shape = (1, *m.sizes(2, 6, 3))
    axis = int(m.rng.integers(1, 4))
    indices = m.rng.integers(0, shape[axis], m.sizes(1, 5, m.pick(1, 2))).astype(integer)
    return m.finish("gather", (m.input(shape), m.plain_constant("indices", indices)), axis=axis)


def draw_tile(m: Maker, number: int) -> Graph:
    shape = (1, *m.sizes(1, 4, m.pick(1, 2, 3)))
    return m.finish("tile", m.input(shape), multiples=(1, *m.sizes(1, 3, len(shape) - 1)))


def draw_reshape(m: Maker, number: int) -> Graph:
    a, b, c = m.sizes(1, 6, 3)
    shape = m.pick((1, a * b * c), (1, a * b, c), (1, c, 1, a * b))
    return m.finish("reshape", m.input((1, a, b, c)), shape=shape)


def draw_transpose(m: Maker, number: int) -> Graph:
    rank = m.pick(3, 4)
    perm = (0, *(int(n) for n in m.rng.permutation(np.arange(1, rank))))
    return m.finish("transpose", m.input((1, *m.sizes(1, 6, rank - 1))), perm=perm)


# Images -----------------------------------------------------------------------------------------------------

def draw_resize(kind: str) -> Callable[[Maker, int], Graph]:
    """Larger, smaller, by whole factors or not, in each of the three conventions."""
    def draw(m: Maker, number: int) -> Graph:
        height, width, channels = m.sizes(1, 7, 3)
        size = m.pick((2 * height, 2 * width), m.sizes(1, 12, 2))
        convention = {"align_corners": number % 3 == 1, "half_pixel_centers": number % 3 == 2}
        return m.finish(kind, m.input((1, height, width, channels)), size=size, **convention)

    return draw


def draw_depth_to_space(m: Maker, number: int) -> Graph:
    block, (height, width, channels) = m.pick(1, 2, 3), m.sizes(1, 4, 3)
    return m.finish("depth_to_space", m.input((1, height, width, channels * block**2)), block=block)


def draw_space_to_depth(m: Maker, number: int) -> Graph:
    block, (height, width, channels) = m.pick(1, 2, 3), m.sizes(1, 4, 3)
    return m.finish("space_to_depth", m.input((1, height * block, width * block, channels)), block=block)


# Conversions ------------------------------------------------------------------------------------------------

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
