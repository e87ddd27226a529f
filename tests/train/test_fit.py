"""Fine-tuning learns what it is shown, the same way each time, and refuses what it cannot learn from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models import sensor_net
from tests.train.training_nets import CLASSES, network, samples
from toolchain.data import Samples
from toolchain.errors import BadInput, BadSamples
from toolchain.generation import frechet_distance
from toolchain.ir.build import Builder
from toolchain.ir.layout import channels_last
from toolchain.load.torch import load_torch
from toolchain.recipe import TrainConfig
from toolchain.runtime import reference
from toolchain.train.fit import fit, reestimate_batch_norm


def choices(graph, data):
    return reference.run(graph, {"x": data.x["x"]})[graph.outputs[0]].argmax(1)


def accuracy(graph, data):
    return (choices(graph, data) == samples().y).mean()


@pytest.mark.parametrize("softmax", [False, True])
def test_learns_from_labels(softmax):
    graph, data = network(softmax), samples()
    losses = []
    tuned = fit(graph, TrainConfig(epochs=8, batch_size=32, learning_rate=0.05), data,
                progress=lambda epoch: losses.append((epoch.number, epoch.loss)))
    assert accuracy(graph, data) < 0.7 and accuracy(tuned, data) > 0.95
    assert [epoch for epoch, _ in losses] == list(range(1, 9)) and losses[-1][1] < losses[0][1] / 2
    assert tuned.ops == graph.ops and tuned.outputs == graph.outputs
    assert set(tuned.tensors) == set(graph.tensors)


def test_learns_from_a_teacher_without_labels():
    data = samples()
    teacher = fit(network(), TrainConfig(epochs=8, batch_size=32, learning_rate=0.05), data)
    student = fit(network(seed=5), TrainConfig(epochs=12, batch_size=32, learning_rate=0.05),
                  samples(labels=False), teacher=teacher)
    assert (choices(student, data) == choices(teacher, data)).mean() > 0.95


def test_learns_numbers_from_a_teacher():
    """metric "mse": the outputs themselves come near, not only their order."""
    data, teacher, student = samples(labels=False), network(seed=2), network(seed=3)
    config = TrainConfig(epochs=25, batch_size=32, learning_rate=0.05)
    tuned = fit(student, config, data, teacher, metric="mse")

    def distance(graph):
        feeds = {"x": data.x["x"]}
        return np.square(reference.run(graph, feeds)["fc"] - reference.run(teacher, feeds)["fc"]).mean()
    assert distance(tuned) < 0.1 * distance(student)


def test_a_generator_learns_from_its_teacher_alone_and_is_chosen_by_the_smallest_distance():
    data, teacher = samples(labels=False), network(seed=2)
    beside = replace(data, y=np.full((len(data), CLASSES), 9.0, np.float32))
    config, found = TrainConfig(epochs=6, batch_size=32, learning_rate=0.05, patience=3), []
    tuned = fit(network(seed=3), config, beside, teacher, metric="frechet", selection=data, embed=lambda x: x,
                progress=lambda epoch: found.append(epoch.score))
    alone = fit(network(seed=3), config, data, teacher, metric="frechet", selection=data, embed=lambda x: x)
    assert tuned.digest == alone.digest and min(found) < found[0]
    drawn, real = (reference.run(graph, {"x": data.x["x"]})["fc"] for graph in (tuned, teacher))
    assert frechet_distance(drawn, real) == pytest.approx(min(found), rel=1e-3)
    with pytest.raises(BadSamples, match="neither labels nor a teacher"):
        fit(network(), TrainConfig(epochs=1), beside, metric="frechet")


def test_alpha_weighs_labels_and_teacher():
    """A teacher that is wrong on purpose: alpha 1 follows it, alpha 0 the labels."""
    data = samples()
    liar = fit(network(), TrainConfig(epochs=8, batch_size=32, learning_rate=0.05),
               replace(data, y=(data.y + 1) % CLASSES))
    for alpha, share in ((0.0, 1.0), (1.0, 0.0)):
        config = TrainConfig(epochs=8, batch_size=32, learning_rate=0.05, alpha=alpha)
        assert accuracy(fit(network(), config, data, liar), data) == pytest.approx(share, abs=0.05)


def test_the_seed_decides_everything():
    config = TrainConfig(epochs=2, batch_size=32)
    first, again, other = (fit(network(), config, samples(), seed=seed).digest for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_decides_nothing(threads):
    graph = channels_last(load_torch(*sensor_net(), "sensor_net"))
    x = np.random.default_rng(0).standard_normal((64, 6, 100), np.float32)
    data = Samples("noise", {graph.inputs[0]: x}, np.arange(64) % 7, None, np.arange(64)).fit_to(graph)

    def digests():
        fitted = fit(graph, TrainConfig(epochs=1), data)
        return fitted.digest, reestimate_batch_norm(graph, data).digest

    expected, before = digests(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert digests() == expected and torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_reestimated_statistics_are_those_of_the_samples():
    graph, data = network(), samples(64)
    stats = reestimate_batch_norm(graph, data)
    conv = reference.run(graph, {"x": data.x["x"]}, keep=["conv"])["conv"].reshape(-1, 8)
    np.testing.assert_allclose(stats.tensors["m"].data, conv.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stats.tensors["v"].data, conv.var(0, ddof=1), rtol=1e-4)
    assert stats.with_tensors(graph.tensors["m"], graph.tensors["v"]).digest == graph.digest


def test_reestimation_averages_over_batches_alike():
    """192 sorted samples make three batches of 64; they are mixed, and no batch counts more than another."""
    graph, data = network(), samples(192)
    stats = reestimate_batch_norm(graph, data)
    conv = reference.run(graph, {"x": data.x["x"]}, keep=["conv"])["conv"].reshape(-1, 8)
    np.testing.assert_allclose(stats.tensors["m"].data, conv.mean(0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(stats.tensors["v"].data, conv.var(0), rtol=0.05)


def test_a_graph_without_batch_norm_stays_as_it_is():
    b = Builder("plain")
    graph = b.graph(b.op("relu", [b.input("x", (1, 4, 4, 2))], "y"))
    assert reestimate_batch_norm(graph, samples()) is graph


def test_nothing_to_learn_from():
    with pytest.raises(BadSamples, match="corners: neither labels nor a teacher to learn from"):
        fit(network(), TrainConfig(epochs=1), samples(labels=False))
    with pytest.raises(BadSamples, match="corners: 1 sample to fine-tune on; at least 2"):
        fit(network(), TrainConfig(epochs=1), samples(1))


def test_a_teacher_of_another_kind_is_refused():
    b = Builder("other")
    other = b.graph(b.op("mean", [b.input("x", (1, 4, 4, 2))], "y", axes=(1, 2)))
    with pytest.raises(BadInput, match=r"other: cannot teach net: inputs and outputs .*\(1, 2\).*\(1, 3\)"):
        fit(network(), TrainConfig(epochs=1), samples(), other)


def test_labels_for_several_outputs_are_refused():
    b = Builder("two")
    x = b.input("x", (1, 3))
    graph = b.graph(b.op("relu", [x], "a"), b.op("tanh", [x], "b"))
    with pytest.raises(BadSamples, match="one set of labels for the 2 outputs of two"):
        fit(graph, TrainConfig(epochs=1), samples())


def test_divergence_is_said():
    with pytest.raises(BadInput, match=r"net: the loss became (nan|inf) in epoch \d+; lower \[train\] learn"):
        fit(network(), TrainConfig(epochs=5, learning_rate=1e30), samples())


def test_one_sample_gives_no_statistics():
    b = Builder("flat")
    parameters = [b.constant(n, np.ones(3, np.float32)) for n in "gbmv"]
    graph = b.graph(b.op("batch_norm", [b.input("x", (1, 3)), *parameters], "y", epsilon=1e-5))
    one = Samples("one", {"x": np.ones((1, 3), np.float32)}, None, None, np.arange(1))
    with pytest.raises(BadSamples, match="one: 1 samples give no statistics"):
        reestimate_batch_norm(graph, one)
