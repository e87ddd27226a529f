"""An INT8 network of other names is found again in its float model."""

import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of
from toolchain.diagnose.match import _renamed, correlation, matched, without_borders
from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig


def float_graph(seed: int = 0) -> Graph:
    """Two convolutions of one shape, which only their weights tell apart, and a residual."""
    net = Net("net", seed)
    x = net.conv(net.input("x", (1, 8, 8, 4)), 4, "a", activation="relu")
    x = net.op("add", [net.conv(net.op("hard_swish", [x], "swish"), 4, "b"), x], "sum")
    x = net.op("mean", [x], "pool", axes=(1, 2), keepdims=False)
    return canonical(net.graph(net.op("softmax", [net.dense(x, 5, "logits")], "y")))


def coded_graph(graph: Graph) -> Graph:
    return quantize(graph, calibrate(graph, CalibrateConfig(observer="minmax"), samples_of(graph)))


def anonymous(graph: Graph) -> Graph:
    return _renamed(graph, {name: f"tensor_{i}" for i, name in enumerate(graph.tensors)})


def test_names_that_survive_are_taken():
    graph = float_graph()
    found = matched(graph, coded_graph(graph))
    assert found.by_name == tuple(op.name for op in graph.ops)
    assert str(found) == "7 of 7 ops were matched, 7 by name, 0 by weights and structure"


def test_without_names_weights_and_structure_tell():
    graph = float_graph()
    coded = coded_graph(graph)
    found = matched(graph, anonymous(coded))
    assert found.by_structure == tuple(op.name for op in graph.ops) and not found.missing
    for op in graph.ops:
        ours, theirs = found.graph.producers[op.name], coded.producers[op.name]
        assert ours.kind == op.kind
        assert found.graph.tensors[op.name].quant.same_as(coded.tensors[op.name].quant)
        if len(theirs.inputs) > 1 and coded.tensors[theirs.inputs[1]].is_constant:
            np.testing.assert_array_equal(found.graph.tensors[ours.inputs[1]].data,
                                          coded.tensors[theirs.inputs[1]].data)


def test_names_that_lie_are_seen_through():
    """The two convolutions' names swapped: their weights say which is which."""
    graph = float_graph()
    coded = coded_graph(graph)
    found = matched(graph, _renamed(coded, {"a": "b", "b": "a"}))
    assert {"a", "b"} <= set(found.by_structure)
    assert found.graph.tensors["a"].quant.same_as(coded.tensors["a"].quant)


def test_another_networks_weights_are_no_match():
    found = matched(float_graph(), coded_graph(float_graph(seed=9)))
    assert {"a", "b", "logits"} <= set(found.missing)
    assert "not found: a, " in str(found)


def test_borders_of_reals_fall_away(tmp_path):
    graph = float_graph()
    path = tmp_path / "theirs.tflite"
    path.write_bytes(write_tflite(coded_graph(graph), io="float32"))
    theirs = canonical(load(path))
    assert theirs.tensors[theirs.inputs[0]].dtype == "float32"
    bare = without_borders(theirs)
    assert {bare.tensors[name].dtype for name in (*bare.inputs, *bare.outputs)} == {"int8"}
    assert not matched(graph, theirs).missing


def test_other_shapes_are_another_model():
    net = Net("other")
    other = canonical(net.graph(net.conv(net.input("x", (1, 6, 6, 4)), 4, "a")))
    with pytest.raises(BadInput, match=r"net: x has shape \(1, 8, 8, 4\), but x of other has \(1, 6, 6, 4\); "
                                       r"give the float model that it was made from"):
        matched(other, coded_graph(float_graph()))


def test_correlation_is_the_cosine_of_all_elements():
    a, b = np.array([1.0, 2.0]), np.array([2.0, -1.0])
    assert correlation(a, 3 * a) == pytest.approx(1) and correlation(a, b) == pytest.approx(0)
    assert correlation(a, np.ones(3)) == 0 and correlation(0 * a, 0 * a) == 1 and correlation(0 * a, a) == 0


@pytest.mark.parametrize(("float_file", "int8_file", "ops"), [
    ("kws_ref_model_float32", "kws_ref_model", 13), ("pretrainedResnet", "pretrainedResnet_quant", 16),
    ("vww_96_float", "vww_96_int8", 31)])
def test_vendors_files_are_matched_whole(kit, float_file, int8_file, ops):
    graph, theirs = (canonical(load(kit / "models" / f"{name}.tflite")) for name in (float_file, int8_file))
    found = matched(graph, theirs)
    assert len(found.by_name) + len(found.by_structure) == ops and not found.missing
    nameless = matched(graph, anonymous(theirs))
    assert len(nameless.by_structure) == ops
    for op in graph.ops:
        one, other = (each.graph.tensors[op.name].quant for each in (found, nameless))
        assert one.same_as(other)
