"""Channels that hold a constant can go, and with what they add in biases nothing changes."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.op_cases import DRAW, cases
from tests.prune.composed_nets import ComposedNet
from toolchain.ir.build import Builder
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import constant
from toolchain.prune.constants import SCALED, SPREADS_NAN, constant_channels, fold_constants, known_values
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import channel_groups
from toolchain.runtime import reference
from toolchain.runtime.kernels_float import FLOAT


def ran(graph, seed=0):
    rng = np.random.default_rng(seed)
    feeds = {n: rng.standard_normal((2, *graph.tensors[n].shape[1:]), np.float32) for n in graph.inputs}
    return reference.run(graph, feeds)[graph.outputs[0]]


def without_constants(graph):
    """The graph without the channels that are constant, one of each group left; and how many they were."""
    groups = channel_groups(graph).groups
    found = constant_channels(graph, groups)
    gone = {number: np.array(sorted(channels), int)[:group.channels - 1]
            for number, (group, channels) in enumerate(zip(groups, found))}
    cuts = [(group, gone[number]) for number, group in enumerate(groups)]
    folded = fold_constants(graph, groups, gone)
    return sliced(folded, kept_elements(graph, cuts)), sum(map(len, gone.values()))


def with_dead(graph, rng):
    """Rows of weights and gammas at 0, their biases as they are."""
    changed = []
    for op in graph.ops:
        axis = WEIGHTED.get(op.kind, 0 if op.kind == "batch_norm" else None)
        if axis is not None:
            tensor = graph.of(op)[1]
            dead = np.moveaxis(tensor.data.copy(), axis, 0)
            dead[rng.random(len(dead)) < 0.4] = 0
            changed.append(replace(tensor, data=np.ascontiguousarray(np.moveaxis(dead, 0, axis))))
    return graph.with_tensors(*changed)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 5))
def test_nothing_changes_without_constant_channels(seed, blocks):
    graph = with_dead(ComposedNet(seed).graph(blocks), np.random.default_rng(seed))
    smaller, _ = without_constants(graph)
    expected = ran(graph)
    assert np.abs(ran(smaller) - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 5))
def test_what_is_known_is_so_whatever_comes_in(seed, blocks):
    graph = with_dead(ComposedNet(seed).graph(blocks), np.random.default_rng(seed))
    known = known_values(graph)
    inner = [op.name for op in graph.ops if graph.tensors[op.name].dtype == "float32"]
    feeds = {"x": 5 * np.random.default_rng(seed).standard_normal((1, 6, 6, 3), np.float32)}
    values = reference.run(graph, feeds, keep=inner)
    for name in inner:
        told = ~np.isnan(known[name])
        np.testing.assert_allclose(values[name][told], known[name][told], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(SPREADS_NAN))
def test_kernels_give_nan_wherever_they_depend_on_one(kind):
    """A value that is not NaN is the same for any two numbers in the place of NaN."""
    rng, compared = np.random.default_rng(3), 0
    for case in cases(kind, "float32"):
        (op,) = case.graph.ops
        whole = {t.name: t.data if t.is_constant else case.feeds[t.name][:1] for t in case.graph.of(op)}
        hidden = {t.name: rng.random(whole[t.name].shape) < 0.2 for t in case.graph.of(op)
                  if not t.is_constant and t.dtype == "float32"}
        with np.errstate(all="ignore"):
            results = [FLOAT[op.kind](op, *(np.where(hidden.get(name, False), fill, whole[name]).astype(
                whole[name].dtype) for name in op.inputs)) for fill in (np.nan, -1.7, 2.9)]
        told = ~np.isnan(results[0])
        compared += told.sum()
        for other in results[1:]:
            np.testing.assert_array_equal(other[told], results[0][told])
    assert compared


def test_every_kind_that_computes_is_known_or_never_told():
    """Kinds that choose, count or compare tell nothing of NaN."""
    assert set(DRAW) - SPREADS_NAN - set(SCALED) == {
        "pow", "argmax", "compare", "logical_and", "logical_or", "logical_not", "select", "cast", "quantize",
        "dequantize", "step", "state", "sequence", "last"}


# By hand ----------------------------------------------------------------------------------------------------

def chain(kernel: int, pads: int, bias: float = 0.5):
    """conv (dead row 1, of `bias`) -> relu -> conv of some kernel size -> mean."""
    b, rng = Builder("chain"), np.random.default_rng(0)
    first = rng.standard_normal((3, 1, 1, 2)).astype(np.float32)
    first[1] = 0
    second = rng.standard_normal((4, kernel, kernel, 3)).astype(np.float32)
    biases = [b.constant("b", np.full(3, bias, np.float32)), b.constant("c", np.zeros(4, np.float32))]
    x = b.op("conv2d", [b.input("x", (1, 5, 5, 2)), b.constant("w", first), biases[0]], "a")
    y = b.op("conv2d", [b.op("relu", [x], "r"), b.constant("v", second), biases[1]], "z", pads=(pads,) * 4)
    return b.graph(b.op("mean", [y], "y", axes=(1, 2))), second


def test_a_bias_through_an_activation_goes_into_the_next_bias():
    graph, second = chain(kernel=3, pads=0)
    groups = channel_groups(graph).groups
    assert constant_channels(graph, groups) == [{1: {("r", 3): [0.5]}}]
    folded = fold_constants(graph, groups, {0: np.array([1])})
    np.testing.assert_allclose(folded.tensors["c"].data, 0.5 * second[..., 1].sum(axis=(1, 2)), rtol=1e-6)
    smaller, count = without_constants(graph)
    assert count == 1 and smaller.tensors["v"].shape == (4, 3, 3, 2)
    np.testing.assert_allclose(ran(smaller), ran(graph), rtol=1e-5, atol=1e-6)


def test_a_padded_convolution_reads_zeros_at_its_border_so_the_channel_stays():
    graph, _ = chain(kernel=3, pads=1)
    assert constant_channels(graph, channel_groups(graph).groups) == [{}]


def test_a_channel_of_zero_goes_from_a_padded_convolution_too():
    graph, _ = chain(kernel=3, pads=1, bias=-0.5)
    assert constant_channels(graph, channel_groups(graph).groups) == [{1: {("r", 3): [0.0]}}]


def test_a_channel_without_a_weight_goes():
    graph, second = chain(kernel=3, pads=1)
    second[..., 2] = 0
    graph = graph.with_tensors(constant("v", second))
    assert [set(found) for found in constant_channels(graph, channel_groups(graph).groups)] == [{2}]
    smaller, count = without_constants(graph)
    assert count == 1
    np.testing.assert_allclose(ran(smaller), ran(graph), rtol=1e-5, atol=1e-6)


def test_a_gamma_of_zero_leaves_beta_even_where_relu6_clamps_it():
    b = Builder("norm")
    rng = np.random.default_rng(1)
    w, v = rng.standard_normal((3, 2)).astype(np.float32), rng.standard_normal((2, 3)).astype(np.float32)
    parts = [np.array(values, np.float32) for values in ([1, 0, 2], [0, 9, 1], [0, 3, 1], [1, 2, 1])]
    h = b.op("fully_connected", [b.input("x", (1, 2)), b.constant("w", w), b.constant("b", parts[2])], "h")
    n = b.op("batch_norm", [h, *(b.constant("p", part) for part in parts)], "n", epsilon=1e-3)
    r = b.op("relu6", [n], "r")
    graph = b.graph(b.op("fully_connected", [r, b.constant("v", v), b.constant("c", parts[0][:2])], "y"))
    groups = channel_groups(graph).groups
    assert constant_channels(graph, groups) == [{1: {("r", 1): [6.0]}}]
    folded = fold_constants(graph, groups, {0: np.array([1, 2])})  # channel 2 is no constant: it adds nothing
    np.testing.assert_allclose(folded.tensors["c"].data, parts[0][:2] + 6 * v[:, 1], rtol=1e-6)


def test_a_bias_that_two_ops_share_takes_nothing_in():
    b = Builder("shared")
    x, zeros = b.input("x", (1, 2)), b.constant("z", np.zeros(2, np.float32))
    dead = b.constant("w", np.array([[0, 0], [1, 2]], np.float32))
    h = b.op("fully_connected", [x, dead, b.constant("b", np.ones(2, np.float32))], "h")
    y, z = (b.op("fully_connected", [source, b.constant("ones", np.ones((2, 2), np.float32)), zeros], "y")
            for source in (h, x))
    graph = b.graph(b.op("add", [y, z], "sum"))
    assert constant_channels(graph, channel_groups(graph).groups)[0] == {}
