"""Each rule of a level, broken once: the error names the tensor and the value."""

from dataclasses import replace

import numpy as np
import pytest

from toolchain.errors import BadGraph
from toolchain.ir.build import Builder
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Op, Tensor
from toolchain.ir.quant import QuantParams

X, Y = QuantParams(0.5, 3), QuantParams(0.25, -4)
WEIGHT = QuantParams([0.1, 0.2], [0, 0], axis=0)
BIAS = QuantParams([0.05, 0.1], [0, 0], axis=0, dtype="int32")


def floats():
    """x -> conv2d "y" -> relu "z"."""
    b = Builder("floats")
    w = b.constant("w", np.ones((2, 1, 1, 3), np.float32))
    y = b.op("conv2d", [b.input("x", (1, 4, 4, 3)), w, b.constant("b", np.zeros(2, np.float32))], "y")
    return b.graph(b.op("relu", [y], "z"))


def codes(weight=WEIGHT, bias=BIAS, weight_dtype="int8", bias_dtype="int32"):
    """x -> fully_connected "y", in int8."""
    b = Builder("codes")
    w = b.constant("w", np.ones((2, 3), weight_dtype), weight)
    bias = b.constant("b", np.zeros(2, bias_dtype), bias)
    return b.graph(b.op("fully_connected", [b.input("x", (1, 3), "int8", X), w, bias], "y", quant=Y))


def refused(graph, level, message):
    with pytest.raises(BadGraph, match=message):
        check(graph, level)


def test_legal_graphs_come_back_as_they_are():
    for graph, level in ((floats(), "FLOAT"), (floats(), "CANONICAL"), (codes(), "QUANTIZED")):
        assert check(graph, level) is graph


def test_the_level_is_seen_at_the_activations():
    assert (level_of(floats()), level_of(codes())) == ("FLOAT", "QUANTIZED")


def test_an_unknown_level_is_an_error_of_the_caller():
    with pytest.raises(KeyError, match="INTEGER"):
        check(floats(), "INTEGER")


# Structure --------------------------------------------------------------------------------------------------

def test_inputs_and_outputs_are_tensors_of_the_graph():
    refused(replace(floats(), outputs=("z", "gone")), "FLOAT", "output gone is not a tensor of the graph")


def test_outputs_are_made():
    graph = floats().with_tensors(Tensor("lost", (1, 2)))
    refused(replace(graph, outputs=("lost",)), "FLOAT", "floats: nothing makes output lost")


@pytest.mark.parametrize("op, message", [
    (Op("conv3d", ("x",), ("z",)), r"z: conv3d with attributes \[\] has no row"),
    (Op("relu", ("x",), ("z",), {"slope": 1}), r"z: relu with attributes \['slope'\] has no row"),
    (Op("relu", ("x", "y"), ("z",)), "z: relu takes x, but has 2 inputs"),
    (Op("relu", ("later",), ("z",)), "z: reads later before anything makes it"),
    (Op("relu", ("y",), ("y",)), "y: makes y, which is made twice"),
    (Op("relu", ("y",), ("new",)), "new: makes new, which is no tensor"),
])
def test_ops_follow_the_table_and_one_another(op, message):
    graph = floats()
    refused(replace(graph, ops=(graph.ops[0], op)), "FLOAT", message)


@pytest.mark.parametrize("shape", [(1, 0, 4, 3), (1, -4, 4, 3), (1, 4.0, 4, 3)])
def test_shapes_are_positive_whole_numbers(shape):
    refused(floats().with_tensors(Tensor("x", shape)), "FLOAT", "x: shape .* must be positive whole numbers")


@pytest.mark.parametrize("changed", [{"shape": (2, 3)}, {"dtype": "float64"}])
def test_a_constant_is_what_it_says(changed):
    spare = Tensor("spare", (2,), data=np.zeros(2, np.float32))
    refused(floats().with_tensors(replace(spare, **changed)), "FLOAT", r"spare: data float32\(2,\) is not")


# Float ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("changed, message", [
    ({"dtype": "int8", "quant": X}, "z: relu gives float32 but the tensor says int8"),
    ({"quant": X}, "z: a float32 activation cannot have quantization parameters"),
])
def test_a_float_graph_holds_plain_float32(changed, message):
    graph = floats()
    refused(graph.with_tensors(replace(graph.tensors["z"], **changed)), "FLOAT", message)


def test_a_float_graph_holds_no_codes():
    b = Builder("codes")
    b.input("x", (1, 3), "int8", X)
    refused(b.graph(b.op("relu", ["x"], "y", quant=X)), "FLOAT", "x: a float graph cannot hold int8")


def test_a_float_graph_holds_whole_numbers_and_truths():
    b = Builder("plain")
    x, token = b.input("x", (1, 3)), b.input("token", (1, 2), "int64")
    table = b.constant("table", np.ones((5, 3), np.float32))
    named = [b.op("gather", [table, token], "embedded", axis=0), b.op("argmax", [x], "best", axis=1),
             b.op("compare", [x, x], "same", relation="equal"), b.op("cast", [token], "real", to="float32")]
    graph = check(b.graph(*named), "FLOAT")
    assert [graph.tensors[name].dtype for name in named] == ["float32", "int64", "bool", "float32"]


def test_operands_share_a_dtype():
    b = Builder("mixed")
    y = b.op("add", [b.input("x", (1, 3)), b.input("token", (1, 3), "int64")], "y")
    refused(b.graph(y), "FLOAT", "y: add of x float32, token int64; operands must share a dtype")


def test_a_canonical_graph_has_nothing_left_to_fold():
    b = Builder("folds")
    x = b.input("x", (1, 3))
    same = b.op("reshape", [x], "same", shape=(1, 3))
    ones = [b.constant(name, np.ones(3, np.float32)) for name in ("gamma", "beta", "mean", "variance")]
    norm = b.op("batch_norm", [x, *ones], "norm", epsilon=1e-3)
    refused(b.graph(b.op("relu", [same], "y")), "CANONICAL", "same: reshape changes nothing")
    refused(b.graph(norm), "CANONICAL", "norm: a canonical graph holds no batch_norm")
    check(b.graph(same), "CANONICAL")  # it gives an output its name


# Quantized --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("quant", [None, QuantParams(0.5, 3, dtype="uint8")])
def test_integers_have_parameters_of_their_dtype(quant):
    graph = codes()
    refused(graph.with_tensors(replace(graph.tensors["y"], quant=quant)), "QUANTIZED",
            "y: int8 without matching quantization parameters")


def mixed(kind, left, right, output, **attrs):
    """One op with operands and result of (dtype, QuantParams); a constant where `right` is an array."""
    b = Builder("mixed")
    inputs = [b.input("x", (1, 3), *left)]
    inputs += [] if right is None else [b.constant("c", *right)]
    return b.graph(b.op(kind, inputs, "y", dtype=output[0], quant=output[1], **attrs))


@pytest.mark.parametrize("graph", [
    mixed("add", ("int8", X), (np.ones((1, 3), np.float32),), ("int8", Y)),
    mixed("relu", ("int8", X), None, ("float32", None)),
    mixed("relu", ("float32", None), None, ("int8", Y)),
], ids=["a constant operand", "the result", "the input"])
def test_only_quantize_and_dequantize_lead_from_codes_to_reals(graph):
    refused(graph, "QUANTIZED", "y: (add of|relu gives) ")


def test_reals_may_be_computed_on_between_codes():
    b = Builder("island")
    reals = b.op("dequantize", [b.input("x", (1, 3), "int8", X)], "reals")
    y = b.op("quantize", [b.op("exp", [reals], "island")], "y", dtype="int8", quant=Y)
    check(b.graph(y), "QUANTIZED")


def test_quantize_and_dequantize_stand_between():
    check(mixed("quantize", ("float32", None), None, ("int8", X)), "QUANTIZED")
    check(mixed("dequantize", ("int8", X), None, ("float32", None)), "QUANTIZED")


def test_an_integer_constant_has_parameters():
    graph = mixed("add", ("int8", X), (np.ones((1, 3), np.int8),), ("int8", Y))
    refused(graph, "QUANTIZED", "c: int8 without matching quantization parameters")


@pytest.mark.parametrize("graph, message", [
    (codes(bias_dtype="int64"), "y: fully_connected needs int8 weights and int32 biases .* int8 and int64"),
    (codes(bias=None), "y: fully_connected needs int8 weights and int32 biases"),
    (codes(weight=QuantParams([0.1] * 3, [0] * 3, axis=1)), "w: quantized along axis 1, .* needs 0"),
    (codes(weight=QuantParams([0.1] * 3, [0] * 3, axis=0)), r"w: 3 scales along axis 0 .* shape \(2, 3\)"),
    (codes(weight=QuantParams([0.1] * 2, [0] * 2, axis=4)), "w: 2 scales along axis 4"),
    (codes(bias=QuantParams([0.05, 0.2], [0, 0], axis=0, dtype="int32")),
     "b: bias scale is not the product of the scales of x and w"),
])
def test_weights_and_biases_follow_the_specification(graph, message):
    refused(graph, "QUANTIZED", message)


def test_one_scale_for_the_whole_weight_is_legal():
    check(codes(QuantParams(0.1, 0), QuantParams(0.05, 0, dtype="int32")), "QUANTIZED")
