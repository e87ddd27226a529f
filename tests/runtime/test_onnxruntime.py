"""ONNX Runtime's face: samples one by one in a batch-1 session, and one clear error for what cannot run."""

import numpy as np
from onnx import TensorProto, helper
import pytest

from toolchain.errors import BadModel, BadSamples
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.oracle


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(nodes, inputs, outputs, metadata=()) -> bytes:
    graph = helper.make_graph(nodes, "net", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata))
    return model.SerializeToString()


def softmax(batch=1, width=4, **metadata) -> bytes:
    return model_of([helper.make_node("Softmax", ["x"], ["y"])], [value("x", (batch, width))],
                    [value("y", (batch, width))], metadata)


def test_many_samples_come_stacked_as_if_run_one_by_one():
    session = OnnxRuntime(softmax())
    x = np.random.default_rng(0).standard_normal((5, 4), np.float32)
    y = session.run({"x": x})["y"]
    assert y.shape == (5, 4)
    np.testing.assert_array_equal(y[3:4], session.run({"x": x[3:4]})["y"])


@pytest.mark.parametrize("batch", [1, "batch", None])
def test_ports_tell_name_shape_and_dtype_and_bind_the_batch(batch):
    session = OnnxRuntime(softmax(batch))
    assert [(p.name, p.shape, p.dtype) for p in session.inputs] == [("x", (1, 4), "float32")]
    assert [(p.name, p.shape, p.dtype) for p in session.outputs] == [("y", (1, 4), "float32")]
    assert session.run({"x": np.zeros((2, 4), np.float32)})["y"].shape == (2, 4)


def test_integer_ports_have_numpys_names():
    shape = value("y", (2,), TensorProto.INT64)
    session = OnnxRuntime(model_of([helper.make_node("Shape", ["x"], ["y"])], [value("x", (1, 4))], [shape]))
    assert session.outputs[0].dtype == "int64"
    np.testing.assert_array_equal(session.run({"x": np.zeros((1, 4), np.float32)})["y"], [1, 4])


def test_an_axis_without_a_size_is_refused():
    with pytest.raises(BadModel, match=r"x: axes \[1\] of \[1, 'width'\] have no fixed size"):
        OnnxRuntime(softmax(width="width"))


@pytest.mark.parametrize("feeds, message", [
    ({"z": np.zeros((1, 4), np.float32)}, "no samples for input x; the model takes x"),
    ({"x": np.zeros((1, 5), np.float32)}, r"input x: got float32 \(1, 5\), expected float32 \(N, 4\)"),
    ({"x": np.zeros((1, 4))}, r"input x: got float64 \(1, 4\), expected float32 \(N, 4\)"),
    ({"x": np.zeros((0, 4), np.float32)}, "got no samples"),
])
def test_wrong_feeds_are_named(feeds, message):
    with pytest.raises(BadSamples, match=message):
        OnnxRuntime(softmax()).run(feeds)


@pytest.mark.parametrize("model", [b"", b"nonsense", softmax()[:-20]], ids=["empty", "nonsense", "truncated"])
def test_bytes_that_are_no_model_are_refused(model, capfd):
    with pytest.raises(BadModel, match=rf"ONNX Runtime does not take this model \({len(model)} bytes\)"):
        OnnxRuntime(model)
    assert capfd.readouterr().err == ""


def test_a_model_that_fails_on_the_way_is_a_bad_model():
    """Reshape to a shape that is computed, and wrong."""
    nodes = [helper.make_node("Cast", ["x"], ["sizes"], to=TensorProto.INT64),
             helper.make_node("Squeeze", ["sizes"], ["shape"]),
             helper.make_node("Reshape", ["x", "shape"], ["y"])]
    session = OnnxRuntime(model_of(nodes, [value("x", (1, 2))], [value("y", (2, 1))]))
    assert session.run({"x": np.array([[2, 1]], np.float32)})["y"].shape == (2, 1)
    with pytest.raises(BadModel, match="ONNX Runtime cannot run this model: .*Reshape"):
        session.run({"x": np.array([[3, 3]], np.float32)})


def test_permutations_are_read_from_our_own_metadata():
    assert OnnxRuntime(softmax()).permutations == {}
    own = {"edge.permutations": '{"y": [0, 2, 3, 1]}'}
    assert OnnxRuntime(softmax(**own)).permutations == {"y": (0, 2, 3, 1)}
    with pytest.raises(BadModel, match="metadata entry edge.permutations is damaged"):
        OnnxRuntime(softmax(**{"edge.permutations": "{"}))
