"""What each op's quantization costs the output, held to a walk through the network by hand."""

import math

import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of
from toolchain.data import Samples
from toolchain.execution import watch
from toolchain.ir.passes import canonical
from toolchain.paired import EXACT_DB
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.quantize.sensitivity import INPUT, only_quantized, sensitivity
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference
from toolchain.runtime.kernels_float import FLOAT
from toolchain.runtime.moving import over_samples


def branched():
    """Residual, activation of its own, concat, softmax: every way an op's noise can travel."""
    net = Net("branched")
    x = net.input("x", (1, 8, 8, 3))
    a = net.conv(x, 8, "a", activation="relu6")
    b = net.op("hard_swish", [net.conv(a, 8, "b")], "swish")
    joined = net.op("concat", [net.op("add", [b, a], "sum"), a], "joined", axis=3)
    pooled = net.op("mean", [joined], "pooled", axes=(1, 2), keepdims=False)
    return canonical(net.graph(net.op("softmax", [net.dense(pooled, 5, "logits")], "y")))


@pytest.fixture(scope="module")
def case():
    graph = branched()
    samples = samples_of(graph)
    return graph, quantize(graph, calibrate(graph, CalibrateConfig(observer="minmax"), samples)), samples


def by_reference(graph, names):
    return lambda feeds: reference.run(graph, feeds, keep=names)


def snap(values, quant):
    """To the nearest multiple of the scale, within the codes: np.rint in float64, not our quantize."""
    codes = np.rint(values / np.float64(quant.scale)) + int(quant.zero_point)
    return ((np.clip(codes, -128, 127) - int(quant.zero_point)) * np.float64(quant.scale)).astype(np.float32)


def logits_by_hand(graph, coded, feeds, noisy):
    """The float kernels one after the other; only `noisy` has coded weights and a snapped output."""
    values = {name: snap(x, coded.tensors[name].quant) if name == noisy else x for name, x in feeds.items()}
    for op in graph.ops:
        parts = []
        for name in op.inputs:
            tensor = coded.tensors.get(name)
            if name == noisy or not graph.tensors[name].is_constant or op.name != noisy:
                parts.append(values.get(name, graph.tensors[name].data))
            else:
                scale = tensor.quant.scale.reshape([-1] + [1] * (tensor.data.ndim - 1))
                parts.append((tensor.data * scale).astype(np.float32))
        values[op.name] = FLOAT[op.kind](over_samples(op, len(feeds["x"])), *parts)
        if op.name == noisy:
            values[op.name] = snap(values[op.name], coded.tensors[op.name].quant)
    return values["logits"].astype(np.float64)


def by_hand(graph, coded, feeds, noisy):
    """Mean over samples of 10 log10(signal / noise)."""
    clean, dirty = (logits_by_hand(graph, coded, feeds, name) for name in (None, noisy))
    return np.mean([10 * math.log10((c * c).sum() / ((c - d) ** 2).sum()) for c, d in zip(clean, dirty)])


def test_it_is_what_a_walk_by_hand_finds(case):
    graph, coded, samples = case
    rows = sensitivity(graph, coded, samples, by_reference, count=8, inputs=True)
    feeds = samples.take(8).feeds(slice(None))
    assert {row.name for row in rows} == {"x", "a", "b", "swish", "sum", "pooled", "logits"}
    for row in rows:
        assert row.sqnr_db == pytest.approx(by_hand(graph, coded, feeds, row.name), abs=0.05), row


def test_the_worst_comes_first_and_inputs_only_when_asked(case):
    graph, coded, samples = case
    rows = sensitivity(graph, coded, samples, by_reference)
    assert [row.sqnr_db for row in rows] == sorted(row.sqnr_db for row in rows)
    assert all(row.kind == graph.producers[row.name].kind for row in rows)
    more = sensitivity(graph, coded, samples, by_reference, inputs=True)
    assert [row.name for row in more if row.kind == INPUT] == ["x"]


def test_all_at_once_is_what_the_integers_compute(case):
    """Everything quantized in float is the integer network but for the rounding of sums."""
    graph, coded, samples = case
    feeds = samples.feeds(slice(None))
    every = {*graph.inputs, *(op.name for op in graph.ops)}
    in_float = reference.run(only_quantized(graph, coded, every), feeds)["y"]
    x, quant = coded.tensors["x"].quant, coded.tensors["y"].quant
    x_codes = np.clip(np.rint(feeds["x"] / x.scale) + x.zero_point, -128, 127).astype(np.int8)
    codes = reference.run(coded, {"x": x_codes})
    in_codes = (codes["y"].astype(np.int64) - int(quant.zero_point)) * float(quant.scale)
    assert np.abs(in_float - in_codes).max() < 4 * float(quant.scale)


def test_nothing_quantized_is_the_float_graph(case):
    graph, coded, _ = case
    assert only_quantized(graph, coded, frozenset()).digest == graph.digest


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_every_runtime_ranks_alike(case, runtime):
    graph, coded, samples = case
    ours = sensitivity(graph, coded, samples, by_reference)
    theirs = {row.name: row.sqnr_db
              for row in sensitivity(graph, coded, samples, lambda g, names: watch(g, names, runtime))}
    for row in ours:
        assert theirs[row.name] == pytest.approx(row.sqnr_db, abs=0.1)


def test_what_fits_its_codes_costs_nothing(case):
    """127 times a grid of 255 steps: weights and outputs are whole numbers of their scales."""
    net = Net("exact")
    x = net.input("x", (1, 4))
    weight = net.constant("y.weight", np.diag([127.0, 127, 127, 127]).astype(np.float32))
    bias = net.constant("y.bias", np.zeros(4, np.float32))
    graph = canonical(net.graph(net.op("fully_connected", [x, weight, bias], "y")))
    grid = np.array([[-127.0, 0, 1, 128]], np.float32) / 127
    samples = Samples("grid", {"x": grid}, None, None, np.arange(1))
    coded = quantize(graph, calibrate(graph, CalibrateConfig(observer="minmax"), samples))
    assert [row.sqnr_db for row in sensitivity(graph, coded, samples, by_reference)] == [
        pytest.approx(EXACT_DB)]
