"""THE op table: one row per kind, with its attributes, shape rule, channel rule, MAC count and dtypes.

Activations are channels last. Weights: conv2d [O, kh, kw, I]; depthwise_conv2d [1, kh, kw, I * multiplier];
fully_connected [O, I]. pads = (top, bottom, left, right). Input order and meaning of attributes follow
TensorFlow Lite's schema.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from toolchain.errors import BadGraph
from toolchain.ir import channels
from toolchain.ir.channels import Link
from toolchain.ir.graph import Graph, Op, Shape

REQUIRED = object()
"""Marks an attribute without a default."""


@dataclass(frozen=True)
class Row:
    """What the toolchain knows of one kind of op.

    inputs:   roles of the input tensors, in order; "*" after the last role: one or more of it
    attrs:    attribute -> default (REQUIRED: none)
    shape:    (op, input shapes) -> output shape; raises BadGraph
    channels: (op, shapes by tensor name) -> links: which coordinates must be cut together when channels go.
              An axis that an op's links do not mention cannot be cut there.
    macs:     (op, input shapes, output shape) -> multiply-accumulates for one sample
    dtypes:   of the activations: "float32", "int8"
    """

    inputs: tuple[str, ...]
    shape: Callable[[Op, list[Shape]], Shape]
    channels: Callable[[Op, Mapping[str, Shape]], list[Link]]
    attrs: Mapping[str, object] = field(default_factory=dict)
    macs: Callable[[Op, list[Shape], Shape], int] = lambda op, shapes, out: 0
    dtypes: tuple[str, ...] = ("float32", "int8")

    def takes(self, count: int) -> bool:
        """Whether an op of this kind can have `count` inputs."""
        return count == len(self.inputs) or (self.inputs[-1].endswith("*") and count > len(self.inputs))


def make(kind: str, inputs, output: str, **attrs) -> Op:
    """An Op with the row's defaults filled in.

    Raises BadGraph for a kind or attribute that the table does not have, for a missing attribute, and where
    there are not as many inputs as roles.
    """
    if kind not in OPS:
        raise BadGraph(f"{output}: unknown op kind {kind!r}; the table has {', '.join(sorted(OPS))}")
    row = OPS[kind]
    if wrong := sorted(set(attrs) - set(row.attrs)):
        raise BadGraph(f"{output}: {kind} has no attribute {', '.join(wrong)}; it has {', '.join(row.attrs)}")
    inputs = tuple(inputs)
    if not row.takes(len(inputs)):
        raise BadGraph(f"{output}: {kind} takes {', '.join(row.inputs)}, but got {len(inputs)} inputs")
    full = {**row.attrs, **attrs}
    if missing := [name for name, value in full.items() if value is REQUIRED]:
        raise BadGraph(f"{output}: {kind} needs {', '.join(missing)}")
    return Op(kind, inputs, (output,), {name: _plain(value) for name, value in full.items()})


def _plain(value):
    """Numpy scalars and lists as plain Python values and tuples, so that a digest sees the same."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple, np.ndarray)) else value


def output_shape(op: Op, shapes: list[Shape]) -> Shape:
    """The shape that `op` gives for inputs of `shapes`. Raises BadGraph where they do not go together."""
    return OPS[op.kind].shape(op, shapes)


def op_macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates of one op for one sample."""
    return OPS[op.kind].macs(op, [t.shape for t in graph.of(op)], graph.tensors[op.name].shape)


def graph_macs(graph: Graph) -> int:
    """Multiply-accumulates of the whole graph for one sample."""
    return sum(op_macs(graph, op) for op in graph.ops)


# Shape rules ------------------------------------------------------------------------------------------------

def _require(holds: bool, op: Op, what: str) -> None:
    if not holds:
        raise BadGraph(f"{op.name}: {op.kind}: {what}")


def _window(op: Op, shape: Shape, kernel: tuple[int, int]) -> tuple[int, int]:
    """Output height and width of a window that slides over an NHWC input."""
    pads, stride, dilation = op.attrs["pads"], op.attrs["stride"], op.attrs.get("dilation", (1, 1))
    _require(min(*kernel, *stride, *dilation) > 0, op,
             f"kernel {kernel}, stride {stride} and dilation {dilation} must be positive")
    out = tuple((shape[1 + i] + pads[2 * i] + pads[2 * i + 1] - dilation[i] * (kernel[i] - 1) - 1)
                // stride[i] + 1 for i in (0, 1))
    _require(min(out) > 0, op, f"a {kernel} window with pads {pads} does not fit the input {shape}")
    return out


def _require_image(op: Op, shape: Shape) -> None:
    _require(len(shape) == 4, op, f"needs a 4-D input, got {shape}")


def _conv2d_shape(op: Op, shapes: list[Shape]) -> Shape:
    x, weight, bias = shapes
    _require_image(op, x)
    _require(len(weight) == 4 and weight[3] == x[-1], op, f"weight {weight} does not take the input {x}")
    _require(bias == (weight[0],), op, f"bias {bias} does not match weight {weight}")
    return (x[0], *_window(op, x, weight[1:3]), weight[0])


def _depthwise_shape(op: Op, shapes: list[Shape]) -> Shape:
    x, weight, bias = shapes
    _require_image(op, x)
    channels = x[-1] * op.attrs["multiplier"]
    _require(len(weight) == 4 and weight[0] == 1 and weight[3] == channels, op,
             f"weight {weight} does not take the input {x} with multiplier {op.attrs['multiplier']}")
    _require(bias == (channels,), op, f"bias {bias} does not match weight {weight}")
    return (x[0], *_window(op, x, weight[1:3]), channels)


def _fully_connected_shape(op: Op, shapes: list[Shape]) -> Shape:
    x, weight, bias = shapes
    _require(len(x) == 2, op, f"needs a 2-D input, got {x}; put a reshape before it")
    _require(len(weight) == 2 and weight[1] == x[1], op, f"weight {weight} does not take the input {x}")
    _require(bias == (weight[0],), op, f"bias {bias} does not match weight {weight}")
    return (x[0], weight[0])


def _batch_norm_shape(op: Op, shapes: list[Shape]) -> Shape:
    x, *parameters = shapes
    matching = all(p == x[-1:] for p in parameters) and len(x) > 0
    _require(matching, op, f"parameters {parameters} do not match the input {x}")
    return x


def _same_shape(op: Op, shapes: list[Shape]) -> Shape:
    return shapes[0]


def _broadcast_shape(op: Op, shapes: list[Shape]) -> Shape:
    try:
        return tuple(int(n) for n in np.broadcast_shapes(*shapes))
    except ValueError:
        raise BadGraph(f"{op.name}: {op.kind}: shapes {shapes[0]} and {shapes[1]} do not broadcast") from None


def _pool_shape(op: Op, shapes: list[Shape]) -> Shape:
    x = shapes[0]
    _require_image(op, x)
    return (x[0], *_window(op, x, op.attrs["kernel"]), x[-1])


def _mean_shape(op: Op, shapes: list[Shape]) -> Shape:
    x, axes = shapes[0], op.attrs["axes"]
    _require(all(0 < a < len(x) for a in axes), op, f"axes {axes} must be within 1..{len(x) - 1}")
    if op.attrs["keepdims"]:
        return tuple(1 if i in axes else n for i, n in enumerate(x))
    return tuple(n for i, n in enumerate(x) if i not in axes)


def _pad_shape(op: Op, shapes: list[Shape]) -> Shape:
    x, pads = shapes[0], op.attrs["pads"]
    matching = len(pads) == len(x) and all(min(p) >= 0 for p in pads)
    _require(matching, op, f"pads {pads} do not match the input {x}")
    return tuple(n + before + after for n, (before, after) in zip(x, pads))


def _concat_shape(op: Op, shapes: list[Shape]) -> Shape:
    axis, first = op.attrs["axis"], shapes[0]
    _require(0 < axis < len(first), op, f"axis {axis} must be within 1..{len(first) - 1}")
    rest = {(shape[:axis], shape[axis + 1:], len(shape)) for shape in shapes}
    _require(len(rest) == 1, op, f"shapes {shapes} differ outside axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1:])


def _reshape_shape(op: Op, shapes: list[Shape]) -> Shape:
    x, shape = shapes[0], op.attrs["shape"]
    _require(min(shape, default=1) > 0 and np.prod(x) == np.prod(shape), op, f"{x} cannot become {shape}")
    return tuple(shape)


def _transpose_shape(op: Op, shapes: list[Shape]) -> Shape:
    x, perm = shapes[0], op.attrs["perm"]
    _require(sorted(perm) == list(range(len(x))), op, f"perm {perm} does not order the axes of {x}")
    return tuple(x[axis] for axis in perm)


# MAC counts -------------------------------------------------------------------------------------------------

def _conv2d_macs(op: Op, shapes: list[Shape], out: Shape) -> int:
    return int(np.prod(out) * np.prod(shapes[1][1:]))


def _depthwise_macs(op: Op, shapes: list[Shape], out: Shape) -> int:
    return int(np.prod(out) * np.prod(shapes[1][1:3]))


def _fully_connected_macs(op: Op, shapes: list[Shape], out: Shape) -> int:
    return int(np.prod(out) * shapes[1][1])


# The table --------------------------------------------------------------------------------------------------

_CONV = {"stride": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), "activation": None}
_POOL = {"kernel": REQUIRED, "stride": (1, 1), "pads": (0, 0, 0, 0), "activation": None}
_FLOAT = ("float32",)


def _unary(**attrs) -> Row:
    return Row(("x",), _same_shape, channels.aligned, attrs)


def _binary() -> Row:
    return Row(("a", "b"), _broadcast_shape, channels.aligned, {"activation": None})


OPS: Mapping[str, Row] = {
    "conv2d": Row(("x", "weight", "bias"), _conv2d_shape, channels.matrix, _CONV, _conv2d_macs),
    "depthwise_conv2d": Row(("x", "weight", "bias"), _depthwise_shape, channels.depthwise,
                            {**_CONV, "multiplier": 1}, _depthwise_macs),
    "fully_connected": Row(("x", "weight", "bias"), _fully_connected_shape, channels.matrix,
                           {"activation": None}, _fully_connected_macs),
    "batch_norm": Row(("x", "gamma", "beta", "mean", "variance"), _batch_norm_shape, channels.aligned,
                      {"epsilon": REQUIRED}, dtypes=_FLOAT),
    "add": _binary(),
    "sub": _binary(),
    "mul": _binary(),
    "relu": _unary(),
    "relu6": _unary(),
    "leaky_relu": _unary(alpha=REQUIRED),
    "logistic": _unary(),
    "tanh": _unary(),
    "softmax": Row(("x",), _same_shape, channels.none, {"beta": 1.0}),
    "average_pool2d": Row(("x",), _pool_shape, channels.aligned, _POOL),
    "max_pool2d": Row(("x",), _pool_shape, channels.aligned, _POOL),
    "mean": Row(("x",), _mean_shape, channels.mean, {"axes": REQUIRED, "keepdims": False}),
    "pad": Row(("x",), _pad_shape, channels.pad, {"pads": REQUIRED}),
    "concat": Row(("x*",), _concat_shape, channels.concat, {"axis": REQUIRED}),
    "reshape": Row(("x",), _reshape_shape, channels.reshape, {"shape": REQUIRED}),
    "transpose": Row(("x",), _transpose_shape, channels.transpose, {"perm": REQUIRED}),
    "quantize": _unary(),
    "dequantize": Row(("x",), _same_shape, channels.aligned, dtypes=("int8",)),
}
