"""Recurrent layers of PyTorch become loops of plain ops that compute the same."""

import pytest
import torch
from torch import nn

from tests.load.torch_nets import Network, kinds, load_checked, load_checked_on, seeded
from toolchain.errors import Unsupported
from toolchain.ir.loops import Loop, parts
from toolchain.load.torch import load_torch

SHAPE = (1, 7, 6)


def loops_of(graph) -> list[Loop]:
    return [part for part in parts(graph) if isinstance(part, Loop)]


def settled(layer: nn.RNNBase) -> nn.RNNBase:
    """Seeded weights that leave gates between open and closed."""
    torch.manual_seed(2)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    return layer


def outputs(m, x):
    y, state = m.layer(x)
    return (y, *state) if isinstance(state, tuple) else (y, state)


@pytest.mark.parametrize("options", [
    {}, {"bias": False}, {"num_layers": 3}, {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_all_states_and_the_last_ones(kind, options):
    layer = settled(kind(6, 5, batch_first=True, **options))
    graph = load_checked(Network(outputs, layer=layer), *SHAPE)
    loops = options.get("num_layers", 1) * (2 if "bidirectional" in options else 1)
    assert [loop.steps for loop in loops_of(graph)] == [7] * loops


def test_an_elman_layer_of_relus():
    load_checked(Network(outputs, layer=settled(nn.RNN(6, 5, nonlinearity="relu", batch_first=True))), *SHAPE)


def test_time_may_come_before_the_batch_inside():
    net = Network(lambda m, x: m.layer(x.transpose(0, 1))[0].transpose(0, 1), layer=settled(nn.GRU(6, 5)))
    assert "transpose" not in kinds(load_checked(net, *SHAPE))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_states_may_come_in(kind):
    def run(m, x, h):
        return m.layer(x, (h, 2 * h) if kind is nn.LSTM else h)[0]

    net = Network(lambda m, x, h: run(m, x, h.unsqueeze(0)), layer=settled(kind(6, 5, batch_first=True)))
    load_checked_on(net, torch.zeros(SHAPE), torch.zeros(1, 5))


class Writer(nn.Module):
    """A code (N, 4) -> all hidden states. It is where a layer begins; `fed`: what each step is given."""

    def __init__(self, kind: type[nn.RNNBase], fed: str, batch_first: bool = True):
        super().__init__()
        self.begin = nn.Linear(4, 10 if fed == "both ways" else 5)
        self.layer = settled(kind(4, 5, batch_first=batch_first, bidirectional=fed == "both ways"))
        self.fed, self.steps = fed, nn.Parameter(torch.randn(1, 7, 4))

    def forward(self, code):
        begin = torch.tanh(self.begin(code)).unflatten(1, (-1, 5)).transpose(0, 1)
        inputs = {"nothing": torch.zeros(len(code), 7, 4), "the code": code[:, None].expand(-1, 7, -1)}
        x = inputs.get(self.fed, self.steps.expand(len(code), -1, -1))
        x = x if self.layer.batch_first else x.transpose(0, 1)
        y, _ = self.layer(x, (begin, 2 * begin) if isinstance(self.layer, nn.LSTM) else begin)
        return y if self.layer.batch_first else y.transpose(0, 1)


@pytest.mark.parametrize("fed", ["nothing", "the code", "numbers of its own", "both ways"])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_layer_may_begin_with_what_is_computed_and_read_no_input(kind, fed):
    graph = load_checked(Writer(kind, fed), 1, 4)
    assert {loop.steps for loop in loops_of(graph)} == {7}
    assert ("conv2d" in kinds(graph)) == (fed == "the code")


def test_numbers_of_its_own_may_have_the_time_first():
    load_checked(Writer(nn.GRU, "numbers of its own", batch_first=False), 1, 4)


def test_the_last_states_of_layers_are_taken_one_by_one():
    """No tensor of all layers' states stands between, which would end channels and batches."""
    net = Network(lambda m, x: torch.cat([m.layer(x)[1][-2], m.layer(x)[1][-1]], 1),
                  layer=settled(nn.GRU(6, 5, 2, batch_first=True, bidirectional=True)))
    graph = load_checked(net, *SHAPE)
    assert {op.inputs for op in graph.ops if op.kind == "concat" and op.attrs["axis"] == 1}
    assert all(graph.tensors[op.name].shape[0] == 1 for op in graph.ops)


def test_gates_that_share_an_activation_are_one_op():
    graph = load_checked(Network(outputs, layer=settled(nn.LSTM(6, 5, batch_first=True))), *SHAPE)
    (loop,) = loops_of(graph)
    count = [op.kind for op in loop.body].count
    assert (count("fully_connected"), count("logistic"), count("tanh")) == (1, 1, 2)
    assert graph.tensors["layer.lstm.gates"].shape == (1, 20)
    assert graph.tensors["layer.lstm.open"].shape == (1, 15)


@pytest.mark.parametrize("layer, message", [
    (nn.LSTM(6, 5, proj_size=3, batch_first=True), r"its states are projected \(proj_size\)"),
])
def test_what_has_no_row_is_refused(layer, message):
    with pytest.raises(Unsupported, match=message):
        load_torch(Network(lambda m, x: m.layer(x)[0], layer=seeded(layer)), (torch.zeros(SHAPE),), "net")
