"""Rounding of whole networks: what changes, what may not, and what it is good for."""

import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of
from tests.random_nets import modern_net, random_net
from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.quant import RANGE, dequantize
from toolchain.prune.sparsify import sparsify
from toolchain.quantize import adaround, rounding
from toolchain.quantize.bias import correct_biases
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.equalise import equalised
from toolchain.quantize.layer import layers_of
from toolchain.quantize.quantize import quantize
from toolchain.quantize.reals import watch_reals
from toolchain.quantize.rounding import METHOD, rounded
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference
from toolchain.runtime.kernels_float import FLOAT
from toolchain.training_sections import SparsifyConfig


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """AdaRound is no less deterministic, and hardly worse, after these."""
    monkeypatch.setattr(adaround, "STEPS", 100)
    monkeypatch.setattr(adaround, "LEARNING_RATE", 0.05)


def by_reference(graph, names):
    return lambda feeds: reference.run(graph, feeds, keep=names)


def quantized_of(graph: Graph, samples: Samples, scheme: str = "static_wi8_ai8") -> Graph:
    return quantize(graph, calibrate(graph, CalibrateConfig(), samples), QuantSpec(scheme=scheme))


def every_kind(seed: int = 0) -> Graph:
    """Convolutions of all sorts and a classifier, with inputs that go together."""
    net = Net(seed=seed)
    x = net.conv(net.input("x", (1, 8, 8, 3)), 8, "dense", activation="relu")
    x = net.op("depthwise_conv2d", [x, net.weights("deep.weight", 1, 3, 3, 16), net.weights("deep.bias", 16)],
               "deep", multiplier=2, pads=(1, 1, 1, 1), activation="relu6")
    x = net.op("conv2d", [x, net.weights("grouped.weight", 6, 3, 3, 8), net.weights("grouped.bias", 6)],
               "grouped", stride=(2, 2), dilation=(1, 2))
    x = net.op("transpose_conv2d", [x, net.weights("up.weight", 5, 2, 2, 6), net.weights("up.bias", 5)], "up",
               stride=(2, 2))
    x = net.op("reshape", [x], "flat", shape=(1, net.tensors[x].size))
    return canonical(net.graph(net.dense(x, 4, "logits")))


def smooth_samples(graph: Graph, count: int, seed: int) -> Samples:
    """Images whose neighbours and channels are alike, as those of photographs are; from half above zero."""
    noise = samples_of(graph, count, seed).x["x"]
    return Samples("smooth", {"x": (np.cumsum(noise, axis=1) + noise.mean(axis=(1, 2, 3), keepdims=True) + 0.5
                                    ).astype(np.float32)}, None, None, np.arange(count))


def error(graph: Graph, quantized: Graph, samples: Samples) -> float:
    """Mean square of what an INT8 network's outputs are off, by those of the float network."""
    exact = reference.run(graph, samples.x)
    found = watch_reals(quantized, graph.outputs, by_reference)(samples.x)
    return sum(float(np.mean((found[name] - exact[name])**2) / np.mean(exact[name]**2)) for name in exact)


@pytest.mark.parametrize("method", METHOD)
@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi8_ai16", "static_wi4_ai8"])
def test_every_weighted_kind_gets_other_codes_at_the_same_parameters(method, scheme):
    graph = every_kind()
    samples = smooth_samples(graph, 6, seed=1)
    before = quantized_of(graph, samples, scheme)
    after = rounded(graph, before, samples, by_reference, method)
    assert [op.name for op in after.ops] == [op.name for op in before.ops]
    for name, old in before.tensors.items():
        new = after.tensors[name]
        assert new.quant is old.quant and new.shape == old.shape and new.dtype == old.dtype
        if old.is_constant and not name.endswith("weight"):
            assert new.data is old.data
    for op in before.ops:
        if op.kind in WEIGHTED:
            old, new = before.tensors[op.inputs[1]].data, after.tensors[op.inputs[1]].data
            limit = RANGE[before.tensors[op.inputs[1]].quant.dtype][1]
            assert (old != new).any() and np.abs(new.astype(int)).max() <= limit


@pytest.mark.parametrize("method", ["nearest", *METHOD])
@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi4_ai8"])
def test_weights_that_were_pruned_stay_zero(method, scheme):
    """Through equalisation, rounding and bias correction; without the rule GPTQ revives some."""
    graph = every_kind()
    sparse = sparsify(graph, SparsifyConfig(sparsity=0.6))
    samples = smooth_samples(graph, 6, seed=1)
    float_graph = equalised(sparse.graph, samples, by_reference).graph
    codes = rounded(float_graph, quantized_of(float_graph, samples, scheme), samples, by_reference, method)
    codes = correct_biases(float_graph, codes, samples, by_reference)
    for name, mask in sparse.masks.items():
        assert not codes.tensors[name].data[~mask].any() and codes.tensors[name].data[mask].any()


@pytest.mark.parametrize("method", METHOD)
def test_outputs_come_nearer_to_the_float_network_on_samples_it_was_not_rounded_on(method):
    before, after = [], []
    for seed in range(3):
        graph = every_kind(seed)
        samples, held_out = smooth_samples(graph, 24, seed=1), smooth_samples(graph, 24, seed=2)
        quantized = quantized_of(graph, samples, "static_wi8_ai16")  # what is left is the weights' error
        before.append(error(graph, quantized, held_out))
        after.append(error(graph, rounded(graph, quantized, samples, by_reference, method), held_out))
    assert np.mean(after) < 0.7 * np.mean(before)


@pytest.mark.parametrize("method", METHOD)
def test_no_channel_loses_by_it(method):
    """On the samples that it was rounded on; a layer that reads the input, whose codes nothing changes."""
    net = Net(seed=7)
    graph = canonical(net.graph(net.conv(net.input("x", (1, 6, 6, 3)), 16, "conv")))
    samples = smooth_samples(graph, 8, seed=3)
    quantized = quantized_of(graph, samples)
    x = watch_reals(quantized, ["x"], by_reference)(samples.x)["x"]
    losses = [squared_errors(graph, candidate, x) for candidate in
              (quantized, rounded(graph, quantized, samples, by_reference, method))]
    assert np.all(losses[1] <= losses[0] * (1 + 1e-5)) and np.mean(losses[1] < 0.9 * losses[0]) > 0.5


def squared_errors(graph: Graph, quantized: Graph, x: np.ndarray) -> np.ndarray:
    """By output channel, of the sums that the weights' errors make."""
    op, weight = quantized.ops[0], quantized.tensors["conv.weight"]
    off = dequantize(weight.data, weight.quant) - graph.tensors["conv.weight"].data
    return (FLOAT["conv2d"](op, x, off, np.float32(0)).astype(np.float64)**2).sum(axis=(0, 1, 2))


@pytest.mark.parametrize("method", METHOD)
@pytest.mark.parametrize("make", [random_net, modern_net])
@pytest.mark.parametrize("seed", range(3))
def test_random_networks_stay_legal_and_are_rounded_alike_twice(method, make, seed):
    graph = canonical(make(seed))
    samples = samples_of(graph, 6)
    before = quantized_of(graph, samples)
    first, second = (rounded(graph, before, samples, by_reference, method) for _ in range(2))
    assert first.digest == second.digest
    layers = {layer.weight.name for layer in layers_of(graph, before)}
    assert layers == {op.inputs[1] for op in before.ops
                      if op.kind in WEIGHTED and before.tensors[op.inputs[0]].quant is not None}


def test_blocks_of_one_layer_read_what_was_rounded_before(monkeypatch):
    """The second layer's inputs change with the first one's codes; with both in a block they do not."""
    graph = every_kind()
    samples = smooth_samples(graph, 6, seed=1)
    before = quantized_of(graph, samples)
    together = rounded(graph, before, samples, by_reference, "gptq")
    monkeypatch.setattr(rounding, "BLOCK_BYTES", 0)
    apart = rounded(graph, before, samples, by_reference, "gptq")
    np.testing.assert_array_equal(apart.tensors["dense.weight"].data, together.tensors["dense.weight"].data)
    assert apart.digest != together.digest


@pytest.mark.parametrize("method", METHOD)
def test_a_weight_that_two_ops_share_is_rounded_for_both(method):
    net = Net()
    x = net.input("x", (1, 6, 6, 3))
    weight = net.weights("weight", 3, 3, 3, 3)
    first = net.op("conv2d", [x, weight, net.weights("a.bias", 3)], "a", pads=(1, 1, 1, 1), activation="relu")
    second = net.op("conv2d", [first, weight, net.weights("b.bias", 3)], "b", pads=(1, 1, 1, 1))
    graph = canonical(net.graph(second))
    samples = smooth_samples(graph, 6, seed=1)
    before = quantized_of(graph, samples)
    (layer,) = layers_of(graph, before)
    assert [op.name for op in layer.ops] == ["a", "b"] and layer.activation is None
    after = rounded(graph, before, samples, by_reference, method)
    assert after.ops[0].inputs[1] == after.ops[1].inputs[1]
    assert (after.tensors["weight"].data != before.tensors["weight"].data).any()


def test_nearest_changes_nothing():
    graph = every_kind()
    quantized = quantized_of(graph, samples_of(graph, 2))
    assert rounded(graph, quantized, samples_of(graph, 2), by_reference, "nearest") is quantized


def test_no_samples_is_an_error():
    graph = every_kind()
    quantized = quantized_of(graph, samples_of(graph, 2))
    with pytest.raises(BadSamples, match="noise: no samples to round the weights of net on"):
        rounded(graph, quantized, samples_of(graph, 0), by_reference, "gptq")
