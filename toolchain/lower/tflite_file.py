"""The flatbuffer that a .tflite file is: tensors, buffers and operators in order of first use.

The file stands alone: every buffer is inside the flatbuffer (TFLite Micro reads nothing else), aligned to
16 bytes as the schema asks, and equal constants are stored once. Source: TFLite schema version 3.
"""

from collections.abc import Mapping, Sequence

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain import __version__
from toolchain.ir.graph import Tensor
from toolchain.ir.quant import QuantParams
from toolchain.load.tflite_schema import SCHEMA_VERSION, TENSOR_TYPE, little_endian, packed
from toolchain.lower.nibbles import in_nibbles
from toolchain.lower.tflite_versions import oldest_runtime, operator_version


class TFLiteModel:
    """A model in the making. Everything is added once; `serialised` closes it."""

    def __init__(self):
        self._tensors: list[schema.TensorT] = []
        self._indexes: dict[str, int] = {}
        self._buffers: dict[bytes, int] = {b"": 0}
        self._codes: dict[tuple[str, int], int] = {}
        self._operators: list[schema.OperatorT] = []

    def tensor(self, tensor: Tensor) -> int:
        """The tensor's index in the file; it is added where it is new."""
        if tensor.name not in self._indexes:
            kind, content = _stored(tensor)
            self._indexes[tensor.name] = len(self._tensors)
            self._tensors.append(schema.TensorT(
                shape=np.array(tensor.shape, np.int32), name=tensor.name,
                type=getattr(schema.TensorType, kind), buffer=self._buffer(content),
                quantization=_quantization(tensor.quant)))
        return self._indexes[tensor.name]

    def operator(self, name: str, options: str | None, fields: Mapping[str, object],
                 inputs: Sequence[Tensor], output: Tensor) -> None:
        """Append a builtin operator; `fields` of its options table `options`."""
        version = operator_version(name, inputs, output, fields)
        operator = schema.OperatorT(
            opcodeIndex=self._codes.setdefault((name, version), len(self._codes)),
            inputs=np.array([self.tensor(t) for t in inputs], np.int32),
            outputs=np.array([self.tensor(output)], np.int32))
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")(**fields)
        self._operators.append(operator)

    def serialised(self, name: str, inputs: Sequence[str], outputs: Sequence[str],
                   metadata: Mapping[str, bytes], signature: Mapping[str, str]) -> bytes:
        """The file's bytes.

        signature: tensor -> its name in the signature "serving_default", where that is not the tensor's
        """
        runtime = oldest_runtime(set(self._codes)).encode().ljust(16, b"\0")
        entries = [schema.MetadataT(name=key, buffer=self._buffer(content))
                   for key, content in {"min_runtime_version": runtime, **metadata}.items()]
        subgraph = schema.SubGraphT(
            name=name, tensors=self._tensors, operators=self._operators,
            inputs=self._ports(inputs), outputs=self._ports(outputs))
        return packed(schema.ModelT(
            version=SCHEMA_VERSION, description=f"edge-toolchain {__version__}",
            operatorCodes=_operator_codes(self._codes), subgraphs=[subgraph], metadata=entries,
            signatureDefs=[self._signature(inputs, outputs, signature)],
            buffers=[schema.BufferT(data=np.frombuffer(content, np.uint8) if content else None)
                     for content in self._buffers]))

    def _buffer(self, content: bytes) -> int:
        return self._buffers.setdefault(content, len(self._buffers))

    def _ports(self, names: Sequence[str]) -> np.ndarray:
        return np.array([self._indexes[name] for name in names], np.int32)

    def _signature(self, inputs: Sequence[str], outputs: Sequence[str],
                   signature: Mapping[str, str]) -> schema.SignatureDefT:
        maps = ([schema.TensorMapT(name=signature.get(name, name), tensorIndex=self._indexes[name])
                 for name in names] for names in (inputs, outputs))
        return schema.SignatureDefT(*maps, signatureKey="serving_default", subgraphIndex=0)


def _stored(tensor: Tensor) -> tuple[str, bytes]:
    """Type in the file and the buffer's content."""
    if tensor.quant is not None and tensor.quant.dtype == "int4":
        return "INT4", in_nibbles(tensor.data)
    return TENSOR_TYPE[tensor.dtype], b"" if tensor.data is None else little_endian(tensor.data)


def _operator_codes(codes: Mapping[tuple[str, int], int]) -> list[schema.OperatorCodeT]:
    """Runtimes before TFLite 2.4 read the deprecated byte, where 127 means "look at the new field"."""
    numbers = [(getattr(schema.BuiltinOperator, name), version) for name, version in codes]
    return [schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=version)
            for code, version in numbers]


def _quantization(params: QuantParams | None) -> schema.QuantizationParametersT | None:
    if params is None:
        return None
    return schema.QuantizationParametersT(
        scale=np.atleast_1d(params.scale), zeroPoint=np.atleast_1d(params.zero_point).astype(np.int64),
        quantizedDimension=params.axis or 0)
