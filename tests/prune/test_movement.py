"""Scores are what the paper says, masked weights wait and may come back."""

import numpy as np
import pytest
import torch

from tests.prune.test_sparse_training import data, network, share_of, zeros_of
from tests.prune.trained import mean_square, trained
from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.prune.movement import Movement
from toolchain.prune.sparse_training import GradualSparsity
from toolchain.prune.sparsify import masks_for
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.fit import fit
from toolchain.training_sections import SparsifyConfig, TrainConfig

RATE, STEPS = 0.02, 12


def by_hand(share_at):
    """Gradient descent with masks and scores written out: w' = w m, S -= w dL/dw', w -= rate dL/dw' m."""
    x, y = data()
    kinds = dict.fromkeys(zeros_of(network()), "fully_connected")
    config = SparsifyConfig(sparsity=0.8)
    module = GraphModule(network())
    dense = {name: module.constant(name).detach().clone() for name in kinds}
    scores = {name: torch.zeros_like(weight) for name, weight in dense.items()}
    masks = {name: torch.ones_like(weight) for name, weight in dense.items()}
    for step in range(STEPS):
        module.zero_grad()
        for name in kinds:
            module.constant(name).data = dense[name] * masks[name]
        mean_square(module, {"x": x}, y).backward()
        for name in kinds:
            gradient = module.constant(name).grad
            scores[name] = scores[name] - dense[name] * gradient
            dense[name] = dense[name] - RATE * gradient * masks[name]
        for name in ("first.bias", "second.bias"):
            module.constant(name).data -= RATE * module.constant(name).grad
        if (share := share_at(step)) is not None:
            chosen = masks_for({name: s.numpy() for name, s in scores.items()}, kinds, config, share)
            masks = {name: torch.from_numpy(mask) for name, mask in chosen.items()}
    return {name: (dense[name] * masks[name]).numpy() for name in kinds}, scores


def by_movement():
    x, y = data()
    movement, module = Movement(network(), SparsifyConfig(sparsity=0.8)), GraphModule(network())
    movement.begin(module, STEPS)
    optimizer, masks = torch.optim.SGD(module.parameters(), RATE), []
    for step in range(STEPS):
        movement.before_batch(module, step)
        optimizer.zero_grad()
        mean_square(module, {"x": x}, y).backward()
        movement.after_backward(module)
        optimizer.step()
        movement.after_step(module, step)
        masks.append(np.concatenate([mask.numpy().ravel() for mask in movement.masks.values()]))
    movement.end(module)
    return movement, module.to_graph(), masks


def test_the_rule_by_hand():
    movement, tuned, _ = by_movement()
    weights, scores = by_hand(movement.share_after)
    for name, weight in weights.items():
        np.testing.assert_allclose(movement.scores[name], scores[name], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(tuned.tensors[name].data, weight, rtol=1e-4, atol=1e-6)
    assert share_of(tuned) == pytest.approx(0.8, abs=0.5 / 72)


def test_scores_of_masked_weights_go_on_and_weights_come_back():
    """Of weights masked at some step, some are there at a later one with a larger share of zeros."""
    _, _, masks = by_movement()
    assert any(np.any(later & ~earlier) for earlier, later in zip(masks, masks[1:]))


def test_what_moves_towards_zero_goes_whatever_its_size():
    """y = x1: the large weight of x0 shrinks, the small one of x1 grows; magnitudes would keep the large."""
    b, x = Builder("line"), np.random.default_rng(1).standard_normal((256, 2)).astype(np.float32)
    parts = [b.constant("w", np.array([[1.5, 0.1]], np.float32)), b.constant("b", np.zeros(1, np.float32))]
    graph = b.graph(b.op("fully_connected", [b.input("x", (1, 2)), *parts], "y"))
    kept = {}
    for kind in (Movement, GradualSparsity):
        tuned = trained(graph, x, x[:, 1:], [kind(graph, SparsifyConfig(sparsity=0.5))], 20)
        kept[kind] = (tuned.tensors["w"].data != 0).tolist()
    assert kept == {Movement: [[False, True]], GradualSparsity: [[True, False]]}


def test_in_fit_with_an_average_and_patience():
    x, y = data()
    samples = Samples("noise", {"x": x}, y, None, np.arange(len(x)))
    config = TrainConfig(epochs=8, batch_size=16, alpha=0, patience=1, average=0.5)
    tuned = fit(network(), config, samples, metric="mse", selection=samples,
                additions=[Movement(network(), SparsifyConfig(sparsity=0.6))])
    assert share_of(tuned) == pytest.approx(0.6, abs=0.5 / 72)


def test_a_state_goes_on_as_if_it_had_not_been_stopped():
    x, y = data()

    def run(stop):
        module, movement = GraphModule(network()), Movement(network(), SparsifyConfig(sparsity=0.8))
        movement.begin(module, STEPS)
        for step in range(STEPS):
            if step == stop:
                state = {name: value.clone() for name, value in movement.state().items()}
                movement = Movement(network(), SparsifyConfig(sparsity=0.8))
                constants = {name: value.clone() for name, value in module.state_dict().items()}
                module = GraphModule(network())
                movement.begin(module, STEPS)
                module.load_state_dict(constants)
                movement.resume(state)
            optimizer = torch.optim.SGD(module.parameters(), RATE)
            movement.before_batch(module, step)
            optimizer.zero_grad()
            mean_square(module, {"x": x}, y).backward()
            movement.after_backward(module)
            optimizer.step()
            movement.after_step(module, step)
        movement.end(module)
        return module.to_graph().digest

    assert run(None) == run(5) == run(10)
