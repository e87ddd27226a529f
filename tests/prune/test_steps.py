"""Steps are those of the staircase, and no larger than they must be."""

import pytest

from tests.prune.test_select import chain
from toolchain.prune.cost import MACS, Cost
from toolchain.prune.steps import liked_steps, measured_steps
from toolchain.prune.widths import Price, Widths


def up(count, step):
    return -(-count // step) * step


def stairs(period, deep=1.0):
    """A kernel that takes `period` inputs and outputs at once; a share `deep` of the cost is in steps."""
    def of_op(op, inputs, output):
        whole = up(inputs[0][-1], period) * up(output[-1], period)
        return 10.0 + deep * whole + (1 - deep) * inputs[0][-1] * output[-1]
    return Cost("stairs", "cycles", of_op=of_op)


def steps(cost, *channels):
    return measured_steps(Price(Widths(*chain(*channels)), cost))


@pytest.mark.parametrize("period, channels", [(1, 16), (2, 16), (4, 32), (8, 64), (16, 96)])
def test_the_period_of_the_kernel(period, channels):
    assert steps(stairs(period), channels, channels) == [period, period]


def test_a_period_that_is_short_beside_the_channels_does_not_matter():
    """An odd count of 64 to 128 costs one channel in about 100 more."""
    assert steps(stairs(2), 128, 128) == [1, 1]


def test_without_stairs_any_count_is_as_good():
    assert steps(MACS, 16, 64, 7) == [1, 1, 1]


def test_stairs_too_low_to_matter():
    assert steps(stairs(8, deep=0.02), 64, 64) == [1, 1]


def test_a_step_is_at_most_half_of_the_channels():
    assert steps(stairs(8), 8, 15, 16, 3) == [1, 4, 8, 1]


def test_what_costs_most_decides():
    """The reader's kernel works in fours, the maker's in twos, and the reader has 30 times the outputs."""
    def of_op(op, inputs, output):
        if output[-1] == 96:
            return 96.0 * up(inputs[0][-1], 4)
        return 3.0 * up(output[-1], 2)
    assert steps(Cost("both", "cycles", of_op=of_op), 32, 96)[0] == 4


def test_steps_by_kind_are_the_least_common_multiple():
    graph, groups = chain(8, 8)
    assert liked_steps(graph, groups, {"conv2d": 4, "depthwise_conv2d": 16}) == [4, 4]
    assert liked_steps(graph, groups, {}) == [1, 1]
