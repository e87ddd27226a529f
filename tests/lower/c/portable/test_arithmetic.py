"""Arithmetic between activations, and convolutions in groups and transposed: the reference's codes where they
are hard to have, under guards and with undefined behaviour trapped; one error for what does not fit 32 bits.
"""

import ctypes
from math import prod

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.c_host import SANITIZED, compile_c, compile_graphs
from tests.lower.c.nets import Net
from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.pages import kernel_files
from toolchain.runtime import fixedpoint, norm_int8, reference

EVERY = np.arange(-128, 128).astype(np.int8)


def one_op(kind: str, *shapes, scale=0.04, zero_point=-5, zeros=(3, -7), steps=(0.05, 0.05),
           **attrs) -> Graph:
    """An op of inputs alone."""
    net = Net(kind)
    inputs = [net.codes_in(f"x{i}", *shape, scale=steps[i], zero_point=zeros[i])
              for i, shape in enumerate(shapes)]
    return net.finish(net.make(kind, tuple(inputs), "y", scale, zero_point, **attrs))


def times_constant(a, b, zeros=(3, -7), scale=0.04) -> Graph:
    """batch_matmul by matrices that are known."""
    net = Net("times")
    x = net.codes_in("x", *a, zero_point=zeros[0])
    matrices = net.constant("b", net.rng.integers(-128, 128, b).astype(np.int8), QuantParams(0.05, zeros[1]))
    return net.finish(net.make("batch_matmul", (x, matrices), "y", scale))


def grouped(channels: int, groups: int, outputs: int, kernel: int, **attrs) -> Graph:
    net = Net("grouped")
    x = net.codes_in("x", 1, 6, 5, channels, zero_point=100)
    weights = net.weights("y", x, (groups * outputs, kernel, kernel, channels // groups))
    return net.finish(net.make("conv2d", (x, *weights), "y", 0.2, 3, **attrs))


def transposed(size, kernel, stride, pads, channels=3, outputs=5, zero_point=-128) -> Graph:
    net = Net("transposed")
    x = net.codes_in("x", 1, *size, channels, zero_point=zero_point)
    weights = net.weights("y", x, (outputs, *kernel, channels))
    return net.finish(net.make("transpose_conv2d", (x, *weights), "y", 0.2, 3, stride=stride, pads=pads))


def normalized(shape, axes, gamma, beta, scale=0.03, **attrs) -> Graph:
    net = Net("normalized", 1)
    x = net.codes_in("x", *shape)
    parameters = [net.constant(name, (2 * net.rng.normal(size=each)).astype(np.float32))
                  for name, each in (("gamma", gamma), ("beta", beta))]
    return net.finish(net.make("layer_norm", (x, *parameters), "y", scale, axes=axes, **attrs))


def log_softmax(depth: int, scale: float) -> Graph:
    return one_op("log_softmax", (1, 3, depth), steps=(scale,), scale=16 / 256, zero_point=127)


def resized(size, old, **attrs) -> Graph:
    return one_op("resize_bilinear", (1, *old, 5), size=size, scale=0.05, zero_point=3, **attrs)


GRAPHS = {
    "groups of one channel": grouped(6, 6, 1, 3, pads=(1, 1, 1, 1)),
    "groups of one channel, outputs": grouped(3, 3, 5, 3, stride=(2, 1)),
    "groups of many": grouped(12, 2, 9, 3, pads=(2, 1, 0, 2), dilation=(1, 2), activation="relu6"),
    "groups of pixels": grouped(10, 5, 4, 1),
    "transposed, strides beyond the kernel": transposed((3, 2), (2, 1), (3, 4), (0, 0, 0, 0)),
    "transposed, pads below 0": transposed((2, 3), (3, 2), (1, 2), (-4, -1, -2, -5)),
    "transposed, pads of all but a pixel": transposed((3, 3), (3, 3), (2, 2), (3, 3, 3, 3), zero_point=127),
    "transposed, one channel": transposed((4, 4), (4, 4), (2, 2), (1, 1, 1, 1), 1, 1),
    "transposed, many channels": transposed((3, 3), (3, 3), (1, 2), (0, 2, 1, 0), 17, 8, 0),
    "matrices, one for each of several": times_constant((1, 4, 1, 3, 7), (3, 7, 2)),
    "matrices, both turned": one_op("batch_matmul", (1, 2, 7, 3), (1, 2, 2, 7), scale=0.3,
                                    transpose_a=True, transpose_b=True),
    "matrices, zero points far out": times_constant((1, 2, 300), (300, 2), (127, -128), 120),
    "norm of groups": normalized((1, 3, 2, 2, 4), (1, 2, 4), (2, 4), (2, 1), epsilon=1e-5),
    "norm of an image": normalized((1, 6, 7, 3), (1, 2), (3,), (1,), epsilon=1e-3),
    "norm of rows, wide epsilon": normalized((1, 9, 4), (2,), (4,), (4,), 1e-3, epsilon=40.0),
    "norm of rows": normalized((1, 5, 48), (2,), (48,), (48,), 0.03, epsilon=1e-5),
    "norm of a long row": normalized((1, 2**14), (1,), (2**14,), (2**14,), 2.0, epsilon=1e-5),
    "norm of a row of long shifts": normalized((1, 2**16), (1,), (2**16,), (2**16,), 0.5, epsilon=1e-5),
    "norm of a row that is too long": normalized((1, 2**16 + 1), (1,), (2**16 + 1,), (1,), 0.5, epsilon=1e-5),
    "norm of rows, a gain each": normalized((1, 8, 8), (2,), (8, 1), (1,), epsilon=1e-5),
    "norm of channels, a gain each": normalized((1, 4, 2, 4), (3,), (4, 1, 1), (4, 1, 1), epsilon=1e-5),
    "norm of parts, a gain each": normalized((1, 4, 2, 4), (2, 3), (4, 2, 1), (4, 1, 1), epsilon=1e-5),
    "norm of rows, sums beyond 32 bits": normalized((1, 3, 48), (2,), (48,), (48,), 2e-4, epsilon=1e-5),
    "norm of everything": normalized((1, 40, 50), (1, 2), (40, 50), (), epsilon=1e-5),
    "norm of one": normalized((1, 5, 1), (2,), (1,), (1,), epsilon=1e-12),
    **{f"log_softmax of {depth}, {scale}": log_softmax(depth, scale)
       for depth in (2, 10, 4095) for scale in (0.01, 0.1, 25.0)},
    "log_softmax of one": log_softmax(1, 0.1),
    "resize to one": resized((1, 1), (5, 4), align_corners=True),
    "resize from one": resized((4, 3), (1, 1), half_pixel_centers=True),
    "resize to a third": resized((3, 2), (9, 7), half_pixel_centers=True),
    "resize much": resized((61, 33), (3, 2), align_corners=True),
    "sum beyond the codes": one_op("sum", (1, 9, 8, 5), axes=(1, 3), scale=1e-3),
    "sum of three parts": one_op("sum", (1, 2, 3, 4, 5, 6), axes=(1, 3, 5), keepdims=True, scale=4),
}
PAIR_SCALES = [(0.05, 0.05, 0.04), (1.0, 1e-3, 1e-5), (1e-3, 1.0, 30.0), (3.0, 0.01, 0.7)]
for number, (a_scale, b_scale, y_scale) in enumerate(PAIR_SCALES):
    GRAPHS[f"div {number}"] = one_op("div", (1, 256, 1), (1, 1, 256), steps=(a_scale, b_scale), scale=y_scale)
    GRAPHS[f"prelu {number}"] = one_op("prelu", (1, 256, 256), (1, 1, 256), steps=(a_scale, b_scale),
                                       scale=y_scale)


def feeds_of(graph: Graph, count: int = 4) -> dict[str, np.ndarray]:
    """Any codes; of the last two samples, one is all the same and one has a single code apart. Every pair of
    codes for those that take pairs.
    """
    rng, feeds = np.random.default_rng(7), {}
    for name in graph.inputs:
        shape = graph.tensors[name].shape
        if 256 in shape:
            each = EVERY[:, None] if shape[1] == 256 else EVERY
            feeds[name] = np.broadcast_to(each, (1, *shape[1:])).copy()
            continue
        codes = rng.integers(-128, 128, (count, *shape[1:])).astype(np.int8)
        codes[-2:] = -31
        codes[-1].flat[prod(shape) // 2] = 127
        feeds[name] = codes
    return feeds


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    made = compile_graphs([*GRAPHS.values()], tmp_path_factory.mktemp("arithmetic"), ("-O1", *SANITIZED))
    return dict(zip(GRAPHS, made, strict=True))


@pytest.mark.parametrize("name", GRAPHS)
def test_codes_are_the_references(models, name):
    model = models[name]
    feeds = feeds_of(model.graph)
    expected = reference.run(model.graph, feeds)["y"]
    assert np.array_equal(model.run(feeds)["y"], expected)
    assert len(np.unique(expected)) > 1 or "of one" in name


def kernel_of(graph: Graph) -> list[str]:
    return [name for name in write_c(graph).files if name.endswith("_s8.c") and "patch" not in name]


def test_groups_of_one_channel_are_a_depthwise_convolution():
    assert kernel_of(GRAPHS["groups of one channel"]) == ["tk_depthwise_conv2d_s8.c"]
    assert kernel_of(GRAPHS["groups of one channel, outputs"]) == ["tk_depthwise_multiplier_conv2d_s8.c"]
    assert kernel_of(GRAPHS["groups of pixels"]) == ["tk_grouped_conv2d_s8.c"]


@pytest.mark.parametrize("name, kernel", [
    ("norm of rows", "rows_"), ("norm of a long row", "rows_"),
    ("norm of rows, a gain each", ""), ("norm of channels, a gain each", ""),
    ("norm of parts, a gain each", ""),
    ("norm of everything", ""), ("norm of a row of long shifts", ""), ("norm of a row that is too long", ""),
    ("norm of rows, sums beyond 32 bits", ""),
    ("norm of an image", ""), ("norm of groups", "")])
def test_rows_are_normalized_in_32_bits(name, kernel):
    assert kernel_of(GRAPHS[name]) == [f"tk_layer_norm_{kernel}s8.c"]


@pytest.mark.parametrize("kind", ["div", "prelu"])
def test_by_one_constant_is_a_table(kind):
    net = Net(kind)
    x = net.codes_in("x", 1, 4, 6)
    one = net.constant("one", np.array([9], np.int8), QuantParams(0.1, 0))
    assert kernel_of(net.finish(net.make(kind, (x, one), "y"))) == ["tk_lookup_s8.c"]


@pytest.mark.parametrize("graph, message", [
    (lambda: times_constant((1, 1, 2**15), (2**15, 1)), "adds 32,768 products"),
    (lambda: transposed((1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 2**16, 1), "adds 65,536 products"),
    (lambda: grouped(2**14 * 2, 2, 1, 3), "adds 147,456 products"),
    (lambda: log_softmax(4096, 0.1), "log_softmax over 4,096 codes"),
    (lambda: one_op("sum", (1, 2**23), axes=(1,)), "sum over 8,388,608 codes"),
    (lambda: one_op("resize_bilinear", (2, 3, 3, 1), size=(4, 4), scale=0.05, zero_point=3), "a batch of 2"),
    (lambda: normalized((1, 2, 2, 2, 2, 2, 2, 2, 2, 2), (1, 3, 5, 7), (), (), epsilon=1.0), "4 axes that do"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_does_not_fit_is_refused(graph, message):
    with pytest.raises(Unsupported, match=message):
        write_c(graph())


# Functions within kernels -----------------------------------------------------------------------------------

SOURCE = """#include "tk_log_softmax_s8.c"
#include "tk_norm.h"
int32_t logarithm(int32_t x);
int64_t root(uint64_t value, int32_t *half);
int32_t logarithm(int32_t x) { return log_of(x); }
int64_t root(uint64_t value, int32_t *half) { return tk_reciprocal_sqrt(value, half); }
"""


@pytest.fixture(scope="module")
def c(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    for name, data in kernel_files(["tk_log_softmax_s8", "tk_norm"]).items():
        (folder / name).write_bytes(data)
    (folder / "wrap.c").write_text(SOURCE)
    compile_c([folder / "wrap.c"], folder / "wrap.so", ["-O1", *SANITIZED, "-shared", "-fPIC"])
    library = ctypes.CDLL(str(folder / "wrap.so"))
    library.root.restype, library.root.argtypes = ctypes.c_int64, (ctypes.c_uint64, ctypes.c_void_p)
    return library


@given(st.integers(2**19, 2**31 - 1) | st.integers(19, 30).map(lambda n: 2**n))
def test_logarithms(c, value):
    assert c.logarithm(value) == fixedpoint.log(value, 12, 5)


@given(st.integers(1, 2**62 - 1) | st.integers(0, 61).map(lambda n: 2**n))
def test_roots(c, value):
    half = ctypes.c_int32()
    found = c.root(value, ctypes.byref(half))
    assert (found, half.value) == tuple(map(int, norm_int8.reciprocal_sqrt(np.int64(value))))
