"""THE op table: one row per kind, with its attributes, shape rule, channel rule, MAC count and dtypes.

Activations are channels last. Weights: conv2d, transpose_conv2d [O, kh, kw, I]; depthwise_conv2d
[1, kh, kw, I * multiplier]; fully_connected [O, I]. pads = (top, bottom, left, right). Input order and
meaning of attributes follow TensorFlow Lite's schema. What is a composition of these (SiLU, hard sigmoid,
SELU, group norm, LSTM ...) has no row: doors compose it. What repeats for each step of a sequence stands
between the ops of a loop (`ir.loops`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from toolchain.errors import BadGraph
from toolchain.ir import channels, shapes
from toolchain.ir.channels import Link
from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.loops import repeats

REQUIRED = object()
"""Marks an attribute without a default."""
RELATIONS: Mapping[str, Callable] = {
    "equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal,
    "greater": np.greater, "greater_equal": np.greater_equal}
"""What `compare` can ask."""
PLAIN = frozenset({"float32", "int32", "int64", "bool"})
"""dtypes of activations that are numbers, not codes."""
APART = frozenset({"weight", "bias", "gamma", "beta", "indices", "condition"})
"""Roles of inputs whose dtype is their own; all others of an op share one. gamma and beta stay float32 beside
codes: a kernel folds them with the scales."""


def _as_first(op: Op, dtypes: list[str]) -> str:
    return dtypes[0]


@dataclass(frozen=True)
class Row:
    """What the toolchain knows of one kind of op.

    inputs:   roles of the input tensors, in order; "*" after the last role: one or more of it
    attrs:    attribute -> default (REQUIRED: none)
    shape:    (op, input shapes) -> output shape; raises BadGraph
    channels: (op, shapes by tensor name) -> links: which coordinates must be cut together when channels go.
              An axis that an op's links do not mention cannot be cut there.
    macs:     (op, input shapes, output shape) -> multiply-accumulates for one sample
    dtypes:   of the activations that it computes on: "float32", "int8"
    result:   (op, input dtypes) -> the output's dtype; None where the output says itself (conversions)
    """

    inputs: tuple[str, ...]
    shape: shapes.Rule
    channels: Callable[[Op, Mapping[str, Shape]], list[Link]]
    attrs: Mapping[str, object] = field(default_factory=dict)
    macs: Callable[[Op, list[Shape], Shape], int] = lambda op, shapes, out: 0
    dtypes: tuple[str, ...] = ("float32", "int8")
    result: Callable[[Op, list[str]], str | None] = _as_first

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


def output_shape(op: Op, input_shapes: list[Shape]) -> Shape:
    """The shape that `op` gives for inputs of these shapes. Raises BadGraph where they do not go together."""
    return OPS[op.kind].shape(op, input_shapes)


def output_dtype(op: Op, dtypes: list[str]) -> str | None:
    """The dtype that `op` gives for inputs of these dtypes; None where it may be any."""
    return OPS[op.kind].result(op, dtypes)


def op_macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates of one op for one sample, at all steps of a loop that repeats it."""
    once = OPS[op.kind].macs(op, [t.shape for t in graph.of(op)], graph.tensors[op.name].shape)
    return once * repeats(graph).get(op.name, 1) if once else 0


def graph_macs(graph: Graph) -> int:
    """Multiply-accumulates of the whole graph for one sample."""
    return sum(op_macs(graph, op) for op in graph.ops)


# MAC counts -------------------------------------------------------------------------------------------------

def _conv2d_macs(op: Op, shapes: list[Shape], out: Shape) -> int:
    return int(np.prod(out) * np.prod(shapes[1][1:]))


def _depthwise_macs(op: Op, shapes: list[Shape], out: Shape) -> int:
    return int(np.prod(out) * np.prod(shapes[1][1:3]))


def _transpose_conv2d_macs(op: Op, shapes: list[Shape], out: Shape) -> int:
    """Every input value meets every tap of the kernel, those that the pads cut off included."""
    return int(np.prod(shapes[0]) * np.prod(shapes[1][:3]))


def _fully_connected_macs(op: Op, shapes: list[Shape], out: Shape) -> int:
    return int(np.prod(out) * shapes[1][1])


def _batch_matmul_macs(op: Op, shapes: list[Shape], out: Shape) -> int:
    return int(np.prod(out) * shapes[0][-2 if op.attrs["transpose_a"] else -1])


# The table --------------------------------------------------------------------------------------------------

_TRANSPOSE_CONV = {"stride": (1, 1), "pads": (0, 0, 0, 0), "activation": None}
_CONV = {**_TRANSPOSE_CONV, "dilation": (1, 1)}
_POOL = {"kernel": REQUIRED, "stride": (1, 1), "pads": (0, 0, 0, 0), "activation": None}
_REDUCTION = {"axes": REQUIRED, "keepdims": False}
_RESIZE = {"size": REQUIRED, "align_corners": False, "half_pixel_centers": False}
_FLOAT = ("float32",)


def _unary(dtypes=("float32", "int8"), **attrs) -> Row:
    return Row(("x",), shapes.same, channels.aligned, attrs, dtypes=dtypes)


def _binary(**attrs) -> Row:
    return Row(("a", "b"), shapes.broadcast, channels.aligned, attrs)


def _reduction() -> Row:
    return Row(("x",), shapes.reduction, channels.reduction, _REDUCTION)


def _to_bool(op: Op, dtypes: list[str]) -> str:
    return "bool"


def _as_asked(op: Op, dtypes: list[str]) -> str:
    return op.attrs["to"]


OPS: Mapping[str, Row] = {
    # weighted
    "conv2d": Row(("x", "weight", "bias"), shapes.conv2d, channels.conv2d, _CONV, _conv2d_macs),
    "depthwise_conv2d": Row(("x", "weight", "bias"), shapes.depthwise_conv2d, channels.depthwise,
                            {**_CONV, "multiplier": 1}, _depthwise_macs),
    "transpose_conv2d": Row(("x", "weight", "bias"), shapes.transpose_conv2d, channels.matrix,
                            _TRANSPOSE_CONV, _transpose_conv2d_macs),
    "fully_connected": Row(("x", "weight", "bias"), shapes.fully_connected, channels.fully_connected,
                           {"activation": None}, _fully_connected_macs),
    "batch_matmul": Row(("a", "b"), shapes.batch_matmul, channels.batch_matmul,
                        {"transpose_a": False, "transpose_b": False}, _batch_matmul_macs),
    # normalization
    "batch_norm": Row(("x", "gamma", "beta", "mean", "variance"), shapes.batch_norm, channels.aligned,
                      {"epsilon": REQUIRED}, dtypes=_FLOAT),
    "layer_norm": Row(("x", "gamma", "beta"), shapes.layer_norm, channels.layer_norm,
                      {"axes": REQUIRED, "epsilon": REQUIRED}),
    # element by element, two operands
    "add": _binary(activation=None),
    "sub": _binary(activation=None),
    "mul": _binary(activation=None),
    "div": _binary(activation=None),
    "minimum": _binary(),
    "maximum": _binary(),
    "pow": _binary(),
    # element by element
    "relu": _unary(),
    "relu6": _unary(),
    "leaky_relu": _unary(alpha=REQUIRED),
    "prelu": Row(("x", "alpha"), shapes.parametric, channels.aligned),
    "elu": _unary(),
    "gelu": _unary(approximate=False),
    "hard_swish": _unary(),
    "softplus": _unary(),
    "logistic": _unary(),
    "tanh": _unary(),
    "abs": _unary(),
    "neg": _unary(),
    "exp": _unary(),
    "log": _unary(),
    "sqrt": _unary(),
    "rsqrt": _unary(),
    "softmax": Row(("x",), shapes.same, channels.softmax, {"beta": 1.0}),
    "log_softmax": Row(("x",), shapes.same, channels.softmax),
    # pooling and reduction
    "average_pool2d": Row(("x",), shapes.pool2d, channels.window, _POOL),
    "max_pool2d": Row(("x",), shapes.pool2d, channels.window, _POOL),
    "mean": _reduction(),
    "sum": Row(("x",), shapes.reduction, channels.total, _REDUCTION),
    "reduce_max": _reduction(),
    "reduce_min": _reduction(),
    "argmax": Row(("x",), shapes.argmax, channels.argmax, {"axis": REQUIRED, "to": "int64"},
                  result=_as_asked),
    # images
    "resize_nearest": Row(("x",), shapes.resize, channels.window, _RESIZE),
    "resize_bilinear": Row(("x",), shapes.resize, channels.window, _RESIZE),
    "depth_to_space": Row(("x",), shapes.depth_to_space, channels.depth_to_space, {"block": REQUIRED}),
    "space_to_depth": Row(("x",), shapes.space_to_depth, channels.space_to_depth, {"block": REQUIRED}),
    # moving data
    "pad": Row(("x",), shapes.pad, channels.pad, {"pads": REQUIRED, "value": 0.0}),
    "mirror_pad": Row(("x",), shapes.mirror_pad, channels.mirror_pad, {"pads": REQUIRED, "mode": "reflect"}),
    "concat": Row(("x*",), shapes.concat, channels.concat, {"axis": REQUIRED}),
    "slice": Row(("x",), shapes.slice_, channels.slice_,
                 {"begin": REQUIRED, "end": REQUIRED, "strides": REQUIRED}),
    "gather": Row(("x", "indices"), shapes.gather, channels.gather, {"axis": REQUIRED}),
    "tile": Row(("x",), shapes.tile, channels.tile, {"multiples": REQUIRED}),
    "reshape": Row(("x",), shapes.reshape, channels.reshape, {"shape": REQUIRED}),
    "transpose": Row(("x",), shapes.transpose, channels.transpose, {"perm": REQUIRED}),
    # loops
    "step": Row(("x",), shapes.step, channels.step, {"loop": REQUIRED, "axis": REQUIRED, "reverse": False}),
    "state": Row(("initial", "next"), shapes.same, channels.aligned, {"loop": REQUIRED}),
    "sequence": Row(("x",), shapes.sequence, channels.sequence,
                    {"loop": REQUIRED, "axis": REQUIRED, "steps": REQUIRED, "reverse": False}),
    "last": Row(("x",), shapes.same, channels.aligned, {"loop": REQUIRED}),
    # logic and types
    "compare": Row(("a", "b"), shapes.broadcast, channels.aligned, {"relation": REQUIRED}, dtypes=_FLOAT,
                   result=_to_bool),
    "logical_and": Row(("a", "b"), shapes.broadcast, channels.aligned, dtypes=("bool",)),
    "logical_or": Row(("a", "b"), shapes.broadcast, channels.aligned, dtypes=("bool",)),
    "logical_not": Row(("x",), shapes.same, channels.aligned, dtypes=("bool",)),
    "select": Row(("condition", "a", "b"), shapes.broadcast, channels.aligned,
                  result=lambda op, dtypes: dtypes[1]),
    "cast": Row(("x",), shapes.same, channels.aligned, {"to": REQUIRED}, dtypes=_FLOAT, result=_as_asked),
    # between reals and codes
    "quantize": Row(("x",), shapes.same, channels.aligned, result=lambda op, dtypes: None),
    "dequantize": Row(("x",), shapes.same, channels.aligned, dtypes=("int8",),
                      result=lambda op, dtypes: "float32"),
}
