"""The scan measures what masks do; increments add up to its curve, in the order of the scores."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from tests.prune.nets import RandomNet
from toolchain.data import Samples
from toolchain.prune.evidence import Evidence
from toolchain.prune.groups import channel_groups
from toolchain.prune.masks import scales_of, with_masks
from toolchain.prune.sensitivity import SHARES, increments, sensitivity
from toolchain.runtime import reference


def setting(seed, count=9):
    """(graph, groups, scores, evidence): the loss is the mean square of the output."""
    graph = RandomNet(seed).graph(3)
    groups, rng = channel_groups(graph).groups, np.random.default_rng(seed)
    x = rng.standard_normal((count, *graph.tensors["x"].shape[1:]), np.float32)
    output = graph.outputs[0]
    evidence = Evidence(Samples("random", {"x": x}, None, None, np.arange(count)), (output,),
                        lambda values, positions: values[output].square().mean(1))
    return graph, groups, [rng.uniform(size=group.channels) for group in groups], evidence


def test_the_scan_is_the_loss_with_masks():
    graph, groups, scores, evidence = setting(4)
    masked = with_masks(graph, groups)

    def loss(gone):
        feeds = evidence.samples.feeds(np.arange(len(evidence.samples)))
        return np.square(reference.run(masked.at(scales_of(groups, gone)), feeds)[graph.outputs[0]]).mean()

    curves = sensitivity(graph, groups, scores, evidence, shares=(0.25, 0.5))
    for number, (group, curve) in enumerate(zip(groups, curves)):
        order = np.argsort(scores[number])
        expected = [loss({number: order[:int(share * group.channels + 0.5)]}) for share in (0.25, 0.5)]
        np.testing.assert_allclose(curve, np.array(expected) - loss({}), rtol=1e-3, atol=1e-4 * loss({}))


def test_without_groups_there_is_nothing_to_scan():
    graph, _, _, evidence = setting(4)
    assert sensitivity(graph, (), [], evidence) == []


def test_the_scan_leaves_threads_as_they_were_and_repeats():
    before = torch.get_num_threads()
    first, second = (np.concatenate(sensitivity(*setting(2))) for _ in range(2))
    assert torch.get_num_threads() == before and np.array_equal(first, second)


@settings(max_examples=60, deadline=None)
@given(channels=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_increments_keep_the_order_and_stay_below_the_curve(channels, seed):
    rng = np.random.default_rng(seed)
    scores, curve = rng.uniform(size=channels), rng.normal(0.3, 1, len(SHARES)).cumsum()
    found, = increments([scores], [curve])
    order = np.argsort(scores)
    assert np.array_equal(np.argsort(found, kind="stable"), order) and found.min() >= 0
    total = np.append(0, np.cumsum(found[order]))
    highest = np.maximum(np.maximum.accumulate(curve), 0)
    for share, loss in zip(SHARES, highest):
        gone = int(share * channels + 0.5)
        if gone < channels:
            assert total[gone] <= loss + 1e-6 * (1 + total[-1])


def test_increments_of_a_convex_curve_are_the_curve():
    scores = np.array([3.0, 1, 4, 2, 8, 5, 7, 6])
    found, = increments([scores], [np.array([0.0, 1, 2, 4, 6, 8, 12])])
    assert found == pytest.approx([1, 0, 2, 1, 4, 2, 4, 2], abs=1e-6)


def test_a_curve_that_falls_or_bulges_is_taken_below():
    """A bump of 4 in the middle, and a loss below that of the whole network."""
    found, = increments([np.arange(4.0)], [np.array([-1.0, 4.0, 2.0])], shares=(0.25, 0.5, 0.75))
    assert found == pytest.approx([0, 2, 2, 2], abs=1e-6)
    found, = increments([np.arange(4.0)], [np.array([1.0, 3.0, 3.2])], shares=(0.25, 0.5, 0.75))
    assert found == pytest.approx([1, 1.1, 1.1, 1.1], abs=1e-6)


def test_a_group_of_one_channel_has_an_increment():
    assert increments([np.ones(1)], [np.zeros(len(SHARES))])[0].shape == (1,)
