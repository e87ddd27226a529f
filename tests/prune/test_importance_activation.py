"""What consumers read, against the reference's values."""

import numpy as np
import pytest

from tests.prune.nets import RandomNet
from tests.prune.tasks import evidence
from toolchain.ir.build import Builder
from toolchain.prune.groups import channel_groups
from toolchain.prune.importance_activation import activation, apoz
from toolchain.prune.masks import with_masks
from toolchain.runtime import reference


def expected(graph, groups, shown, function):
    """Every value that a masked tensor holds, element by element of its places."""
    masked = with_masks(graph, groups)
    read = {place.mask: masked.graph.consumers[place.mask][0].inputs[0] for place in masked.places}
    values = reference.run(graph, shown.samples.x, read.values())
    found = [[[] for _ in range(group.channels)] for group in groups]
    for place in masked.places:
        along = np.moveaxis(values[read[place.mask]], place.member.axis, 0)
        for index, channel in zip(place.member.index, place.member.channel):
            found[place.group][channel].append(function(along[index]).ravel())
    return [np.array([np.concatenate(parts).mean() for parts in group]) for group in found]


@pytest.mark.parametrize("seed", range(6))
def test_means_of_what_the_reference_computes(seed):
    graph = RandomNet(seed).graph(5)
    groups = channel_groups(graph).groups
    shown = evidence(graph, 70 if seed == 0 else 8, seed)
    for found, means in zip(activation(graph, groups, shown, 0), expected(graph, groups, shown, np.abs),
                            strict=True):
        np.testing.assert_allclose(found, means, rtol=1e-4, atol=1e-6)
    shares = expected(graph, groups, shown, lambda values: values != 0)
    for found, means in zip(apoz(graph, groups, shown, 0), shares, strict=True):
        np.testing.assert_allclose(found, means, atol=1e-3)  # a rounding error may be all that is not 0


def test_after_bias_and_activation_by_hand():
    """Channel 0 is the input, channel 1 never above 0, channel 2 a bias of 3."""
    b = Builder("hand")
    weight, bias = np.array([[1], [-1], [0]], np.float32), np.array([0, 0, 3], np.float32)
    h = b.op("fully_connected", [b.input("x", (1, 1)), b.constant("w", weight), b.constant("b", bias)], "h",
             activation="relu")
    y = b.op("fully_connected", [h, b.constant("v", np.ones((2, 3), np.float32)),
                                 b.constant("c", np.zeros(2, np.float32))], "y")
    graph = b.graph(y)
    groups = channel_groups(graph).groups
    shown = evidence(graph, 4)
    shown.samples.x["x"][:, 0] = [1, 2, 0, 5]
    np.testing.assert_allclose(activation(graph, groups, shown, 0), [[2, 0, 3]])
    np.testing.assert_allclose(apoz(graph, groups, shown, 0), [[0.75, 0, 1]])
