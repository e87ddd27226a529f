"""The face of all criteria: what each needs, what is comparable, and that a seed decides."""

from dataclasses import replace
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from tests.prune.nets import RandomNet
from tests.prune.tasks import evidence
from toolchain.errors import BadConfig, BadInput, BadSamples
from toolchain.prune.groups import channel_groups
from toolchain.prune.importance import IMPORTANCE, importance
from toolchain.section import Importance
from toolchain.train.evidence import task_loss


def network(seed=1, blocks=4):
    graph = RandomNet(seed).graph(blocks)
    return graph, channel_groups(graph).groups


def test_a_recipe_names_just_these():
    assert set(get_args(Importance)) == set(IMPORTANCE)


@pytest.mark.parametrize("measure", IMPORTANCE)
@pytest.mark.parametrize("labels", [True, False])
def test_every_criterion_scores_every_channel_alike_each_time(measure, labels):
    graph, groups = network()
    shown = evidence(graph, labels=labels)
    first, again = (importance(graph, groups, measure, shown, seed=3) for _ in range(2))
    for group, scores, same in zip(groups, first, again, strict=True):
        assert scores.shape == (group.channels,) and scores.dtype == np.float64
        np.testing.assert_array_equal(scores, same)
    if IMPORTANCE[measure].tells == "channels":
        np.testing.assert_allclose([scores.mean() for scores in first], 1)


@pytest.mark.parametrize("measure", [name for name, row in IMPORTANCE.items() if row.needs != "weights"])
def test_without_samples_one_error_says_what_to_do(measure):
    graph, groups = network()
    shown = evidence(graph)
    nothing = replace(shown, samples=shown.samples.pick(np.arange(0)))
    for given in (None, nothing):
        with pytest.raises(BadSamples, match=rf'"{measure}" looks at \w+, .* with --data, or .* l1, l2, '):
            importance(graph, groups, measure, given)


@pytest.mark.parametrize("measure", IMPORTANCE)
def test_without_gradients_those_that_need_them_say_so_and_the_others_rank(measure):
    graph, groups = network(blocks=2)
    shown = task_loss(graph, evidence(graph, labels=False).samples, "mse")
    assert not shown.has_gradient
    if IMPORTANCE[measure].needs == "gradients":
        message = f'"{measure}" looks at gradients, and those of numbers are 0: without l'
        with pytest.raises(BadSamples, match=message):
            importance(graph, groups, measure, shown)
    elif measure != "apoz":
        assert all(np.ptp(scores) > 0 for scores in importance(graph, groups, measure, shown))


def test_weights_need_no_samples():
    graph, groups = network()
    for measure in (name for name, row in IMPORTANCE.items() if row.needs == "weights"):
        assert len(importance(graph, groups, measure)) == len(groups)


def test_an_unknown_criterion_is_refused():
    with pytest.raises(BadConfig, match='importance "size" is unknown; there are l1, l2'):
        importance(*network(), "size")


@pytest.mark.parametrize("measure", ["l2", "taylor"])
def test_a_network_of_no_numbers_is_refused(measure):
    graph, groups = network()
    weight = graph.tensors[graph.ops[-1].inputs[1]]
    broken = graph.with_tensors(replace(weight, data=np.full_like(weight.data, np.nan)))
    with pytest.raises(BadInput, match=f'"{measure}" of .* is not finite'):
        importance(broken, groups, measure, evidence(graph))


@pytest.mark.parametrize("measure", IMPORTANCE)
def test_no_groups_no_scores(measure):
    graph, _ = network()
    assert importance(graph, (), measure, evidence(graph)) == []


def test_torch_loads_with_the_criteria_that_need_it():
    check = "import sys, toolchain.prune.importance; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
