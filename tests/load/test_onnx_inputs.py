"""Inputs: open sizes are bound, types become those of a Graph, and what was done is said."""

import numpy as np
from onnx import TensorProto
import pytest

from tests.load.onnx_models import floats, model_of, node
from toolchain.errors import BadInput, BadModel, Unsupported
from toolchain.load import load
from toolchain.load.onnx import load_onnx

OPEN = model_of([node("Relu", "x", "y")], {"x": ("n", 3, "height", None)})


@pytest.mark.oracle
def test_open_sizes_are_bound_by_what_is_asked(tmp_path):
    (tmp_path / "net.onnx").write_bytes(OPEN)
    graph = load(tmp_path / "net.onnx", shapes={"x": (1, 3, 8, 6)})
    assert graph.tensors["x"].shape == (1, 3, 8, 6)
    assert graph.source.notes == ("input 'x' bound to (1, 3, 8, 6): 'n' = 1, 'height' = 8, no size = 6",)


def test_a_larger_batch_is_bound_to_1_where_the_graph_allows():
    model = model_of([node("Relu", "x", "y")], {"x": (8, 3)})
    graph = load_onnx(model, "net", shapes={"x": (1, 3)})
    assert graph.source.notes == ("input 'x' bound to (1, 3): 8 = 1",)


def test_what_is_open_comes_with_the_option_to_add():
    with pytest.raises(BadModel, match="net: input 'x' has 'height' at axis 2; .*: --shape x=1,3,224,224$"):
        load_onnx(OPEN, "net")


@pytest.mark.parametrize("shapes, reason", [
    ({"z": (1, 3)}, "a shape is given for z, which is no input; it has x"),
    ({"x": (1, 4, 8, 6)}, r"\(1, 4, 8, 6\) does not fit input 'x', which is \('n', 3, 'height', no size\)"),
    ({"x": (2, 3, 8, 6)}, "the first axis is the batch and must be 1"), ({"x": (1, 3)}, "does not fit input"),
    ({"x": (1, 3, 0, 6)}, "does not fit input"),
])
def test_shapes_that_do_not_fit(shapes, reason):
    with pytest.raises(BadInput, match=reason):
        load_onnx(OPEN, "net", shapes=shapes)


def test_shapes_are_for_onnx_alone(tmp_path):
    with pytest.raises(BadInput, match="a shape is given for x, but only .onnx models leave sizes open"):
        load(tmp_path / "net.tflite", shapes={"x": (1, 3)})


@pytest.mark.oracle
@pytest.mark.parametrize("element", [TensorProto.UINT8, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_pixels_and_other_floats_are_float32(element, tmp_path):
    dtypes = {"x": element, "y": TensorProto.FLOAT}
    nodes = [node("Cast", "x", "f", to=TensorProto.FLOAT), node("Mul", "f c", "y")]
    (tmp_path / "net.onnx").write_bytes(model_of(nodes, {"x": (1, 4)}, {"c": floats(0.5)}, dtypes=dtypes))
    graph = load(tmp_path / "net.onnx")
    assert graph.tensors["x"].dtype == "float32" and len(graph.source.notes) == 1


@pytest.mark.oracle
def test_a_half_precision_model_is_computed_in_float32(tmp_path):
    half = np.float16
    nodes = [node("Gemm", "x w", "a"), node("Clip", "a low high", "y")]
    constants = {"w": np.ones((4, 3), half), "low": half(-65504), "high": half(6)}
    (tmp_path / "net.onnx").write_bytes(model_of(
        nodes, {"x": (1, 4)}, constants, dtypes=dict.fromkeys("xy", TensorProto.FLOAT16)))
    graph = load(tmp_path / "net.onnx")
    assert [op.kind for op in graph.ops] == ["fully_connected", "minimum"]
    assert graph.source.notes == ("float16 computed in float32",)


def test_whole_numbers_come_in_as_they_are():
    for element in ("INT32", "INT64", "BOOL"):
        dtypes = dict.fromkeys("xy", TensorProto.DataType.Value(element))
        model = model_of([node("Identity", "x", "y")], {"x": (1, 4)}, dtypes=dtypes)
        assert load_onnx(model, "net").tensors["x"].dtype == element.lower()


def test_texts_are_refused():
    dtypes = dict.fromkeys("xy", TensorProto.STRING)
    model = model_of([node("Identity", "x", "y")], {"x": (1, 4)}, dtypes=dtypes)
    with pytest.raises(Unsupported, match="input 'x' is string; only float32, "):
        load_onnx(model, "net")
