"""The simulated network gives what LiteRT's reference kernels give, before it is trained and after."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from tests.quantize.nets import Net, samples_of
from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.ir.quant import dequantize
from toolchain.ir.quant import quantize as codes_of
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig, QatConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.scheme import scheme_of
from toolchain.train.fit import fit
from toolchain.train.quantized_module import QuantizedModule

SAMPLES = 400
SCHEMES = {"static_wi8_ai8": 2, "static_wi4_ai8": 2, "static_wi8_ai16": 8}
"""Scheme -> how many codes an output may be off; those of int16 are 256 times finer."""


def residual() -> Graph:
    net = Net("residual")
    x = net.conv(net.input("x", (1, 8, 8, 3)), 8, "stem", activation="relu")
    y = net.conv(net.conv(x, 8, "first", activation="relu"), 8, "second")
    y = net.op("add", [x, y], "sum", activation="relu")
    y = net.op("average_pool2d", [y], "pool", kernel=(8, 8))
    return net.graph(net.dense(net.op("reshape", [y], "flat", shape=(1, 8)), 5, "logits"))


def branches() -> Graph:
    """Depthwise, concat, pools, a constant factor."""
    net = Net("branches", 1)
    x = net.conv(net.input("x", (1, 8, 8, 4)), 8, "stem", activation="relu6")
    filters = [net.weights("filter", 1, 3, 3, 8), net.weights("filter.bias", 8)]
    deep = net.op("depthwise_conv2d", [x, *filters], "depthwise", pads=(1, 1, 1, 1), activation="relu6")
    scaled = net.op("mul", [net.conv(x, 4, "point", kernel=1), net.weights("factor", 4)], "scaled")
    y = net.op("concat", [deep, scaled], "both", axis=3)
    y = net.op("max_pool2d", [y], "max", kernel=(2, 2), stride=(2, 2))
    y = net.op("average_pool2d", [y], "mean", kernel=(2, 2), stride=(2, 2))
    return net.graph(net.dense(net.op("reshape", [y], "flat", shape=(1, 48)), 6, "logits"))


def modern() -> Graph:
    """Hard swish, a gate as of squeeze and excite, leaky relu, softmax at the end."""
    net = Net("modern", 2)
    x = net.conv(net.input("x", (1, 6, 6, 3)), 8, "stem")
    x = net.op("hard_swish", [x], "swish")
    gate = net.op("mean", [x], "squeezed", axes=(1, 2), keepdims=True)
    gate = net.op("logistic", [net.conv(gate, 8, "excite", kernel=1)], "gate")
    x = net.op("leaky_relu", [net.op("mul", [x, gate], "gated")], "leaky", alpha=0.1)
    x = net.op("mean", [x], "mean", axes=(1, 2))
    return net.graph(net.op("softmax", [net.dense(x, 4, "logits")], "probability"))


NETS = {net.__name__: net for net in (residual, branches, modern)}


@cache
def calibrated(name: str) -> tuple:
    graph = NETS[name]()
    samples = samples_of(graph, SAMPLES)
    return graph, samples, calibrate(graph, CalibrateConfig(observer="mse"), samples)


def module_of(graph: Graph, quantized: Graph, scheme: str, learned: bool = False) -> QuantizedModule:
    return QuantizedModule(graph, quantized, scheme_of(scheme).weights, {}, learned).eval()


def foretold(module: QuantizedModule, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module({"x": torch.from_numpy(x)})[module.graph.outputs[0]].numpy()


def in_litert(quantized: Graph, x: np.ndarray) -> np.ndarray:
    """Reals of the first output, by the reference kernels; by ours where those have no 4-bit depthwise."""
    codes = {"x": codes_of(x, quantized.tensors["x"].quant)}
    filters = [quantized.tensors[op.inputs[1]] for op in quantized.ops if op.kind == "depthwise_conv2d"]
    ours = any(weight.quant.dtype == "int4" for weight in filters)
    (found,) = (reference.run(quantized, codes) if ours else LiteRT(
        write_tflite(quantized), reference_kernels=True).run(codes)).values()
    return dequantize(found, quantized.tensors[quantized.outputs[0]].quant)


def assert_foretold(module: QuantizedModule, quantized: Graph, x: np.ndarray, codes: int) -> None:
    """Of what the module gives; a softmax is not part of it."""
    ending = replace(quantized, outputs=module.graph.outputs)
    found, exact = foretold(module, x), in_litert(ending.with_ops(module.quantized.ops), x)
    scale = float(quantized.tensors[module.graph.outputs[0]].quant.scale)
    assert np.abs(found - exact).max() <= (codes + 0.01) * scale
    assert (found.argmax(1) == exact.argmax(1)).mean() >= 0.995


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_foretells_what_litert_gives(name, scheme):
    graph, samples, stats = calibrated(name)
    quantized = quantize(graph, stats, QuantSpec(scheme=scheme))
    assert_foretold(module_of(graph, quantized, scheme), quantized, samples.x["x"], SCHEMES[scheme])


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi4_ai8"])
def test_nearly_all_logits_are_the_references_bit_for_bit(name, scheme):
    graph, samples, stats = calibrated(name)
    quantized = quantize(graph, stats, QuantSpec(scheme=scheme))
    module = module_of(replace(graph, outputs=("logits",)), quantized, scheme)
    codes = {"x": codes_of(samples.x["x"], quantized.tensors["x"].quant)}
    exact = reference.run(quantized, codes, keep=["logits"])["logits"].astype(int)
    found = codes_of(foretold(module, samples.x["x"]), quantized.tensors["logits"].quant)
    assert (found == exact).mean() > 0.97 and np.abs(found - exact).max() <= 1


@pytest.mark.oracle
@pytest.mark.parametrize("number", ["int16", "float32"])
def test_islands_are_foretold_too(number):
    graph, samples, stats = calibrated("residual")
    quantized = quantize(graph, stats, QuantSpec(islands={"second": number, "stem": number}))
    assert_foretold(module_of(graph, quantized, "static_wi8_ai8"), quantized, samples.x["x"], 2)


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ranges", ["fixed", "learned"])
def test_what_was_trained_is_what_quantize_deploys(name, scheme, ranges):
    graph, samples, stats = calibrated(name)
    spec, learned = QuantSpec(scheme=scheme), ranges == "learned"
    student = replace(graph, outputs=("logits",))
    module = module_of(student, quantize(graph, stats, spec), scheme, learned)
    config = QatConfig(epochs=1, batch_size=40, learning_rate=0.02, ranges=ranges)
    trained = fit(student, config, samples.take(200), student, module_of=lambda student: module)
    assert trained.digest != student.digest and bool(module.learned_params()) == learned
    deployed = quantize(replace(trained, outputs=graph.outputs), stats, spec, module.learned_params())
    assert_foretold(module.eval(), deployed, samples.x["x"], SCHEMES[scheme])
    for name, params in module.learned_params().items():
        assert deployed.tensors[name].quant.same_as(params)
    assert not learned or any(parameter.abs().max() > 0.01 for parameter in module.ranges.values())


def test_only_ranges_that_no_rule_gives_are_learned():
    graph, _, stats = calibrated("modern")
    quantized = quantize(graph, stats)
    module = module_of(graph, quantized, "static_wi8_ai8", learned=True)
    learned = set(module.learned_params())
    assert {"x", "stem", "gated", "logits", "stem.weight", "excite.weight"} <= learned
    assert not learned & {"gate", "probability", "stem.bias"}
    held = QuantizedModule(graph, quantized, "int8", {"x": quantized.tensors["x"].quant}, True)
    assert "x" not in held.learned_params()


def test_tensors_that_share_a_range_learn_one():
    graph, _, stats = calibrated("branches")
    module = module_of(graph, quantize(graph, stats), "static_wi8_ai8", learned=True)
    shared = {module.quantized.tensors[name].quant for name in ("depthwise", "scaled", "both", "max", "mean")}
    assert len(shared) == 1 and shared <= set(module.ranges)


def test_constants_read_as_data_keep_their_codes():
    graph, samples, stats = calibrated("branches")
    module = module_of(graph, quantize(graph, stats), "static_wi8_ai8")
    trained = fit(graph, QatConfig(epochs=1, learning_rate=0.02, ranges="fixed"), samples, graph,
                  module_of=lambda student: module)
    changed = {t.name for t in trained.constants if t.data.tobytes() != graph.tensors[t.name].data.tobytes()}
    assert changed == {t.name for t in graph.constants} - {"factor"}


@pytest.mark.parametrize("ranges", ["fixed", "learned"])
def test_a_matrix_that_is_a_table_too_keeps_its_codes(ranges):
    """Rows are looked up in it and it makes the logits: one float constant, in codes of two kinds."""
    net, rng = Net("tied", 3), np.random.default_rng(5)
    table = net.weights("table", 12, 6)
    rows = net.op("gather", [table, net.input("x", (1, 4), "int32")], "rows", axis=0)
    x = net.op("mean", [rows], "mean", axes=(1,))
    x = net.dense(x, 6, "hidden", activation="relu")
    graph = net.graph(net.op("fully_connected", [x, table, net.weights("bias", 12)], "logits"))
    tokens = rng.integers(0, 12, (300, 4)).astype(np.int32)
    samples = Samples("tokens", {"x": tokens}, None, None, np.arange(300)).fit_to(graph)
    stats = calibrate(graph, CalibrateConfig(observer="minmax"), samples)
    module = module_of(graph, quantize(graph, stats), "static_wi8_ai8", ranges == "learned")
    config = QatConfig(epochs=2, batch_size=30, learning_rate=0.02, ranges=ranges)
    trained = fit(graph, config, samples, graph, module_of=lambda student: module)
    assert np.array_equal(trained.tensors["table"].data, graph.tensors["table"].data)
    deployed = quantize(trained, stats, pinned=module.learned_params())
    exact = reference.run(deployed, {"x": tokens})["logits"]
    found = codes_of(foretold(module.eval(), tokens), deployed.tensors["logits"].quant)
    assert np.abs(found.astype(int) - exact).max() <= 1


def test_what_it_simulates_is_part_of_a_checkpoints_identity():
    graph, _, stats = calibrated("residual")
    keys = [module_of(graph, quantize(graph, stats, QuantSpec(scheme=scheme)), scheme, learned).key()
            for scheme in ("static_wi8_ai8", "static_wi4_ai8") for learned in (False, True)]
    assert len(set(keys)) == 4
