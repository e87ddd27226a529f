"""Convolutions, transposed ones and products of matrices are what ONNX Runtime computes."""

import numpy as np
from onnx import helper
import pytest

from tests.load.onnx_models import (
    IMAGE,
    ROWS,
    SEQUENCE,
    assert_as_onnx_runtime,
    model_of,
    node,
    normal,
    single,
)
from toolchain.errors import Unsupported
from toolchain.ir.layout import channels_last, transposes
from toolchain.load.onnx import load_onnx

pytestmark = pytest.mark.oracle

TRANSPOSED = {
    "plain": ((6, 4, 3, 3), {}),
    "k3 s2 p1 op1": ((6, 4, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    "uneven": ((6, 4, 3, 2), {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [0, 2]}),
    "dilation": ((6, 4, 3, 2), {"dilations": [2, 3], "pads": [1, 1, 2, 1], "strides": [1, 2]}),
    "same_upper": ((6, 4, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same_lower": ((6, 4, 4, 3), {"auto_pad": "SAME_LOWER", "strides": [3, 2]}),
    "valid": ((6, 4, 4, 3), {"auto_pad": "VALID", "strides": [3, 2]}),
    "output_shape": ((6, 4, 3, 3), {"output_shape": [18, 15], "strides": [2, 2]}),
    "output_shape upper": ((6, 4, 3, 4), {"output_shape": [18, 15], "strides": [2, 2],
                                          "auto_pad": "SAME_UPPER"}),
    "groups": ((6, 2, 3, 3), {"group": 2, "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "depthwise": ((6, 1, 4, 4), {"group": 6, "strides": [2, 2], "pads": [1, 1, 1, 1]}),
}


@pytest.mark.parametrize("kernel, attrs", TRANSPOSED.values(), ids=TRANSPOSED)
def test_transposed_conv(kernel, attrs):
    made = kernel[1] * attrs.get("group", 1)
    assert_as_onnx_runtime(single("ConvTranspose", IMAGE, normal(*kernel), normal(made), **attrs))
    assert_as_onnx_runtime(single("ConvTranspose", IMAGE, normal(*kernel), opset=11, **attrs))


def test_a_transposed_conv_in_wide_groups_is_one_op_a_group():
    graph = assert_as_onnx_runtime(single("ConvTranspose", (1, 16, 3, 4), normal(16, 5, 2, 2), normal(10),
                                          group=2, strides=[2, 2]))
    assert [op.kind for op in graph.ops].count("transpose_conv2d") == 2


def test_transposed_conv_of_a_sequence():
    assert_as_onnx_runtime(single("ConvTranspose", SEQUENCE, normal(6, 4, 5), normal(4), strides=[3],
                                  pads=[2, 1], output_padding=[2]))


@pytest.mark.parametrize("group", [2, 3])
def test_conv_in_groups(group):
    model = single("Conv", IMAGE, normal(12, 6 // group, 3, 3), normal(12), group=group, pads=[1, 1, 1, 1])
    graph = assert_as_onnx_runtime(model)
    (conv,) = (op for op in graph.ops if op.kind == "conv2d")
    assert graph.tensors[conv.inputs[1]].shape == (12, 3, 3, 6 // group)
    assert transposes(channels_last(graph)) == 0


@pytest.mark.parametrize("shapes, attrs", [
    (((1, 5, 4), (1, 4, 6)), {}), (((1, 2, 5, 4), (1, 1, 4, 3)), {}), (((1, 5, 4), (1, 2, 4, 3)), {})])
def test_matmul_of_two_activations(shapes, attrs):
    graph = assert_as_onnx_runtime(model_of([node("MatMul", "x z", "y")], dict(zip("xz", shapes))))
    assert [op.kind for op in graph.ops] == ["batch_matmul"]


@pytest.mark.parametrize("nodes, shapes, constants", [
    ([node("MatMul", "c x", "y")], {"x": (1, 4, 5)}, {"c": normal(3, 4)}),
    ([node("MatMul", "x c", "y")], {"x": (1, 2, 3, 4)}, {"c": normal(2, 4, 5)}),
    ([node("MatMul", "x c", "y")], {"x": (1, 2, 3, 2, 4)}, {"c": normal(4, 5)}),
    ([node("Gemm", "x w z", "y", alpha=0.5, beta=2.0)], {"x": ROWS, "z": (1, 4)}, {"w": normal(10, 4)}),
], ids=["constant left", "batch of constants", "five axes", "gemm adds an activation"])
def test_products(nodes, shapes, constants):
    assert_as_onnx_runtime(model_of(nodes, shapes, constants))


def test_gemm_of_activations():
    """One sample: its batch would be multiplied otherwise."""
    model = model_of([helper.make_node("Gemm", ["x", "z"], ["y"], transA=1, transB=1, alpha=3.0)],
                     {"x": (1, 1), "z": (1, 1)})
    assert [op.kind for op in load_onnx(model, "net").ops] == ["batch_matmul", "mul"]


def test_weights_that_are_computed_are_named():
    model = model_of([node("Conv", "x z", "y")], {"x": IMAGE, "z": (1, 6, 3, 3)})
    with pytest.raises(Unsupported, match="Conv at y: weight is computed from the input; only constants"):
        load_onnx(model, "net")


def test_zeros_between_the_taps_are_the_dilation():
    graph = load_onnx(single("ConvTranspose", IMAGE, normal(6, 4, 2, 2), dilations=[3, 2]), "net")
    (weight,) = (t for t in graph.constants if len(t.shape) == 4)
    assert weight.shape == (4, 4, 3, 6) and np.count_nonzero(weight.data) == 6 * 4 * 4
