"""Weights that share a value do so to the end, and the value moves as one parameter would."""

import numpy as np
import pytest
import torch

from tests.prune.nets import RandomNet
from tests.prune.test_sparse_training import data, network
from tests.prune.trained import trained
from toolchain.data import Samples
from toolchain.prune.cluster import cluster
from toolchain.prune.cluster_training import Sharing
from toolchain.prune.sparse_training import Masked
from toolchain.prune.sparsify import sparsify
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.fit import fit
from toolchain.training_sections import ClusterConfig, SparsifyConfig, TrainConfig


def together(graph, shares):
    """Whether weights share values as they did before."""
    return all(len(np.unique(graph.tensors[name].data[share.index == value])) == 1
               for name, share in shares.items() for value in range(len(share.values)))


def test_a_value_gets_the_sum_of_its_weights_gradients():
    """Against torch's own, of values as parameters that are looked up."""
    made = cluster(network(), ClusterConfig(clusters=3))
    module, (x, y) = GraphModule(made.graph), map(torch.from_numpy, data())
    (module({"x": x})["second"] - y).square().mean().backward()
    Sharing(made.shares).after_backward(module)
    values = {name: torch.tensor(share.values, requires_grad=True) for name, share in made.shares.items()}
    first, second = (values[name][torch.from_numpy(made.shares[name].index)]
                     for name in ("first.weight", "second.weight"))
    biases = [torch.from_numpy(made.graph.tensors[f"{name}.bias"].data) for name in ("first", "second")]
    (torch.relu(x @ first.T + biases[0]) @ second.T + biases[1] - y).square().mean().backward()
    for name, value in values.items():
        gradient = value.grad[torch.from_numpy(made.shares[name].index)]
        torch.testing.assert_close(module.constant(name).grad, gradient, rtol=1e-4, atol=1e-6)


def test_values_move_and_the_loss_falls():
    made = cluster(network(), ClusterConfig(clusters=4))
    x, y = data()
    tuned = trained(made.graph, x, y, [Sharing(made.shares)], 30)
    assert together(tuned, made.shares)
    before, after = (np.unique(graph.tensors["first.weight"].data) for graph in (made.graph, tuned))
    assert len(after) == len(before) and (after != before).all()


@pytest.mark.parametrize("optimizer, average", [("adamw", 0.0), ("adamw", 0.9), ("sgd", 0.9)])
def test_they_stay_together_in_fit_with_its_average_and_the_best_epoch(optimizer, average):
    """Zeros of sparsify among them."""
    sparse = sparsify(network(), SparsifyConfig(sparsity=0.5))
    made = cluster(sparse.graph, ClusterConfig(clusters=5))
    x, y = data()
    samples = Samples("noise", {"x": x}, y, None, np.arange(len(x)))
    config = TrainConfig(epochs=3, batch_size=16, optimizer=optimizer, average=average, weight_decay=0.1,
                         alpha=0, patience=1)
    tuned = fit(made.graph, config, samples, metric="mse", selection=samples,
                additions=[Masked(sparse.masks), Sharing(made.shares)])
    assert together(tuned, made.shares)
    for name, mask in sparse.masks.items():
        np.testing.assert_array_equal(tuned.tensors[name].data != 0, mask)


@pytest.mark.parametrize("seed", range(4))
def test_all_kinds_of_weights(seed):
    graph = RandomNet(seed).graph(3)
    made = cluster(graph, ClusterConfig(clusters=6))
    x = np.random.default_rng(seed).standard_normal((8, 6, 6, 3)).astype(np.float32)
    y = np.zeros((8, *graph.tensors[graph.outputs[0]].shape[1:]), np.float32)
    assert together(trained(made.graph, x, y, [Sharing(made.shares)], 3, learning_rate=1e-4), made.shares)


def test_a_checkpoint_of_other_clusters_is_another():
    few, more = (Sharing(cluster(network(), ClusterConfig(clusters=n)).shares).key() for n in (3, 4))
    assert few != more
