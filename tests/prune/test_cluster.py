"""Few values for many weights: where they lie, that zeros stay, what INT8 leaves of it."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from tests.prune.test_sparsify import dense, depthwise
from toolchain.errors import BadConfig, BadInput
from toolchain.fitting import in_codes
from toolchain.ir.build import Builder
from toolchain.ir.check import WEIGHTED, check
from toolchain.ir.passes import canonical
from toolchain.prune.cluster import cluster, k_means, shared
from toolchain.prune.sparsify import sparsify
from toolchain.training_sections import ClusterConfig, SparsifyConfig

WEIGHT = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(2, 40))


@settings(max_examples=60, deadline=None)
@given(WEIGHT)
def test_each_value_is_the_mean_of_what_is_nearest_to_it(case):
    """What is nearest, by all distances."""
    seed, size, clusters = case
    numbers = np.random.default_rng(seed).standard_normal(size)
    values = k_means(numbers, clusters)
    nearest = np.abs(numbers[:, None] - values).argmin(axis=1)
    assert len(values) <= clusters and (np.diff(values) >= 0).all()
    np.testing.assert_allclose([numbers[nearest == i].mean() for i in range(len(values))], values, atol=1e-9)


def test_no_worse_than_evenly_spread_values():
    """As many as the clusters, from the least to the largest weight."""
    numbers = np.random.default_rng(0).standard_normal(5000)
    for clusters in (2, 4, 16, 64):
        grid = np.linspace(numbers.min(), numbers.max(), clusters)
        found = k_means(numbers, clusters)
        error, even = (np.abs(numbers[:, None] - values).min(axis=1) for values in (found, grid))
        assert np.square(error).sum() < 0.9 * np.square(even).sum()


@settings(max_examples=80, deadline=None)
@given(WEIGHT, st.floats(0, 1))
def test_few_values_and_zeros_stay(case, zeros):
    seed, size, clusters = case
    rng = np.random.default_rng(seed)
    weight = np.where(rng.random((1, size)) < zeros, 0, rng.standard_normal(size)).astype(np.float32)
    found = shared(weight, clusters)
    data = found.values[found.index]
    assert len(found.values) <= clusters and data.dtype == np.float32 and data.shape == weight.shape
    np.testing.assert_array_equal(data[weight == 0], 0)
    if len(np.unique(weight)) <= clusters:
        np.testing.assert_array_equal(data, weight)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 4), clusters=st.sampled_from([2, 5, 16]))
def test_random_networks_in_float_and_in_int8(seed, blocks, clusters):
    """In INT8 an output channel has no more codes than its tensor has values, whatever is folded into it."""
    graph = RandomNet(seed).graph(blocks)
    made = cluster(graph, ClusterConfig(clusters=clusters))
    check(made.graph, "FLOAT")
    for name, share in made.shares.items():
        assert len(np.unique(made.graph.tensors[name].data)) == len(share.values) <= clusters
    codes = in_codes(made.graph)
    for op in codes.ops:
        if op.kind in WEIGHTED and op.inputs[1] in made.shares:
            channels = np.moveaxis(codes.tensors[op.inputs[1]].data, WEIGHTED[op.kind], 0)
            before = np.moveaxis(canonical(made.graph).tensors[op.inputs[1]].data, WEIGHTED[op.kind], 0)
            for channel, reals in zip(channels, before):
                assert len(np.unique(channel)) <= len(np.unique(reals))


def test_a_batch_norm_leaves_each_output_channel_its_values():
    """Folded into the weights, in float as in INT8; there a channel's scale may take it out again."""
    from tests.breaking_net import trained_net

    made = cluster(trained_net(), ClusterConfig(clusters=4))
    for graph in (canonical(made.graph), in_codes(made.graph)):
        weight = graph.tensors["head.weight"].data
        assert max(len(np.unique(row)) for row in weight) <= 4
    assert len(np.unique(canonical(made.graph).tensors["head.weight"].data)) > 4


def test_zeros_of_sparsify_stay():
    weights = np.random.default_rng(0).standard_normal((2, 16, 16))
    sparse = sparsify(dense(*weights), SparsifyConfig(sparsity=0.6))
    made = cluster(sparse.graph, ClusterConfig(clusters=8))
    for name, mask in sparse.masks.items():
        np.testing.assert_array_equal(made.graph.tensors[name].data != 0, mask)
    assert made.summary.startswith("512 weights in 2 tensors take 8 values at most in each, which changes ")


def test_what_stays_says_why():
    made = cluster(depthwise(), ClusterConfig(clusters=2, keep=("po*",)))
    assert set(made.shares) == {"d"} and made.whole == {"point": "[cluster] keep"} and made.error == 0


def test_what_cannot_be_done_is_said():
    with pytest.raises(BadConfig, match=r'deep: \[cluster\] keep "heads" matches no op with weights; it'):
        cluster(depthwise(), ClusterConfig(keep=("heads",)))
    with pytest.raises(BadInput, match=r"deep: no weights to cluster: deep: \[cluster\] keep; point: "):
        cluster(depthwise(), ClusterConfig(keep=("*",)))
    b = Builder("int8")
    with pytest.raises(BadInput, match="int8: only float weights can be clustered; cluster before q"):
        cluster(b.graph(b.op("relu", [b.input("x", (1, 4), "int8")], "y")), ClusterConfig())
