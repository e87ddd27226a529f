"""How ops with weights, and products of matrices, are written in ONNX (operator specification, opset 17)."""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.lower.onnx_writer import OnnxWriter

Writes = Callable[[OnnxWriter, Op], None]


def onnx_pads(pads) -> list[int]:
    """(top, bottom, left, right) as ONNX orders them: all begins, then all ends."""
    top, bottom, left, right = pads
    return [top, left, bottom, right]


def _conv2d(writer: OnnxWriter, op: Op) -> None:
    """[O, kh, kw, I] is [O, I, kh, kw] in ONNX."""
    weight = writer.graph.tensors[op.inputs[1]].data.transpose(0, 3, 1, 2)
    channels = writer.graph.tensors[op.inputs[0]].shape[1]
    _convolution(writer, op, weight, group=channels // weight.shape[1])


def _depthwise_conv2d(writer: OnnxWriter, op: Op) -> None:
    """[1, kh, kw, C * multiplier] is [C * multiplier, 1, kh, kw] in ONNX, with C groups."""
    weight = writer.graph.tensors[op.inputs[1]].data.transpose(3, 0, 1, 2)
    _convolution(writer, op, weight, group=len(weight) // op.attrs["multiplier"])


def _convolution(writer: OnnxWriter, op: Op, weight: np.ndarray, group: int) -> None:
    x, weight_name, bias = op.inputs
    writer.compute(op, "Conv", [writer.real(x), writer.weight(weight_name, weight),
                                writer.weight(bias, writer.graph.tensors[bias].data)],
                   kernel_shape=weight.shape[2:], strides=op.attrs["stride"], dilations=op.attrs["dilation"],
                   pads=onnx_pads(op.attrs["pads"]), group=group)


def _transpose_conv2d(writer: OnnxWriter, op: Op) -> None:
    """[O, kh, kw, I] is [I, O, kh, kw] in ONNX; what the bias alone reaches at the end is output_padding,
    which must stay below the stride."""
    pads, stride = op.attrs["pads"], op.attrs["stride"]
    beyond = [-min(pad, 0) for pad in pads]
    if beyond[0] or beyond[2] or beyond[1] >= stride[0] or beyond[3] >= stride[1]:
        return _padded_transpose_conv2d(writer, op, beyond)
    x, _, bias = op.inputs
    inputs = [writer.real(x), _turned(writer, op), writer.weight(bias, writer.graph.tensors[bias].data)]
    writer.compute(op, "ConvTranspose", inputs, output_padding=[beyond[1], beyond[3]], **_stretch(writer, op))


def _padded_transpose_conv2d(writer: OnnxWriter, op: Op, beyond: list[int]) -> None:
    """Zeros around the sums, and the bias behind them."""
    x, _, bias = op.inputs
    sums = writer.node("ConvTranspose", [writer.real(x), _turned(writer, op)], f"{op.name}:sums",
                       **_stretch(writer, op))
    top, left, bottom, right = onnx_pads(beyond)
    pads = writer.constant(f"{op.name}:pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    padded = writer.node("Pad", [sums, pads], f"{op.name}:padded")
    values = writer.weight(bias, writer.graph.tensors[bias].data)
    column = writer.constant(":column", np.array([-1, 1, 1], np.int64))
    writer.compute(op, "Add", [padded, writer.node("Reshape", [values, column], f"{op.name}:bias")])


def _turned(writer: OnnxWriter, op: Op) -> str:
    name = op.inputs[1]
    return writer.weight(name, writer.graph.tensors[name].data.transpose(3, 0, 1, 2), axis=1)


def _stretch(writer: OnnxWriter, op: Op) -> dict[str, object]:
    cropped = [max(pad, 0) for pad in op.attrs["pads"]]
    return {"kernel_shape": writer.graph.tensors[op.inputs[1]].shape[1:3], "strides": op.attrs["stride"],
            "pads": onnx_pads(cropped)}


def _fully_connected(writer: OnnxWriter, op: Op) -> None:
    x, *parameters = op.inputs
    matrix, bias = (writer.weight(name, writer.graph.tensors[name].data) for name in parameters)
    writer.compute(op, "Gemm", [writer.real(x), matrix, bias], transB=1)


def _batch_matmul(writer: OnnxWriter, op: Op) -> None:
    writer.compute(op, "MatMul", [_matrix(writer, op, side) for side in (0, 1)])


def _matrix(writer: OnnxWriter, op: Op, side: int) -> str:
    """An operand, transposed where the op says so: as codes where it is quantized, so that onnxruntime finds
    DequantizeLinear right before MatMul."""
    name = op.inputs[side]
    if not op.attrs["transpose_a" if side == 0 else "transpose_b"]:
        return writer.real(name)
    tensor, turned = writer.graph.tensors[name], f"{op.name}:{'ab'[side]}"
    rank = len(tensor.shape)
    perm = (*range(rank - 2), rank - 1, rank - 2)
    if tensor.quant is None:
        return writer.node("Transpose", [writer.real(name)], turned, perm=perm)
    codes = writer.node("Transpose", [writer.raw(name)], f"{turned}:codes", perm=perm)
    return writer.node("DequantizeLinear", [codes, *writer.grid(tensor)], turned)


def _batch_norm(writer: OnnxWriter, op: Op) -> None:
    writer.compute(op, "BatchNormalization", list(map(writer.real, op.inputs)), epsilon=op.attrs["epsilon"])


WEIGHTED: Mapping[str, Writes] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "transpose_conv2d": _transpose_conv2d,
    "fully_connected": _fully_connected,
    "batch_matmul": _batch_matmul,
    "batch_norm": _batch_norm,
}
