"""Slices of a network in its own codes: recognised by their weights, at scales of their own."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.train.training_nets import network, samples
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize
from toolchain.post_training import PostTraining
from toolchain.prune.groups import channel_groups
from toolchain.prune.nested import narrow
from toolchain.quantize.shared_codes import factors_of, shared_codes
from toolchain.recipe import QuantSpec, Recipe


def with_norm(graph: Graph, seed: int) -> Graph:
    """A batch norm of its own."""
    rng = np.random.default_rng(seed)
    values = {name: rng.uniform(0.3, 2, graph.tensors[name].shape).astype(np.float32) for name in "gbmv"}
    return graph.with_tensors(*(replace(graph.tensors[name], data=data) for name, data in values.items()))


WIDE = with_norm(network(channels=12), 1)
NARROW = with_norm(narrow(WIDE, channel_groups(WIDE).groups, 0.4, [4]).graph, 2)


def quantized(graph: Graph, wide: Graph | None = None, codes: Graph | None = None, **quantize) -> Graph:
    shared = {"shared": shared_codes(canonical(wide), codes, canonical(graph))} if wide else {}
    recipe = Recipe(quantize=QuantSpec(**quantize))
    return PostTraining(canonical(graph), samples(), lambda message: None, **shared).quantized(recipe)


@pytest.fixture(scope="module")
def codes() -> Graph:
    return quantized(WIDE)


def weights(graph: Graph) -> dict[str, np.ndarray]:
    return {op.name: graph.tensors[op.inputs[1]] for op in graph.ops
            if op.kind in ("conv2d", "fully_connected")}


@pytest.mark.parametrize("rounding", ["nearest", "gptq"])
def test_codes_are_the_first_of_the_wide_ones(rounding):
    """However those were rounded."""
    codes = quantized(WIDE, rounding=rounding)
    found = quantized(NARROW, WIDE, codes, rounding=rounding)
    for name, tensor in weights(found).items():
        whole = weights(codes)[name]
        assert np.array_equal(tensor.data, whole.data[tuple(map(slice, tensor.shape))])
    own = weights(quantized(NARROW))
    assert not np.array_equal(own["fc"].data, weights(found)["fc"].data), "its own scales are others"


def test_reals_are_the_narrow_networks(codes):
    """Codes at their scales, beside the float weights: half a step of the wide one's scale away at most."""
    found, real = weights(quantized(NARROW, WIDE, codes)), weights(canonical(NARROW))
    for name, tensor in found.items():
        step = tensor.quant.scale.reshape(-1, *[1] * (tensor.data.ndim - 1))
        assert (np.abs(dequantize(tensor.data, tensor.quant) - real[name].data) <= 0.5001 * step).all()


def test_its_ranges_and_biases_are_its_own(codes):
    found = quantized(NARROW, WIDE, codes)
    assert found.tensors["relu"].quant.scale != codes.tensors["relu"].quant.scale
    bias = found.producers["relu"].inputs[2]
    products = found.tensors["x"].quant.scale * weights(found)["relu"].quant.scale
    assert np.allclose(found.tensors[bias].quant.scale, products, rtol=1e-6)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_factors_are_found(outputs, inputs, more_outputs, more_inputs, seed):
    rng = np.random.default_rng(seed)
    wide = rng.standard_normal((outputs + more_outputs, 3, inputs + more_inputs)).astype(np.float32)
    factors = rng.uniform(0.1, 3, outputs).astype(np.float32)
    first = wide[:outputs, :, :inputs] * factors[:, None, None]
    assert np.allclose(factors_of(first, wide, 0), factors, rtol=1e-5)
    first[-1] *= -1
    assert factors_of(first, wide, 0) is None, "another sign is no scale"
    first[-1] *= -1
    first[-1, -1, -1] += 0.1 * np.abs(first[-1]).max() if first[-1].size > 1 else 0
    assert first[-1].size == 1 or factors_of(first, wide, 0) is None
    assert factors_of(wide, first, 0) is None


def test_channels_without_weights():
    """All zero in both: any factor is right. Zero in one of both: no slice."""
    wide = np.ones((3, 2), np.float32)
    wide[1] = 0
    assert factors_of(wide[:2, :1].copy(), wide, 0).tolist() == [1.0, 1.0]
    assert factors_of(np.zeros((1, 2), np.float32), wide, 0) is None
    assert factors_of(np.ones((2, 2), np.float32), wide, 0) is None


def test_a_network_of_its_own_shares_nothing(codes):
    other = with_norm(narrow(network(seed=5, channels=12), channel_groups(WIDE).groups, 0.4, [4]).graph, 2)
    shared = shared_codes(canonical(WIDE), codes, canonical(other))
    assert not shared.codes and not shared.scales
    assert quantized(other, WIDE, codes).digest == quantized(other).digest
