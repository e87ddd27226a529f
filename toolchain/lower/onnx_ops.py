"""How each kind of op is written in ONNX (operator specification, opset 17)."""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.lower.onnx_writer import OnnxWriter


def _pads(op: Op) -> list[int]:
    """(top, bottom, left, right) as ONNX orders them: all begins, then all ends."""
    top, bottom, left, right = op.attrs["pads"]
    return [top, left, bottom, right]


def _conv2d(writer: OnnxWriter, op: Op) -> None:
    """[O, kh, kw, I] is [O, I, kh, kw] in ONNX."""
    _convolution(writer, op, writer.graph.tensors[op.inputs[1]].data.transpose(0, 3, 1, 2), group=1)


def _depthwise_conv2d(writer: OnnxWriter, op: Op) -> None:
    """[1, kh, kw, C * multiplier] is [C * multiplier, 1, kh, kw] in ONNX, with C groups."""
    weight = writer.graph.tensors[op.inputs[1]].data.transpose(3, 0, 1, 2)
    _convolution(writer, op, weight, group=len(weight) // op.attrs["multiplier"])


def _convolution(writer: OnnxWriter, op: Op, weight: np.ndarray, group: int) -> None:
    x, weight_name, bias = op.inputs
    writer.compute(op, "Conv", [writer.real(x), writer.weight(weight_name, weight),
                                writer.weight(bias, writer.graph.tensors[bias].data)],
                   kernel_shape=weight.shape[2:], strides=op.attrs["stride"], dilations=op.attrs["dilation"],
                   pads=_pads(op), group=group)


def _fully_connected(writer: OnnxWriter, op: Op) -> None:
    x, *parameters = op.inputs
    matrix, bias = (writer.weight(name, writer.graph.tensors[name].data) for name in parameters)
    writer.compute(op, "Gemm", [writer.real(x), matrix, bias], transB=1)


def _batch_norm(writer: OnnxWriter, op: Op) -> None:
    writer.compute(op, "BatchNormalization", list(map(writer.real, op.inputs)), epsilon=op.attrs["epsilon"])


def _average_pool2d(writer: OnnxWriter, op: Op) -> None:
    """Padding does not count, which is ONNX's default."""
    writer.compute(op, "AveragePool", [writer.real(op.inputs[0])], **_window(op))


def _max_pool2d(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "MaxPool", **_window(op))


def _window(op: Op) -> dict[str, object]:
    return {"kernel_shape": op.attrs["kernel"], "strides": op.attrs["stride"], "pads": _pads(op)}


def _mean(writer: OnnxWriter, op: Op) -> None:
    """GlobalAveragePool where it is one: onnxruntime has an integer kernel for it, but none for
    ReduceMean."""
    x, axes, keepdims = op.inputs[0], op.attrs["axes"], op.attrs["keepdims"]
    rank = len(writer.graph.tensors[x].shape)
    if keepdims and rank > 2 and sorted(axes) == list(range(2, rank)):
        writer.compute(op, "GlobalAveragePool", [writer.real(x)])
    else:
        writer.compute(op, "ReduceMean", [writer.real(x)], axes=axes, keepdims=int(keepdims))


def _pad(writer: OnnxWriter, op: Op) -> None:
    """Codes are padded with the code of 0, the zero point."""
    out = writer.graph.tensors[op.name]
    on_codes = out.quant is not None and writer.keeps_codes(op)
    zero = writer.grid(out)[1] if on_codes else writer.constant(":0", np.float32(0))
    pads = np.array(op.attrs["pads"], np.int64).T.ravel()
    writer.move(op, "Pad", (writer.constant(f"{op.name}:pads", pads), zero))


def _concat(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "Concat", axis=op.attrs["axis"])


def _reshape(writer: OnnxWriter, op: Op) -> None:
    shape = np.array(writer.graph.tensors[op.name].shape, np.int64)
    writer.move(op, "Reshape", (writer.constant(f"{op.name}:shape", shape),))


def _transpose(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "Transpose", perm=op.attrs["perm"])


def _softmax(writer: OnnxWriter, op: Op) -> None:
    x = writer.real(op.inputs[0])
    if op.attrs["beta"] != 1:
        beta = writer.constant(f"{op.name}:beta", np.float32(op.attrs["beta"]))
        x = writer.node("Mul", [x, beta], f"{op.name}:scaled")
    writer.compute(op, "Softmax", [x], axis=-1)


def _leaky_relu(writer: OnnxWriter, op: Op) -> None:
    writer.compute(op, "LeakyRelu", [writer.real(op.inputs[0])], alpha=op.attrs["alpha"])


def _clamp(writer: OnnxWriter, op: Op) -> None:
    """relu and relu6 that no op could take in."""
    x, out = writer.real(op.inputs[0]), writer.graph.tensors[op.name]
    if out.quant is None:
        writer.activate(op.kind, x, op.name)
    else:
        writer.quantize(x, out, op.kind)


def _quantize(writer: OnnxWriter, op: Op) -> None:
    writer.quantize(writer.real(op.inputs[0]), writer.graph.tensors[op.name])


def _dequantize(writer: OnnxWriter, op: Op) -> None:
    x = writer.graph.tensors[op.inputs[0]]
    writer.node("DequantizeLinear", [writer.raw(x.name), *writer.grid(x)], op.name)


def _elementwise(op_type: str) -> Callable[[OnnxWriter, Op], None]:
    def write(writer: OnnxWriter, op: Op) -> None:
        writer.compute(op, op_type, list(map(writer.real, op.inputs)))
    return write


EMIT: Mapping[str, Callable[[OnnxWriter, Op], None]] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "fully_connected": _fully_connected,
    "batch_norm": _batch_norm,
    "add": _elementwise("Add"),
    "sub": _elementwise("Sub"),
    "mul": _elementwise("Mul"),
    "relu": _clamp,
    "relu6": _clamp,
    "leaky_relu": _leaky_relu,
    "logistic": _elementwise("Sigmoid"),
    "tanh": _elementwise("Tanh"),
    "softmax": _softmax,
    "average_pool2d": _average_pool2d,
    "max_pool2d": _max_pool2d,
    "mean": _mean,
    "pad": _pad,
    "concat": _concat,
    "reshape": _reshape,
    "transpose": _transpose,
    "quantize": _quantize,
    "dequantize": _dequantize,
}
