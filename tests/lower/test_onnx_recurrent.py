"""Loops that are ONNX's LSTM, GRU and RNN leave as such: the same answers, the same bytes each time."""

import numpy as np
import onnx
import pytest

from tests.ir.recurrent_nets import LAYERS, STEPS, network
from tests.onnx_files import IN_STEPS, operators
from toolchain.execution import watch
from toolchain.ir.graph import Graph
from toolchain.ir.layout import channels_last
from toolchain.ir.loops import Loop, parts
from toolchain.ir.passes import canonical
from toolchain.ir.recognising import recognised
from toolchain.ir.unrolling import unrolled
from toolchain.load.onnx import load_onnx
from toolchain.lower.onnx import write_onnx
from toolchain.lower.onnx_recurrent import float_note, step_note
from toolchain.runtime import reference
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.oracle


def feeds(graph: Graph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {name: (3, *graph.tensors[name].shape[1:]) for name in graph.inputs}
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def assert_same(graph: Graph, model: bytes, within: float = 1e-5) -> None:
    want, got = reference.run(graph, feeds(graph)), OnnxRuntime(model).run(feeds(graph))
    assert set(want) == set(got)
    for name, y in want.items():
        np.testing.assert_allclose(got[name], y, rtol=0, atol=within)


@pytest.mark.parametrize("kind, asked", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("begun", ["zero", "constant", "input"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_layer_is_one_node_and_computes_the_same(kind, asked, begun, reverse):
    graph = canonical(network(kind, reverse, begun, **asked))
    model = write_onnx(graph)
    onnx.checker.check_model(onnx.load_from_string(model))
    assert operators(model).keys() <= {kind.upper(), "Reshape"} and operators(model)[kind.upper()] == 1
    assert model == write_onnx(graph)
    assert_same(graph, model)


@pytest.mark.parametrize("leaves", ["sequence", "hidden", "cell", "hidden cell"])
def test_results_that_nobody_reads_are_left_out(leaves):
    graph = canonical(network("lstm", leaves=leaves))
    model = write_onnx(graph)
    (node,) = (node for node in onnx.load_from_string(model).graph.node if node.op_type == "LSTM")
    assert len([name for name in node.output if name]) == len(leaves.split())
    assert_same(graph, model)


@pytest.mark.parametrize("kind, asked", LAYERS.values(), ids=LAYERS)
def test_what_leaves_comes_back_as_a_loop(kind, asked):
    graph = canonical(network(kind, begun="constant", **asked))
    back = canonical(channels_last(load_onnx(write_onnx(graph), "net")))
    ((there,), (here,)) = ([recognised(g, part) for part in parts(g) if isinstance(part, Loop)]
                           for g in (back, graph))
    assert (there.kind, there.activation, there.reset_after) == (here.kind, here.activation, here.reset_after)
    for letter, rows in here.gates.items():
        np.testing.assert_array_equal(there.gates[letter][0], rows[0])
        np.testing.assert_array_equal(there.gates[letter][1], rows[1])


def test_half_precision_keeps_the_node():
    graph = canonical(network("gru"))
    model = write_onnx(graph, weights="float16")
    assert operators(model)["GRU"] == 1
    assert_same(graph, model, within=5e-3)


def test_what_is_kept_inside_is_written_out():
    graph = canonical(network("lstm"))
    assert operators(write_onnx(graph, keep=("layer.sequence",)))["LSTM"] == 1
    inner = write_onnx(graph, keep=("layer.cell@2",))
    assert operators(inner)["LSTM"] == 0 and operators(inner)["Sigmoid"] == STEPS
    got, want = (watch(graph, ["layer.cell"], runtime)(feeds(graph))["layer.cell"]
                 for runtime in ("onnxruntime", "reference"))
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_other_loops_are_written_out_with_a_note():
    graph = network("lstm")
    ops = tuple(op if op.name != "layer.shown" else type(op)("relu", op.inputs, op.outputs, {})
                for op in graph.ops)
    other = type(graph)(graph.name, graph.tensors, ops, graph.inputs, graph.outputs)
    model = write_onnx(other)
    assert operators(model)["LSTM"] == 0
    assert_same(unrolled(other).graph, model)
    assert step_note(graph) == ()
    assert step_note(other) == IN_STEPS and float_note(other) == ()
