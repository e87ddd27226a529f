"""Arithmetic, activations, logic and types are what ONNX Runtime computes."""

import numpy as np
from onnx import TensorProto
import pytest

from tests.load.onnx_models import (
    IMAGE,
    ROWS,
    assert_as_onnx_runtime,
    by_ops,
    floats,
    ints,
    model_of,
    node,
    normal,
    single,
)
from toolchain.errors import Unsupported
from toolchain.load.onnx import load_onnx

pytestmark = pytest.mark.oracle

TWO = {"x": IMAGE, "z": IMAGE}


def test_operators_of_one_input():
    for op in ("Elu", "Selu", "Celu", "HardSwish", "HardSigmoid", "Softplus", "Softsign", "ThresholdedRelu",
               "Abs", "Neg", "Exp", "Sigmoid", "Tanh", "Reciprocal"):
        assert_as_onnx_runtime(single(op, IMAGE))


@pytest.mark.parametrize("model", [
    single("Elu", IMAGE, alpha=0.3), single("Selu", IMAGE, alpha=1.2, gamma=0.7),
    single("Celu", IMAGE, alpha=2.5), single("HardSigmoid", IMAGE, alpha=0.3, beta=0.4),
    single("HardSigmoid", IMAGE, alpha=1 / 6, beta=0.5), single("ThresholdedRelu", IMAGE, alpha=0.7),
    single("Mish", IMAGE, opset=18), single("Gelu", IMAGE, opset=20),
    single("Gelu", IMAGE, opset=20, approximate="tanh"),
    single("PRelu", IMAGE, np.abs(normal(6, 1, 1))), single("PRelu", IMAGE, floats(0.2)),
    single("PRelu", IMAGE, normal(8)), single("PRelu", ROWS, normal(10)),
    single("Clip", IMAGE, np.float32(-1), np.float32(0.5)), single("Clip", IMAGE, None, np.float32(2)),
    single("Clip", IMAGE, np.float32(-2)), single("Clip", IMAGE, min=-1.0, max=1.0, opset=9),
    single("Pow", IMAGE, np.float32(2)), single("Pow", IMAGE, np.float32(3)), single("Pow", IMAGE, ints(2)),
    single("Pow", IMAGE, np.float32(4)), single("Pow", IMAGE, np.float32(1)),
], ids=by_ops)
def test_attributes(model):
    assert_as_onnx_runtime(model)


def test_a_parametric_relu_with_one_slope_is_leaky():
    assert [op.kind for op in load_onnx(single("PRelu", IMAGE, floats(0.2)), "net").ops] == ["leaky_relu"]


def test_roots_logarithms_and_powers_of_what_is_positive():
    for op in ("Sqrt", "Log"):
        nodes = [node("Abs", "x", "a"), node("Add", "a one", "b"), node(op, "b", "y")]
        assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, {"one": floats(1)}))
    for exponent in (0.5, 1.7, -1):
        nodes = [node("Abs", "x", "a"), node("Add", "a one", "b"), node("Pow", "b e", "y")]
        assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, {"one": floats(1), "e": floats(exponent)}))
    nodes = [node("Exp", "x", "a"), node("Pow", "a z", "y")]
    assert_as_onnx_runtime(model_of(nodes, {"x": ROWS, "z": ROWS}))


@pytest.mark.parametrize("nodes", [
    [node("Div", "x z", "y")], [node("Min", "x z", "y")], [node("Max", "x z c", "y")],
    [node("Sum", "x c z", "y")], [node("Mean", "x z c", "y")], [node("Mean", "x", "y")],
    [node("Div", "c x", "y")], [node("Sub", "c x", "y")],
    [node("Greater", "x z", "g"), node("Where", "g x c", "y")],
    [node("Less", "x z", "g"), node("LessOrEqual", "x c", "l"), node("Or", "g l", "o"), node("Not", "o", "n"),
     node("Cast", "n", "y", to=TensorProto.FLOAT)],
    [node("GreaterOrEqual", "x z", "g"), node("Equal", "x z", "l"), node("And", "g l", "o"),
     node("Xor", "g o", "n"), node("Where", "n x z", "y")],
], ids=lambda nodes: "-".join(made.op_type for made in nodes))
def test_operands(nodes):
    assert_as_onnx_runtime(model_of(nodes, TWO, {"c": np.abs(normal(6, 1, 1)) + 0.5}))


def test_whole_numbers_and_truth_values_flow():
    nodes = [node("Add", "x one", "a"), node("Mul", "a a", "b"), node("Less", "b limit", "y"),
             node("Cast", "b", "z", to=TensorProto.FLOAT), node("CastLike", "z x", "w")]
    constants = {"one": ints(1), "limit": ints(5)}
    dtypes = {"x": TensorProto.INT64, "y": TensorProto.BOOL, "w": TensorProto.INT64}
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": ROWS}, constants, ("y", "z", "w"), dtypes=dtypes))
    assert [graph.tensors[name].dtype for name in "xyzw"] == ["int64", "bool", "float32", "int64"]


def test_a_clip_of_whole_numbers():
    model = single("Clip", ROWS, ints(1)[0], ints(2)[0],
                   dtypes={"x": TensorProto.INT64, "y": TensorProto.INT64})
    assert_as_onnx_runtime(model)


def test_a_type_without_a_row_is_refused():
    with pytest.raises(Unsupported, match="casts to a type without a row; there are bool, float32, "):
        load_onnx(single("Cast", IMAGE, to=TensorProto.UINT16), "net")


def test_a_mask_of_minus_infinity_hides_by_a_number():
    mask = np.where(np.tri(*IMAGE[2:], dtype=bool), 0, -np.inf).astype(np.float32)
    nodes = [node("Add", "x mask", "masked"), node("Softmax", "masked", "y", axis=-1)]
    assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, {"mask": mask}))


def test_what_is_exported_to_guard_a_softmax_that_sees_nothing_goes():
    nodes = [node("Softmax", "x", "shares", axis=-1), node("IsNaN", "shares", "nowhere"),
             node("Where", "nowhere zero shares", "safe"), node("Relu", "safe", "y")]
    model = model_of(nodes, {"x": IMAGE}, {"zero": floats(0.0)})
    assert_as_onnx_runtime(model)
    assert [op.kind for op in load_onnx(model, "net").ops] == ["softmax", "relu"]
