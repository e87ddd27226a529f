"""Cases of the op matrix: for each kind of op, seeded draws of shapes, strides, pads and other attributes."""

from collections.abc import Callable, Mapping
from functools import cache
import zlib

import numpy as np

from tests.op_cases_loops import draw_loop
from tests.op_cases_moving import (
    draw_concat,
    draw_depth_to_space,
    draw_dequantize,
    draw_gather,
    draw_mirror_pad,
    draw_pad,
    draw_quantize,
    draw_reshape,
    draw_resize,
    draw_slice,
    draw_space_to_depth,
    draw_tile,
    draw_transpose,
)
from tests.op_cases_pointwise import (
    draw_binary,
    draw_cast,
    draw_compare,
    draw_curve,
    draw_div,
    draw_exp,
    draw_hard_swish,
    draw_logical,
    draw_pow,
    draw_prelu,
    draw_relu6,
    draw_select,
    draw_softmax,
    draw_unary,
)
from tests.op_cases_weighted import (
    draw_argmax,
    draw_batch_matmul,
    draw_batch_norm,
    draw_conv2d,
    draw_depthwise_conv2d,
    draw_fully_connected,
    draw_layer_norm,
    draw_pool,
    draw_reduction,
    draw_transpose_conv2d,
)
from tests.op_maker import Case, Maker
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS

DRAW: Mapping[str, tuple[int, Callable[[Maker, int], Graph]]] = {
    "conv2d": (32, draw_conv2d),
    "depthwise_conv2d": (24, draw_depthwise_conv2d),
    "transpose_conv2d": (24, draw_transpose_conv2d),
    "fully_connected": (16, draw_fully_connected),
    "batch_matmul": (16, draw_batch_matmul),
    "batch_norm": (4, draw_batch_norm),
    "layer_norm": (16, draw_layer_norm),
    "add": (16, draw_binary("add")),
    "sub": (16, draw_binary("sub")),
    "mul": (16, draw_binary("mul")),
    "div": (12, draw_div),
    "minimum": (8, draw_binary("minimum")),
    "maximum": (8, draw_binary("maximum")),
    "pow": (8, draw_pow),
    "relu": (8, draw_unary("relu")),
    "relu6": (8, draw_relu6),
    "leaky_relu": (10, draw_unary("leaky_relu", alpha=(0.01, 0.3, 1.5, -0.2))),
    "prelu": (10, draw_prelu),
    "elu": (10, draw_unary("elu")),
    "gelu": (10, draw_unary("gelu", approximate=(True, False))),
    "hard_swish": (16, draw_hard_swish),
    "softplus": (8, draw_unary("softplus")),
    "logistic": (16, draw_unary("logistic")),
    "tanh": (16, draw_unary("tanh")),
    "abs": (10, draw_unary("abs")),
    "neg": (8, draw_unary("neg")),
    "exp": (10, draw_exp),
    "log": (10, draw_curve("log")),
    "sqrt": (10, draw_curve("sqrt")),
    "rsqrt": (16, draw_curve("rsqrt")),
    "softmax": (16, draw_softmax("softmax", beta=(1.0, 1.0, 0.3, 2.0))),
    "log_softmax": (16, draw_softmax("log_softmax")),
    "average_pool2d": (16, draw_pool("average_pool2d")),
    "max_pool2d": (12, draw_pool("max_pool2d")),
    "mean": (20, draw_reduction("mean")),
    "sum": (16, draw_reduction("sum")),
    "reduce_max": (10, draw_reduction("reduce_max")),
    "reduce_min": (10, draw_reduction("reduce_min")),
    "argmax": (10, draw_argmax),
    "resize_nearest": (24, draw_resize("resize_nearest")),
    "resize_bilinear": (24, draw_resize("resize_bilinear")),
    "depth_to_space": (6, draw_depth_to_space),
    "space_to_depth": (6, draw_space_to_depth),
    "pad": (10, draw_pad),
    "mirror_pad": (8, draw_mirror_pad),
    "concat": (8, draw_concat),
    "slice": (10, draw_slice),
    "gather": (10, draw_gather),
    "tile": (6, draw_tile),
    "reshape": (4, draw_reshape),
    "transpose": (6, draw_transpose),
    **dict.fromkeys(("step", "state", "sequence"), (8, draw_loop("sequence"))),
    "last": (8, draw_loop("last")),
    "compare": (12, draw_compare),
    "logical_and": (4, draw_logical("logical_and")),
    "logical_or": (4, draw_logical("logical_or")),
    "logical_not": (4, draw_logical("logical_not")),
    "select": (8, draw_select),
    "cast": (8, draw_cast),
    "quantize": (12, draw_quantize),
    "dequantize": (6, draw_dequantize),
}
WHOLE = ("int32", "int64")
TAKES_WHOLE = ("add", "sub", "mul", "minimum", "maximum", "argmax", "concat", "slice", "gather", "tile",
               "reshape", "transpose", "compare", "select", "cast")
"""Kinds that are judged on whole numbers too: what tokens, indices and shapes go through."""


def dtypes_of(kind: str) -> tuple[str, ...]:
    """Of the kind's cases: those of its row, and whole numbers where it takes them."""
    return OPS[kind].dtypes + (WHOLE if kind in TAKES_WHOLE else ())


@cache
def cases(kind: str, dtype: str) -> tuple[Case, ...]:
    """The kind's cases in one dtype, the same on every run; none where it is not judged in the dtype."""
    if dtype not in dtypes_of(kind) or kind not in DRAW:
        return ()
    count, draw = DRAW[kind]
    found = []
    for number in range(count):
        name = f"{kind}-{dtype}-{number}"
        maker = Maker(np.random.default_rng(zlib.crc32(name.encode())), dtype, name)
        graph = draw(maker, number)
        found.append(Case(kind, dtype, number, graph, maker.feeds, maker.lacks))
    return tuple(found)
