"""What each output says, and losses of it, against definitions and torch written out by hand."""

from dataclasses import replace
import re

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.train.training_nets import network, samples
from toolchain.errors import BadInput
from toolchain.ir.build import Builder
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.answers import Answer, answers_of
from toolchain.train.batches import Batch
from toolchain.train.distill import Teacher, axes_between, relative_loss, soft_loss, yes_no_loss
from toolchain.train.fit import fit
from toolchain.train.objective import Lesson, Objective
from toolchain.training_sections import TrainConfig


def detector(seed=0, sure=True):
    """On (1, 8): 4 anchors' classes, whether there is something, and boxes.

    sure: with a softmax and a sigmoid at the end
    """
    rng, b = np.random.default_rng(seed), Builder("detector")
    x = b.input("x", (1, 8))

    def head(name, count, scale=1.0):
        weight = b.constant(f"{name}.w", (scale * rng.standard_normal((4 * count, 8))).astype(np.float32))
        bias = b.constant(f"{name}.b", np.zeros(4 * count, np.float32))
        flat = b.op("fully_connected", [x, weight, bias], f"{name}.flat")
        return b.op("reshape", [flat], name, shape=(1, 4, count))
    classes, there, boxes = head("classes", 3), head("there", 1), head("boxes", 4, 9.0)
    if not sure:
        return b.graph(classes, there, boxes)
    return b.graph(b.op("softmax", [classes], "p"), b.op("logistic", [there], "s"), boxes)


CLASSES, THERE, BOXES = (Answer("classes", "classes", "classes"), Answer("yes_no", "there", "there"),
                         Answer("relative", "boxes", "boxes"))


@pytest.mark.parametrize("student, teacher", [(True, True), (True, False), (False, True)])
def test_a_detectors_heads_say_each_their_own(student, teacher):
    """A softmax or a sigmoid in one of both says it for both."""
    assert answers_of(detector(sure=student), detector(sure=teacher), "top1") == (CLASSES, THERE, BOXES)


def test_without_them_the_first_output_is_classes_and_others_are_numbers():
    there = replace(THERE, kind="relative")
    assert answers_of(detector(sure=False), detector(sure=False), "agreement") == (CLASSES, there, BOXES)


def test_of_numbers_everything_is_a_number():
    kinds = [(answer.kind, answer.student) for answer in answers_of(detector(), detector(), "mse")]
    assert kinds == [("relative", "p"), ("relative", "s"), ("relative", "boxes")]
    assert answers_of(network(True), network(), "mse") == (Answer("numbers", "p", "fc"),)


def test_a_single_output_of_one_number_is_no_class():
    b = Builder("one")
    graph = b.graph(b.op("mean", [b.input("x", (1, 4))], "y", axes=(1,), keepdims=True))
    assert answers_of(graph, graph, "top1") == (Answer("numbers", "y", "y"),)


logits = st.lists(st.floats(-20, 20, width=32), min_size=6, max_size=6)


@given(logits, logits, st.sampled_from([1.0, 2.0, 4.0]))
def test_yes_or_no_is_two_classes_of_which_one_has_a_logit_of_zero(student, teacher, temperature):
    s, t = (torch.tensor(x, dtype=torch.float64).reshape(6, 1) for x in (student, teacher))
    pairs = [torch.stack([x, torch.zeros_like(x)], -1) for x in (s, t)]
    expected = soft_loss(pairs[0].reshape(6, 2), pairs[1].reshape(6, 2), temperature)
    assert yes_no_loss(s, t, temperature).item() == pytest.approx(expected.item(), rel=1e-6, abs=1e-9)
    assert yes_no_loss(s, t, temperature).item() >= -1e-9


def test_yes_or_no_is_t_squared_times_the_divergence_summed_over_places():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 5, 7, 3))
    p, q = 1 / (1 + np.exp(-teacher / 3)), 1 / (1 + np.exp(-student / 3))
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    got = yes_no_loss(torch.from_numpy(student), torch.from_numpy(teacher), 3.0)
    assert got.item() == pytest.approx(9 * divergence.sum(-1).mean())


@given(st.floats(1e-3, 1e3))
def test_a_relative_loss_has_no_unit(unit):
    rng = np.random.default_rng(0)
    student, teacher = (torch.from_numpy(x) for x in rng.normal(size=(2, 5, 4)))
    one = relative_loss(student, teacher).item()
    assert relative_loss(unit * student, unit * teacher).item() == pytest.approx(one)
    assert relative_loss(torch.zeros_like(teacher), teacher).item() == pytest.approx(1)
    assert relative_loss(teacher, torch.zeros_like(teacher)).isfinite()


def test_the_objective_of_a_detector_and_its_gradients_against_torch_by_hand():
    student, teacher, temperature = detector(1), detector(2), 3.0
    answers = answers_of(student, teacher, "agreement")
    lesson = Lesson(Teacher(teacher, student, [answer.teacher for answer in answers]), answers)
    config = TrainConfig(epochs=1, temperature=temperature)
    module = GraphModule(replace(student, outputs=lesson.names))
    x = torch.from_numpy(np.random.default_rng(3).standard_normal((6, 8)).astype(np.float32))
    loss = Objective(config, "agreement", "classes", lesson).loss(module, Batch({"x": x}, None))
    loss.backward()

    def heads(graph):
        weights = {name: torch.tensor(graph.tensors[f"{name}.w"].data, requires_grad=True)
                   for name in ("classes", "there", "boxes")}
        return weights, {name: (x @ w.T).reshape(6, 4, -1) for name, w in weights.items()}
    (weights, own), (_, taught) = heads(student), heads(teacher)
    p, q = (functional.log_softmax(z["classes"] / temperature, -1) for z in (taught, own))
    yes, odds = torch.sigmoid(taught["there"] / temperature), own["there"] / temperature
    entropy = -(yes * yes.log() + (1 - yes) * (1 - yes).log())
    by_hand = temperature**2 * ((p.exp() * (p - q)).sum(-1).mean()
                                + (functional.softplus(odds) - yes * odds - entropy).mean())
    by_hand = by_hand + ((own["boxes"] - taught["boxes"])**2).mean() / (taught["boxes"]**2).mean()
    by_hand.backward()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(module.constant(f"{name}.w").grad, weight.grad, rtol=1e-4, atol=1e-6)


def test_a_detector_learns_every_head():
    x = np.random.default_rng(4).standard_normal((96, 8)).astype(np.float32)
    data = replace(samples(labels=False), x={"x": x})
    teacher, student = detector(2), detector(1, sure=False)
    tuned = fit(student, TrainConfig(epochs=60, batch_size=32, learning_rate=0.5), data, teacher)

    def off(graph):
        asked = [Teacher(one, answers=["classes", "there", "boxes"]).outputs({"x": torch.from_numpy(x)})
                 for one in (graph, teacher)]
        asked = [[classes - classes.mean(-1, keepdim=True), *others] for classes, *others in asked]
        return [relative_loss(own, taught) for own, taught in zip(*asked)]
    for before, after in zip(off(student), off(tuned)):
        assert after < 0.3 * before


# Inputs and outputs -----------------------------------------------------------------------------------------

def turned(first: bool):
    """3 classes by the mean of each row, of a source that has channels first; inside, first or last."""
    b = Builder("first" if first else "last")
    x = b.input("image" if first else "x", (1, 3, 4, 5) if first else (1, 4, 5, 3))
    y = b.op("mean", [x], "y", axes=(3,) if first else (2,))
    graph = b.graph(y)
    return graph if first else replace(graph, permutations={"x": (0, 3, 1, 2), "y": (0, 2, 1)})


def test_a_teacher_is_fed_and_answers_in_the_students_layout():
    first, last = turned(True), turned(False)
    x = torch.randn(2, 4, 5, 3)
    (own,), (asked,) = Teacher(last).outputs({"x": x}), Teacher(first, last).outputs({"x": x})
    torch.testing.assert_close(asked, own)
    (back,) = Teacher(last, first).outputs({"image": x.permute(0, 3, 1, 2)})
    torch.testing.assert_close(back, own.permute(0, 2, 1))
    assert answers_of(first, last, "mse") == answers_of(last, first, "mse") == (Answer("numbers", "y", "y"),)


def test_what_has_other_shapes_is_another_thing():
    first, last = turned(True), turned(False)
    assert axes_between(last, "x", first, "image") == (0, 3, 1, 2)
    assert axes_between(last, "x", replace(last, permutations={}), "x") == (0, 1, 2, 3)
    assert axes_between(replace(last, permutations={}), "x", first, "image") is None
    assert axes_between(last, "x", first, "y") is None
    told = ("detector: cannot teach net: inputs and outputs x (1, 8) -> p (1, 4, 3), s (1, 4, 1), boxes (1, "
            "4, 4), not x (1, 4, 4, 2) -> fc (1, 3); give a network of the same task")
    with pytest.raises(BadInput, match=re.escape(told)):
        answers_of(network(), detector(), "top1")
