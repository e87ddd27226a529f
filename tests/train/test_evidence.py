"""What importance looks at: of labels, of what a teacher says and of what the network itself says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.train.training_nets import CLASSES, network, samples
from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.prune.groups import channel_groups
from toolchain.prune.importance import importance
from toolchain.prune.prune import criterion_of
from toolchain.runtime import reference
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.evidence import task_loss
from toolchain.training_sections import PruneConfig


def log_softmax(z):
    return z - z.max(-1, keepdims=True) - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True))


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


def test_where_the_metric_compares_sets_evidence_is_that_of_samples_without_labels():
    data, graph, teacher = samples(30), network(), network(seed=2)
    beside = replace(data, y=np.full((30, CLASSES), 99.0, np.float32))
    evidence = task_loss(graph, beside, "frechet", teacher)
    values, wanted = {"fc": torch.from_numpy(run(graph, data)[5:9])}, run(teacher, data)[5:9]
    np.testing.assert_allclose(evidence.loss(values, np.arange(5, 9)),
                               np.square(run(graph, data)[5:9] - wanted).mean(1), rtol=1e-4)


def test_evidence_sums_over_outputs():
    b = Builder("two")
    x = b.input("x", (1, 4))
    graph = b.graph(b.op("neg", [x], "a"), b.op("abs", [x], "c"))
    one = replace(samples(), x={"x": np.ones((96, 4), np.float32)}, y=None)
    evidence = task_loss(graph, one, "mse")
    values = {"a": torch.zeros(2, 4), "c": torch.full((2, 4), 3.0)}  # 1 and 4 away from -1 and 1
    assert evidence.loss(values, np.arange(2)).tolist() == [5, 5]


# Outputs that are no classes --------------------------------------------------------------------------------

X = np.random.default_rng(5).standard_normal((32, 8)).astype(np.float32)
VALUES = Samples("values", {"x": X}, None, None, np.arange(len(X)))


def heads(*made: str, seed: int = 0, boxes: float = 1.0) -> Graph:
    """Of 6 hidden values, of which boxes read the last three and all others the first.

    boxes: unit of their coordinates
    """
    rng, b = np.random.default_rng(seed), Builder("heads")

    def dense(x, count, name, read=slice(None), unit=1.0):
        weight = np.zeros((count, b.tensors[x].shape[-1]), np.float32)
        weight[:, read] = unit * rng.standard_normal(weight[:, read].shape)
        bias = unit * rng.standard_normal(count)
        return b.op("fully_connected", [x, b.constant(f"{name}.w", weight),
                                        b.constant(f"{name}.b", bias.astype(np.float32))], name)

    hidden = b.op("relu", [dense(b.input("x", (1, 8)), 6, "first")], "hidden")
    first, last = slice(0, 3), slice(3, 6)
    made_by = {
        "classes": lambda: b.op("softmax", [dense(hidden, 3, "classes", first)], "p"),
        "there": lambda: b.op("logistic", [dense(hidden, 2, "there", first)], "s"),
        "boxes": lambda: dense(hidden, 4, "boxes", last, boxes),
        "number": lambda: dense(hidden, 1, "number")}
    return b.graph(*(made_by[name]() for name in made))


def logits_of(graph: Graph) -> dict[str, np.ndarray]:
    names = tuple(name for name in ("classes", "there", "boxes", "number") if name in graph.tensors)
    return reference.run(replace(graph, outputs=names), VALUES.x)


@pytest.mark.parametrize("teacher", [None, heads("classes", "there", "boxes", seed=1, boxes=50.0)])
def test_each_output_of_a_detector_is_held_against_what_it_says(teacher):
    """The most likely class, the more likely of yes and no, and the boxes by their mean square."""
    graph = heads("classes", "there", "boxes")
    evidence = task_loss(graph, VALUES, "top1", teacher)
    assert evidence.outputs == ("classes", "there", "boxes")
    assert evidence.has_gradient == (teacher is not None)
    own, said = logits_of(graph), logits_of(teacher or graph)
    expected = -log_softmax(own["classes"])[np.arange(32), said["classes"].argmax(1)]
    signs = np.where(said["there"] > 0, 1, -1)
    expected += np.log1p(np.exp(-signs * own["there"])).mean(1)
    expected += np.square(own["boxes"] - said["boxes"]).mean(1) / np.square(said["boxes"]).mean()
    positions = np.array([7, 3, 29])
    values = {name: torch.from_numpy(x[positions]) for name, x in own.items()}
    np.testing.assert_allclose(evidence.loss(values, positions), expected[positions], rtol=1e-4)


def scores(graph: Graph, measure: str) -> np.ndarray:
    (group,) = channel_groups(graph).groups
    return importance(graph, [group], measure, task_loss(graph, VALUES, "top1"))[0]


@pytest.mark.parametrize("measure", ["hessian", "perturbation"])
def test_what_only_boxes_read_matters_whatever_their_unit(measure):
    """Held against the index of its largest coordinate, a box in pixels would outweigh all classes."""
    in_metres, in_pixels = (scores(heads("classes", "boxes", boxes=unit), measure) for unit in (1.0, 100.0))
    assert (in_metres[3:] > 0).all()
    np.testing.assert_allclose(in_pixels, in_metres, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("measure", ["hessian", "perturbation"])
def test_a_regressor_is_no_network_of_one_class(measure):
    """Whose loss would be 0 whatever it says."""
    graph = heads("number")
    evidence = task_loss(graph, VALUES, "top1")
    assert criterion_of(PruneConfig(ratio=0.5), evidence) == "hessian"
    assert (scores(graph, measure) > 0).all()


@pytest.mark.parametrize("measure", ["taylor", "fisher"])
def test_yes_or_no_has_gradients(measure):
    found = scores(heads("there"), measure)
    assert found[:3].any() and not found[3:].any()
