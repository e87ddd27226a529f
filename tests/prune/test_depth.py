"""Which residual branches go as a whole: where that costs less loss than channels in their place."""

from dataclasses import replace

import numpy as np
import pytest

from tests.prune.block_nets import ResidualNet
from tests.prune.tasks import evidence
from toolchain.errors import BadConfig
from toolchain.ir.build import Builder
from toolchain.prune.blocks import remove_branches, residual_branches
from toolchain.prune.cost import MACS, Limit
from toolchain.prune.depth import without_branches
from toolchain.prune.prune import Aim, cut_to
from toolchain.train.evidence import task_loss
from toolchain.training_sections import PruneConfig

BLOCKS = PruneConfig(macs=0.7, blocks=True, importance="perturbation")
SHARE = 0.72
"""Of the arithmetic: a branch has 0.24 of it, half of which its one channel that can go."""


def network(idle=1, by=1e-3):
    """(graph, its adds): three residual blocks in a row, of two channels that can go each; what the `idle`th
    adds is all but nothing."""
    net = ResidualNet(4)
    x, adds = net.plain(net.x), []
    for _ in range(3):
        x = net.add(net.conv(net.conv(x, 2, 3), net.channels(x), 3), x)
        adds.append(x)
    graph = net.build.graph(net.build.op("mean", [net.conv(x, 5)], "logits", axes=(1, 2)))
    branch = residual_branches(graph)[idle]
    _, weight, bias = graph.of(graph.producers[branch.operand])
    return graph.with_tensors(*(replace(each, data=by * each.data) for each in (weight, bias))), adds


def aim(graph, share):
    """What the network gives is right: whatever goes, the loss grows."""
    samples = evidence(graph, count=40, labels=False).samples
    return Aim((Limit(MACS, share * MACS.of(graph)),), evidence=task_loss(graph, samples, "mse"))


@pytest.mark.parametrize("idle", range(3))
@pytest.mark.parametrize("measure, scope", [("auto", "global"), ("l2", "sensitivity")])
def test_the_branch_that_does_nothing_goes(idle, measure, scope):
    graph, adds = network(idle)
    config = PruneConfig(macs=SHARE, blocks=True, importance=measure, scope=scope)
    wanted = aim(graph, SHARE)
    smaller, gone = without_branches(graph, config, wanted)
    assert gone[0] == adds[idle]
    assert smaller.digest == remove_branches(graph, gone).digest
    assert MACS.of(cut_to(smaller, config, wanted)) <= SHARE * MACS.of(graph)


def test_where_the_limit_holds_all_stay():
    graph, _ = network()
    assert without_branches(graph, BLOCKS, aim(graph, 1.0)) == (graph, ())


def test_where_channels_are_to_be_had_for_less_branches_stay():
    """Of a block that matters, beside channels whose weights are all but nothing."""
    rng, b = np.random.default_rng(0), Builder("wide")

    def dense(x, name, rows):
        w = rng.standard_normal((rows, b.tensors[x].shape[1])).astype(np.float32)
        w[20:] *= 1e-4
        return b.op("fully_connected", [x, b.constant("w", w), b.constant("b", np.zeros(rows, np.float32))],
                    name)
    x = b.input("x", (1, 6))
    graph = b.graph(dense(b.op("add", [dense(dense(x, "h", 40), "k", 6), x], "add"), "y", 4))
    assert len(residual_branches(graph)) == 1
    assert without_branches(graph, BLOCKS, aim(graph, 0.6))[1] == ()


def test_a_branch_with_an_op_that_is_kept_stays():
    graph, adds = network(1)
    inside = residual_branches(graph)[1].ops[0]
    config = PruneConfig(macs=SHARE, blocks=True, keep=(inside,))
    assert adds[1] not in without_branches(graph, config, aim(graph, SHARE))[1]


@pytest.mark.parametrize("measure", ["taylor", "l2"])
def test_scores_that_do_not_tell_what_the_loss_grows_by_are_refused(measure):
    graph, _ = network()
    config = PruneConfig(macs=0.7, blocks=True, importance=measure)
    with pytest.raises(BadConfig, match="importance fisher, hessian, perturbation, or scope"):
        without_branches(graph, config, aim(graph, 0.7))


def test_without_samples_nothing_can_be_weighed():
    graph, _ = network()
    with pytest.raises(BadConfig, match="blocks weighs branches against channels by the loss: give samples"):
        without_branches(graph, BLOCKS, replace(aim(graph, 0.7), evidence=None))
