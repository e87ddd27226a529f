"""Operator versions and the oldest runtime that knows them.

Source: op_version.cc and runtime_version.cc in LiteRT's tflite/tools/versioning, for the operators we write.
"""

from collections.abc import Mapping, Sequence, Set

from toolchain.ir.graph import Tensor

_INT8 = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "TILE": 3, "CAST": 3, **dict.fromkeys((
        "RESHAPE", "LEAKY_RELU", "QUANTIZE", "ELU", "HARD_SWISH", "NEG", "SQRT", "POW", "PRELU", "DIV",
        "SELECT_V2"), 1)}
"""Version of an operator on int8; 2 where it is not listed."""
_INT16 = {
    **dict.fromkeys(("CONV_2D", "GATHER", "SLICE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "MAXIMUM",
                     "MINIMUM", "MUL", "EQUAL"), 4),
    **dict.fromkeys(("DEPTHWISE_CONV_2D", "TRANSPOSE", "SUB"), 5), "FULLY_CONNECTED": 7,
    **dict.fromkeys(("LEAKY_RELU", "EXP", "LOG", "TRANSPOSE_CONV", "QUANTIZE", "NOT_EQUAL"), 2),
    **dict.fromkeys(("RESHAPE", "ELU", "HARD_SWISH", "NEG", "SQRT", "POW", "PRELU", "DIV", "SELECT_V2",
                     "TILE", "CAST", "ARG_MAX", "SUM", "STRIDED_SLICE", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH",
                     "GELU", "GREATER", "LESS_EQUAL", "LOG_SOFTMAX"), 1)}
"""Version of an operator on int16; 3 where it is not listed."""
_BOOL = {"TRANSPOSE": 3, "GATHER": 3, "STRIDED_SLICE": 3, "ARG_MAX": 3}
_INT32 = {"ABS": 5}
_INT64 = {"ADD": 4, "SUB": 4, "MUL": 5}
_VERSIONS: Mapping[str, tuple[Mapping[str, int], int]] = {
    "int8": (_INT8, 2), "int16": (_INT16, 3), "bool": (_BOOL, 1), "int32": (_INT32, 1), "int64": (_INT64, 1)}
"""dtype of the first activation -> versions by operator, and that of all others."""

_BEYOND_4D = {"TRANSPOSE": 4, "PAD": 4, "PADV2": 4, "SLICE": 5, "STRIDED_SLICE": 4}
"""Version of an operator on more than four dimensions."""
_BROADCAST_BEYOND_4D = {"SUB": 3, "DIV": 2, "MAXIMUM": 3, "MINIMUM": 3}

_BASE_RUNTIME = (1, 14, 0)
"""TFLite 1.14 brought the int8 kernels and QUANTIZE; of what we write, only these are younger."""
_YOUNGER = {
    ("ABS", 2): (2, 4, 0), ("ABS", 3): (2, 5, 0), ("ABS", 5): (2, 12, 0), ("ADD", 3): (2, 4, 0),
    ("ADD", 4): (2, 6, 0), ("ARG_MAX", 3): (2, 9, 0), ("AVERAGE_POOL_2D", 3): (2, 3, 0),
    ("BATCH_MATMUL", 1): (2, 3, 0), ("BATCH_MATMUL", 2): (2, 3, 0), ("BATCH_MATMUL", 3): (2, 4, 0),
    ("CAST", 3): (2, 8, 0), ("CONCATENATION", 3): (2, 3, 0), ("CONV_2D", 4): (2, 3, 0),
    ("CONV_2D", 5): (2, 4, 0), ("CONV_2D", 6): (2, 9, 0), ("CONV_2D", 7): (2, 11, 0),
    ("DEPTHWISE_CONV_2D", 4): (2, 2, 0), ("DEPTHWISE_CONV_2D", 5): (2, 3, 0),
    ("DEPTHWISE_CONV_2D", 6): (2, 3, 0), ("DEPTHWISE_CONV_2D", 7): (2, 11, 0),
    ("DEPTH_TO_SPACE", 1): (2, 1, 0), ("DEPTH_TO_SPACE", 2): (2, 5, 0), ("DEQUANTIZE", 3): (1, 15, 0),
    ("DEQUANTIZE", 5): (2, 18, 0), ("DEQUANTIZE", 6): (2, 18, 0), ("DIV", 2): (2, 3, 0),
    ("EQUAL", 4): (2, 12, 0), ("EXP", 2): (2, 12, 0), ("FULLY_CONNECTED", 7): (2, 3, 0),
    ("FULLY_CONNECTED", 10): (2, 11, 0), ("FULLY_CONNECTED", 12): (2, 17, 0), ("GATHER", 3): (1, 15, 0),
    ("GATHER", 4): (2, 4, 0), ("GELU", 1): (2, 9, 0), ("GELU", 2): (2, 9, 0),
    ("GREATER_EQUAL", 3): (2, 12, 0), ("HARD_SWISH", 1): (1, 15, 0), ("LEAKY_RELU", 2): (2, 3, 0),
    ("LESS", 3): (2, 12, 0), ("LOG", 2): (2, 12, 0), ("LOGISTIC", 3): (2, 3, 0), ("MAXIMUM", 3): (2, 3, 0),
    ("MAXIMUM", 4): (2, 3, 0), ("MAX_POOL_2D", 3): (2, 3, 0), ("MEAN", 3): (2, 4, 0),
    ("MINIMUM", 3): (2, 3, 0), ("MINIMUM", 4): (2, 3, 0), ("MIRROR_PAD", 2): (2, 3, 0),
    ("MIRROR_PAD", 3): (2, 12, 0), ("MUL", 3): (1, 15, 0), ("MUL", 4): (2, 3, 0), ("MUL", 5): (2, 6, 0),
    ("PAD", 3): (2, 4, 0), ("PAD", 4): (2, 6, 0), ("PADV2", 3): (2, 4, 0), ("PADV2", 4): (2, 6, 0),
    ("QUANTIZE", 2): (1, 15, 0), ("REDUCE_MAX", 3): (2, 5, 0), ("REDUCE_MIN", 3): (2, 5, 0),
    ("RELU", 2): (2, 1, 0), ("RELU", 3): (2, 5, 0), ("RELU6", 3): (2, 5, 0),
    ("RESIZE_BILINEAR", 3): (2, 2, 0), ("RESIZE_BILINEAR", 4): (2, 5, 0),
    ("RESIZE_NEAREST_NEIGHBOR", 3): (2, 3, 0), ("RESIZE_NEAREST_NEIGHBOR", 4): (2, 4, 0),
    ("RSQRT", 2): (2, 5, 0), ("RSQRT", 3): (2, 12, 0), ("SELECT_V2", 1): (2, 2, 0), ("SLICE", 4): (2, 4, 0),
    ("SLICE", 5): (2, 5, 0), ("SOFTMAX", 3): (2, 3, 0), ("STRIDED_SLICE", 3): (2, 1, 0),
    ("STRIDED_SLICE", 4): (2, 2, 0), ("SUB", 3): (2, 3, 0), ("SUB", 4): (2, 4, 0), ("SUB", 5): (2, 4, 0),
    ("SUM", 2): (1, 15, 0), ("TANH", 3): (2, 3, 0), ("TILE", 3): (2, 8, 0), ("TRANSPOSE", 3): (1, 15, 0),
    ("TRANSPOSE", 4): (2, 3, 0), ("TRANSPOSE", 5): (2, 4, 0), ("TRANSPOSE", 6): (2, 12, 0),
    ("TRANSPOSE_CONV", 2): (2, 2, 0), ("TRANSPOSE_CONV", 3): (2, 3, 0), ("TRANSPOSE_CONV", 4): (2, 13, 0)}


def operator_version(operator: str, inputs: Sequence[Tensor], output: Tensor,
                     options: Mapping[str, object]) -> int:
    """Version of a builtin operator for these tensors and options."""
    version = _WITH_OPTIONS.get(operator, lambda inputs, output, options: None)(inputs, output, options)
    return version or _by_rank(operator, inputs) or _by_dtype(operator, inputs)


def _by_rank(operator: str, inputs: Sequence[Tensor]) -> int | None:
    rank = max(len(tensor.shape) for tensor in inputs)
    if rank <= 4:
        return None
    if operator == "TRANSPOSE" and rank > 5:
        return 6
    if operator in _BROADCAST_BEYOND_4D and inputs[0].shape != inputs[1].shape:
        return _BROADCAST_BEYOND_4D[operator]
    return _BEYOND_4D.get(operator)


def _by_dtype(operator: str, inputs: Sequence[Tensor]) -> int:
    x = inputs[2 if operator == "TRANSPOSE_CONV" else 0]
    versions, others = _VERSIONS.get(x.dtype, ({}, 1))
    return versions.get(operator, others)


def _convolution(inputs, output, options) -> int | None:
    """4-bit weights, grouped, or int8 weights under float activations, per tensor or per channel."""
    x, weight = inputs[:2]
    if _in_4_bits(weight):
        return 7
    if x.shape[-1] != weight.shape[-1]:
        return 6
    return (5 if weight.quant.axis is not None else 2) if _is_hybrid(x, weight) else None


def _depthwise(inputs, output, options) -> int | None:
    x, weight = inputs[:2]
    if _in_4_bits(weight):
        return 7
    if _is_hybrid(x, weight):
        return 6 if weight.quant.axis is not None else 4
    dilated = max(options.get("dilationHFactor", 1), options.get("dilationWFactor", 1)) > 1
    return 2 if dilated and x.dtype in ("float32", "uint8") else None


def _fully_connected(inputs, output, options) -> int | None:
    x, weight = inputs[:2]
    if _in_4_bits(weight):
        return 10
    return (12 if weight.quant.axis is not None else 3) if _is_hybrid(x, weight) else None


def _in_4_bits(tensor: Tensor) -> bool:
    return tensor.quant is not None and tensor.quant.dtype == "int4"


def _is_hybrid(x: Tensor, weight: Tensor) -> bool:
    return x.dtype == "float32" and weight.dtype == "int8"


def _transpose_conv(inputs, output, options) -> int:
    return 4 if options.get("fusedActivationFunction") else 3


def _mul(inputs, output, options) -> int | None:
    """A product of int8 that is requantized by 1 or more."""
    if inputs[0].dtype != "int8":
        return None
    a, b = (float(tensor.quant.scale) for tensor in inputs)
    return 3 if a * b / float(output.quant.scale) >= 1 else None


def _resize(inputs, output, options) -> int | None:
    if inputs[0].dtype == "int16":
        return 4
    return 3 if options.get("halfPixelCenters") else None


def _resize_nearest(inputs, output, options) -> int | None:
    return _resize(inputs, output, options) or (3 if options.get("alignCorners") else None)


def _dequantize(inputs, output, options) -> int | None:
    x = inputs[0]
    if x.dtype == "float16":
        return 3
    if _in_4_bits(x):
        return 6
    return 5 if x.quant.axis is not None else None


_WITH_OPTIONS = {
    "CONV_2D": _convolution, "DEPTHWISE_CONV_2D": _depthwise, "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv, "MUL": _mul, "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize_nearest, "DEQUANTIZE": _dequantize,
    "QUANTIZE": lambda inputs, output, options: 2 if output.dtype == "int16" else None}
"""Operators whose version depends on more than dtype and rank: (inputs, output, options) -> it, or None."""


def oldest_runtime(operators: Set[tuple[str, int]]) -> str:
    """Of a file with these (operator, version) pairs: "1.14.0" or later."""
    newest = max((_YOUNGER.get(pair, _BASE_RUNTIME) for pair in operators), default=_BASE_RUNTIME)
    return ".".join(map(str, newest))
