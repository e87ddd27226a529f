"""Operator versions and the oldest runtime that knows them.

Source: op_version.cc and runtime_version.cc in LiteRT's tflite/tools/versioning, for the operators we write.
"""

from collections.abc import Mapping, Sequence, Set

from toolchain.ir.graph import Tensor

_INT8 = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1, "LEAKY_RELU": 1, "QUANTIZE": 1}
"""Version of an operator on int8; 2 where it is not listed."""

_BASE_RUNTIME = (1, 14, 0)
"""TFLite 1.14 brought the int8 kernels and QUANTIZE; of what we write, only these are younger."""
_YOUNGER = {
    ("MUL", 3): (1, 15, 0), ("RELU", 2): (2, 1, 0), ("SUB", 3): (2, 3, 0), ("TRANSPOSE", 4): (2, 3, 0),
    ("PAD", 4): (2, 6, 0), ("PADV2", 4): (2, 6, 0), ("TRANSPOSE", 6): (2, 12, 0)}


def operator_version(operator: str, inputs: Sequence[Tensor], output: Tensor,
                     options: Mapping[str, object]) -> int:
    """Version of a builtin operator for these tensors and options."""
    rank = max(len(tensor.shape) for tensor in inputs)
    if rank > 4 and operator == "TRANSPOSE":
        return 6 if rank > 5 else 4
    if rank > 4 and operator in ("PAD", "PADV2"):
        return 4
    if rank > 4 and operator == "SUB" and inputs[0].shape != inputs[1].shape:
        return 3
    if inputs[0].dtype == "int8":
        return 3 if operator == "MUL" and _grows(inputs, output) else _INT8.get(operator, 2)
    dilated = max(options.get("dilationHFactor", 1), options.get("dilationWFactor", 1)) > 1
    return 2 if operator == "DEPTHWISE_CONV_2D" and dilated else 1


def _grows(inputs: Sequence[Tensor], output: Tensor) -> bool:
    """Whether a product is requantized by 1 or more, which MUL takes from version 3 on."""
    a, b = (float(tensor.quant.scale) for tensor in inputs)
    return a * b / float(output.quant.scale) >= 1


def oldest_runtime(operators: Set[tuple[str, int]]) -> str:
    """Of a file with these (operator, version) pairs: "1.14.0" or later."""
    newest = max((_YOUNGER.get(pair, _BASE_RUNTIME) for pair in operators), default=_BASE_RUNTIME)
    return ".".join(map(str, newest))
