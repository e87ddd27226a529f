"""Zeros stay zero through training, averages and checkpoints, and grow along their schedule."""

import numpy as np
import pytest
import torch

from tests.prune.nets import RandomNet
from tests.prune.trained import trained
from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.prune.sparse_training import LAST, GradualSparsity, Masked
from toolchain.prune.sparsify import cubic, sparsify
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.fit import fit
from toolchain.training_sections import SparsifyConfig, TrainConfig


def network(rows=8, columns=6):
    rng, b = np.random.default_rng(0), Builder("two")
    x = b.input("x", (1, columns))
    for name, shape in (("first", (rows, columns)), ("second", (3, rows))):
        parts = [b.constant(f"{name}.weight", rng.standard_normal(shape).astype(np.float32)),
                 b.constant(f"{name}.bias", rng.standard_normal(shape[0]).astype(np.float32))]
        x = b.op("fully_connected", [x, *parts], name, activation="relu" if name == "first" else None)
    return b.graph(x)


def data(count=64):
    rng = np.random.default_rng(1)
    return tuple(rng.standard_normal((count, columns)).astype(np.float32) for columns in (6, 3))


def zeros_of(graph):
    return {t.name: t.data == 0 for t in graph.constants if t.name.endswith("weight")}


def share_of(graph):
    zeros = zeros_of(graph).values()
    return sum(z.sum() for z in zeros) / sum(z.size for z in zeros)


@pytest.mark.parametrize("section", [{"sparsity": 0.6}, {"pattern": "2:4"}, {"threshold": 0.7}])
def test_zeros_stay_and_the_others_move(section):
    sparse = sparsify(network(), SparsifyConfig(**section))
    tuned = trained(sparse.graph, *data(), [Masked(sparse.masks)], 10)
    for name, mask in sparse.masks.items():
        np.testing.assert_array_equal(tuned.tensors[name].data != 0, mask)
        assert np.mean(tuned.tensors[name].data[mask] != sparse.graph.tensors[name].data[mask]) > 0.5


@pytest.mark.parametrize("optimizer, average", [("adamw", 0.0), ("adamw", 0.9), ("sgd", 0.9)])
def test_zeros_stay_in_fit_with_its_average_and_the_best_epoch(optimizer, average):
    sparse = sparsify(network(), SparsifyConfig(sparsity=0.7))
    x, y = data()
    samples = Samples("noise", {"x": x}, y, None, np.arange(len(x)))
    config = TrainConfig(epochs=3, batch_size=16, optimizer=optimizer, average=average, weight_decay=0.1,
                         alpha=0, patience=1)
    tuned = fit(sparse.graph, config, samples, metric="mse", selection=samples,
                additions=[Masked(sparse.masks)])
    for name, mask in sparse.masks.items():
        np.testing.assert_array_equal(tuned.tensors[name].data != 0, mask)


def test_a_dense_graph_is_masked_from_the_first_batch():
    masks = sparsify(network(), SparsifyConfig(sparsity=0.5)).masks
    module = GraphModule(network())
    Masked(masks).begin(module, 1)
    assert share_of(module.to_graph()) == 0.5


@pytest.mark.parametrize("seed", range(4))
def test_all_kinds_of_weights(seed):
    graph = RandomNet(seed).graph(3)
    sparse = sparsify(graph, SparsifyConfig(sparsity=0.5))
    x = np.random.default_rng(seed).standard_normal((8, 6, 6, 3)).astype(np.float32)
    y = np.zeros((8, *graph.tensors[graph.outputs[0]].shape[1:]), np.float32)
    tuned = trained(sparse.graph, x, y, [Masked(sparse.masks)], 3, learning_rate=1e-4)
    assert all(not np.any(tuned.tensors[name].data[~mask]) for name, mask in sparse.masks.items())


# Growing ----------------------------------------------------------------------------------------------------

class Watched(GradualSparsity):
    """Remembers the share of zeros after every step."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.seen = []

    def after_step(self, module, step):
        super().after_step(module, step)
        self.seen.append(share_of(module.to_graph()))


def test_the_share_follows_the_cubic_and_zeros_never_come_back():
    watched = Watched(network(), SparsifyConfig(sparsity=0.8))
    trained(network(), *data(), [watched], 40)
    last = round(LAST * 40)
    expected = [cubic((step + 1) / last, 0.8) for step in range(40)]
    np.testing.assert_allclose(watched.seen, expected, atol=0.5 / 72 + 1e-9)
    assert watched.seen[last - 1] == watched.seen[-1] == pytest.approx(0.8, abs=0.5 / 72)


def test_what_goes_is_least_when_it_goes():
    """One step, so that the masks are those of magnitudes after it."""
    graph = network()
    gradual = GradualSparsity(graph, SparsifyConfig(sparsity=0.5))
    tuned = trained(graph, *data(), [gradual], 1)
    plain = trained(graph, *data(), [], 1)
    expected = sparsify(plain, SparsifyConfig(sparsity=0.5)).graph
    for name in zeros_of(graph):
        np.testing.assert_array_equal(tuned.tensors[name].data, expected.tensors[name].data)


def test_masks_are_chosen_seldom_in_a_long_run():
    gradual = GradualSparsity(network(), SparsifyConfig(sparsity=0.5))
    gradual.begin(GraphModule(network()), 4000)
    chosen = [step for step in range(4000) if gradual.share_after(step) is not None]
    assert len(chosen) == 100 and chosen[-1] == 2999 and gradual.settled()


def test_the_best_epoch_is_one_with_all_zeros():
    x, y = data()
    samples = Samples("noise", {"x": x}, y, None, np.arange(len(x)))
    gradual = GradualSparsity(network(), SparsifyConfig(sparsity=0.9))
    config = TrainConfig(epochs=8, batch_size=16, alpha=0, patience=1, average=0.5)
    tuned = fit(network(), config, samples, metric="mse", selection=samples, additions=[gradual])
    assert share_of(tuned) == pytest.approx(0.9, abs=0.5 / 72)


def test_a_state_holds_what_a_run_needs():
    torch.manual_seed(0)
    config = SparsifyConfig(sparsity=0.8)
    first, second = (GradualSparsity(network(), config) for _ in range(2))
    trained(network(), *data(), [first], 9)
    second.begin(GraphModule(network()), 9)
    second.resume(first.state())
    assert second.settled() and first.key() != GradualSparsity(network(), SparsifyConfig(sparsity=0.7)).key()
    for name, mask in first.masks.items():
        np.testing.assert_array_equal(second.masks[name], mask)
