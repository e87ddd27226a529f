"""Small recurrent networks in torch, seeded, and their graphs; x is (1, STEPS, FEATURES)."""

import numpy as np
import torch
from torch import nn

from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load.torch import load_torch
from toolchain.pipeline import prepare
from toolchain.recipe import Recipe

STEPS, FEATURES, HIDDEN = 7, 6, 5
X = np.random.default_rng(0).normal(0, 1, (16, STEPS, FEATURES)).astype(np.float32)
SAMPLES = Samples("sequences", {"x": X}, None, None, np.arange(16))
LAYERS = {
    "lstm": lambda: nn.LSTM(FEATURES, HIDDEN, batch_first=True),
    "gru": lambda: nn.GRU(FEATURES, HIDDEN, batch_first=True),
    "rnn": lambda: nn.RNN(FEATURES, HIDDEN, batch_first=True),
    "stacked": lambda: nn.GRU(FEATURES, HIDDEN, 2, batch_first=True),
}


class Tagger(nn.Module):
    """A dense layer and a norm, a recurrent layer, and what it says: of the last step, and of each."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.before, self.norm, self.layer = nn.Linear(FEATURES, FEATURES), nn.LayerNorm(FEATURES), layer
        self.last, self.each = nn.Linear(HIDDEN, 3), nn.Linear(HIDDEN, 2)

    def forward(self, x):
        y, _ = self.layer(self.norm(torch.relu(self.before(x))))
        return self.last(y[:, -1]), self.each(y)


def literal(module: nn.Module, shape=(1, STEPS, FEATURES)) -> Graph:
    """As its door gives it."""
    return load_torch(module.eval(), (torch.zeros(shape),), "net")


def tagger(layer: str) -> Graph:
    """Canonical, float."""
    torch.manual_seed(1)
    return canonical(literal(Tagger(LAYERS[layer]())))


def in_codes(graph: Graph) -> Graph:
    return prepare(graph, Recipe(), SAMPLES).graph
