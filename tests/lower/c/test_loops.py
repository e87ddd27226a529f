"""Recurrent layers in C: a loop that gives the reference's codes, bit for bit."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.c_host import compile_graphs
from tests.load.test_torch_recurrent import Writer, settled
from tests.load.torch_nets import Network
from toolchain.data import Samples
from toolchain.errors import Unsupported
from toolchain.execution import watch
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.layout import channels_last
from toolchain.ir.passes import canonical
from toolchain.ir.quant import QuantParams
from toolchain.ir.quant import quantize as codes_of
from toolchain.load.torch import load_torch
from toolchain.lower.c.emit import write_c
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT

STEPS, FEATURES, WIDTH = 9, 6, 8
LAYERS = {"lstm": (nn.LSTM, {}), "gru": (nn.GRU, {}), "elman": (nn.RNN, {}),
          "stacked": (nn.GRU, {"num_layers": 2}), "both_ways": (nn.LSTM, {"bidirectional": True})}


def quantized(name: str, scheme: str = "static_wi8_ai8") -> Graph:
    """All hidden states and a sum of the last ones."""
    kind, options = LAYERS[name]
    layer = settled(kind(FEATURES, WIDTH, batch_first=True, **options))
    width = WIDTH * (2 if "bidirectional" in options else 1)
    net = Network(_all_and_last, layer=layer, head=nn.Linear(width, 3))
    graph = canonical(channels_last(load_torch(net.eval(), (torch.zeros(1, STEPS, FEATURES),), name)))
    samples = Samples("noise", {graph.inputs[0]: noise(16)}, None, None, np.arange(16))
    return quantize(graph, calibrate(graph, CalibrateConfig(), samples, watch), QuantSpec(scheme=scheme))


def _all_and_last(m, x):
    y, _ = m.layer(x)
    return y, m.head(y[:, -1])


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(count, STEPS, FEATURES)).astype(np.float32)


def feeds_of(graph: Graph, count: int = 6) -> dict[str, np.ndarray]:
    (name,) = graph.inputs
    return {name: codes_of(noise(count), graph.tensors[name].quant)}


@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi8_ai16"])
def test_c_gives_the_codes_of_the_reference(scheme, tmp_path):
    graphs = [quantized(name, scheme) for name in LAYERS]
    for graph, model in zip(graphs, compile_graphs(graphs, tmp_path), strict=True):
        feeds = feeds_of(graph)
        expected = reference.run(graph, feeds)
        for found in (model.run(feeds), model.in_arena().run(feeds)):
            for name in graph.outputs:
                np.testing.assert_array_equal(found[name], expected[name], err_msg=graph.name)


@pytest.mark.parametrize("fed", ["nothing", "the code", "numbers of its own", "both ways"])
@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi8_ai16"])
def test_a_layer_that_begins_with_what_is_computed_gives_the_codes_of_the_reference(fed, scheme, tmp_path):
    graph = canonical(channels_last(load_torch(Writer(nn.GRU, fed).eval(), (torch.zeros(1, 4),), "writer")))
    codes = np.random.default_rng(3).normal(size=(16, 4)).astype(np.float32)
    samples = Samples("noise", {graph.inputs[0]: codes}, None, None, np.arange(16))
    graph = quantize(graph, calibrate(graph, CalibrateConfig(), samples, watch), QuantSpec(scheme=scheme))
    feeds = {name: codes_of(codes, graph.tensors[name].quant) for name in graph.inputs}
    (model,) = compile_graphs([graph], tmp_path)
    expected = reference.run(graph, feeds)
    for found in (model.run(feeds), model.in_arena().run(feeds)):
        for name in graph.outputs:
            np.testing.assert_array_equal(found[name], expected[name])


def test_the_same_sample_twice_gives_the_same_answer(tmp_path):
    graph = quantized("gru")
    feeds = {name: np.concatenate([x[:1], x[1:2], x[:1]]) for name, x in feeds_of(graph).items()}
    litert = LiteRT(write_tflite(graph))
    rows = [litert.run({name: x[i:i + 1] for name, x in feeds.items()}) for i in range(3)]
    (model,) = compile_graphs([graph], tmp_path)
    answers = [reference.run(graph, feeds), model.run(feeds)]
    answers.append({name: np.concatenate([row[name] for row in rows]) for name in graph.outputs})
    for answer in answers:
        for name in graph.outputs:
            np.testing.assert_array_equal(answer[name][0], answer[name][2])
            assert (answer[name][0] != answer[name][1]).any()


def test_a_layer_is_one_for_whatever_the_number_of_steps():
    page = write_c(quantized("gru")).files["model.c"].decode()
    assert page.count(f"for (int32_t step = 0; step < {STEPS}; step++) {{") == 1
    assert page.count("tk_fully_connected_s8(&layer_gru_gates_recurrent_params") == 1


def shift_register() -> Graph:
    """A state that becomes another: y[t] = x[t - 2]."""
    scale = QuantParams(0.1, 0)
    build = Builder("shift_register")
    x = build.input("x", (1, STEPS, 4), "int8", scale)
    begin = build.constant("begin", np.zeros((1, 4), np.int8), scale)
    older, newer = (build.op("state", [begin, begin], name, loop="loop", quant=scale)
                    for name in ("older", "newer"))
    step = build.op("step", [x], "step", loop="loop", axis=1, quant=scale)
    build.becomes(older, newer)
    build.becomes(newer, step)
    return build.graph(build.op("sequence", [older], "y", loop="loop", axis=1, steps=STEPS, quant=scale))


def test_a_state_that_becomes_another_runs_but_not_in_c():
    codes = np.arange(STEPS * 4, dtype=np.int8).reshape(1, STEPS, 4)
    found = reference.run(shift_register(), {"x": codes})["y"]
    np.testing.assert_array_equal(found[0, 2:], codes[0, :-2])
    with pytest.raises(Unsupported, match="older: state becomes newer, a state too; in C an op"):
        write_c(shift_register())
