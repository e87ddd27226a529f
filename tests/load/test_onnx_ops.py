"""Every operator that has a row computes what ONNX Runtime computes, in the forms of opsets 9 to 22."""

import numpy as np
from onnx import TensorProto
import pytest

from tests.load.onnx_models import (
    IMAGE,
    ROWS,
    SEQUENCE,
    assert_as_onnx_runtime,
    by_ops,
    floats,
    ints,
    model_of,
    node,
    normal,
    single,
)
from tests.op_cases import cases
from toolchain.ir.layout import channels_last
from toolchain.ir.ops import OPS
from toolchain.ir.passes import canonical
from toolchain.load.onnx import load_onnx
from toolchain.lower.onnx import write_onnx
from toolchain.runtime import reference

pytestmark = pytest.mark.oracle

BN = [np.abs(normal(6, seed=s)) + 0.5 for s in range(4)]

CONV = {
    "plain": ((4, 6, 3, 3), {}),
    "pads": ((4, 6, 3, 2), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "dilation": ((4, 6, 3, 3), {"dilations": [2, 1], "pads": [2, 1, 2, 1]}),
    "depthwise": ((6, 1, 3, 3), {"group": 6, "pads": [1, 1, 1, 1]}),
    "multiplier": ((12, 1, 3, 3), {"group": 6, "strides": [2, 2]}),
    "same_upper": ((4, 6, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same_lower": ((4, 6, 3, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    "valid": ((4, 6, 3, 4), {"auto_pad": "VALID", "strides": [2, 3]}),
}
CONV_1D = {
    "plain": ((4, 6, 3), {"pads": [1, 1]}),
    "dilation": ((4, 6, 3), {"dilations": [3], "strides": [2], "pads": [4, 2]}),
    "depthwise": ((12, 1, 5), {"group": 6}),
    "same_upper": ((4, 6, 4), {"auto_pad": "SAME_UPPER", "strides": [3]}),
}


@pytest.mark.parametrize("shape, kernel, attrs", [
    *((IMAGE, *case) for case in CONV.values()), *((SEQUENCE, *case) for case in CONV_1D.values())],
    ids=[*CONV, *(f"{name}-1d" for name in CONV_1D)])
def test_conv(shape, kernel, attrs):
    assert_as_onnx_runtime(single("Conv", shape, normal(*kernel), normal(kernel[0]), **attrs))
    assert_as_onnx_runtime(single("Conv", shape, normal(*kernel), opset=9, **attrs))


POOL = {
    "plain": {"kernel_shape": [2, 2]},
    "strides": {"kernel_shape": [3, 2], "strides": [2, 3]},
    "pads": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 2]},
    "ceil": {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1},
    "ceil_pads": {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    "same_upper": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same_lower": {"kernel_shape": [2, 2], "strides": [1, 1], "auto_pad": "SAME_LOWER"},
}


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("name", POOL)
def test_pooling(op, name):
    for opset in (10, 17, 22):
        assert_as_onnx_runtime(single(op, IMAGE, opset=opset, **POOL[name]))


@pytest.mark.parametrize("name", ["plain", "strides", "pads", "same_upper"])
def test_average_pool_can_count_its_pads(name):
    assert_as_onnx_runtime(single("AveragePool", IMAGE, count_include_pad=1, **POOL[name]))


@pytest.mark.parametrize("model", [
    single("MaxPool", SEQUENCE, kernel_shape=[3], strides=[2], pads=[1, 0]),
    single("AveragePool", SEQUENCE, kernel_shape=[3], strides=[2], pads=[1, 1], count_include_pad=1),
    single("AveragePool", SEQUENCE, kernel_shape=[4], strides=[3], ceil_mode=1),
    *(single(op, shape) for op in ("GlobalAveragePool", "GlobalMaxPool") for shape in (IMAGE, SEQUENCE)),
    *(single("BatchNormalization", shape, *BN, epsilon=0.01) for shape in (IMAGE, SEQUENCE, (1, 6))),
    single("BatchNormalization", IMAGE, *BN, opset=9),
    single("ReduceMean", IMAGE, axes=[2, 3]),
    single("ReduceMean", IMAGE, axes=[-1, 1], keepdims=0, opset=11),
    single("ReduceMean", IMAGE, ints(-1, -2), opset=20),
    single("ReduceMean", IMAGE, ints(1), keepdims=0, opset=18),
    single("ReduceMean", IMAGE, noop_with_empty_axes=1, opset=18),
], ids=by_ops)
def test_normalization_and_averages(model):
    assert_as_onnx_runtime(model)


@pytest.mark.parametrize("model", [
    single("Gemm", ROWS, normal(10, 4)),
    single("Gemm", ROWS, normal(4, 10), normal(4), transB=1),
    single("Gemm", ROWS, normal(4, 10), normal(1, 4), transB=1, alpha=0.5, beta=2.0),
    single("Gemm", ROWS, normal(10, 4), floats(3), beta=0.25),
    single("Gemm", ROWS, normal(10, 4), np.float32(3)),
    single("Gemm", ROWS, normal(10, 1), normal(1), opset=9),
    single("MatMul", ROWS, normal(10, 4)),
    single("MatMul", SEQUENCE, normal(11, 4)),
    single("MatMul", IMAGE, normal(8, 4)),
], ids=by_ops)
def test_matrix_products(model):
    assert_as_onnx_runtime(model)


@pytest.mark.parametrize("model", [
    *(single(op, shape) for op in ("Relu", "Sigmoid", "Tanh", "LeakyRelu") for shape in (IMAGE, ROWS)),
    single("LeakyRelu", IMAGE, alpha=0.3),
    single("Clip", IMAGE, np.float32(0), np.float32(6)),
    single("Clip", IMAGE, np.float32(0)),
    single("Clip", IMAGE, np.float32(0), np.float32(np.inf)),
    single("Clip", IMAGE, np.float32(0), np.float32(np.finfo(np.float32).max)),
    single("Clip", IMAGE),
    single("Clip", IMAGE, min=0.0, max=6.0, opset=9),
    single("Clip", IMAGE, min=0.0, opset=10),
    *(single("Softmax", IMAGE, axis=axis) for axis in (1, 2, -1)),
    single("Softmax", IMAGE, opset=13),
    *(single("Softmax", IMAGE, axis=axis, opset=11) for axis in (1, 2, 3)),
    single("Softmax", ROWS, opset=9),
    *(single(op, IMAGE, operand) for op in ("Add", "Sub", "Mul", "Div")
      for operand in (normal(1, 6, 1, 1), normal(8), np.float32(3), normal(6, 1, 8))),
    single("Add", IMAGE, normal(*IMAGE), opset=9),
], ids=by_ops)
def test_activations_and_arithmetic(model):
    assert_as_onnx_runtime(model)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_arithmetic_of_two_inputs_and_constants_from_the_left(op):
    assert_as_onnx_runtime(model_of([node(op, "x z", "y")], {"x": IMAGE, "z": (1, 6, 1, 8)}))
    assert_as_onnx_runtime(model_of([node(op, "c x", "y")], {"x": IMAGE}, {"c": normal(6, 1, 1)}))
    assert_as_onnx_runtime(model_of([node(op, "x x", "y")], {"x": IMAGE}))


@pytest.mark.parametrize("model", [
    single("Concat", IMAGE, normal(1, 2, 9, 8), axis=1),
    single("Concat", IMAGE, normal(1, 6, 9, 3), axis=-1, opset=11),
    single("Pad", IMAGE, ints(0, 0, 1, 2, 0, 0, 3, 0)),
    single("Pad", IMAGE, ints(0, 1, 0, 0, 0, 0, 0, 0), np.float32(0)),
    single("Pad", IMAGE, ints(1, 2, 3, 4), None, ints(2, -1), opset=18),
    single("Pad", IMAGE, pads=[0, 0, 1, 1, 0, 0, 1, 1], opset=9),
    single("Reshape", IMAGE, ints(0, 6, -1)),
    single("Reshape", IMAGE, ints(1, 72, 6)),
    single("Reshape", IMAGE, ints(-1, 432), opset=9),
    single("Flatten", IMAGE),
    single("Flatten", IMAGE, axis=0),
    single("Flatten", (1, 4), axis=-1),
    single("Squeeze", (1, 6, 1, 8), ints(2)),
    single("Squeeze", (1, 6, 1, 8), axes=[-2], opset=11),
    single("Unsqueeze", ROWS, ints(1, -1)),
    single("Unsqueeze", ROWS, axes=[2], opset=11),
    single("Transpose", IMAGE, perm=[0, 2, 3, 1]),
    single("Transpose", SEQUENCE, perm=[0, 2, 1], opset=9),
    single("Identity", IMAGE),
    single("Dropout", IMAGE),
    single("Dropout", IMAGE, np.float32(0.5), np.array(False)),
    single("Dropout", IMAGE, ratio=0.3, opset=10),
    single("Cast", IMAGE, to=TensorProto.FLOAT),
], ids=by_ops)
def test_moving_data(model):
    assert_as_onnx_runtime(model)


@pytest.mark.parametrize("kind", [kind for kind in OPS if kind not in ("quantize", "dequantize")])
def test_what_the_door_out_writes_comes_back_as_the_same_op(kind):
    for case in cases(kind, "float32"):
        back = canonical(channels_last(load_onnx(write_onnx(case.graph), "net")))
        ours = reference.run(case.graph, case.feeds)["y"]
        feeds = {name: x.transpose(np.argsort(back.permutations.get(name, range(x.ndim))))
                 for name, x in case.feeds.items() if name in back.inputs}
        got = reference.run(back, feeds)["y"]
        got = got.transpose(back.permutations.get("y", range(got.ndim)))
        assert got.dtype == ours.dtype
        apart = np.abs(got.astype(np.float64) - ours)
        assert apart.max() <= 1e-5 * max(1, np.abs(ours).max()), case.name


def test_a_pad_in_front_of_a_max_pool_is_judged_by_the_specification():
    nodes = [node("Pad", "x pads", "d"), node("MaxPool", "d", "y", kernel_shape=[2, 2], strides=[2, 2])]
    assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, {"pads": ints(0, 0, 1, 0, 0, 0, 0, 1)}))
