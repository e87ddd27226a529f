"""The channel rule of every kind of op, on the draws of the op matrix: what a link joins can be cut, and the
op then computes the rest as before."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from tests.op_cases import DRAW, Case, cases
from toolchain.ir.channels import CHOICES
from toolchain.ir.elements import Elements, choices_of, components, edges, links_of
from toolchain.ir.graph import Graph, constant
from toolchain.ir.ops import OPS
from toolchain.prune.cut import sliced
from toolchain.prune.masks import ending_axes
from toolchain.runtime.kernels_float import FLOAT

COMPUTED = {kind: "bool" if kind.startswith("logical") else "float32" for kind in DRAW if kind in FLOAT}


def links_drawn(graph: Graph, rng: np.random.Generator):
    """Of the only op, with any reading of each of its choices."""
    return [link for choice in choices_of(graph, graph.ops[0])
            for link in choice[rng.integers(len(choice))]]


def some_cut(graph: Graph, rng: np.random.Generator):
    """(tensor, axis) -> what stays of it without some of the channels that the links allow to go."""
    elements, links = Elements(graph), {graph.ops[0].name: links_drawn(graph, rng)}
    labels = components(elements.count, *edges(elements, links))
    linked = np.zeros(elements.count, bool)
    for slot in (slot for link in links[graph.ops[0].name] for slot in link):
        linked[elements.start[slot.tensor, slot.axis] + slot.index] = True
    stays = np.ones(elements.count, bool)
    for root in rng.permutation(np.setdiff1d(labels, labels[~linked])):
        tried = stays & (labels != root)
        if all(tried[elements.span(*axis)].any() for axis in elements.axes) and rng.random() < 0.6:
            stays = tried
    kept = {axis: stays[elements.span(*axis)] for axis in elements.axes}
    return {axis: mask for axis, mask in kept.items() if not mask.all()}


def masked(graph: Graph, values: Mapping[str, np.ndarray], kept) -> list[np.ndarray]:
    """What the op reads, with the cut channels at 0 that end in it."""
    read = dict(values)
    for name, axis in ending_axes(graph, graph.ops[0], kept):
        read[name] = np.moveaxis(np.moveaxis(read[name], axis, -1) * kept[name, axis], -1, axis)
    return [read[name] for name in graph.ops[0].inputs]


def assert_cut_is_exact(case: Case, seed: int) -> int:
    """Returns how many axes were cut."""
    graph, rng = case.graph, np.random.default_rng(seed)
    (op,), kept = graph.ops, some_cut(graph, rng)
    values = {t.name: t.data if t.is_constant else case.feeds[t.name][:1] for t in graph.of(op)}
    smaller = sliced(graph.with_tensors(*(constant(name, value) for name, value in values.items())), kept)
    with np.errstate(all="ignore"):
        whole = FLOAT[op.kind](op, *masked(graph, values, kept))
        got = FLOAT[op.kind](smaller.ops[0], *(smaller.tensors[name].data for name in op.inputs))
    for axis in range(whole.ndim):
        whole = np.compress(kept.get((op.name, axis), np.ones(whole.shape[axis], bool)), whole, axis)
    assert got.shape == whole.shape == smaller.tensors[op.name].shape
    np.testing.assert_allclose(got, whole, rtol=1e-4, atol=1e-4, equal_nan=True)
    return len(kept)


@pytest.mark.parametrize("kind", COMPUTED)
def test_what_links_join_can_be_cut(kind):
    cut = sum(assert_cut_is_exact(case, seed) for case in cases(kind, COMPUTED[kind]) for seed in range(4))
    assert cut, f"no draw of {kind} has a channel to cut"


@pytest.mark.parametrize("kind", CHOICES)
def test_the_row_has_the_first_reading_of_each_choice(kind):
    for case in cases(kind, "float32"):
        (op,) = case.graph.ops
        first = [link for choice in choices_of(case.graph, op) for link in choice[0]]
        assert [[(slot.tensor, slot.axis, slot.index.tolist()) for slot in link] for link in first] == \
            [[(slot.tensor, slot.axis, slot.index.tolist()) for slot in link]
             for link in links_of(case.graph, op)]


# The table in words -----------------------------------------------------------------------------------------

PASSES = frozenset("""depthwise_conv2d batch_norm add sub mul div minimum maximum pow relu relu6 leaky_relu
    prelu elu gelu hard_swish softplus logistic tanh abs neg exp log sqrt rsqrt average_pool2d max_pool2d
    resize_nearest resize_bilinear depth_to_space space_to_depth pad mirror_pad concat slice gather tile
    reshape transpose compare logical_and logical_or logical_not select cast quantize dequantize mean sum
    reduce_max reduce_min argmax layer_norm conv2d batch_matmul step state sequence last""".split())
"""Kinds that hand the last axis of what they read on, where they do not reduce, normalize or index along it:
a convolution in groups, which may go whole, and a matrix product of a matrix that is turned."""
ENDS = frozenset({"conv2d", "transpose_conv2d", "fully_connected", "batch_matmul", "sum"})
"""Kinds that read channels and make others."""
BLOCKS = frozenset({"softmax", "log_softmax", "mean", "reduce_max", "reduce_min", "argmax", "layer_norm",
                    "gather", "mirror_pad", "slice", "reshape"})
"""Kinds that need all channels of an axis: always the last one of a softmax; of others where they reduce,
normalize, index, mirror or skip along it, or share it out among axes that no size of it divides."""


def fate(graph: Graph, kind: str) -> set[str]:
    """What becomes of the channels on the last axis of the first activation that the kind's op reads."""
    op = next(op for op in graph.ops if op.kind == kind)
    x = next(t for t in graph.of(op) if not t.is_constant)
    axis, found = len(x.shape) - 1, set()
    if (x.name, axis) in ending_axes(graph, op):
        found.add("ends")
    slots = [slot for choice in choices_of(graph, op) for reading in choice for link in reading
             for slot in link if any(other.tensor == op.name for other in link)]
    if any((slot.tensor, slot.axis) == (x.name, axis) for slot in slots):
        found.add("passes")
    return found or {"blocked"}


def fates(kind: str) -> Counter:
    """Over all draws whose first activation has more than one channel."""
    drawn = [case.graph for dtype in ("float32", "bool", "int8") for case in cases(kind, dtype)]
    wide = [graph for graph in drawn if len(graph.tensors[graph.inputs[0]].shape) > 1
            and graph.tensors[graph.inputs[0]].shape[-1] > 1]
    return Counter(found for graph in wide for found in fate(graph, kind))


@pytest.mark.parametrize("kind", OPS)
def test_channels_pass_end_or_are_blocked(kind):
    found = fates(kind)
    named = {"passes": PASSES, "ends": ENDS, "blocked": BLOCKS}
    assert set(found) == {fate for fate, kinds in named.items() if kind in kinds}
