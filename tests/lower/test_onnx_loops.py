"""Layers of codes that ONNX Runtime computes in float: closer to the float network than codes all the way."""

import numpy as np
import onnx
import pytest

from tests.ir.recurrent_nets import LAYERS, STEPS, network
from tests.onnx_files import IN_STEPS, operators
from tests.random_nets import noise, quantized
from tests.recurrent_nets import SAMPLES, X, in_codes, tagger
from toolchain.device.local import open_session
from toolchain.device.parity import parity
from toolchain.execution import watch
from toolchain.ir.graph import Graph
from toolchain.ir.loops import Loop, parts
from toolchain.ir.quant import dequantize
from toolchain.lower.onnx import write_onnx
from toolchain.lower.onnx_loops import coded_layers, loops_on_reals
from toolchain.lower.onnx_recurrent import float_note, step_note
from toolchain.pipeline import build, prepare
from toolchain.profile import load_target
from toolchain.recipe import QuantSpec, Recipe
from toolchain.runtime import reference
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.oracle
IN_FLOAT = ("model.onnx computes layer.h in float between conversions, with float32 weights: ONNX Runtime "
            "has kernels for recurrent layers in float only",)


def reals(graph: Graph, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: dequantize(codes, graph.tensors[name].quant) for name, codes in values.items()}


@pytest.mark.parametrize("kind, asked", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("begun", ["zero", "constant", "input"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_layer_of_codes_is_one_node_between_conversions(kind, asked, begun, reverse):
    graph = quantized(network(kind, reverse, begun, **asked))
    model = write_onnx(graph)
    onnx.checker.check_model(onnx.load_from_string(model))
    assert operators(model).keys() == {kind.upper(), "Reshape", "QuantizeLinear", "DequantizeLinear"}
    assert operators(model)[kind.upper()] == 1 and model == write_onnx(graph)
    assert float_note(graph) == IN_FLOAT and step_note(graph) == ()
    feeds = noise(graph, 5)
    want = reals(graph, reference.run(loops_on_reals(graph), feeds))
    for name, y in OnnxRuntime(model).run(reals(graph, feeds)).items():
        np.testing.assert_allclose(y, want[name], rtol=0, atol=1.01 * float(graph.tensors[name].quant.scale))


@pytest.mark.parametrize("kind, asked", LAYERS.values(), ids=LAYERS)
def test_reals_inside_are_closer_to_the_float_network_than_codes(kind, asked):
    net = network(kind, **asked)
    graph = quantized(net)
    feeds = noise(graph, 50)
    want = reference.run(net, reals(graph, feeds))

    def error(form: Graph) -> float:
        got = reals(graph, reference.run(form, feeds))
        return sum(np.square(got[name] - y).mean() / np.square(y).mean() for name, y in want.items())

    assert 0 < error(loops_on_reals(graph)) < error(graph)


def test_of_stacked_layers_the_next_reads_reals():
    graph = in_codes(tagger("stacked"))
    assert len(coded_layers(graph)) == 2
    between = loops_on_reals(graph)
    first, second = (part for part in parts(between) if isinstance(part, Loop))
    (left,) = (op.name for op in first.exits)
    assert [op.kind for op in between.consumers[left]] == ["reshape"]
    assert between.tensors[left].quant is None and operators(write_onnx(graph))["GRU"] == 2


def test_what_is_kept_inside_is_written_out_in_codes():
    graph = quantized(network("lstm"))
    assert operators(write_onnx(graph, keep=("layer.sequence",)))["LSTM"] == 1
    inner = write_onnx(graph, keep=("layer.cell@2",))
    assert operators(inner)["LSTM"] == 0 and operators(inner)["Sigmoid"] == STEPS
    got, want = (watch(graph, ["layer.cell"], runtime)(noise(graph, 5))["layer.cell"].astype(int)
                 for runtime in ("onnxruntime", "reference"))
    assert np.abs(got - want).max() <= 3


def test_a_loop_of_codes_that_is_no_layer_stays_in_codes():
    graph = network("lstm")
    ops = tuple(op if op.name != "layer.shown" else type(op)("relu", op.inputs, op.outputs, {})
                for op in graph.ops)
    other = quantized(type(graph)(graph.name, graph.tensors, ops, graph.inputs, graph.outputs))
    assert coded_layers(other) == () and loops_on_reals(other) is other
    assert step_note(other) == IN_STEPS and float_note(other) == ()


@pytest.mark.parametrize("islands", [{"*.input": "int16"}, {"*.input": "float32"}, {"*.open": "float32"},
                                     {"*": "int16"}], ids=str)
@pytest.mark.parametrize("layer", ["lstm", "stacked"])
def test_islands_in_a_layer_or_ahead_of_it_mean_nothing_in_float(layer, islands):
    net = tagger(layer)
    graph = prepare(net, Recipe(quantize=QuantSpec(islands=islands)), SAMPLES).graph
    assert len(coded_layers(graph)) == (2 if layer == "stacked" else 1)
    model = OnnxRuntime(write_onnx(graph))
    want = reference.run(net, {"x": X})
    for name, y in model.run({"x": X}).items():
        assert np.abs(y - want[name]).max() < 0.03 * np.ptp(want[name])


@pytest.mark.parametrize("layer", ["lstm", "gru", "stacked"])
def test_artefacts_are_held_to_what_their_file_computes(layer):
    """A step too, of which nothing says that all steps are there."""
    for streaming in (False, True):
        prepared = prepare(tagger(layer), Recipe(streaming=streaming), SAMPLES)
        made = build(prepared, load_target("host"), SAMPLES)
        found, problems = parity(made, "onnx", open_session("onnx", made.model("onnx")))
        assert not problems and found.worst <= 1 < found.checked
        notes = [note for note in made.manifest.notes if note.startswith("model.onnx")]
        assert len(notes) == 1 and "in float between conversions" in notes[0]


def test_names_that_are_taken_stay():
    graph = quantized(network("gru"))
    taken = graph.renamed({"layer.n": "layer.h:real", "x": "layer.gates.input:real"})
    feeds = noise(graph, 3)
    want = reference.run(loops_on_reals(graph), feeds)
    got = reference.run(loops_on_reals(taken), {"layer.gates.input:real": feeds["x"]})
    for name, y in want.items():
        np.testing.assert_array_equal(got[name], y)
