"""Which weights become zero: thresholds, shares with ties, patterns; and what a recipe may ask for."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
import msgspec
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from toolchain.errors import BadConfig, BadInput
from toolchain.ir.build import Builder
from toolchain.ir.check import WEIGHTED, check
from toolchain.prune.sparsify import cubic, from_rows, in_blocks, masks_for, sparsify, to_rows, two_of_four
from toolchain.training_sections import SparsifyConfig


def dense(*weights):
    """A chain of fully connected layers w0, w1, ..."""
    b = Builder("dense")
    x = b.input("x", (1, np.shape(weights[0])[1]))
    for number, weight in enumerate(np.asarray(w, np.float32) for w in weights):
        parts = [b.constant(f"w{number}", weight), b.constant(f"b{number}", np.ones(len(weight), np.float32))]
        x = b.op("fully_connected", [x, *parts], f"h{number}")
    return b.graph(x)


def zeros(graph, name="w0"):
    return (graph.tensors[name].data == 0).astype(int).tolist()


# What goes --------------------------------------------------------------------------------------------------

def test_a_threshold_keeps_what_reaches_it():
    graph = dense([[0.1, -0.5, 0.49, 0.5], [-0.6, 0, 0.2, -0.51]])
    sparse = sparsify(graph, SparsifyConfig(threshold=0.5))
    assert zeros(sparse.graph) == [[1, 0, 1, 0], [0, 1, 1, 0]]
    assert sparse.share == 0.5 and sparse.summary == ("50.0% of 8 weights in 1 tensors are zero; kept whole: "
                                                      "nothing")
    np.testing.assert_array_equal(sparse.graph.tensors["b0"].data, graph.tensors["b0"].data)


def test_of_ties_the_first_go_and_the_share_is_met():
    sparse = sparsify(dense(np.ones((2, 4)), np.ones((5, 2))), SparsifyConfig(sparsity=0.5))
    assert zeros(sparse.graph) == [[1, 1, 1, 1], [1, 1, 1, 1]] and sparse.share == pytest.approx(9 / 18)
    assert zeros(sparse.graph, "w1") == [[1, 0], *[[0, 0]] * 4]


def test_each_tensor_alone_or_all_together():
    small, large = np.full((2, 2), 0.1), [[3.0, 4.0], [1.0, 2.0]]
    config = {"sparsity": 0.5}
    each = sparsify(dense(small, large), SparsifyConfig(**config, scope="tensor")).graph
    together = sparsify(dense(small, large), SparsifyConfig(**config)).graph
    assert (zeros(each), zeros(each, "w1")) == ([[1, 1], [0, 0]], [[0, 0], [1, 1]])
    assert (zeros(together), zeros(together, "w1")) == ([[1, 1], [1, 1]], [[0, 0], [0, 0]])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 0.99), levels=st.integers(1, 30),
       scope=st.sampled_from(["tensor", "global"]))
def test_the_share_is_met_to_one_weight_and_nothing_smaller_stays(seed, share, levels, scope):
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-levels, levels + 1, shape) for shape in ((5, 3), (4, 5), (1, 4))]
    masks = sparsify(dense(*weights), SparsifyConfig(sparsity=share, scope=scope)).masks
    pairs = [(np.abs(w).ravel(), masks[f"w{i}"].ravel()) for i, w in enumerate(weights)]
    for size, kept in pairs if scope == "tensor" else [map(np.concatenate, zip(*pairs))]:
        assert np.sum(~kept) == int(np.floor(share * len(kept) + 0.5))
        assert size[~kept].max(initial=0) <= size[kept].min(initial=levels)


def best_pair(four):
    """By trying all: the pair of the largest sum, the first of equal ones."""
    pairs = list(combinations(range(len(four)), min(2, len(four))))
    best = max(pairs, key=lambda pair: sum(four[list(pair)]))
    return np.isin(np.arange(len(four)), best)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), columns=st.integers(1, 13), levels=st.integers(1, 9))
def test_two_of_four_by_brute_force(seed, columns, levels):
    scores = np.random.default_rng(seed).integers(0, levels, (3, 2, columns)).astype(np.float32)
    kept = two_of_four(scores)
    for row in np.ndindex(3, 2):
        for start in range(0, columns, 4):
            np.testing.assert_array_equal(kept[row][start:start + 4], best_pair(scores[row][start:start + 4]))


def test_two_of_four_runs_along_the_inputs_of_a_convolution():
    b, weight = Builder("conv"), np.random.default_rng(0).standard_normal((3, 2, 2, 8)).astype(np.float32)
    graph = b.graph(b.op("conv2d", [b.input("x", (1, 4, 4, 8)), b.constant("w", weight),
                                    b.constant("b", np.zeros(3, np.float32))], "y"))
    sparse = sparsify(graph, SparsifyConfig(pattern="2:4"))
    fours = sparse.masks["w"].reshape(3, 2, 2, 2, 4)
    assert (fours.sum(-1) == 2).all() and sparse.share == 0.5


@pytest.mark.parametrize("pattern, expected", [
    ("1x4", [[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0]]),
    ("2x1", [[1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 0]]),
    ("3x6", [[0] * 6] * 3)])
def test_blocks_go_whole_and_edges_count_as_they_are(pattern, expected):
    """Means by hand; a third of 18 weights is 6."""
    weight = [[1, 2, 1, 1, 9, 9], [1, 7, 7, 1, 1, 2], [9, 8, 7, 1, 2, 9]]
    sparse = sparsify(dense(weight), SparsifyConfig(sparsity=1 / 3, pattern=pattern))
    assert zeros(sparse.graph) == expected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 9), columns=st.integers(1, 9),
       block=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_sums_over_blocks_by_loops(seed, rows, columns, block):
    values = np.random.default_rng(seed).random((rows, 2, columns))
    sums = in_blocks(values, block)
    for i, start in enumerate(range(0, rows, block[0])):
        for j, left in enumerate(range(0, columns, block[1])):
            part = values[start:start + block[0], :, left:left + block[1]]
            np.testing.assert_allclose(sums[i, :, j], part.sum((0, 2)))


@pytest.mark.parametrize("kind, shape", [("conv2d", (6, 3, 2, 4)), ("depthwise_conv2d", (1, 3, 2, 8)),
                                         ("transpose_conv2d", (6, 3, 2, 4)), ("fully_connected", (6, 4))])
def test_rows_are_output_channels(kind, shape):
    weight = np.arange(np.prod(shape)).reshape(shape)
    rows = to_rows(kind, weight)
    assert rows.shape[0] == shape[WEIGHTED[kind]]
    np.testing.assert_array_equal(np.sort(rows[1].ravel()), np.take(weight, 1, WEIGHTED[kind]).ravel())
    np.testing.assert_array_equal(from_rows(kind, rows, shape), weight)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 5), share=st.floats(0.05, 0.95),
       pattern=st.sampled_from(["", "1x4", "4x1", "2:4"]))
def test_random_networks(seed, blocks, share, pattern):
    graph = RandomNet(seed).graph(blocks)
    config = SparsifyConfig(pattern=pattern, **({} if pattern == "2:4" else {"sparsity": share}))
    sparse = sparsify(graph, config)
    check(sparse.graph, "FLOAT")
    assert sparse.graph.ops == graph.ops and sparse.share == pytest.approx(
        0.5 if pattern == "2:4" else share, abs=0.25 if pattern == "2:4" else 0.05)
    for tensor in graph.constants:
        found, mask = sparse.graph.tensors[tensor.name].data, sparse.masks.get(tensor.name, True)
        np.testing.assert_array_equal(found, np.where(mask, tensor.data, 0))


# What stays -------------------------------------------------------------------------------------------------

def depthwise():
    b, ones = Builder("deep"), np.ones
    x = b.op("depthwise_conv2d", [b.input("x", (1, 4, 4, 4)), b.constant("d", ones((1, 3, 3, 4), np.float32)),
                                  b.constant("db", ones(4, np.float32))], "deep")
    x = b.op("conv2d", [x, b.constant("w", ones((4, 1, 1, 4), np.float32)),
                        b.constant("wb", ones(4, np.float32))], "point")
    return b.graph(x)


def test_what_stays_says_why():
    kept = sparsify(depthwise(), SparsifyConfig(sparsity=0.5, keep=("po*",)))
    assert set(kept.masks) == {"d"} and kept.whole == {"point": "[sparsify] keep"}
    patterned = sparsify(depthwise(), SparsifyConfig(pattern="2:4"))
    assert set(patterned.masks) == {"w"} and patterned.whole == {
        "deep": "depthwise_conv2d has no axis of inputs for the pattern 2:4"}


def test_what_cannot_be_done_is_said():
    with pytest.raises(BadConfig, match=r'deep: \[sparsify\] keep "heads" matches no op with weights; it has '
                                        "deep, point"):
        sparsify(depthwise(), SparsifyConfig(sparsity=0.5, keep=("heads",)))
    with pytest.raises(BadInput, match=r"deep: no weights to make sparse: deep: \[sparsify\] keep; point: "):
        sparsify(depthwise(), SparsifyConfig(sparsity=0.5, keep=("*",)))
    b = Builder("int8")
    with pytest.raises(BadInput, match="int8: only a float graph can be made sparse"):
        sparsify(b.graph(b.op("relu", [b.input("x", (1, 4), "int8")], "y")), SparsifyConfig(sparsity=0.5))


@pytest.mark.parametrize("section, wrong", [
    ({}, r"\[sparsify\] has no amount; give exactly one of sparsity, threshold"),
    ({"sparsity": 0.5, "threshold": 0.1}, "has sparsity and threshold; give exactly one of"),
    ({"pattern": "1x4"}, 'pattern = "1x4" has no share; give sparsity alone'),
    ({"pattern": "4x1", "threshold": 0.1}, 'pattern = "4x1" has threshold; give sparsity alone'),
    ({"pattern": "2:4", "sparsity": 0.5}, 'pattern = "2:4" is half of the weights; leave out sparsity'),
    ({"pattern": "0x4", "sparsity": 0.5}, 'pattern = "0x4" is unknown; give "2:4", or a block of rows x'),
    ({"pattern": "3:4"}, 'pattern = "3:4" is unknown'),
    ({"pattern": "2:4", "schedule": "gradual"}, 'schedule = "gradual" leads to a share of the weights; give'),
    ({"threshold": 0.1, "schedule": "movement"}, 'schedule = "movement" leads to a share of the weights'),
])
def test_sections_that_say_too_little_or_too_much(section, wrong):
    with pytest.raises(BadConfig, match=wrong):
        msgspec.convert(section, SparsifyConfig)


def test_blocks_of_a_section():
    assert SparsifyConfig(sparsity=0.5, pattern="2x16").block == (2, 16)
    assert SparsifyConfig(pattern="2:4").block == SparsifyConfig(threshold=1.0).block == (1, 1)


# Schedules --------------------------------------------------------------------------------------------------

def test_the_cubic_schedule_by_hand():
    """Zhu & Gupta 2017, eq. 1, with s_i = 0.1, s_f = 0.9, t_0 = 20, n dt = 100."""
    found = [cubic((step - 20) / 100, 0.9, 0.1) for step in (0, 20, 70, 120, 500)]
    np.testing.assert_allclose(found, [0.1, 0.1, 0.9 - 0.8 / 8, 0.9, 0.9])


def test_scores_need_not_be_magnitudes():
    scores = {"w": np.array([[-3.0, 2.0, -1.0, 0.0]])}
    masks = masks_for(scores, {"w": "fully_connected"}, SparsifyConfig(sparsity=0.1), share=0.5)
    assert masks["w"].tolist() == [[False, True, False, True]]
