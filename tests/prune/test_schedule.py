"""Schedules: what the network may cost after each step, who trains when, and what is remembered."""

import msgspec
import numpy as np
import pytest

from tests.breaking_net import gratings, trained_net
from toolchain.errors import BadConfig, BadInput
from toolchain.ir.build import Builder
from toolchain.ir.ops import graph_macs
from toolchain.prune.cost import CHANNELS, MACS, Limit
from toolchain.prune.prune import Aim
from toolchain.prune.schedule import SCHEDULES, Work, levels, shrunk
from toolchain.train.evidence import task_loss
from toolchain.train.fit import fit, reestimate_batch_norm
from toolchain.training_sections import PruneConfig, TrainConfig


class Diary:
    """What a schedule asked for, done for real; `known` is remembered from a run before."""

    def __init__(self, known=()):
        self.samples, self.tuned, self.names, self.known = gratings().split("train"), [], [], dict(known)

    def tune(self, graph, epochs, additions, before):
        assert before == sum(epochs for epochs, _ in self.tuned)
        self.tuned.append((epochs, [type(one).__name__ for one in additions]))
        config = TrainConfig(epochs=epochs, alpha=0.0, learning_rate=5e-3)
        return fit(graph, config, self.samples, additions=additions)

    def settle(self, graph):
        return reestimate_batch_norm(graph, self.samples.take(256))

    def remember(self, name, make):
        self.names.append(name)
        if name not in self.known:
            self.known[name] = make()
        return self.known[name]

    def work(self, epochs):
        return Work(self.tune, epochs, self.settle, self.remember)


def aim(graph, share=0.5):
    samples = gratings().split("train").take(128)
    return Aim((Limit(MACS, share * graph_macs(graph)),), evidence=task_loss(graph, samples, "top1"))


def test_levels_end_at_the_limit():
    np.testing.assert_allclose(levels("iterative", 3, 800.0, 100.0), [400, 200, 100])
    np.testing.assert_allclose(levels("gradual", 2, 100.0, 20.0), [100 - 80 * 0.875, 20])
    assert levels("gradual", 5, 7.0, 7.0) == [7.0] * 5
    assert levels("iterative", 2, 0.0, 0.0) == [0.0] * 2
    assert levels("iterative", 2, 3.0, 7.0) == [7.0] * 2


@pytest.mark.parametrize("schedule, tuned, left, names", [
    ("one_shot", [], 6, ["pruned"]),
    ("iterative", [(1, [])] * 2, 4, ["pruned-1", "tuned-1", "pruned-2", "tuned-2", "pruned-3"]),
    ("gradual", [(1, [])] * 2, 4, ["pruned-1", "tuned-1", "pruned-2", "tuned-2", "pruned-3"]),
    ("batch_norm_l1", [(3, ["BatchNormL1"])], 3, ["sparse", "pruned"]),
    ("gates", [(1, ["Gates"])], 5, ["gated", "pruned"])])
def test_every_schedule_ends_at_the_limit(schedule, tuned, left, names):
    graph, diary = trained_net(), Diary()
    config = PruneConfig(macs=0.5, schedule=schedule, steps=3)
    smaller, epochs = shrunk(graph, config, aim(graph), diary.work(6))
    assert 0.4 * graph_macs(graph) < graph_macs(smaller) <= 0.5 * graph_macs(graph)
    assert set(smaller.tensors) == set(graph.tensors)
    assert (diary.tuned, epochs, diary.names) == (tuned, left, names)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_what_is_remembered_is_not_made_again(schedule):
    graph, first = trained_net(), Diary()
    config = PruneConfig(macs=0.5, schedule=schedule, steps=2)
    whole, _ = shrunk(graph, config, aim(graph), first.work(4))
    again = Diary(list(first.known.items())[:-1])
    resumed, _ = shrunk(graph, config, aim(graph), again.work(4))
    assert resumed.digest == whole.digest and not again.tuned


@pytest.mark.parametrize("schedule", ["batch_norm_l1", "gates"])
def test_schedules_that_train_first_say_so(schedule):
    graph = trained_net()
    config = PruneConfig(macs=0.5, schedule=schedule)
    with pytest.raises(BadConfig, match=f'schedule = "{schedule}" trains before it prunes; give samples and'):
        shrunk(graph, config, aim(graph), Diary().work(1))


def test_steps_without_training_judge_the_network_anew():
    graph, diary = trained_net(), Diary()
    config = PruneConfig(macs=0.5, schedule="iterative", steps=2)
    stepwise, _ = shrunk(graph, config, aim(graph), diary.work(0))
    one_shot = msgspec.structs.replace(config, schedule="one_shot")
    at_once, _ = shrunk(graph, one_shot, aim(graph), diary.work(0))
    assert not diary.tuned and stepwise.digest != at_once.digest


@pytest.mark.parametrize("schedule", ["one_shot", "iterative", "gradual"])
def test_what_stays_in_any_case_is_a_share_of_the_network_as_it_came(schedule):
    """A tenth: 4 of 40 channels, whatever the steps before left of them."""
    rng, b = np.random.default_rng(0), Builder("wide")
    x = b.input("x", (1, 4))
    for name, rows, columns in (("h", 40, 4), ("y", 3, 40)):
        parts = [b.constant("w", rng.standard_normal((rows, columns)).astype(np.float32)),
                 b.constant("b", np.zeros(rows, np.float32))]
        x = b.op("fully_connected", [x, *parts], name)
    graph = b.graph(x)
    config = PruneConfig(ratio=0.9, schedule=schedule, steps=4)
    smaller, _ = shrunk(graph, config, Aim((Limit(CHANNELS, 4.0),)), Diary().work(0))
    assert smaller.tensors["h"].shape == (1, 4)
    with pytest.raises(BadInput, match="cannot be reached"):
        shrunk(graph, config, Aim((Limit(CHANNELS, 3.0),)), Diary().work(0))
