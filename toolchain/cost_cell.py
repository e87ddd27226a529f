"""Where an op lies in a table of measured costs: what its time depends on, in a few numbers."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from toolchain.ir.graph import Op, Shape


class Cell(NamedTuple):
    """kind:    of the op, or of the one whose cost its own is taken for
    variant: of its geometry: "pointwise", "window", "strided", "broadcast", or "" for all
    times:   that many of it make the op: one for each group of a grouped convolution
    taps:    pixels of its window
    pixels:  of its output; of a reduction, codes that become one; of a matrix product, rows
    inputs:  channels that each output sums over
    outputs: channels of its output
    linear:  whether an op that sums products has no activation, whose range starts at code -128
    """

    kind: str
    variant: str = ""
    times: int = 1
    taps: int = 1
    pixels: int = 1
    inputs: int = 1
    outputs: int = 1
    linear: bool = False


STAND_IN: Mapping[str, str] = {
    "sub": "add", "minimum": "add", "maximum": "add", "select": "add", "div": "mul", "pow": "mul",
    "compare": "add", "logical_and": "add", "logical_or": "add", "prelu": "mul",
    "elu": "logistic", "gelu": "logistic", "softplus": "logistic", "exp": "logistic", "log": "logistic",
    "sqrt": "logistic", "rsqrt": "logistic", "tanh": "logistic", "relu6": "relu", "abs": "leaky_relu",
    "neg": "leaky_relu", "quantize": "relu", "dequantize": "relu", "cast": "relu", "logical_not": "relu",
    "log_softmax": "softmax", "layer_norm": "softmax", "batch_norm": "mul",
    "sum": "mean", "reduce_max": "mean", "reduce_min": "mean", "argmax": "mean",
    "slice": "pad", "gather": "pad", "tile": "pad", "mirror_pad": "pad", "transpose": "pad",
    "depth_to_space": "pad", "space_to_depth": "pad", "resize_nearest": "pad",
    "step": "pad", "state": "pad", "sequence": "pad", "last": "pad"}
"""Kind that is not measured -> one whose cost for each code of the output is taken instead."""


def cell_of(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    """The op's cell for inputs and an output of these shapes; of its attributes none counts that follows
    from sizes but a pool's kernel."""
    return CELL.get(op.kind, _pointwise)(op, inputs, output)


def _conv2d(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    """weight: [O, kh, kw, I]. A group is a convolution of its own; groups of one channel are depthwise."""
    depth, channels = inputs[1][3], inputs[0][3]
    taps, groups = inputs[1][1] * inputs[1][2], channels // depth
    if groups > 1 and depth == 1:
        return _window(op, "depthwise_conv2d", taps, output, 1)
    cell = _window(op, "conv2d", taps, output, depth)
    return cell._replace(times=groups, outputs=output[-1] // groups)


def _depthwise(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    """weight: [1, kh, kw, channels * multiplier]. Of one channel it is a convolution, as in generated C."""
    taps = inputs[1][1] * inputs[1][2]
    kind = "conv2d" if inputs[0][3] == 1 < output[-1] else "depthwise_conv2d"
    return _window(op, kind, taps, output, 1)


def _transpose_conv2d(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    return _window(op, "transpose_conv2d", inputs[1][1] * inputs[1][2], output, inputs[1][3])


def _window(op: Op, kind: str, taps: int, output: Shape, inputs: int) -> Cell:
    strided = max(op.attrs["stride"]) > 1
    whole = kind == "conv2d" and taps == 1
    variant = "strided" if strided else "pointwise" if whole else "window"
    return Cell(kind, variant, 1, taps, prod(output[1:-1]), inputs, output[-1], _linear(op))


def _fully_connected(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    """weight: [O, I]. Several rows are a 1x1 convolution."""
    cell = _matrix(prod(output) // inputs[1][0], inputs[1][1], inputs[1][0])
    return cell._replace(linear=_linear(op))


def _batch_matmul(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    depth = inputs[0][-2 if op.attrs["transpose_a"] else -1]
    return _matrix(prod(output[:-1]), depth, output[-1])


def _matrix(rows: int, inputs: int, outputs: int) -> Cell:
    if rows == 1:
        return Cell("fully_connected", inputs=inputs, outputs=outputs)
    return Cell("conv2d", "pointwise", pixels=rows, inputs=inputs, outputs=outputs)


def _linear(op: Op) -> bool:
    return op.attrs["activation"] is None


def _pool(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    return Cell(op.kind, taps=prod(op.attrs["kernel"]), pixels=prod(output[1:-1]), outputs=output[-1])


def _reduction(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    return Cell(op.kind, pixels=max(1, prod(inputs[0]) // max(1, prod(output))), outputs=prod(output))


def _binary(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    same = all(prod(shape) == prod(output) for shape in inputs)
    return _pointwise(op, inputs, output)._replace(variant="" if same else "broadcast")


def _pointwise(op: Op, inputs: Sequence[Shape], output: Shape) -> Cell:
    channels = output[-1] if output else 1
    return Cell(op.kind, pixels=prod(output) // max(1, channels), outputs=channels)


CELL: Mapping[str, Callable[[Op, Sequence[Shape], Shape], Cell]] = {
    "conv2d": _conv2d, "depthwise_conv2d": _depthwise, "transpose_conv2d": _transpose_conv2d,
    "fully_connected": _fully_connected, "batch_matmul": _batch_matmul,
    "average_pool2d": _pool, "max_pool2d": _pool,
    **dict.fromkeys(("mean", "sum", "reduce_max", "reduce_min", "argmax"), _reduction),
    **dict.fromkeys(("add", "sub", "mul", "div", "minimum", "maximum", "pow", "compare"), _binary)}
"""Kind of op -> its cell; of all others, by the elements of their outputs."""
