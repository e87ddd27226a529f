"""The rules table against the op table and the specification."""

from dataclasses import replace

import numpy as np
import pytest

from tests.quantize.nets import Net
from toolchain.errors import Unsupported
from toolchain.ir.ops import OPS
from toolchain.ir.quant import QuantParams
from toolchain.quantize.rules import (
    FLOAT,
    FREE,
    NUMBER,
    PLAIN,
    RULES,
    SAME,
    observed,
    require_rules,
    rule_of,
)


def test_every_op_with_int8_kernels_has_a_rule_and_no_other_but_the_islands():
    int8 = {kind for kind, row in OPS.items() if "int8" in row.dtypes}
    islands = {kind for kind, rule in RULES.items() if rule.output == FLOAT}
    assert islands == {"compare", "cast"}
    assert set(RULES) - islands == int8 - {"quantize", "dequantize"}


@pytest.mark.parametrize("kind, scale, zero_point", [
    ("softmax", 1 / 256, -128), ("logistic", 1 / 256, -128), ("tanh", 1 / 128, 0),
    ("log_softmax", 16 / 256, 127)])
def test_fixed_outputs_are_the_specification_s(kind, scale, zero_point):
    assert RULES[kind].output.same_as(QuantParams(scale, zero_point))


def test_ops_that_move_codes_keep_their_parameters():
    moving = {"average_pool2d", "max_pool2d", "relu6", "minimum", "maximum", "reduce_max", "reduce_min",
              "resize_nearest", "resize_bilinear", "depth_to_space", "space_to_depth", "pad", "mirror_pad",
              "concat", "slice", "gather", "tile", "reshape", "transpose", "select", "step", "state",
              "sequence", "last"}
    assert {kind for kind, rule in RULES.items() if rule.output == SAME} == moving


def test_every_op_without_an_int8_form_is_listed_with_its_reason():
    net = Net()
    x = net.conv(net.input("x", (1, 4, 4, 2)), 2, "conv")
    for name in ("bn", "bn2"):
        statistics = [net.weights(f"{name}.{i}", 2) for i in range(4)]
        x = net.op("batch_norm", [x, *statistics], name, epsilon=1e-3)
    with pytest.raises(Unsupported) as caught:
        require_rules(net.graph(x))
    assert caught.value.items == ("bn: batch_norm has no INT8 rule", "bn2: batch_norm has no INT8 rule")
    assert "scheme = \"float32\"" in str(caught.value) and caught.value.exit_code == 4


def rules(graph):
    return {op.name: rule_of(graph, op).output for op in graph.ops}


def test_what_computes_its_weights_or_exponents_stays_in_float():
    net = Net()
    x = net.input("x", (1, 3))
    weight = net.op("tanh", [net.input("w", (2, 3))], "weight")
    y = net.op("fully_connected", [x, weight, net.weights("bias", 2)], "y")
    one, many = net.weights("one", 1), net.weights("many", 2)
    powers = [net.op("pow", [y, other], f"pow{i}") for i, other in enumerate((one, many, y))]
    found = rules(net.graph(*powers))
    assert found["y"] == FLOAT and [found[f"pow{i}"] for i in range(3)] == [FREE, FLOAT, FLOAT]


@pytest.mark.parametrize("kernel, pads, output", [
    ((4, 4), (0, 0, 0, 0), FREE), ((2, 4), (0, 0, 0, 0), SAME), ((4, 4), (1, 1, 1, 1), SAME)])
def test_an_average_over_the_whole_map_has_a_range_of_its_own(kernel, pads, output):
    net = Net()
    pool = net.op("average_pool2d", [net.input("x", (1, 4, 4, 2))], "pool", kernel=kernel, pads=pads)
    assert rules(net.graph(pool))["pool"] == output


def test_a_map_of_one_pixel_is_handed_on():
    net = Net()
    pool = net.op("average_pool2d", [net.input("x", (1, 1, 1, 2))], "pool", kernel=(1, 1))
    assert rules(net.graph(pool))["pool"] == SAME


def test_what_neither_reads_nor_makes_reals_stays_as_it_is():
    net = Net()
    tokens = net.input("tokens", (1, 3), "int32")
    near = net.op("compare", [tokens, net.constant("limit", np.int32([5]))], "near", relation="less")
    far = net.op("logical_not", [near], "far")
    rows = net.op("gather", [net.weights("table", 9, 4), tokens], "rows", axis=0)
    share = net.op("cast", [tokens], "share", to="float32")
    best = net.op("argmax", [rows], "best", axis=2)
    found = rules(net.graph(far, share, best))
    assert found == {"near": PLAIN, "far": PLAIN, "rows": SAME, "share": FLOAT, "best": NUMBER}


def test_what_is_observed_follows_the_table():
    net = Net()
    x = net.op("pad", [net.input("x", (1, 4))], "pad", pads=((0, 0), (1, 1)))
    y = net.op("tanh", [net.dense(x, 2, "dense")], "y")
    best = net.op("cast", [net.op("argmax", [y], "best", axis=1)], "number", to="float32")
    graph = net.graph(y, best, net.op("compare", [y, net.weights("k", 1)], "above", relation="greater"))
    assert observed(graph) == ["x", "dense", "number"]
    with pytest.raises(Unsupported):
        observed(replace(graph, ops=(replace(graph.ops[0], kind="erf"), *graph.ops[1:])))
