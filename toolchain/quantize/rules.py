"""The INT8 rules, one row per kind of op.

Source: TensorFlow Lite 8-bit quantization specification (tensorflow.org/lite/performance/quantization_spec),
section "int8 quantized operator specifications"; a row names its entry there. For all rows: activations int8
per tensor, asymmetric; weights int8 in [-127, 127], symmetric, per channel along `ir.check.WEIGHTED`; biases
int32 with scale = scale of x * scale of weight, zero point 0.

FULLY_CONNECTED is per channel too, as today's specification has it (older editions: per tensor). LiteRT 2.3,
TFLite Micro and tflite-runtime 2.14 all run it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from toolchain.errors import Unsupported
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import QuantParams

FREE = "free"
SAME = "same"


@dataclass(frozen=True)
class Rule:
    """How an op's output gets its scale and zero point.

    output: FREE = from its observed range, SAME = its inputs' (all share one), or the fixed parameters
    entry:  in the specification, or where else the rule is from
    """

    output: str | QuantParams
    entry: str


UNIT = QuantParams(1 / 256, -128)
"""[0, 1): probabilities."""
SIGNED_UNIT = QuantParams(1 / 128, 0)
"""[-1, 1)."""

RULES: Mapping[str, Rule] = {
    "conv2d": Rule(FREE, "CONV_2D"),
    "depthwise_conv2d": Rule(FREE, "DEPTHWISE_CONV_2D"),
    "fully_connected": Rule(FREE, "FULLY_CONNECTED"),
    "add": Rule(FREE, "ADD"),
    "sub": Rule(FREE, "SUB"),
    "mul": Rule(FREE, "MUL"),
    "mean": Rule(FREE, "MEAN"),
    "relu": Rule(FREE, "no entry; TFLite's kernel activations.cc requantizes"),
    "relu6": Rule(SAME, "no entry; TFLite Micro's activations.cc Relu6Quantized only clamps codes"),
    "leaky_relu": Rule(FREE, "no entry; TFLite's kernel activations.cc requantizes"),
    "logistic": Rule(UNIT, "LOGISTIC: (scale, zero_point) = (1.0 / 256.0, -128)"),
    "softmax": Rule(UNIT, "SOFTMAX: (scale, zero_point) = (1.0 / 256.0, -128)"),
    "tanh": Rule(SIGNED_UNIT, "TANH: (scale, zero_point) = (1.0 / 128.0, 0)"),
    "average_pool2d": Rule(SAME, "AVERAGE_POOL_2D: input and outputs must all have same scale/zero_point"),
    "max_pool2d": Rule(SAME, "MAX_POOL_2D: input and outputs must all have same scale/zero_point"),
    "pad": Rule(SAME, "PAD: input and outputs must all have same scale/zero_point"),
    "concat": Rule(SAME, "CONCATENATION: input and outputs must all have same scale/zero_point"),
    "reshape": Rule(SAME, "RESHAPE: input and outputs must all have same scale/zero_point"),
    "transpose": Rule(SAME, "TRANSPOSE: input and outputs must all have same scale/zero_point"),
}


def has_rule(graph: Graph, op: Op) -> bool:
    """Whether the op has an INT8 form here: a row, float32 in and out, constant weights."""
    return (op.kind in RULES and all(t.dtype == "float32" for t in (*graph.of(op), graph.tensors[op.name]))
            and (op.kind not in WEIGHTED or all(t.is_constant for t in graph.of(op)[1:])))


def require_rules(graph: Graph) -> None:
    """Raise Unsupported, listing every op without an INT8 form."""
    if without := [_reason(graph, op) for op in graph.ops if not has_rule(graph, op)]:
        subject = f"{graph.name} in INT8 ([quantize] scheme = \"float32\" leaves it in float)"
        raise Unsupported.listing(subject, without)


def _reason(graph: Graph, op: Op) -> str:
    if op.kind not in RULES:
        return f"{op.name}: {op.kind} has no INT8 rule"
    dtypes = ", ".join(f"{t.name} {t.dtype}" for t in (*graph.of(op), graph.tensors[op.name]))
    return f"{op.name}: {op.kind} of float32 tensors with constant weights has an INT8 form, not of {dtypes}"


def observed(graph: Graph) -> list[str]:
    """The tensors whose range must be measured: inputs, and outputs that are free. Raises Unsupported."""
    require_rules(graph)
    return [*graph.inputs, *(op.name for op in graph.ops if RULES[op.kind].output == FREE)]
