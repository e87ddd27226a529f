"""Small modules for the tests of the PyTorch door, and their way through it."""

import torch
from torch import nn

from toolchain.ir.check import check
from toolchain.ir.layout import channels_last
from toolchain.ir.passes import canonical
from toolchain.load.selfcheck import self_check
from toolchain.load.torch import load_torch, module_oracle


class Network(nn.Module):
    """A network of one function; `layers` become its submodules."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def network(made):
    """A module as it is, or one around a function (module, *inputs)."""
    return made if isinstance(made, nn.Module) else Network(made)


def seeded(module):
    """The module with parameters and buffers between 0.5 and 1.5."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in (*module.parameters(), *module.buffers()):
            if parameter.is_floating_point():
                parameter.data.uniform_(0.5, 1.5)
    return module


def load_checked(module, *shape):
    """The graph after the layout pass; it and its canonical form were compared with the module."""
    return load_checked_on(module, torch.zeros(shape))


def load_checked_on(module, *example):
    """As load_checked, for an example of one's own."""
    literal = check(load_torch(module, example, "net"), "FLOAT")
    graph = check(channels_last(literal), "FLOAT")
    for each in (graph, canonical(graph)):
        assert self_check(literal, each, module_oracle(module, literal)) < 1e-5
    return graph


def kinds(graph):
    return [op.kind for op in graph.ops]
