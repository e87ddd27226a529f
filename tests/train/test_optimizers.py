"""Rates, decay and averages against what their definitions give by hand."""

import math

import numpy as np
import pytest
import torch

from tests.train.training_nets import network, samples
from toolchain.errors import BadInput
from toolchain.ir.build import Builder
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.fit import fit
from toolchain.train.optimizers import SETTLING, Average, optimizer_of, rate, weights_of
from toolchain.training_sections import TrainConfig


def test_the_rate_rises_along_a_line_and_falls_along_a_cosine():
    config = TrainConfig(epochs=1, learning_rate=0.5, warm_up=0.2)
    rates = [rate(config, step, 20) for step in range(20)]
    np.testing.assert_allclose(rates[:5], 0.5 * np.array([1, 2, 3, 4, 5]) / 5)
    np.testing.assert_allclose(rates[4:], [0.25 * (1 + math.cos(math.pi * k / 16)) for k in range(16)])
    assert rate(TrainConfig(epochs=1, learning_rate=0.5), 0, 20) == 0.5
    assert rate(TrainConfig(epochs=1, warm_up=0.9), 0, 1) > 0


def test_only_weights_decay():
    """With gradients of 0, AdamW makes of a weight w (1 - rate * decay) (Loshchilov & Hutter 2019)."""
    module, gate = GraphModule(network()), torch.nn.Parameter(torch.ones(3))
    config = TrainConfig(epochs=1, learning_rate=0.1, weight_decay=0.5)
    assert weights_of(module.graph) == {"w", "f"}
    optimizer = optimizer_of(module, [gate], config)
    for p in (*module.parameters(), gate):
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, tensor in module.graph.tensors.items():
        if tensor.is_constant:
            expected = tensor.data * (0.95 if name in ("w", "f") else 1)
            np.testing.assert_allclose(module.constant(name).detach(), expected, rtol=1e-6)
    assert gate.tolist() == [1, 1, 1]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_nesterovs(momentum):
    """v = m v + g, w -= rate (g + m v): Sutskever et al. 2013, as torch writes it."""
    module = GraphModule(network())
    optimizer = optimizer_of(module, [], TrainConfig(epochs=1, learning_rate=0.1, optimizer="sgd",
                                                     momentum=momentum))
    weight, velocity = module.graph.tensors["f"].data.astype(np.float64), 0.0
    for gradient in (0.5, -2.0, 1.0):
        module.constant("f").grad = torch.full((3, 8), gradient)
        optimizer.step()
        velocity = momentum * velocity + gradient
        weight = weight - 0.1 * (gradient + momentum * velocity)
    np.testing.assert_allclose(module.constant("f").detach(), weight, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_gradients_in_another_layout_move_the_right_weights(optimizer):
    """A convolution's gradient comes permuted; against an optimiser that goes element by element."""
    config = TrainConfig(epochs=1, learning_rate=0.1, optimizer=optimizer, weight_decay=0.1)
    fused, plain = GraphModule(network()).train(), GraphModule(network()).train()
    ours = optimizer_of(fused, [], config)
    kind = torch.optim.AdamW if optimizer == "adamw" else torch.optim.SGD
    options = {} if optimizer == "adamw" else {"momentum": 0.9, "nesterov": True}
    theirs = kind([{"params": [plain.constant(n) for n in ("w", "f")], "weight_decay": 0.1},
                   {"params": [plain.constant(n) for n in ("wb", "g", "b", "fb")], "weight_decay": 0.0}],
                  0.1, foreach=False, fused=False, **options)
    x = torch.from_numpy(samples().feeds(slice(0, 32))["x"])
    for _ in range(3):
        for module, each in ((fused, ours), (plain, theirs)):
            each.zero_grad()
            module({"x": x})["fc"].square().sum().backward()
            each.step()
    for name in ("w", "f", "g", "fb"):  # before a batch norm, the gradient of a bias is only rounding
        np.testing.assert_allclose(fused.constant(name).detach(), plain.constant(name).detach(), rtol=2e-3,
                                   atol=2e-4)


def test_the_average_is_that_of_where_weights_and_statistics_were():
    module = GraphModule(network())
    average = Average(module, 0.6)
    expected = module.graph.tensors["m"].data.astype(np.float64)
    for step in range(1, 8):
        with torch.no_grad():
            module.constant("m").add_(step)
            module.constant("f").mul_(0.5)
        average.update()
        decay = min(0.6, (1 + step) / (SETTLING + step))
        expected = decay * expected + (1 - decay) * module.constant("m").numpy()
    average.place()
    np.testing.assert_allclose(module.constant("m"), expected, rtol=1e-5)


def test_a_graph_without_weights_cannot_be_trained():
    b = Builder("plain")
    graph = b.graph(b.op("relu", [b.input("x", (1, 3))], "y"))
    with pytest.raises(BadInput, match=r"plain: has no weights to train; leave out \[train\]"):
        fit(graph, TrainConfig(epochs=1), samples())
