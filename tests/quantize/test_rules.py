"""The rules table against the op table and the specification."""

from dataclasses import replace

import pytest

from tests.quantize.nets import Net
from toolchain.errors import Unsupported
from toolchain.ir.graph import Tensor
from toolchain.ir.ops import OPS
from toolchain.ir.quant import QuantParams
from toolchain.quantize.rules import FREE, RULES, SAME, observed, require_rules


def test_every_op_with_int8_kernels_has_a_rule():
    int8 = {kind for kind, row in OPS.items() if "int8" in row.dtypes}
    assert set(RULES) == int8 - {"quantize", "dequantize"}


@pytest.mark.parametrize("kind, scale, zero_point", [
    ("softmax", 1 / 256, -128), ("logistic", 1 / 256, -128), ("tanh", 1 / 128, 0)])
def test_fixed_outputs_are_the_specification_s(kind, scale, zero_point):
    assert RULES[kind].output.same_as(QuantParams(scale, zero_point))


def test_ops_that_move_codes_keep_their_parameters():
    moving = {"average_pool2d", "max_pool2d", "pad", "concat", "reshape", "transpose", "relu6"}
    assert {kind for kind, rule in RULES.items() if rule.output == SAME} == moving
    assert {kind for kind, rule in RULES.items() if rule.output == FREE} == set(RULES) - moving - {
        "softmax", "logistic", "tanh"}


def test_every_op_without_an_int8_form_is_listed_with_its_reason():
    net = Net()
    x = net.conv(net.input("x", (1, 4, 4, 2)), 2, "conv")
    statistics = [net.weights(f"bn.{i}", 2) for i in range(4)]
    x = net.op("batch_norm", [x, *statistics], "bn", epsilon=1e-3)
    y = net.op("add", [x, x], "sum")
    graph = net.graph(net.op("relu", [y], "out"))
    graph = graph.with_tensors(Tensor("sum", (1, 4, 4, 2), "int32"))
    with pytest.raises(Unsupported) as caught:
        require_rules(graph)
    assert [line.split(":")[0] for line in caught.value.items] == ["bn", "sum", "out"]
    assert "scheme = \"float32\"" in str(caught.value) and caught.value.exit_code == 4


def test_weights_that_are_computed_have_no_int8_form():
    net = Net()
    x = net.input("x", (1, 3))
    weight = net.op("tanh", [net.input("w", (2, 3))], "weight")
    graph = net.graph(net.op("fully_connected", [x, weight, net.weights("bias", 2)], "y"))
    with pytest.raises(Unsupported, match="y: fully_connected of float32 tensors with constant weights"):
        require_rules(graph)


def test_what_is_observed_follows_the_table():
    net = Net()
    x = net.op("pad", [net.input("x", (1, 4))], "pad", pads=((0, 0), (1, 1)))
    graph = net.graph(net.op("tanh", [net.dense(x, 2, "dense")], "y"))
    assert observed(graph) == ["x", "dense"]
    with pytest.raises(Unsupported):
        observed(replace(graph, ops=(replace(graph.ops[0], kind="erf"), *graph.ops[1:])))
