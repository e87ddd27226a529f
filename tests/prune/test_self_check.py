"""The self-check passes what is right, and names the first tensor of what is not."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.composed_nets import ComposedNet
from toolchain.errors import SelfCheckFailed
from toolchain.ir.check import check
from toolchain.ir.graph import constant
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import channel_groups
from toolchain.prune.masks import scales_of, with_masks
from toolchain.prune.self_check import check_pruned
from toolchain.runtime import reference


def cut_at_random(seed: int, blocks: int):
    """(masked, smaller, kept) of a random network without random channels, one of each group left."""
    graph, rng = ComposedNet(seed).graph(blocks), np.random.default_rng(seed)
    groups = channel_groups(graph).groups
    gone = {number: rng.permutation(group.channels)[int(rng.integers(1, group.channels + 1)):]
            for number, group in enumerate(groups)}
    kept = kept_elements(graph, [(group, gone[number]) for number, group in enumerate(groups)])
    return with_masks(graph, groups).at(scales_of(groups, gone)), sliced(graph, kept), kept


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 6))
def test_sliced_equals_masked_whatever_is_composed(seed, blocks):
    masked, smaller, kept = cut_at_random(seed, blocks)
    check_pruned(masked, check(smaller, "FLOAT"), kept)
    feeds = {"x": np.random.default_rng(seed).standard_normal((1, 6, 6, 3), np.float32)}
    got, expected = (reference.run(graph, feeds)[masked.outputs[0]] for graph in (smaller, masked))
    assert np.abs(got - expected).max() <= 1e-4 * max(1e-3, np.abs(expected).max())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_the_first_tensor_that_diverges_is_named(seed, data):
    """A weight of any fully connected op that is not the right one."""
    masked, smaller, kept = cut_at_random(seed, 2)
    op = data.draw(st.sampled_from([op for op in smaller.ops if op.kind == "fully_connected"][-2:]))
    weight = smaller.of(op)[1]
    wrong = smaller.with_tensors(replace(weight, data=1 - 2 * weight.data))
    with pytest.raises(SelfCheckFailed, match=f"the first tensor that diverges is {op.name} "):
        check_pruned(masked, wrong, kept)


def test_the_message_says_how_far_and_that_it_is_our_fault():
    masked, smaller, kept = cut_at_random(3, 0)
    (output,) = masked.outputs
    bias = smaller.of(smaller.producers[output])[2]
    wrong = smaller.with_tensors(constant(bias.name, bias.data + np.arange(5, dtype=np.float32)))
    with pytest.raises(SelfCheckFailed) as caught:
        check_pruned(masked, wrong, kept)
    told = str(caught.value)
    assert told.startswith(f"random: after pruning, {output} is ")
    assert "of its range away from the network with the cut channels at zero; " in told
    assert told.endswith("This is a bug in a channel rule: please report it")
