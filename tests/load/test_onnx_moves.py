"""Operators that move data give what ONNX Runtime gives."""

import numpy as np
from onnx import TensorProto, helper
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
from toolchain.errors import BadModel, Unsupported
from toolchain.load.onnx import load_onnx
from toolchain.load.onnx_file import read_onnx
from toolchain.runtime import reference
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.oracle

PADS = ints(0, 0, 1, 2, 0, 0, 3, 1)


@pytest.mark.parametrize("model", [
    single("Pad", IMAGE, PADS, np.float32(-1.5)), single("Pad", IMAGE, PADS, mode="reflect"),
    single("Pad", IMAGE, PADS, mode="edge"), single("Pad", IMAGE, ints(0, 1, -2, 3, 0, 0, 1, -1)),
    single("Pad", IMAGE, ints(0, 0, -1, -2, 0, 0, 0, -1)),
    single("Pad", SEQUENCE, ints(0, 0, 2, 0, 1, 3), mode="edge"),
    single("Pad", IMAGE, ints(0, 0, -1, 2, 0, 0, 3, -1), mode="edge"),
    single("Pad", IMAGE, opset=9, pads=PADS.tolist(), value=2.0),
    single("Pad", IMAGE, ints(1, 2), None, ints(3), opset=18, mode="reflect"),
], ids=by_ops)
def test_pads(model):
    assert_as_onnx_runtime(model)


@pytest.mark.parametrize("model", [
    single("Slice", IMAGE, ints(1, -3), ints(6, 100), ints(2, -1)),
    single("Slice", IMAGE, ints(0, 1), ints(100, 8), ints(1, 2), ints(2, 3)),
    single("Slice", IMAGE, ints(-1), ints(-(2**63)), ints(3), ints(-1)),
    single("Slice", IMAGE, ints(-2, 1), ints(-100, 3), ints(1, 2), ints(-2, 1)),
    single("Slice", IMAGE, ints(0), ints(2**63 - 1), ints(3)),
    single("Slice", IMAGE, opset=9, starts=[1, 2], ends=[4, 5], axes=[1, 3]),
], ids=by_ops)
def test_slices(model):
    assert_as_onnx_runtime(model)


@pytest.mark.parametrize("opset, sizes, attrs", [
    (11, (), {"split": [1, 2, 3]}), (11, (), {}), (13, (ints(4, 1, 1),), {}), (18, (), {"num_outputs": 3})])
def test_split(opset, sizes, attrs):
    constants = {"sizes": sizes[0]} if sizes else {}
    made = helper.make_node("Split", ["x", *constants], ["y", "z", "w"], axis=1, **attrs)
    graph = assert_as_onnx_runtime(model_of([made], {"x": IMAGE}, constants, ("y", "z", "w"), opset=opset))
    assert [op.name for op in graph.ops] == ["y", "z", "w"]


def test_a_split_of_which_a_part_is_not_used():
    """And has no name: onnxruntime would crash on the file as it is."""
    made = helper.make_node("Split", ["x"], ["y", ""], axis=1)
    file = read_onnx(model_of([made], {"x": IMAGE}, opset=11), "net")
    assert_as_onnx_runtime(file.with_outputs(()))


@pytest.mark.parametrize("model, kinds", [
    (single("Gather", IMAGE, np.array(2), axis=1), ["slice", "reshape"]),
    (single("Gather", IMAGE, np.array(-1), axis=3), ["slice", "reshape"]),
    (single("Gather", IMAGE, ints(1, 2, 3), axis=1), ["slice"]),
    (single("Gather", IMAGE, ints(4, 0, -2), axis=2), ["gather"]),
    (single("Gather", IMAGE, np.array([[0, 1], [4, 3]]), axis=2), ["gather"]),
    (single("Gather", IMAGE, np.array([[0, 1], [2, 3]]), axis=2), ["slice", "reshape"]),
    (single("Tile", IMAGE, ints(1, 2, 1, 3)), ["tile"]),
    (single("Expand", (1, 6, 1, 8), ints(1, 1, 9, 1)), ["tile"]),
    (single("Expand", (1, 1), ints(1, 3, 4)), ["reshape", "tile"]),
    (single("DepthToSpace", (1, 8, 3, 4), blocksize=2), ["transpose", "depth_to_space", "transpose"]),
    (single("DepthToSpace", (1, 12, 3, 4), blocksize=2, mode="CRD"),
     ["gather", "transpose", "depth_to_space", "transpose"]),
    (single("DepthToSpace", (1, 4, 3, 4), blocksize=2, mode="CRD"),
     ["transpose", "depth_to_space", "transpose"]),
    (single("SpaceToDepth", (1, 3, 4, 6), blocksize=2), ["transpose", "space_to_depth", "transpose"]),
], ids=lambda case: by_ops(case) if isinstance(case, bytes) else "")
def test_moves(model, kinds):
    assert [op.kind for op in assert_as_onnx_runtime(model).ops] == kinds


def test_an_embedding_is_a_gather_of_rows():
    model = model_of([node("Gather", "table x", "y")], {"x": (1, 5)}, {"table": normal(4, 3)},
                     dtypes={"x": TensorProto.INT64})
    graph = assert_as_onnx_runtime(model)
    assert [op.kind for op in graph.ops] == ["gather"]


@pytest.mark.parametrize("model, reason", [
    (single("Pad", IMAGE, PADS, mode="wrap", opset=19), "mode=wrap; only constant, reflect, edge have a row"),
    (single("Pad", ROWS, ints(1, 0, 0, 0)), "pads the batch"),
    (single("Slice", IMAGE, ints(5), ints(5), ints(2)), "gives no elements at all"),
    (single("Split", ROWS, axis=0, opset=11), "splits the batch"),
    (single("Gather", IMAGE, ints(0, 0)), r"output y: has shape \(2, 6, 9, 8\); the first"),
    (single("NonZero", IMAGE, dtypes={"y": TensorProto.INT64}), "its shape depends on the values"),
], ids=by_ops)
def test_refusals(model, reason):
    with pytest.raises(Unsupported, match=reason):
        load_onnx(model, "net")


@pytest.mark.parametrize("axis", [1, 2])
def test_an_index_for_each_element(axis):
    """One sample: the elements of two would lie in one row."""
    nodes = [node("ArgMax", "z", "i", axis=axis, keepdims=1), node("GatherElements", "x i", "y", axis=axis)]
    shapes = {"x": (1, 4, 5), "z": (1, 4, 5)}
    model = model_of(nodes, shapes, {"unused": floats(0)})
    feeds = {name: normal(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    got = reference.run(load_onnx(model, "net"), feeds)["y"]
    np.testing.assert_array_equal(got, OnnxRuntime(model).run(feeds)["y"])


def test_samples_may_be_cut_into_rows_and_put_together_again():
    nodes = [node("Reshape", "x rows", "a"), node("Slice", "a one four zero", "b"), node("Relu", "b", "c"),
             node("Reshape", "c whole", "y")]
    constants = {"rows": ints(6, 4), "one": ints(1), "four": ints(4), "zero": ints(0), "whole": ints(1, 12)}
    model = model_of(nodes, {"x": (1, 24)}, constants)
    x = normal(3, 24)
    got = reference.run(load_onnx(model, "net"), {"x": x})["y"]
    np.testing.assert_array_equal(got, OnnxRuntime(model).run({"x": x})["y"])


def test_indices_beyond_the_axis_are_named():
    with pytest.raises(BadModel, match="indices 0 to 9 of 9 along axis 2"):
        load_onnx(single("Gather", IMAGE, ints(0, 9), axis=2), "net")


def test_shapes_of_a_symbolic_batch_are_folded():
    """Shape -> Gather -> Concat -> Reshape, as exporters flatten."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n at", "v"),
             node("Concat", "v rest", "w", axis=0), node("Reshape", "x w", "y")]
    constants = {"zero": np.array(0), "at": ints(0), "rest": ints(-1)}
    graph = load_onnx(model_of(nodes, {"x": ("n", 6, 2, 2)}, constants), "net")
    assert [op.attrs["shape"] for op in graph.ops] == [(1, 24)]


def test_a_shape_computed_from_values_is_refused():
    nodes = [node("Cast", "x", "c", to=TensorProto.INT64), node("Reshape", "x c", "y")]
    with pytest.raises(Unsupported, match="Reshape at y: shape is computed from the input"):
        load_onnx(model_of(nodes, {"x": (1, 2)}, {"unused": floats(0)}), "net")
