"""The INT8 rules, one row per kind of op.

Source: TensorFlow Lite 8-bit quantization specification (tensorflow.org/lite/performance/quantization_spec),
section "int8 quantized operator specifications"; a row names its entry there. For all rows: activations int8
per tensor, asymmetric; weights int8 in [-127, 127], symmetric, per channel along `ir.check.WEIGHTED`; biases
int32 with scale = scale of x * scale of weight, zero point 0; gamma and beta of layer_norm float32.

FULLY_CONNECTED is per channel too, as today's specification has it (older editions: per tensor). LiteRT 2.3,
TFLite Micro and tflite-runtime 2.14 all run it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.ops import APART, OPS
from toolchain.ir.quant import QuantParams

FREE = "free"
SAME = "same"
NUMBER = "number"
FLOAT = "float"
PLAIN = "plain"


@dataclass(frozen=True)
class Rule:
    """How an op's output gets its scale and zero point.

    output: FREE = from its observed range, SAME = its inputs' (all share one), or the fixed parameters;
            NUMBER = it reads codes and gives whole numbers; FLOAT = it computes on reals, between a
            dequantize and a quantize op; PLAIN = it reads and gives no reals, and stays as it is
    entry:  in the specification, or where else the rule is from
    """

    output: str | QuantParams
    entry: str


UNIT = QuantParams(1 / 256, -128)
"""[0, 1): probabilities."""
SIGNED_UNIT = QuantParams(1 / 128, 0)
"""[-1, 1)."""
LOG_UNIT = QuantParams(16 / 256, 127)
"""(-16, 0]: logarithms of probabilities."""



def at_width(params: QuantParams, dtype: str) -> QuantParams:
    """Fixed parameters of int8 codes as those of `dtype`: int16 reaches as far, symmetrically."""
    if dtype == "int8":
        return params
    reach = max(abs((code - int(params.zero_point)) * float(params.scale)) for code in (-128, 128))
    return QuantParams(reach / 32768, 0, dtype=dtype)


_SAME_SCALE = "{}: input and outputs must all have same scale/zero_point"
_NO_ENTRY = "no entry; TFLite's kernel {} requantizes"
_TABLE = "no entry; 256 codes, 256 results"
_CODES = "no entry; TFLite's kernel {} hands codes on"

RULES: Mapping[str, Rule] = {
    "conv2d": Rule(FREE, "CONV_2D"),
    "depthwise_conv2d": Rule(FREE, "DEPTHWISE_CONV_2D"),
    "transpose_conv2d": Rule(FREE, "no entry; as CONV_2D"),
    "fully_connected": Rule(FREE, "FULLY_CONNECTED"),
    "batch_matmul": Rule(FREE, "no entry; as FULLY_CONNECTED, but per tensor"),
    "layer_norm": Rule(FREE, "no entry; TFLite has no such operator"),
    "add": Rule(FREE, "ADD"),
    "sub": Rule(FREE, "SUB"),
    "mul": Rule(FREE, "MUL"),
    "div": Rule(FREE, _NO_ENTRY.format("div.cc")),
    "pow": Rule(FREE, _TABLE),
    "minimum": Rule(SAME, _SAME_SCALE.format("MINIMUM")),
    "maximum": Rule(SAME, _SAME_SCALE.format("MAXIMUM")),
    "relu": Rule(FREE, _NO_ENTRY.format("activations.cc")),
    "relu6": Rule(SAME, "no entry; TFLite Micro's activations.cc Relu6Quantized only clamps codes"),
    "leaky_relu": Rule(FREE, _NO_ENTRY.format("activations.cc")),
    "prelu": Rule(FREE, _NO_ENTRY.format("activations.cc")),
    "elu": Rule(FREE, _TABLE),
    "gelu": Rule(FREE, _TABLE),
    "hard_swish": Rule(FREE, _NO_ENTRY.format("activations.cc")),
    "softplus": Rule(FREE, _TABLE),
    "abs": Rule(FREE, _NO_ENTRY.format("elementwise.cc")),
    "neg": Rule(FREE, "no entry; as MUL by -1"),
    "exp": Rule(FREE, _TABLE),
    "log": Rule(FREE, _TABLE),
    "sqrt": Rule(FREE, _TABLE),
    "rsqrt": Rule(FREE, _TABLE),
    "logistic": Rule(UNIT, "LOGISTIC: (scale, zero_point) = (1.0 / 256.0, -128)"),
    "softmax": Rule(UNIT, "SOFTMAX: (scale, zero_point) = (1.0 / 256.0, -128)"),
    "log_softmax": Rule(LOG_UNIT, "LOG_SOFTMAX: (scale, zero_point) = (16.0 / 256.0, 127)"),
    "tanh": Rule(SIGNED_UNIT, "TANH: (scale, zero_point) = (1.0 / 128.0, 0)"),
    "average_pool2d": Rule(SAME, _SAME_SCALE.format("AVERAGE_POOL_2D")),
    "max_pool2d": Rule(SAME, _SAME_SCALE.format("MAX_POOL_2D")),
    "mean": Rule(FREE, "MEAN"),
    "sum": Rule(FREE, "SUM"),
    "reduce_max": Rule(SAME, "REDUCE_MAX: input and outputs must all have same scale/zero_point"),
    "reduce_min": Rule(SAME, "REDUCE_MIN: input and outputs must all have same scale/zero_point"),
    "argmax": Rule(NUMBER, "ARG_MAX: the output is no code"),
    "resize_nearest": Rule(SAME, _SAME_SCALE.format("RESIZE_NEAREST_NEIGHBOR")),
    "resize_bilinear": Rule(SAME, _SAME_SCALE.format("RESIZE_BILINEAR")),
    "depth_to_space": Rule(SAME, _CODES.format("depth_to_space.cc")),
    "space_to_depth": Rule(SAME, _CODES.format("space_to_depth.cc")),
    "pad": Rule(SAME, _SAME_SCALE.format("PAD")),
    "mirror_pad": Rule(SAME, _CODES.format("mirror_pad.cc")),
    "concat": Rule(SAME, _SAME_SCALE.format("CONCATENATION")),
    "slice": Rule(SAME, _SAME_SCALE.format("SLICE")),
    "gather": Rule(SAME, _SAME_SCALE.format("GATHER")),
    "tile": Rule(SAME, _CODES.format("tile.cc")),
    "reshape": Rule(SAME, _SAME_SCALE.format("RESHAPE")),
    "transpose": Rule(SAME, _SAME_SCALE.format("TRANSPOSE")),
    "step": Rule(SAME, "no entry; a place of a sequence"),
    "state": Rule(SAME, "no entry; what it becomes takes its place"),
    "sequence": Rule(SAME, "no entry; as PACK, which hands codes on"),
    "last": Rule(SAME, "no entry; the last of what is repeated"),
    "select": Rule(SAME, _SAME_SCALE.format("SELECT")),
    "compare": Rule(FLOAT, "no entry; reals compare, their codes at two scales do not"),
    "cast": Rule(FLOAT, "no entry; a code is not the whole number that it stands for"),
}

_NO_REALS = Rule(PLAIN, "no entry; whole numbers and truth values have no scale")
_COMPUTED = Rule(FLOAT, "no entry; weights and parameters that are computed have no codes of their own")
PARAMETERS = frozenset({"weight", "bias", "gamma", "beta", "alpha"})
"""Roles that only constants have an INT8 form for."""


def rule_of(graph: Graph, op: Op) -> Rule | None:
    """The rule for an op of a float graph: its kind's, PLAIN without reals, FLOAT for computed parameters.

    None for a kind without a row.
    """
    if op.kind not in OPS:
        return None
    if not any(t.dtype == "float32" for t in (*data_inputs(graph, op), graph.tensors[op.name])):
        return _NO_REALS
    parameters = [t for role, t in _roles(graph, op) if role in PARAMETERS]
    if op.kind == "pow":  # a table has one exponent
        parameters.append(graph.of(op)[1])
        if parameters[-1].size > 1:
            return _COMPUTED
    if averages_all(graph, op):
        return RULES["mean"]
    return RULES.get(op.kind) if all(t.is_constant for t in parameters) else _COMPUTED


def averages_all(graph: Graph, op: Op) -> bool:
    """Whether an average pool's one window is the whole map, more than a pixel. It is quantized as a mean,
    whose output has a range of its own: averages of many values lie closer together than these do."""
    return (op.kind == "average_pool2d" and op.attrs["kernel"] == graph.of(op)[0].shape[1:3] != (1, 1)
            and not any(op.attrs["pads"]) and op.attrs["activation"] is None)


def _roles(graph: Graph, op: Op) -> list[tuple[str, Tensor]]:
    """(role, tensor) of each input; the last role is that of all that follow."""
    roles = OPS[op.kind].inputs
    return [(roles[min(i, len(roles) - 1)], tensor) for i, tensor in enumerate(graph.of(op))]


def data_inputs(graph: Graph, op: Op) -> list[Tensor]:
    """The inputs that are activations, or constants in their place: not weights, indices, conditions."""
    return [tensor for role, tensor in _roles(graph, op) if role not in APART]


def require_rules(graph: Graph) -> None:
    """Raise Unsupported, listing every op without an INT8 form."""
    if without := [f"{op.name}: {op.kind} has no INT8 rule" for op in graph.ops if not rule_of(graph, op)]:
        subject = f"{graph.name} in INT8 ([quantize] scheme = \"float32\" leaves it in float)"
        raise Unsupported.listing(subject, without)


def observed(graph: Graph) -> list[str]:
    """The tensors whose range must be measured: reals that are inputs, or outputs with a range of their own.

    Raises Unsupported.
    """
    require_rules(graph)
    made = [op.name for op in graph.ops if rule_of(graph, op).output in (FREE, FLOAT)]
    return [name for name in (*graph.inputs, *made) if graph.tensors[name].dtype == "float32"]
