"""TFLite's 8-bit quantization before version 2.0: codes of activations and weights are uint8, and weights
have a zero point. The door takes codes 128 lower, as int8; inputs and outputs stay uint8, a QUANTIZE away.
"""

from dataclasses import replace

import numpy as np

from toolchain.load.tflite_hybrid import is_hybrid
from toolchain.load.tflite_records import FileOp, FileTensor, TFLiteFile

_SHIFT = 128
_BORDERS = frozenset({"QUANTIZE", "DEQUANTIZE"})
"""Operators that convert uint8 at the borders of today's networks too."""


def is_unsigned(file: TFLiteFile) -> bool:
    """Whether its operators compute on uint8 codes, and none on int8 ones."""
    read = [file.tensors[i] for op in file.ops if op.operator not in _BORDERS
            for i in (*op.inputs, *op.outputs) if i >= 0]
    dtypes = {t.dtype for t in read if t.data is None and t.scale.size}
    return "uint8" in dtypes and "int8" not in dtypes


def signed(file: TFLiteFile) -> TFLiteFile:
    """The file in int8, if it is one of uint8; the values that its inputs and outputs have inside are called
    "NAME:codes".
    """
    if not is_unsigned(file):
        return file
    hybrid = {op.inputs[1] for op in file.ops if is_hybrid(file, op)}
    ports = [i for i in dict.fromkeys((*file.inputs, *file.outputs)) if _is_codes(file.tensors[i])]
    inner = {port: len(file.tensors) + i for i, port in enumerate(ports)}
    tensors = [_lowered(t) if _is_codes(t) and t.index not in {*hybrid, *ports} else t for t in file.tensors]
    tensors += [replace(_lowered(tensors[port]), index=index, name=f"{tensors[port].name}:codes")
                for port, index in inner.items()]
    before = [_quantize(file, port, inner[port]) for port in file.inputs if port in inner]
    after = [_quantize(file, inner[port], port) for port in file.outputs
             if port in inner and port not in file.inputs]
    ops = [replace(op, inputs=tuple(inner.get(i, i) for i in op.inputs),
                   outputs=tuple(inner.get(i, i) for i in op.outputs)) for op in file.ops]
    return replace(file, tensors=tuple(tensors), ops=(*before, *ops, *after), unsigned=True)


def _is_codes(tensor: FileTensor) -> bool:
    return tensor.dtype == "uint8" and tensor.scale.size > 0


def _lowered(tensor: FileTensor) -> FileTensor:
    """The same reals in int8."""
    data = None if tensor.data is None else (tensor.data.astype(np.int16) - _SHIFT).astype(np.int8)
    return replace(tensor, dtype="int8", data=data, zero_point=tensor.zero_point - _SHIFT)


def _quantize(file: TFLiteFile, x: int, y: int) -> FileOp:
    return FileOp(len(file.ops), "QUANTIZE", {}, (x,), (y,))
