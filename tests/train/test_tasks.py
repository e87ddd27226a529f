"""Losses of each sample against their definitions; labels that do not fit are told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.train.training_nets import CLASSES, network, samples
from toolchain.errors import BadSamples
from toolchain.ir.build import Builder
from toolchain.runtime import reference
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.tasks import answerable, class_losses, targets_of, task_loss


def log_softmax(z):
    return z - z.max(-1, keepdims=True) - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("positions", [(), (3, 2)])
def test_class_losses_are_cross_entropies_with_smoothed_labels(smoothing, positions):
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(6, *positions, 4)), rng.integers(0, 4, (6, *positions))
    soft = (1 - smoothing) * np.eye(4)[y] + smoothing / 4
    expected = -(soft * log_softmax(logits)).sum(-1).reshape(6, -1).mean(1)
    got = class_losses(torch.from_numpy(logits), torch.from_numpy(y), smoothing)
    np.testing.assert_allclose(got, expected)


def run(graph, data):
    return reference.run(graph, {"x": data.x["x"]})[graph.outputs[0]]


def losses(evidence, positions):
    graph = replace(network(softmax=True), outputs=evidence.outputs)
    feeds = {"x": torch.from_numpy(evidence.samples.feeds(positions)["x"])}
    return evidence.loss(GraphModule(graph).eval()(feeds), positions).detach()


def test_evidence_is_of_logits_and_labels():
    data, positions = samples(30), np.array([7, 3, 29])
    evidence = task_loss(network(softmax=True), data, "top1")
    assert evidence.outputs == ("fc",) and evidence.samples is data
    expected = -log_softmax(run(network(), data).astype(np.float64))[np.arange(30), data.y]
    np.testing.assert_allclose(losses(evidence, positions), expected[positions], rtol=1e-4)


@pytest.mark.parametrize("teacher", [None, network(seed=2), network(True, 2)])
def test_evidence_without_labels_is_of_the_most_likely_classes(teacher):
    data, positions = samples(30, labels=False), np.arange(30)
    evidence = task_loss(network(softmax=True), data, "agreement", teacher)
    winners = run(teacher or network(), data).argmax(1)
    expected = -log_softmax(run(network(), data).astype(np.float64))[positions, winners]
    np.testing.assert_allclose(losses(evidence, positions), expected, rtol=1e-4)


def test_evidence_of_numbers():
    data, targets = samples(30), np.random.default_rng(0).normal(size=(30, CLASSES)).astype(np.float32)
    output, teacher = run(network(), data), network(seed=2)
    graph = network()
    for evidence, expected in (
            (task_loss(graph, replace(data, y=targets), "mse"), targets),
            (task_loss(graph, replace(data, y=None), "mse", teacher), run(teacher, data)),
            (task_loss(graph, replace(data, y=None), "mse"), output)):
        values = {"fc": torch.from_numpy(output[5:9])}
        np.testing.assert_allclose(evidence.loss(values, np.arange(5, 9)),
                                   np.square(output - expected)[5:9].mean(1), rtol=1e-4, atol=1e-9)
        assert evidence.has_gradient == (expected is not output)


def test_real_images_beside_noise_are_no_answers():
    """Where the metric compares sets, evidence and training are those of samples without y."""
    data, graph, teacher = samples(30), network(), network(seed=2)
    beside = replace(data, y=np.full((30, CLASSES), 99.0, np.float32))
    evidence = task_loss(graph, beside, "frechet", teacher)
    values, wanted = {"fc": torch.from_numpy(run(graph, data)[5:9])}, run(teacher, data)[5:9]
    np.testing.assert_allclose(evidence.loss(values, np.arange(5, 9)),
                               np.square(run(graph, data)[5:9] - wanted).mean(1), rtol=1e-4)
    assert answerable(beside, "mse").y is beside.y and answerable(beside, "kernel").y is None


def test_evidence_sums_over_outputs():
    b = Builder("two")
    x = b.input("x", (1, 4))
    graph = b.graph(b.op("neg", [x], "a"), b.op("abs", [x], "c"))
    one = replace(samples(), x={"x": np.ones((96, 4), np.float32)}, y=None)
    evidence = task_loss(graph, one, "mse")
    values = {"a": torch.zeros(2, 4), "c": torch.full((2, 4), 3.0)}  # 1 and 4 away from -1 and 1
    assert evidence.loss(values, np.arange(2)).tolist() == [5, 5]


@pytest.mark.parametrize("y, metric, message", [
    (np.full(96, CLASSES), "top1", "label 3 of sample 0: labels must be whole numbers in 0..2"),
    (np.full(96, -1), "top1", "label -1 of sample 0"),
    (np.full(96, 0.5), "top1", "label 0.5 of sample 0"),
    (np.full(96, np.nan), "top1", "corners: labels hold NaN or Inf"),
    (np.zeros((96, 2)), "top1", r"corners: each sample's labels have shape \(2,\); output fc of net takes "),
    (np.zeros(96), "mse", r"corners: each sample's labels have shape \(\); output fc of net takes n"),
    (np.full((96, CLASSES), np.inf), "mse", "corners: labels hold NaN or Inf"),
])
def test_labels_that_do_not_fit(y, metric, message):
    with pytest.raises(BadSamples, match=message):
        targets_of(network(), "corners", y, metric)


def test_labels_may_have_axes_of_one():
    assert targets_of(network(), "s", np.array([[1], [2.0]]), "top1").tolist() == [1, 2]
    assert targets_of(network(), "s", np.ones((2, 1, 3)), "mse").shape == (2, 3)
