"""The ONNX door: what exporters leave in a file is folded; what does not go through is told all at once."""

from collections import Counter
import random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
import pytest

from tests.load.onnx_models import (
    IMAGE,
    ROWS,
    assert_as_onnx_runtime,
    by_ops,
    changed_bytes,
    changed_fields,
    floats,
    ints,
    model_of,
    node,
    normal,
    single,
)
from toolchain.errors import BadModel, ToolchainError, Unsupported
from toolchain.ir.layout import channels_last
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.load.onnx import load_onnx


@pytest.mark.oracle
def test_shape_arithmetic_is_folded():
    """x.view(x.size(0), -1) and F.pad as torch's older exporter writes them."""
    nodes = [
        node("Constant", "", "two", value=numpy_helper.from_array(ints(2))),
        node("ConstantOfShape", "two", "more", value=numpy_helper.from_array(ints(0))),
        node("Concat", "pairs more", "all", axis=0),
        node("Reshape", "all minus_by_two", "table"),
        node("Slice", "table last first rows back", "turned"),
        node("Transpose", "turned", "columns", perm=[1, 0]),
        node("Reshape", "columns minus_one", "flat"),
        node("Cast", "flat", "pads", to=TensorProto.INT64),
        node("Pad", "x pads", "padded"),
        node("Shape", "padded", "sizes"),
        node("Gather", "sizes zero", "batch", axis=0),
        node("Unsqueeze", "batch zeros", "head"),
        node("Concat", "head minus_one", "wanted", axis=0),
        node("Reshape", "padded wanted", "y"),
    ]
    constants = {"pairs": ints(1, 2, 3, 4, 0, 1), "minus_by_two": ints(-1, 2), "last": ints(-1),
                 "first": ints(-(2**63) + 1), "rows": ints(0), "back": ints(-1), "minus_one": ints(-1),
                 "zero": np.array(0, np.int64), "zeros": ints(0)}
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, constants))
    assert [op.kind for op in graph.ops] == ["pad", "reshape"]
    assert graph.ops[0].attrs["pads"] == ((0, 0), (0, 1), (3, 4), (1, 2))


@pytest.mark.oracle
def test_arithmetic_on_constants_is_folded():
    nodes = [node("Sqrt", "c", "root"), node("Neg", "root", "minus"), node("Div", "minus c", "ratio"),
             node("Mul", "x ratio", "scaled"), node("Div", "minus_seven minus_two", "three"),
             node("Range", "three six three", "eight"), node("Add", "eight five", "sizes"),
             node("ReduceProd", "sizes", "count"), node("Expand", "half count", "halves"),
             node("Identity", "halves", "same"), node("Add", "scaled same", "y")]
    constants = {"c": np.abs(normal(8)) + 1, "minus_seven": np.array(-7), "minus_two": np.array(-2),
                 "six": np.array(6), "five": ints(5), "half": floats(0.5)}
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, constants))
    assert [op.kind for op in graph.ops] == ["mul", "add"]


@pytest.mark.oracle
@pytest.mark.parametrize("shape, kind", [(ROWS, "fully_connected"), ((1, 3, 10), "conv2d")])
def test_a_bias_that_is_added_behind_a_matmul_is_a_bias(shape, kind):
    """As tf2onnx writes Dense, and torch's dynamo exporter a Linear layer on sequences."""
    nodes = [node("MatMul", "x w", "m"), node("Add", "m b", "s"), node("Relu", "s", "y")]
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": shape}, {"w": normal(10, 4), "b": normal(4)}))
    ops = canonical(channels_last(graph)).ops
    assert [op.kind for op in ops if op.kind != "reshape"] == [kind]


@pytest.mark.oracle
def test_an_output_keeps_its_name_through_identities_and_twice():
    nodes = [node("Relu", "x", "r"), node("Identity", "r", "y"), node("Dropout", "r", "z"),
             node("Identity", "x", "w")]
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": ROWS}, outputs=("y", "z", "w")))
    assert graph.outputs == ("y", "z", "w")
    again = canonical(channels_last(graph))
    assert again.outputs == ("y", "z", "w")


def test_everything_unsupported_is_listed_at_once():
    nodes = [node("LpPool", "x", "a", kernel_shape=[2, 2], p=3), node("Det", "x", "b"),
             node("Pad", "x pads", "d", mode="wrap"), node("Bernoulli", "d", "y")]
    constants = {"pads": ints(0, 0, 1, 1, 0, 0, 1, 1)}
    with pytest.raises(Unsupported) as error:
        load_onnx(model_of(nodes, {"x": IMAGE}, constants, opset=19), "net")
    assert error.value.items == (
        "LpPool at a: p=3; only 1 and 2 have a row",
        "Det at b: no row in the op table",
        "Pad at d: mode=wrap; only constant, reflect, edge have a row",
        "Bernoulli at y: no row in the op table (random numbers have no row: make them an input)")
    assert str(error.value).startswith("net: 4 unsupported:\n  LpPool at a: ")


@pytest.mark.parametrize("model, reason", [
    (single("Gemm", ROWS, normal(10, 4), normal(2, 4)), "C has shape (2, 4); only one value for each column"),
    (single("MaxPool", IMAGE, kernel_shape=[2, 2], dilations=[2, 2]), "dilations=(2, 2); only 1 has a row"),
    (single("AveragePool", IMAGE, kernel_shape=[4, 4], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1,
            count_include_pad=1), "ceil_mode with count_include_pad has no row"),
    (single("BatchNormalization", IMAGE, *[floats(*range(1, 7))] * 4, training_mode=1),
     "in training mode; export the model in evaluation mode"),
    (single("Concat", ROWS, normal(1, 10), axis=0), "joins batches; join along another axis"),
    (single("ReduceMean", IMAGE), "reduces over the batch; name the other axes"),
    (single("Softmax", IMAGE, axis=0), "goes over the batch; name another axis"),
    (single("Div", IMAGE, np.float32(0)), "divides by 0"),
    (single("Cast", IMAGE, to=TensorProto.UINT8), "casts to a type without a row"),
    (single("Conv", (1, 6, 4, 4, 4), normal(2, 6, 1, 1, 1)), "works on shape (1, 6, 4, 4, 4)"),
    (single("Conv", IMAGE, normal(2, 6, 1, 1).astype(np.int32)), "weight is int32; only float32 has"),
    (single("Reshape", IMAGE, ints(6, 72)), "output y: has shape (6, 72); the first axis must be the batch"),
    (model_of([helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")], {"x": ROWS}),
     "is of the domain com.microsoft; only ONNX's own operators have rows"),
    (model_of([helper.make_node("MaxPool", ["x"], ["y", "z"], kernel_shape=[1, 1])], {"x": IMAGE},
              outputs=("y", "z")), "more than its first output is used"),
    (model_of([node("Relu", "x", "y"), node("Identity", "c", "z")], {"x": ROWS}, {"c": normal(4)},
              outputs=("y", "z")), "output z: does not depend on the input"),
], ids=by_ops)
def test_attributes_without_a_row_say_so(model, reason):
    with pytest.raises(Unsupported) as error:
        load_onnx(model, "net")
    assert len(error.value.items) == 1 and reason in error.value.items[0]


def test_a_symbolic_batch_is_bound_to_1_and_said_so():
    graph = load_onnx(model_of([node("Relu", "x", "y")], {"x": ("batch", 4)}), "net")
    assert graph.tensors["x"].shape == (1, 4)
    assert graph.source.notes == ("batch bound to 1 (input 'x' has 'batch')",)


def test_other_axes_without_a_size_and_larger_batches_are_listed():
    model = model_of([node("Add", "x z", "y")], {"x": ("n", 3, "height", None), "z": (8, 3, 4, 4)})
    with pytest.raises(BadModel) as error:
        load_onnx(model, "net")
    assert str(error.value) == (
        "net: input 'x' has 'height' at axis 2; input 'x' has no size at axis 3; input 'z' takes 8 samples "
        "at once. Give the sizes: --shape x=1,3,224,224 --shape z=1,3,4,4")


def test_external_data_without_a_folder_and_other_opsets_are_refused_with_the_way_out():
    outside = onnx.load_from_string(single("Gemm", ROWS, normal(10, 4)))
    onnx.external_data_helper.set_external_data(outside.graph.initializer[0], "weights.bin")
    with pytest.raises(Unsupported, match="1 tensors keep their data in other files, the first is 'c0'"):
        load_onnx(outside.SerializeToString(), "net")
    with pytest.raises(Unsupported, match="net: opset 8; export it with opset 9 or later"):
        load_onnx(single("Relu", ROWS, opset=8), "net")
    with pytest.raises(Unsupported, match="net: opset 99; export it with opset 9 or later, up to"):
        proto = onnx.load_from_string(single("Relu", ROWS))
        proto.opset_import[0].version = 99
        load_onnx(proto.SerializeToString(), "net")


def test_no_other_file_is_opened_for_a_constant_inside_a_node(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(16))
    inside = numpy_helper.from_array(floats(1, 2, 3, 4), "inside")
    onnx.external_data_helper.set_external_data(inside, str(tmp_path / "secret"))
    model = model_of([node("Constant", "", "c", value=inside), node("Add", "x c", "y")], {"x": (1, 4)})
    with pytest.raises(Unsupported, match="1 tensors keep their data in other files, the first is 'inside'"):
        load_onnx(model, "net")


@pytest.mark.oracle
def test_a_weight_that_is_not_a_number_is_named(tmp_path):
    weight = normal(4, 10)
    weight[2, 3] = np.nan
    (tmp_path / "net.onnx").write_bytes(single("Gemm", ROWS, weight, transB=1))
    with pytest.raises(BadModel, match=r"weight c0 holds nan at \[2, 3\]"):
        load(tmp_path / "net.onnx")


@pytest.mark.parametrize("model, message", [
    (b"", "0 bytes hold no ONNX graph"),
    (b"\x00\x01not a model", "bytes that are no ONNX model: truncated, or another format"),
    (single("Conv", IMAGE, normal(4, 5, 3, 3)), "Conv at y: .*weight .* does not take the input"),
    (single("Conv", IMAGE, normal(4, 6, 3, 3), strides=[0, 0]), r"Conv at y: .*stride \(0, 0\)"),
    (single("Conv", IMAGE, normal(4, 6, 3, 3), strides=[2]), "Conv at y: strides do not fit 2 spatial axes"),
    (single("Reshape", IMAGE, ints(1, 5, -1)), "Reshape at y: "),
    (single("Pad", IMAGE, ints(0, 0, 1 << 40, 0, 0, 0, 0, 0)), "Pad at y: .* is beyond 2,147,483,648 values"),
    (single("Relu", (1, 1 << 40)), "input 'x' has size 1099511627776 at axis 1"),
    (single("Relu", ROWS, normal(3)), "ONNX's checker: "),
    (model_of([node("ConstantOfShape", "size", "y")], {"x": ROWS}, {"size": ints(1 << 40)}),
     "ConstantOfShape at y: .* beyond 67,108,864 elements"),
], ids=by_ops)
def test_damaged_models_get_one_clear_error(model, message):
    with pytest.raises(BadModel, match=message):
        load_onnx(model, "net")


def test_an_initializer_that_does_not_fill_its_shape_is_named():
    proto = onnx.load_from_string(single("Gemm", ROWS, normal(10, 4)))
    proto.graph.initializer[0].raw_data = b"\0" * 12
    with pytest.raises(BadModel, match=r"net: .*c0"):
        load_onnx(proto.SerializeToString(), "net")


@pytest.mark.oracle
def test_what_is_damaged_below_is_whole():
    assert_as_onnx_runtime(typical())


def typical() -> bytes:
    """One of everything that exporters write."""
    nodes = [node("Conv", "x w b", "a", "/conv/Conv", pads=[1, 1, 1, 1], strides=[1, 1], group=1),
             node("BatchNormalization", "a s b s s", "n", "/bn/BatchNormalization", epsilon=1e-3),
             node("Clip", "n low high", "c", "/act/Clip"), node("Pad", "c pads", "d"),
             node("MaxPool", "d", "p", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
             node("Shape", "p", "sizes"), node("Gather", "sizes zero", "first", axis=0),
             node("Unsqueeze", "first zeros", "head"), node("Concat", "head rest", "wanted", axis=0),
             node("Reshape", "p wanted", "f"), node("Gemm", "f g", "o", transB=1),
             node("Softmax", "o", "y", axis=1)]
    constants = {"w": normal(2, 6, 3, 3), "b": normal(2), "s": floats(1, 2), "low": np.float32(0),
                 "high": np.float32(6), "pads": ints(0, 0, 1, 0, 0, 0, 0, 1), "zero": np.array(0, np.int64),
                 "zeros": ints(0), "rest": ints(-1), "g": normal(3, 50)}
    return model_of(nodes, {"x": IMAGE}, constants)


def modern() -> bytes:
    """What newer networks hold, on codes too."""
    nodes = [node("ConvTranspose", "x w", "a", strides=[2, 2], output_padding=[1, 1], pads=[1, 1, 1, 1]),
             node("Resize", "a none scales", "b", mode="linear"), node("Pad", "b pads", "c", mode="reflect"),
             node("Slice", "c start end", "d"), node("LayerNormalization", "d g", "e"),
             node("QuantizeLinear", "e s z", "q"), node("DequantizeLinear", "q s z", "f"),
             node("DepthToSpace", "f", "h", blocksize=2), node("Gather", "h order", "j", axis=2),
             node("Tile", "j repeats", "k"), node("ReduceSum", "k axes", "y")]
    constants = {"w": normal(6, 4, 3, 3), "none": floats(), "scales": floats(1, 1, 1.5, 2),
                 "pads": ints(0, 0, 1, 1, 0, 0, 1, 1), "start": ints(0, 0), "end": ints(1, 4),
                 "g": normal(34), "s": np.float32(0.1), "z": np.uint8(120), "order": ints(0, 3, 1),
                 "repeats": ints(1, 2, 1, 1), "axes": ints(2)}
    return model_of(nodes, {"x": IMAGE}, constants)


@pytest.mark.parametrize("mutated", [changed_bytes, changed_fields])
@pytest.mark.parametrize("model", [typical(), modern()], ids=["typical", "modern"])
def test_no_mutation_crashes_the_door(model, mutated):
    """Of 300 damaged files each gives a graph, or one of our errors."""
    rng, outcomes = random.Random(0), Counter()
    load_onnx(model, "net")
    for _ in range(300):
        try:
            load_onnx(mutated(model, rng), "net")
            outcomes["graph"] += 1
        except ToolchainError as error:
            outcomes[type(error)] += 1
    assert outcomes["graph"] >= 10 and outcomes[BadModel] >= 100, outcomes


def test_nodes_in_any_order():
    """onnxruntime's and onnxconverter's float16 converters append casts behind what reads them."""
    nodes = [node("Relu", "a", "b"), node("Neg", "b", "y"), node("Exp", "x", "a")]
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": ROWS}))
    assert [op.kind for op in graph.ops] == ["exp", "relu", "neg"]
    with pytest.raises(BadModel, match="ONNX's checker: Nodes in a graph must be topologically sorted"):
        load_onnx(model_of([node("Add", "x b", "a"), node("Add", "a x", "b"), node("Neg", "b", "y")],
                           {"x": ROWS}), "net")
