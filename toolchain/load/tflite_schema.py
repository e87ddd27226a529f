"""How an op kind stands in a .tflite file: what the door in and the door out share.

Source: the TFLite schema, version 3 (tflite/schema/schema.fbs), as generated Python in ai_edge_litert.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ai_edge_litert import schema_py_generated as schema
import flatbuffers
import numpy as np

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
ALIGNMENT = 16
"""Of buffers, in bytes (schema.fbs: force_align of Buffer.data)."""
METADATA_NAME = "edge-toolchain"
"""Of our own metadata entry: JSON with the graph's digest and its inputs' and outputs' permutations."""

TENSOR_TYPE: Mapping[str, str] = {
    "float32": "FLOAT32", "int8": "INT8", "uint8": "UINT8", "int16": "INT16", "int32": "INT32",
    "int64": "INT64", "bool": "BOOL"}
ACTIVATION: Mapping[str | None, str] = {None: "NONE", "relu": "RELU", "relu6": "RELU6"}


@dataclass(frozen=True)
class Builtin:
    """How one op kind is written.

    operator: name in schema.BuiltinOperator
    options:  name of the options table, None where the operator has none
    fields:   attribute -> option fields that hold it, two for a (height, width) pair
    constant: the attribute that is an int32 input tensor in the file, after the op's own inputs
    """

    operator: str
    options: str | None = None
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constant: str | None = None


_ACTIVATION = {"activation": ("fusedActivationFunction",)}
_STRIDE = {"stride": ("strideH", "strideW")}
_CONV = {**_STRIDE, "dilation": ("dilationHFactor", "dilationWFactor"), **_ACTIVATION}
_POOL = {**_STRIDE, "kernel": ("filterHeight", "filterWidth"), **_ACTIVATION}

BUILTIN: Mapping[str, Builtin] = {
    "conv2d": Builtin("CONV_2D", "Conv2DOptions", _CONV),
    "depthwise_conv2d": Builtin("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions",
                                {**_CONV, "multiplier": ("depthMultiplier",)}),
    "fully_connected": Builtin("FULLY_CONNECTED", "FullyConnectedOptions", _ACTIVATION),
    "add": Builtin("ADD", "AddOptions", _ACTIVATION),
    "sub": Builtin("SUB", "SubOptions", _ACTIVATION),
    "mul": Builtin("MUL", "MulOptions", _ACTIVATION),
    "relu": Builtin("RELU"),
    "relu6": Builtin("RELU6"),
    "leaky_relu": Builtin("LEAKY_RELU", "LeakyReluOptions", {"alpha": ("alpha",)}),
    "logistic": Builtin("LOGISTIC"),
    "tanh": Builtin("TANH"),
    "softmax": Builtin("SOFTMAX", "SoftmaxOptions", {"beta": ("beta",)}),
    "average_pool2d": Builtin("AVERAGE_POOL_2D", "Pool2DOptions", _POOL),
    "max_pool2d": Builtin("MAX_POOL_2D", "Pool2DOptions", _POOL),
    "mean": Builtin("MEAN", "ReducerOptions", {"keepdims": ("keepDims",)}, constant="axes"),
    "pad": Builtin("PAD", "PadOptions", constant="pads"),
    "concat": Builtin("CONCATENATION", "ConcatenationOptions", {"axis": ("axis",)}),
    "reshape": Builtin("RESHAPE", constant="shape"),
    "transpose": Builtin("TRANSPOSE", "TransposeOptions", constant="perm"),
    "quantize": Builtin("QUANTIZE", "QuantizeOptions"),
    "dequantize": Builtin("DEQUANTIZE", "DequantizeOptions"),
}
WINDOWED = frozenset(kind for kind, row in BUILTIN.items() if "stride" in row.fields)
"""Kinds whose options say SAME or VALID where the Graph has explicit pads."""


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
        content = little_endian(x)
        self.StartVector(x.itemsize, x.size, ALIGNMENT if x.dtype == np.uint8 else x.dtype.alignment)
        self.head -= len(content)
        self.Bytes[self.head:self.head + len(content)] = content
        return self.EndVector()


def packed(model: schema.ModelT) -> bytes:
    """The bytes of a file."""
    constants = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _AlignedBuilder(constants + 65536)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def little_endian(array: np.ndarray) -> bytes:
    """The array's bytes as a flatbuffer holds them."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
