"""Dynamic range quantization: integer weights under float activations, which a runtime quantizes itself.

The door dequantizes such weights, so that the Graph is nearer to the trained network than the runtime is. The
self-check therefore compares with the same file, its weights dequantized.
"""

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.quant import QuantParams, dequantize
from toolchain.load.tflite_file import read_tflite
from toolchain.load.tflite_records import FileOp, FileTensor, TFLiteFile
from toolchain.load.tflite_schema import BUILTIN, SCHEMA_VERSION, TENSOR_TYPE, little_endian, packed

_HYBRID = {BUILTIN[kind].operator for kind in (*WEIGHTED, "batch_matmul")}


def is_hybrid(file: TFLiteFile, op: FileOp) -> bool:
    """Whether the operator has an integer weight under float activations."""
    if op.operator not in _HYBRID or len(op.inputs) < 2 or -1 in op.inputs[:2]:
        return False
    x = op.inputs[2 if op.operator == "TRANSPOSE_CONV" and len(op.inputs) > 2 else 0]
    return file.tensors[x].dtype == "float32" and file.tensors[op.inputs[1]].dtype in ("int8", "uint8")


def float_weight(weight: FileTensor) -> np.ndarray:
    """The weight as float32. Raises ValueError where its scales cannot be."""
    sliced = weight.scale.size > 1
    scale, zero_point = (v if sliced else v[0] for v in (weight.scale, weight.zero_point))
    axis = weight.axis if sliced else None
    return dequantize(weight.data, QuantParams(scale, zero_point, axis, weight.dtype))


def with_float_weights(model: bytes, name: str) -> bytes:
    """The file with the weights of its hybrid operators dequantized; as it is where it has none."""
    file = read_tflite(model, name)
    hybrid = {op.inputs[1] for op in file.ops if is_hybrid(file, op)}
    if not hybrid:
        return model
    root = schema.Model.GetRootAs(model, 0)
    graph = root.Subgraphs(0)
    values = [float_weight(t) if t.index in hybrid else t.data for t in file.tensors]
    return packed(schema.ModelT(
        version=SCHEMA_VERSION,
        operatorCodes=[schema.OperatorCodeT.InitFromObj(root.OperatorCodes(i))
                       for i in range(root.OperatorCodesLength())],
        subgraphs=[schema.SubGraphT(
            tensors=[_tensor(t, value) for t, value in zip(file.tensors, values, strict=True)],
            inputs=np.array(file.inputs, np.int32), outputs=np.array(file.outputs, np.int32),
            operators=[schema.OperatorT.InitFromObj(graph.Operators(op.index)) for op in file.ops])],
        buffers=[schema.BufferT(), *map(_buffer, values)]))


def _tensor(tensor: FileTensor, value: np.ndarray | None) -> schema.TensorT:
    """Tensor i has buffer i + 1. Quantization is left out: what is left is float, but for axes and shapes."""
    dtype = tensor.dtype if value is None else value.dtype.name
    return schema.TensorT(name=tensor.name, shape=np.array(tensor.shape, np.int32), buffer=tensor.index + 1,
                          type=getattr(schema.TensorType, TENSOR_TYPE[dtype]))


def _buffer(value: np.ndarray | None) -> schema.BufferT:
    return schema.BufferT(data=None if value is None else np.frombuffer(little_endian(value), np.uint8))
