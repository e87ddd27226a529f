"""Files of one builtin operator, of any kind, for tests of the .tflite door in."""

from collections.abc import Mapping, Sequence

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.load.tflite_schema import TENSOR_TYPE, little_endian, packed

Params = tuple[float, int]
"""(scale, zero point) of a tensor in codes."""


def one_operator(operator: str, inputs: Mapping[str, object], outputs: Mapping[str, tuple[int, ...]], *,
                 options: str | None = None, fields: Mapping[str, object] | None = None,
                 dtype: str = "float32", gives: str | None = None, quant: Mapping[str, Params] | None = None,
                 version: int = 1) -> bytes:
    """A file of one operator.

    inputs:  name -> an array (a constant) or a shape (an input, of `dtype`); outputs: name -> shape
    options: name of the options table; its `fields` as given, the others as the schema has them
    gives:   dtype of the outputs, where it is not `dtype`
    """
    tensors, buffers, quant = [], [schema.BufferT()], quant or {}
    for name, given in {**inputs, **outputs}.items():
        constant = isinstance(given, np.ndarray)
        kind = given.dtype.name if constant else (gives or dtype) if name in outputs else dtype
        tensors.append(schema.TensorT(
            name=name, shape=np.array(given.shape if constant else given, np.int32),
            type=getattr(schema.TensorType, TENSOR_TYPE[kind]), buffer=len(buffers) if constant else 0,
            quantization=_quantization(quant.get(name))))
        if constant:
            buffers.append(schema.BufferT(data=np.frombuffer(little_endian(given), np.uint8)))
    names = [*inputs, *outputs]
    op = schema.OperatorT(opcodeIndex=0, inputs=_indexes(names, inputs), outputs=_indexes(names, outputs))
    if options:
        op.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        op.builtinOptions = getattr(schema, f"{options}T")(**(fields or {}))
    code = getattr(schema.BuiltinOperator, operator)
    free = [name for name, given in inputs.items() if not isinstance(given, np.ndarray)]
    subgraph = schema.SubGraphT(tensors=tensors, operators=[op], inputs=_indexes(names, free),
                                outputs=_indexes(names, outputs))
    return packed(schema.ModelT(version=3, subgraphs=[subgraph], buffers=buffers, operatorCodes=[
        schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=version)]))


def _indexes(names: Sequence[str], wanted) -> np.ndarray:
    return np.array([names.index(name) for name in wanted], np.int32)


def _quantization(params: Params | None) -> schema.QuantizationParametersT | None:
    if params is None:
        return None
    return schema.QuantizationParametersT(scale=np.float32([params[0]]), zeroPoint=np.int64([params[1]]))
