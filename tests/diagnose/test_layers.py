"""Layers in the network and alone."""

import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of
from tests.recurrent_nets import SAMPLES, in_codes, tagger
from toolchain.diagnose.isolate import ALONE, isolated
from toolchain.diagnose.layers import layer_figures
from toolchain.execution import watch
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize, quantize
from toolchain.paired import sqnr_db
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize as quantize_graph
from toolchain.quantize.sensitivity import INPUT, Sensitivity
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference


@pytest.fixture(scope="module")
def case():
    """With a concat of two scales, whose conversions stay with it, and an op on reals."""
    net = Net("mixed")
    x = net.input("x", (1, 6, 6, 3))
    a, b = net.conv(x, 4, "a", activation="relu"), net.conv(x, 4, "b")
    joined = net.op("concat", [net.op("logistic", [a], "gate"), b], "joined", axis=3)
    graph = canonical(net.graph(net.conv(joined, 4, "last")))
    samples = samples_of(graph, count=6)
    stats = calibrate(graph, CalibrateConfig(observer="minmax"), samples)
    return graph, quantize_graph(graph, stats), samples


def by_reference(graph, names):
    return lambda feeds: reference.run(graph, feeds, keep=names)


def known(graph):
    return {t.name for t in graph.activations}


def test_alone_no_op_reads_what_another_made(case):
    graph, coded, _ = case
    cut = isolated(coded, known(graph))
    assert set(cut.outputs) == {op.name + ALONE for op in graph.ops}
    assert not {name for op in cut.ops for name in op.inputs} & set(cut.outputs)


def test_what_a_loop_repeats_has_figures_in_place():
    graph = tagger("gru")
    layers = layer_figures(graph, in_codes(graph), SAMPLES, watch)
    hidden = next(layer for layer in layers if layer.name == "layer.gru.hidden")
    assert hidden.kind == "add" and 15 < hidden.sqnr_db < hidden.local_db


def test_each_op_alone_is_its_kernel_on_rounded_float_inputs(case):
    """One op at a time, through the graph of nothing but it."""
    graph, coded, samples = case
    feeds = samples.feeds(slice(None))
    values = reference.run(graph, feeds, keep=known(graph))
    found = {layer.name: layer for layer in layer_figures(graph, coded, samples, by_reference)}
    for name in ("a", "last"):
        op = coded.producers[name]
        single = type(coded)("one", coded.tensors, (), (op.inputs[0],), (name,)).with_ops([op])
        codes = quantize(values[op.inputs[0]], coded.tensors[op.inputs[0]].quant)
        alone = dequantize(reference.run(single, {op.inputs[0]: codes})[name], coded.tensors[name].quant)
        assert found[name].local_db == pytest.approx(sqnr_db(values[name], alone).mean(), abs=1e-3)


def test_in_place_is_the_quantized_network_beside_float(case):
    graph, coded, samples = case
    feeds = samples.feeds(slice(None))
    values = reference.run(graph, feeds, keep=known(graph))
    codes = reference.run(coded, {"x": quantize(feeds["x"], coded.tensors["x"].quant)}, keep=known(graph))
    for layer in layer_figures(graph, coded, samples, by_reference):
        reals = dequantize(codes[layer.name], coded.tensors[layer.name].quant)
        assert layer.sqnr_db == pytest.approx(sqnr_db(values[layer.name], reals).mean(), abs=1e-3)
        assert layer.low == pytest.approx(values[layer.name].min(), abs=1e-4)


def test_layers_come_in_order_with_what_they_cost(case):
    graph, coded, samples = case
    layers = layer_figures(graph, coded, samples, by_reference, [Sensitivity("b", "conv2d", 12.5)])
    assert [layer.name for layer in layers] == ["x", *(op.name for op in graph.ops)]
    assert {layer.name: layer.output_db for layer in layers if layer.output_db} == {"b": 12.5}
    assert layers[0].kind == INPUT and layers[0].sqnr_db == pytest.approx(layers[0].local_db)
    assert {layer.name for layer in layers if layer.weight_db is not None} == {"a", "b", "last"}
    assert np.isfinite([layer.cosine for layer in layers]).all()
