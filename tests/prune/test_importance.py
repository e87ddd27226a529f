"""Importance against its definition on numbers small enough to add up by hand."""

import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.graph import constant
from toolchain.prune.groups import channel_groups
from toolchain.prune.importance import importance


def graph():
    """fc (2 -> 3), fc (3 -> 1): one group of 3 channels in two weights."""
    b = Builder("tiny")
    first = b.constant("first", np.array([[3, 4], [0, 1], [-1, 0]], np.float32))
    second = b.constant("second", np.array([[2, -2, 4]], np.float32))
    bias = b.constant("b", np.full(3, 9, np.float32))
    h = b.op("fully_connected", [b.input("x", (1, 2)), first, bias], "h")
    y = b.op("fully_connected", [h, second, b.constant("b", np.zeros(1, np.float32))], "y")
    return b.graph(y)


@pytest.mark.parametrize("measure, rows", [("l1", [7, 1, 1]), ("l2", [5, 1, 1])])
def test_norms_by_hand(measure, rows):
    """Each weight's norms by their mean, then the mean of both weights; biases do not count."""
    net = graph()
    (group,) = channel_groups(net).groups
    columns = [2, 2, 4]
    expected = (np.array(rows) / np.mean(rows) + np.array(columns) / np.mean(columns)) / 2
    np.testing.assert_allclose(importance(net, group, measure), expected, rtol=1e-6)


def test_scale_of_a_layer_does_not_matter():
    net = graph()
    (group,) = channel_groups(net).groups
    louder = net.with_tensors(constant("first", 100 * net.tensors["first"].data))
    np.testing.assert_allclose(importance(louder, group, "l2"), importance(net, group, "l2"), rtol=1e-6)
