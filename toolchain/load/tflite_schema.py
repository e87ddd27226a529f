"""How an op kind stands in a .tflite file: what the door in and the door out share.

Source: the TFLite schema, version 3 (tflite/schema/schema.fbs), as generated Python in ai_edge_litert.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ai_edge_litert import schema_py_generated as schema
import flatbuffers
import numpy as np

FILE_IDENTIFIER = b"TFL3"
OLD_IDENTIFIERS = (b"TFL1", b"TFL2")
SCHEMA_VERSION = 3
ALIGNMENT = 16
"""Of buffers, in bytes (schema.fbs: force_align of Buffer.data)."""
METADATA_NAME = "edge-toolchain"
"""Of our own metadata entry: JSON with the graph's digest and its inputs' and outputs' permutations."""

TENSOR_TYPE: Mapping[str, str] = {
    "float32": "FLOAT32", "float16": "FLOAT16", "int8": "INT8", "uint8": "UINT8", "int16": "INT16",
    "int32": "INT32", "int64": "INT64", "bool": "BOOL"}
_ACTIVATIONS: Mapping[str | None, str] = {None: "NONE", "relu": "RELU", "relu6": "RELU6"}
CODES: Mapping[str, Mapping[object, int]] = {
    "activation": {kind: getattr(schema.ActivationFunctionType, name) for kind, name in _ACTIVATIONS.items()},
    "mode": {"reflect": schema.MirrorPadMode.REFLECT, "symmetric": schema.MirrorPadMode.SYMMETRIC},
    "to": {dtype: getattr(schema.TensorType, name) for dtype, name in TENSOR_TYPE.items()}}
"""Attributes whose values are numbers of an enumeration in the file."""


@dataclass(frozen=True)
class Builtin:
    """How one op kind is written.

    operator:  name in schema.BuiltinOperator
    options:   name of the options table, None where the operator has none
    fields:    attribute -> option fields that hold it, two for a (height, width) pair
    constants: attributes that are int32 input tensors in the file, after the op's own inputs
    """

    operator: str
    options: str | None = None
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: tuple[str, ...] = ()


_ACTIVATION = {"activation": ("fusedActivationFunction",)}
_STRIDE = {"stride": ("strideH", "strideW")}
_CONV = {**_STRIDE, "dilation": ("dilationHFactor", "dilationWFactor"), **_ACTIVATION}
_POOL = {**_STRIDE, "kernel": ("filterHeight", "filterWidth"), **_ACTIVATION}
_RESIZE = {"align_corners": ("alignCorners",), "half_pixel_centers": ("halfPixelCenters",)}


def _reduction(operator: str) -> Builtin:
    return Builtin(operator, "ReducerOptions", {"keepdims": ("keepDims",)}, ("axes",))


BUILTIN: Mapping[str, Builtin] = {
    "conv2d": Builtin("CONV_2D", "Conv2DOptions", _CONV),
    "depthwise_conv2d": Builtin("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions",
                                {**_CONV, "multiplier": ("depthMultiplier",)}),
    "transpose_conv2d": Builtin("TRANSPOSE_CONV", "TransposeConvOptions", {**_STRIDE, **_ACTIVATION}),
    "fully_connected": Builtin("FULLY_CONNECTED", "FullyConnectedOptions", _ACTIVATION),
    "batch_matmul": Builtin("BATCH_MATMUL", "BatchMatMulOptions",
                            {"transpose_a": ("adjX",), "transpose_b": ("adjY",)}),
    "add": Builtin("ADD", "AddOptions", _ACTIVATION),
    "sub": Builtin("SUB", "SubOptions", _ACTIVATION),
    "mul": Builtin("MUL", "MulOptions", _ACTIVATION),
    "div": Builtin("DIV", "DivOptions", _ACTIVATION),
    "minimum": Builtin("MINIMUM", "MaximumMinimumOptions"),
    "maximum": Builtin("MAXIMUM", "MaximumMinimumOptions"),
    "pow": Builtin("POW", "PowOptions"),
    "relu": Builtin("RELU"),
    "relu6": Builtin("RELU6"),
    "leaky_relu": Builtin("LEAKY_RELU", "LeakyReluOptions", {"alpha": ("alpha",)}),
    "prelu": Builtin("PRELU"),
    "elu": Builtin("ELU"),
    "gelu": Builtin("GELU", "GeluOptions", {"approximate": ("approximate",)}),
    "hard_swish": Builtin("HARD_SWISH", "HardSwishOptions"),
    "logistic": Builtin("LOGISTIC"),
    "tanh": Builtin("TANH"),
    "abs": Builtin("ABS", "AbsOptions"),
    "neg": Builtin("NEG", "NegOptions"),
    "exp": Builtin("EXP", "ExpOptions"),
    "log": Builtin("LOG"),
    "sqrt": Builtin("SQRT"),
    "rsqrt": Builtin("RSQRT"),
    "softmax": Builtin("SOFTMAX", "SoftmaxOptions", {"beta": ("beta",)}),
    "log_softmax": Builtin("LOG_SOFTMAX", "LogSoftmaxOptions"),
    "average_pool2d": Builtin("AVERAGE_POOL_2D", "Pool2DOptions", _POOL),
    "max_pool2d": Builtin("MAX_POOL_2D", "Pool2DOptions", _POOL),
    "mean": _reduction("MEAN"),
    "sum": _reduction("SUM"),
    "reduce_max": _reduction("REDUCE_MAX"),
    "reduce_min": _reduction("REDUCE_MIN"),
    "argmax": Builtin("ARG_MAX", "ArgMaxOptions", {"to": ("outputType",)}, ("axis",)),
    "resize_nearest": Builtin("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", _RESIZE, ("size",)),
    "resize_bilinear": Builtin("RESIZE_BILINEAR", "ResizeBilinearOptions", _RESIZE, ("size",)),
    "depth_to_space": Builtin("DEPTH_TO_SPACE", "DepthToSpaceOptions", {"block": ("blockSize",)}),
    "space_to_depth": Builtin("SPACE_TO_DEPTH", "SpaceToDepthOptions", {"block": ("blockSize",)}),
    "pad": Builtin("PAD", "PadOptions", constants=("pads",)),
    "mirror_pad": Builtin("MIRROR_PAD", "MirrorPadOptions", {"mode": ("mode",)}, ("pads",)),
    "concat": Builtin("CONCATENATION", "ConcatenationOptions", {"axis": ("axis",)}),
    "slice": Builtin("SLICE", "SliceOptions", constants=("begin", "size")),
    "gather": Builtin("GATHER", "GatherOptions", {"axis": ("axis",)}),
    "tile": Builtin("TILE", "TileOptions", constants=("multiples",)),
    "reshape": Builtin("RESHAPE", constants=("shape",)),
    "transpose": Builtin("TRANSPOSE", "TransposeOptions", constants=("perm",)),
    "logical_and": Builtin("LOGICAL_AND", "LogicalAndOptions"),
    "logical_or": Builtin("LOGICAL_OR", "LogicalOrOptions"),
    "logical_not": Builtin("LOGICAL_NOT", "LogicalNotOptions"),
    "select": Builtin("SELECT_V2", "SelectV2Options"),
    "cast": Builtin("CAST", "CastOptions", {"to": ("outDataType",)}),
    "quantize": Builtin("QUANTIZE", "QuantizeOptions"),
    "dequantize": Builtin("DEQUANTIZE", "DequantizeOptions"),
}
RELATION: Mapping[str, Builtin] = {
    "equal": Builtin("EQUAL", "EqualOptions"),
    "not_equal": Builtin("NOT_EQUAL", "NotEqualOptions"),
    "less": Builtin("LESS", "LessOptions"),
    "less_equal": Builtin("LESS_EQUAL", "LessEqualOptions"),
    "greater": Builtin("GREATER", "GreaterOptions"),
    "greater_equal": Builtin("GREATER_EQUAL", "GreaterEqualOptions"),
}
"""What a "compare" op asks -> its operator."""
PADV2 = Builtin("PADV2", "PadV2Options", constants=("pads",))
"""A "pad" op of something else than 0; the value follows the pads."""
STRIDED_SLICE = Builtin("STRIDED_SLICE", "StridedSliceOptions", constants=("begin", "end", "strides"))
"""A "slice" op whose strides are not all 1."""
SQUARED_DIFFERENCE = Builtin("SQUARED_DIFFERENCE", "SquaredDifferenceOptions")
WINDOWED = frozenset({"conv2d", "depthwise_conv2d", "average_pool2d", "max_pool2d"})
"""Kinds that slide a window, whose options say SAME or VALID where the Graph has explicit pads."""


def same_pads(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """(before, after) that SAME adds along one axis; the odd one goes after.

    Source: ComputePaddingWithOffset in TFLite's kernels/padding.h.
    """
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def short_float(value: float) -> float:
    """The shortest decimal that is the same float32: a file's 0.1 reads 0.1, not 0.10000000149."""
    return float(str(np.float32(value)))


class _AlignedBuilder(flatbuffers.Builder):
    """A flatbuffer builder whose byte vectors start at multiples of ALIGNMENT."""

    def CreateNumpyVector(self, x):
        content = memoryview(np.ascontiguousarray(x, x.dtype.newbyteorder("<")).reshape(-1).view(np.uint8))
        self.StartVector(x.itemsize, x.size, ALIGNMENT if x.dtype == np.uint8 else x.dtype.alignment)
        self.head -= len(content)
        self.Bytes[self.head:self.head + len(content)] = content
        return self.EndVector()


def packed(model: schema.ModelT) -> bytes:
    """The bytes of a file."""
    constants = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _AlignedBuilder(constants + 65536)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(memoryview(builder.Bytes)[builder.Head():])


def little_endian(array: np.ndarray) -> bytes:
    """The array's bytes as a flatbuffer holds them."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
