"""What exporters write out node by node is one op of the table again."""

from itertools import permutations

import numpy as np
import onnx
from onnx import helper
import pytest

from tests.load.onnx_models import IMAGE, assert_as_onnx_runtime, floats, model_of, node
from toolchain.load.onnx import load_onnx

pytestmark = pytest.mark.oracle

CONSTANTS = {"half": floats(0.5), "one": floats(1), "root": floats(2**0.5), "inverse": floats(0.5**0.5),
             "three": floats(3), "six": floats(6), "zero": floats(0), "sixth": floats(1 / 6),
             "c": floats(0.044715), "s": floats((2 / np.pi)**0.5)}
SCALARS = {name: value.reshape(()) for name, value in CONSTANTS.items()}
ERF = [node("Div", "x root", "a"), node("Erf", "a", "b"), node("Add", "b one", "t")]
TANH = [node("Pow", "x three", "p"), node("Mul", "c p", "q"), node("Add", "x q", "r"),
        node("Mul", "r s", "u"), node("Tanh", "u", "b"), node("Add", "one b", "t")]
ENDS = {f"{a}*{b} {side} {c}": [node("Mul", f"{a} {b}", "m"), node("Mul", pair, "y")]
        for a, b, c in permutations(("x", "half", "t")) for side, pair in (("*", f"m {c}"), ("of", f"{c} m"))}


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("bent", [ERF, TANH], ids=["erf", "tanh"])
def test_gelu_in_every_order(bent, ends):
    graph = assert_as_onnx_runtime(model_of([*bent, *ends], {"x": IMAGE}, SCALARS))
    assert [op.kind for op in graph.ops] == ["gelu"]
    assert graph.ops[0].attrs["approximate"] == (bent is TANH)


@pytest.mark.parametrize("nodes", [
    [node("Mul", "x inverse", "a"), node("Erf", "a", "b"), node("Mul", "b half", "d"),
     node("Add", "d half", "e"), node("Mul", "x e", "y")],
    [node("Mul", "x x", "p"), node("Mul", "p x", "p3"), node("Mul", "p3 c", "q"), node("Add", "q x", "r"),
     node("Mul", "r s", "u"), node("Tanh", "u", "b"), node("Mul", "x half", "h"), node("Mul", "h b", "v"),
     node("Add", "v h", "y")],
], ids=["erf multiplied out", "tanh multiplied out"])
def test_gelu_multiplied_out(nodes):
    assert [op.kind for op in assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, SCALARS)).ops] == ["gelu"]


@pytest.mark.parametrize("nodes", [
    [node("HardSigmoid", "x", "g", alpha=1 / 6, beta=0.5), node("Mul", "x g", "y")],
    [node("Add", "x three", "a"), node("Clip", "a zero six", "g"), node("Mul", "x g", "m"),
     node("Div", "m six", "y")],
    [node("Add", "x three", "a"), node("Clip", "a zero six", "g"), node("Mul", "g sixth", "m"),
     node("Mul", "m x", "y")],
], ids=["hard sigmoid", "clip", "clip, divided first"])
def test_hard_swish(nodes):
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, SCALARS))
    assert [op.kind for op in graph.ops] == ["hard_swish"]


def test_what_a_pattern_hands_out_besides_stays():
    nodes = [node("HardSigmoid", "x", "g", alpha=1 / 6, beta=0.5), node("Mul", "x g", "y")]
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, SCALARS, ("y", "g")))
    assert "hard_swish" in {op.kind for op in graph.ops} and graph.outputs == ("y", "g")


@pytest.mark.parametrize("nodes", [
    [node("Erf", "x", "y")],
    [node("Div", "x six", "a"), node("Erf", "a", "b"), node("Add", "b one", "t"), node("Mul", "x t", "m"),
     node("Mul", "m half", "y")],
    [*ERF, node("Mul", "x t", "y")],
], ids=["erf alone", "another divisor", "no half"])
def test_other_uses_of_erf_are_computed(nodes):
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, SCALARS))
    assert {"exp", "select"} <= {op.kind for op in graph.ops} and "gelu" not in [op.kind for op in graph.ops]


def test_a_local_function_is_its_nodes():
    """As torch's exporter writes aten operators."""
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    function = helper.make_function("local", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    proto = onnx.load_from_string(model_of([helper.make_node("Twice", ["x"], ["y"], domain="local")],
                                           {"x": IMAGE}))
    proto.functions.append(function)
    graph = assert_as_onnx_runtime(proto.SerializeToString())
    assert [op.kind for op in graph.ops] == ["add"]


GAMMA, BETA, TINY = floats(*range(1, 9)) / 8, floats(*range(8)) / 4, np.float32(1e-3)
CENTRED = [node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d")]
SQUARES = {"pow": [node("Pow", "d two", "q")], "product": [node("Mul", "d d", "q")],
           "centred again": [node("ReduceMean", "x", "m2", axes=[-1]), node("Sub", "x m2", "d2"),
                             node("Mul", "d2 d2", "q")]}
STABLE = [node("ReduceMean", "q", "v", axes=[-1]), node("Add", "v tiny", "s"), node("Sqrt", "s", "r")]
QUOTIENTS = {"div": [node("Div", "d r", "n")],
             "reciprocal": [node("Reciprocal", "r", "i"), node("Mul", "i d", "n")]}
ENDINGS = {"alone": [node("Neg", "n", "y")], "scaled": [node("Mul", "g n", "y")],
           "shifted": [node("Add", "n b", "y")],
           "both": [node("Mul", "n g", "k"), node("Add", "b k", "y")]}
NORM = {"two": np.float32(2), "tiny": TINY, "g": GAMMA, "b": BETA}


@pytest.mark.parametrize("square", SQUARES.values(), ids=SQUARES)
@pytest.mark.parametrize("quotient", QUOTIENTS.values(), ids=QUOTIENTS)
@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_layer_norm_written_out(square, quotient, end):
    nodes = [*CENTRED, *square, *STABLE, *quotient, *end]
    graph = assert_as_onnx_runtime(model_of(nodes, {"x": IMAGE}, NORM))
    kinds = [op.kind for op in graph.ops]
    assert kinds == ["layer_norm"] + (["neg"] if end is ENDINGS["alone"] else [])
    assert graph.ops[0].attrs == {"axes": (3,), "epsilon": pytest.approx(1e-3)}


def test_layer_norm_over_channels_first():
    """As ConvNeXt's authors write it; axes are an input since opset 18."""
    nodes = [node("ReduceMean", "x axes", "m"), node("Sub", "x m", "d"), node("Pow", "d two", "q"),
             node("ReduceMean", "q axes", "v"), node("Add", "v tiny", "s"), node("Sqrt", "s", "r"),
             node("Div", "d r", "n"), node("Mul", "g n", "k"), node("Add", "k b", "y")]
    channels = {name: NORM[name][:6].reshape(6, 1, 1) for name in "gb"}
    model = model_of(nodes, {"x": IMAGE}, {**NORM, **channels, "axes": np.array([1])}, opset=18)
    graph = assert_as_onnx_runtime(model)
    assert [op.kind for op in graph.ops if op.kind != "transpose"] == ["layer_norm"]


@pytest.mark.parametrize("changed", [
    {"v": node("ReduceMean", "q", "v", axes=[-2])}, {"q": node("Pow", "d three", "q")},
    {"n": node("Div", "r d", "n")}, {"d": node("Sub", "m x", "d")}, {"n": node("Div", "x r", "n")}])
def test_what_only_looks_like_layer_norm(changed):
    nodes = [*CENTRED, *SQUARES["pow"], *STABLE, *QUOTIENTS["div"], *ENDINGS["both"]]
    nodes = [changed.get(each.output[0], each) for each in nodes]
    graph = load_onnx(model_of(nodes, {"x": (1, 6, 8, 8)}, {**NORM, "three": np.float32(3)}), "net")
    assert "layer_norm" not in [op.kind for op in graph.ops]
