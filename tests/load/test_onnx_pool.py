"""Pooling and reductions are what ONNX Runtime computes."""

from onnx import TensorProto
import pytest

from tests.load.onnx_models import IMAGE, ROWS, SEQUENCE, assert_as_onnx_runtime, by_ops, ints, single
from toolchain.errors import Unsupported
from toolchain.load.onnx import load_onnx

pytestmark = pytest.mark.oracle

WHOLE = {"y": TensorProto.INT64}


@pytest.mark.parametrize("model", [
    single("LpPool", IMAGE, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    single("LpPool", IMAGE, kernel_shape=[3, 2], p=1), single("GlobalLpPool", IMAGE),
    single("GlobalLpPool", IMAGE, p=1), single("LpNormalization", IMAGE, axis=1),
    single("LpNormalization", IMAGE, axis=-1, p=1), single("GlobalMaxPool", SEQUENCE),
], ids=by_ops)
def test_norms(model):
    assert_as_onnx_runtime(model)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2",
                                "ReduceSumSquare", "ReduceLogSumExp", "ReduceMean"])
def test_reductions(op):
    """Axes: attributes until opset 12 or 17, then an input."""
    assert_as_onnx_runtime(single(op, IMAGE, axes=[2, -1], opset=12))
    assert_as_onnx_runtime(single(op, IMAGE, axes=[1], keepdims=0, opset=12))
    assert_as_onnx_runtime(single(op, IMAGE, ints(1, 3), opset=18, keepdims=0))
    assert_as_onnx_runtime(single(op, IMAGE, opset=18, noop_with_empty_axes=1)) if op == "ReduceSum" else None


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("attrs", [{"axis": 1}, {"axis": -1, "keepdims": 0}])
def test_positions(op, attrs):
    assert_as_onnx_runtime(single(op, IMAGE, dtypes=WHOLE, **attrs))


@pytest.mark.parametrize("model, reason", [
    (single("ReduceSum", IMAGE), "reduces over the batch; name the other axes"),
    (single("ArgMax", ROWS, dtypes=WHOLE), "goes over the batch; name another axis"),
    (single("ArgMax", ROWS, dtypes=WHOLE, axis=1, select_last_index=1), "select_last_index=1"),
    (single("LpPool", IMAGE, kernel_shape=[2, 2], p=3), "p=3; only 1 and 2 have a row"),
], ids=by_ops)
def test_refusals(model, reason):
    with pytest.raises(Unsupported, match=reason):
        load_onnx(model, "net")
