"""The streaming form: step by step what the sequence form gives, in every runtime; what has none."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.c_host import compile_graphs
from tests.recurrent_nets import FEATURES, HIDDEN, LAYERS, STEPS, Tagger, X, in_codes, literal, tagger
from toolchain.errors import Unsupported
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.loops import has_loops
from toolchain.ir.quant import dequantize, quantize
from toolchain.ir.streaming import REMEDY, State, Streaming, streamed
from toolchain.load.torch import load_torch
from toolchain.lower.borders import ports
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime
from toolchain.runtime.steps import run_steps

SAMPLES = 3


@pytest.fixture(scope="module", params=LAYERS)
def net(request) -> tuple[Graph, Graph]:
    """Sequence forms: float, and in codes."""
    graph = tagger(request.param)
    return graph, in_codes(graph)


def codes(graph: Graph, x: np.ndarray = X[:SAMPLES]) -> np.ndarray:
    tensor = graph.tensors["x"]
    return x if tensor.quant is None else quantize(x, tensor.quant)


def step_by_step(graph: Graph, open_run, feeds=None) -> dict[str, np.ndarray]:
    """Outputs of all steps (N, STEPS, ...), of the streaming form of `graph` in a runtime."""
    one = streamed(graph)
    inputs, outputs = (ports(one.graph, names) for names in (one.graph.inputs, one.graph.outputs))
    given = {port.name: port for port in ports(graph, graph.inputs)}
    done = run_steps(open_run(one.graph), one.form, inputs, outputs, given, feeds or {"x": codes(graph)})
    rows = [answers for _, answers in done]
    return {name: np.stack([row[name] for row in rows], axis=1) for name in one.graph.outputs}


def in_reference(graph: Graph):
    return lambda feeds: reference.run(graph, feeds)


def in_litert(graph: Graph):
    return LiteRT(write_tflite(graph)).run


def in_onnxruntime(graph: Graph):
    """Of a float graph."""
    return OnnxRuntime(write_onnx(graph)).run


def require_same_answers(got: dict[str, np.ndarray], want: dict[str, np.ndarray], most: float) -> None:
    """got: of all steps;  want: of the sequence form"""
    assert got["each"].shape == (SAMPLES, STEPS, 1, 2)
    assert np.abs(got["each"][:, :, 0].astype(np.float64) - want["each"]).max() <= most
    assert np.abs(got["last"][:, -1].astype(np.float64) - want["last"]).max() <= most


def require_equal(got: dict[str, np.ndarray], graph: Graph, most: float) -> None:
    """Outputs, and states at each step, are those of the sequence form."""
    states = [op.name for op in graph.ops if op.kind == "state"]
    want = reference.run(graph, {"x": codes(graph)}, keep=states)
    require_same_answers(got, want, most)
    for state in streamed(graph).form.states:
        later = want[state.input][:, 1:].astype(np.float64)  # what a state is at the next step
        assert np.abs(got[state.output][:, :-1] - later).max() <= most


def test_float_steps_are_those_of_the_sequence(net):
    graph, _ = net
    for open_run in (in_reference, in_litert, in_onnxruntime):
        require_equal(step_by_step(graph, open_run), graph, 1e-6)


def test_codes_are_those_of_the_sequence_bit_for_bit(net):
    _, graph = net
    require_equal(step_by_step(graph, in_reference), graph, 0)


def test_c_gives_the_codes_of_the_sequence_bit_for_bit(net, tmp_path):
    _, graph = net
    whole, one = compile_graphs([graph, streamed(graph).graph], tmp_path)
    require_equal(step_by_step(graph, lambda _: one.run), graph, 0)
    require_equal(step_by_step(graph, lambda _: one.in_arena().run), graph, 0)
    feeds = {"x": codes(graph)}
    for name, values in whole.run(feeds).items():
        assert np.array_equal(values, reference.run(graph, feeds)[name])


def test_litert_gives_the_codes_of_its_own_sequence_within_one(net):
    """Where its kernels round otherwise than the reference, they do so in both forms."""
    _, graph = net
    got, whole = step_by_step(graph, in_litert), in_litert(graph)({"x": codes(graph)})
    require_same_answers(got, whole, 1)
    require_equal(got, graph, 2)


def test_onnxruntime_gives_the_codes_of_the_sequence_in_reals(net):
    """Its file takes and gives reals: states go through them, and stay the codes that they are."""
    _, graph = net
    one = streamed(graph)
    session = OnnxRuntime(write_onnx(one.graph))

    def run(feeds):
        reals = {name: dequantize(x, one.graph.tensors[name].quant) for name, x in feeds.items()}
        return {name: quantize(x, one.graph.tensors[name].quant) for name, x in session.run(reals).items()}

    require_equal(step_by_step(graph, lambda _: run), graph, 2)


def test_a_state_comes_out_as_it_goes_in(net):
    for graph in net:
        one = streamed(graph)
        assert not has_loops(one.graph)
        check(one.graph, "QUANTIZED" if graph is net[1] else "CANONICAL")
        for state in one.form.states:
            before, after = (one.graph.tensors[name] for name in (state.input, state.output))
            assert (before.shape, before.dtype) == (after.shape, after.dtype)
            assert before.quant is after.quant or before.quant.same_as(after.quant)
            assert state.initial == (0.0,)


def test_every_state_of_every_layer_is_an_input():
    one = streamed(tagger("stacked"))
    states = tuple(State(f"layer.gru.{i}.h", f"layer.gru.{i}.hidden", (0.0,)) for i in range(2))
    assert one.form == Streaming(STEPS, {"x": 1, "each": 1}, states)
    assert one.graph.inputs == ("x", "layer.gru.0.h", "layer.gru.1.h")
    assert one.graph.outputs == ("last", "each", "layer.gru.0.hidden", "layer.gru.1.hidden")
    assert one.graph.tensors["x"].shape == (1, 1, FEATURES)
    cells = streamed(tagger("lstm")).form.states
    assert [state.input for state in cells] == ["layer.lstm.h", "layer.lstm.c"]


class Net(nn.Module):
    """A GRU between what `before` and `after` do; after gets all hidden states and the last one."""

    def __init__(self, before=lambda net, x: x, after=lambda net, y, h: y, layer: nn.Module | None = None):
        super().__init__()
        self.layer = layer or nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.conv = nn.Conv1d(FEATURES, FEATURES, 3, padding=1)
        self.each = nn.Conv1d(FEATURES, FEATURES, 1)
        self.places = nn.Parameter(torch.randn(1, STEPS, FEATURES))
        self.before, self.after = before, after

    def forward(self, x):
        y, h = self.layer(self.before(self, x))
        return self.after(self, y, h[-1] if isinstance(h, torch.Tensor) else h[0][-1])


def require_streams(net: Net, shape=(1, STEPS, FEATURES), most: float = 1e-6) -> Streaming:
    """The first output, after the last step or at each one, is the sequence form's."""
    torch.manual_seed(2)
    graph = literal(net, shape)
    x = np.random.default_rng(1).normal(size=(SAMPLES, *graph.tensors["x"].shape[1:])).astype(np.float32)
    form, name = streamed(graph).form, graph.outputs[0]
    want = reference.run(graph, {"x": x})[name]
    got = step_by_step(graph, in_reference, {"x": x})[name]
    axis = form.axes.get(name)
    whole = got[:, -1] if axis is None else np.concatenate(list(np.moveaxis(got, 1, 0)), axis)
    assert np.abs(whole - want).max() <= most
    return form


def test_what_sees_one_step_at_a_time_is_streamed():
    require_streams(Net(lambda net, x: net.each(x.transpose(1, 2)).transpose(1, 2)))
    require_streams(Net(lambda net, x: functional.softmax(x, dim=2) + x.mean(dim=2, keepdim=True)))
    require_streams(Net(after=lambda net, y, h: functional.normalize(h)))
    require_streams(Net(after=lambda net, y, h: torch.cat([y, y * 2], dim=2)))
    channels_first = require_streams(Net(lambda net, x: x.transpose(1, 2)), (1, FEATURES, STEPS))
    assert channels_first.axes["x"] == 2


def test_a_last_state_that_goes_out_too_has_two_names():
    form = require_streams(Net(after=lambda net, y, h: h))
    graph = literal(Net(after=lambda net, y, h: h))
    one = streamed(graph)
    assert len(set(one.graph.outputs)) == len(one.graph.outputs) == 2
    assert form.states == one.form.states


def test_states_may_begin_with_other_numbers():
    class Warm(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(FEATURES, HIDDEN, batch_first=True)
            self.h = nn.Parameter(torch.rand(1, 1, HIDDEN))

        def forward(self, x):
            return self.layer(x, self.h)[0]

    torch.manual_seed(3)
    warm = Warm()
    state, = require_streams(warm).states
    assert np.allclose(state.initial, warm.h.detach().numpy().ravel())


@pytest.mark.parametrize("net, op, why", [
    (Net(lambda net, x: net.conv(x.transpose(1, 2)).transpose(1, 2)), "conv", "conv2d mixes steps"),
    (Net(lambda net, x: x - x.mean(dim=1, keepdim=True)), "mean", "mean mixes steps"),
    (Net(lambda net, x: functional.softmax(x, dim=1)), "softmax", "softmax mixes steps"),
    (Net(lambda net, x: x.flip(1)), "flip", "mixes steps"),
    (Net(lambda net, x: x + net.places), "add", "reads other values of places at each step"),
    (Net(after=lambda net, y, h: y.mean(dim=1)), "mean", "mean mixes steps"),
    (Net(after=lambda net, y, h: y[:, 0]), "select", "slice mixes steps"),
    (Net(after=lambda net, y, h: y.flatten(1)), "flatten", "reshape mixes steps"),
    (Net(after=lambda net, y, h: y @ y.transpose(1, 2)), "matmul", "mixes steps"),
    (Net(after=lambda net, y, h: y + h[:, None]), "add", "of the last step at every step"),
    (Net(layer=nn.GRU(FEATURES, HIDDEN, batch_first=True, bidirectional=True)), "reverse",
     "goes from the last step to the first"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_needs_other_steps_is_refused_by_name(net, op, why):
    with pytest.raises(Unsupported, match=f"net cannot be streamed: .*{op}.*: .*{why}") as error:
        streamed(literal(net))
    assert str(error.value).endswith(REMEDY)


def test_a_network_without_recurrent_layers_is_refused():
    with pytest.raises(Unsupported, match="needs recurrent layers .* but it has no recurrent layer"):
        streamed(literal(nn.Linear(FEATURES, 2)))
    with pytest.raises(Unsupported, match="but it has loops of 1 steps"):
        streamed(literal(Net(), (1, 1, FEATURES)))


def test_a_state_that_is_fed_cannot_be_told():
    class Fed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(FEATURES, HIDDEN, batch_first=True)

        def forward(self, x, h):
            return self.layer(x, h)[0]

    with pytest.raises(Unsupported, match="layer.gru.h: state begins with .*, which is computed or fed"):
        streamed(load_torch(Fed(), (torch.zeros(1, STEPS, FEATURES), torch.zeros(1, 1, HIDDEN)), "net"))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_sequence_leaves_nothing_behind(layer, tmp_path):
    """The same sample twice gives the same answer, whatever was between."""
    graph = in_codes(tagger(layer))
    x = codes(graph)[[0, 1, 0]]
    c, = compile_graphs([graph], tmp_path)
    runs = [(LiteRT(write_tflite(graph)).run, x), (OnnxRuntime(write_onnx(graph)).run, X[[0, 1, 0]]),
            (c.run, x), (in_reference(graph), x)]
    for run, samples in runs:
        for values in run({"x": samples}).values():
            assert np.array_equal(values[0], values[2]) and not np.array_equal(values[0], values[1])


def test_tagger_is_what_torch_computes():
    """An oracle of its own: torch, fed with the states step by step."""
    torch.manual_seed(1)
    net = Tagger(LAYERS["stacked"]()).eval()
    got = step_by_step(tagger("stacked"), in_reference)
    with torch.no_grad():
        last, each = net(torch.from_numpy(X[:SAMPLES]))
    assert np.allclose(got["last"][:, -1], last, atol=1e-6)
    assert np.allclose(got["each"][:, :, 0], each, atol=1e-6)
