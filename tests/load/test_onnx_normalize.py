"""Normalization is what ONNX Runtime computes."""

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
from toolchain.load.onnx import load_onnx

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("model", [
    single("LayerNormalization", IMAGE, normal(8), normal(8)), single("LayerNormalization", ROWS, normal(10)),
    single("LayerNormalization", IMAGE, normal(9, 8), normal(9, 8), axis=2, epsilon=1e-2),
    single("InstanceNormalization", IMAGE, normal(6), normal(6), epsilon=1e-3),
    single("InstanceNormalization", SEQUENCE, normal(6), normal(6)),
    single("GroupNormalization", IMAGE, normal(6), normal(6), num_groups=3, opset=21),
    single("GroupNormalization", IMAGE, normal(2), normal(2), num_groups=2, opset=18),
    single("RMSNormalization", IMAGE, normal(8), opset=23),
    single("LogSoftmax", IMAGE), single("LogSoftmax", IMAGE, axis=1), single("LogSoftmax", IMAGE, opset=11),
    single("MeanVarianceNormalization", IMAGE, axes=[2, 3]),
], ids=by_ops)
def test_normalization(model):
    assert_as_onnx_runtime(model)


def test_group_norm_as_torch_writes_it():
    nodes = [node("Reshape", "x split", "a"), node("InstanceNormalization", "a ones zeros", "b"),
             node("Reshape", "b whole", "c"), node("Mul", "c s", "d"), node("Add", "d b0", "y")]
    constants = {"split": ints(0, 2, -1), "ones": floats(1, 1), "zeros": floats(0, 0),
                 "whole": ints(1, 6, 9, 8), "s": normal(6, 1, 1), "b0": normal(6, 1, 1)}
    graph = load_onnx(model_of(nodes, {"x": IMAGE}, constants), "net")
    assert [op.kind for op in graph.ops] == ["reshape", "layer_norm", "reshape", "mul", "add"]
