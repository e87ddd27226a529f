"""Masks: ones change nothing, zeros cut, and they lie where channels end and nowhere else."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from tests.prune.composed_nets import ComposedNet
from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.prune.groups import channel_groups
from toolchain.prune.masks import scales_of, with_masks
from toolchain.runtime import reference


def random(b, *shape, seed=0):
    return b.constant("c", np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def dense(b, x, count, name):
    return b.op("fully_connected", [x, random(b, count, b.tensors[x].shape[-1]), random(b, count)], name)


def ran(graph):
    rng = np.random.default_rng(0)
    feeds = {n: rng.standard_normal(graph.tensors[n].shape, np.float32) for n in graph.inputs}
    return reference.run(graph, feeds)


def masked(graph):
    return with_masks(graph, channel_groups(graph).groups)


def reads(graph, name):
    """What an op of the masked graph reads first."""
    return masked(graph).graph.producers[name].inputs[0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 5))
def test_ones_change_nothing_and_every_mask_element_has_its_place(seed, blocks):
    graph = ComposedNet(seed).graph(blocks)
    found = masked(graph)
    check(found.graph, "FLOAT")
    expected, got = ran(graph), ran(found.graph)
    np.testing.assert_allclose(got[graph.outputs[0]], expected[graph.outputs[0]], rtol=1e-5, atol=1e-5)
    taken = [(place.mask, int(i)) for place in found.places for i in place.member.index]
    assert len(taken) == len(set(taken))
    assert {place.mask for place in found.places} == {t.name for t in found.graph.constants
                                                     if t.name.endswith(":mask")}


def test_channels_that_end_in_one_op_go_on_unmasked_in_another():
    b = Builder("both")
    x = dense(b, b.input("x", (1, 3)), 4, "a")
    side = dense(b, x, 4, "side")
    graph = b.graph(dense(b, b.op("add", [x, side], "sum"), 2, "y"))
    assert reads(graph, "side") == "a:masked1"
    assert reads(graph, "sum") == "a"
    assert reads(graph, "y") == "sum:masked1"


def test_two_readers_share_a_mask():
    b = Builder("two")
    x = dense(b, b.input("x", (1, 3)), 4, "a")
    graph = b.graph(dense(b, x, 2, "y"), dense(b, x, 2, "z"))
    assert reads(graph, "y") == reads(graph, "z") == "a:masked1"
    assert len(masked(graph).places) == 1


def test_a_product_of_a_tensor_with_itself_is_masked_where_it_is_summed_over():
    b = Builder("gram")
    x = dense(b, b.input("x", (1, 3)), 12, "a")
    image = b.op("reshape", [x], "image", shape=(1, 3, 4))
    gram = b.op("batch_matmul", [image, image], "gram", transpose_b=True)
    graph = b.graph(gram)
    assert masked(graph).graph.producers["gram"].inputs == ("image:masked2",) * 2


def test_an_op_on_constants_alone_is_masked_too():
    """Nothing else could force what it reads to 0: its bias is left."""
    b = Builder("learned")
    row = dense(b, random(b, 1, 5, seed=1), 4, "row")
    graph = b.graph(dense(b, b.op("add", [dense(b, b.input("x", (1, 3)), 4, "a"), row], "sum"), 2, "y"))
    groups = channel_groups(graph).groups
    learned, _, bias = graph.producers["row"].inputs
    number = next(number for number, group in enumerate(groups) if learned in group.tensors)
    cut = with_masks(graph, groups).at(scales_of(groups, {number: np.arange(5)}))
    made = reference.run(cut, {"x": np.ones((1, 3), np.float32)}, keep=["row"])["row"]
    np.testing.assert_array_equal(made[0], graph.tensors[bias].data)


def test_a_mask_scales_by_any_factor():
    b = Builder("gate")
    x = dense(b, b.input("x", (1, 3)), 4, "a")
    graph = b.graph(dense(b, x, 2, "y"))
    found = masked(graph).at([np.array([0.5, 0, 1, 2], np.float32)])
    feeds = {"x": np.random.default_rng(0).standard_normal((1, 3), np.float32)}
    hidden = reference.run(graph, feeds, keep=["a"])["a"]
    _, weight, bias = (graph.tensors[name].data for name in ("x", *graph.producers["y"].inputs[1:]))
    expected = (hidden * [0.5, 0, 1, 2]) @ weight.T + bias
    np.testing.assert_allclose(reference.run(found, feeds)["y"], expected, rtol=1e-5, atol=1e-6)


def test_slices_that_leave_channels_out_read_none_of_them():
    b = Builder("part")
    x = dense(b, b.input("x", (1, 3)), 6, "a")
    part = b.op("slice", [x], "part", begin=(0, 0), end=(1, 4), strides=(1, 1))
    graph = b.graph(dense(b, part, 2, "y"))
    assert reads(graph, "part") == "a" and reads(graph, "y") == "part:masked1"
