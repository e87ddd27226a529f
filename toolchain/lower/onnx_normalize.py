"""How normalization over axes is written in ONNX (operator specification, opset 17)."""

from collections.abc import Mapping

import numpy as np

from toolchain.ir.graph import Op, Shape
from toolchain.ir.quant import dequantize
from toolchain.lower.onnx_weighted import Writes
from toolchain.lower.onnx_writer import OnnxWriter


def _softmax(writer: OnnxWriter, op: Op) -> None:
    x = writer.real(op.inputs[0])
    if op.attrs["beta"] != 1:
        x = writer.node("Mul", [x, writer.scalar(op.attrs["beta"])], f"{op.name}:scaled")
    writer.compute(op, "Softmax", [x], axis=-1)


def _log_softmax(writer: OnnxWriter, op: Op) -> None:
    writer.compute(op, "LogSoftmax", [writer.real(op.inputs[0])], axis=-1)


def _layer_norm(writer: OnnxWriter, op: Op) -> None:
    """LayerNormalization over the last axes; InstanceNormalization over all behind the channels; else what
    is normalized goes last for it."""
    shape = writer.graph.tensors[op.inputs[0]].shape
    axes = tuple(sorted(op.attrs["axes"]))
    first = len(shape) - len(axes)
    if axes != tuple(range(first, len(shape))):
        return _turned(writer, op, shape, axes)
    if first == 2 and len(shape) > 2 and _lie_along(writer, op, shape, (1,)):
        parameters = _spread(writer, op, shape[1:2], (1,) * (len(shape) - 2))
        return writer.compute(op, "InstanceNormalization", [writer.real(op.inputs[0]), *parameters],
                              epsilon=op.attrs["epsilon"])
    if _lie_along(writer, op, shape, axes):
        parameters = _spread(writer, op, shape[first:])
        return writer.compute(op, "LayerNormalization", [writer.real(op.inputs[0]), *parameters],
                              axis=first, epsilon=op.attrs["epsilon"])
    _affine(writer, op, _plain(writer, op, writer.real(op.inputs[0]), shape[first:]))


def _lie_along(writer: OnnxWriter, op: Op, shape: Shape, axes: tuple[int, ...]) -> bool:
    """Whether gamma and beta are known and differ along these axes alone."""
    for tensor in writer.graph.of(op)[1:]:
        full = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
        if not tensor.is_constant or any(n != 1 for axis, n in enumerate(full) if axis not in axes):
            return False
    return True


def _spread(writer: OnnxWriter, op: Op, shape: Shape, behind: Shape = ()) -> list[str]:
    """gamma and beta with one value for each of `shape`; `behind`: unit axes that follow it in the graph."""
    names = []
    for tensor, role in zip(writer.graph.of(op)[1:], ("gamma", "beta")):
        reals = tensor.data if tensor.quant is None else dequantize(tensor.data, tensor.quant)
        rank = len((*shape, *behind))
        whole = np.broadcast_to(reals.reshape(tensor.shape[-rank:]), (*shape, *behind)).reshape(shape)
        same = tensor.quant is None and whole.shape == tensor.shape
        names.append(writer.constant(tensor.name if same else f"{op.name}:{role}", whole))
    return names


def _plain(writer: OnnxWriter, op: Op, x: str, shape: Shape) -> str:
    """Normalized over its last axes, which have `shape`, without gamma and beta."""
    ones = writer.constant(f":ones{shape}", np.ones(shape, np.float32))
    return writer.node("LayerNormalization", [x, ones], f"{op.name}:normalized",
                       axis=-len(shape), epsilon=op.attrs["epsilon"])


def _turned(writer: OnnxWriter, op: Op, shape: Shape, axes: tuple[int, ...]) -> None:
    perm = (*(axis for axis in range(len(shape)) if axis not in axes), *axes)
    last = writer.node("Transpose", [writer.real(op.inputs[0])], f"{op.name}:last", perm=perm)
    y = _plain(writer, op, last, tuple(shape[axis] for axis in axes))
    back = [int(axis) for axis in np.argsort(perm)]
    _affine(writer, op, writer.node("Transpose", [y], f"{op.name}:back", perm=back))


def _affine(writer: OnnxWriter, op: Op, x: str) -> None:
    _, gamma, beta = op.inputs
    scaled = writer.node("Mul", [x, writer.real(gamma)], f"{op.name}:scaled")
    writer.compute(op, "Add", [scaled, writer.real(beta)])


NORMALIZE: Mapping[str, Writes] = {"softmax": _softmax, "log_softmax": _log_softmax,
                                   "layer_norm": _layer_norm}
