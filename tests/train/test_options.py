"""What a recipe's [train] asks for: patience, an average, the user's own loss and loader, additions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.train.training_nets import CLASSES, network, samples
from toolchain.errors import BadInput, BadSamples
from toolchain.ir.build import Builder
from toolchain.runtime import reference
from toolchain.runtime.additions import Addition
from toolchain.train import batches as batches_module
from toolchain.train import distill as distill_module
from toolchain.train.batches import batch_count
from toolchain.train.fit import fit
from toolchain.train.loop import Epoch
from toolchain.training_sections import TrainConfig

CONFIG = TrainConfig(epochs=4, batch_size=32, learning_rate=0.05)


def top1(graph, data):
    (outputs,) = reference.run(graph, {"x": data.x["x"]}).values()
    return float((outputs.argmax(1) == data.y).mean())


def changed(config, **fields):
    return TrainConfig(**({name: getattr(config, name) for name in config.__struct_fields__} | fields))


# Patience and averages --------------------------------------------------------------------------------------

@pytest.mark.parametrize("average", [0.0, 0.8])
def test_patience_keeps_the_best_weights_and_stops(average):
    """Labels of selection are those of a network of other weights: what is learned soon helps no more."""
    selection, epochs = samples(60), []
    selection = replace(selection, y=(selection.y + (np.arange(60) % 3 == 0)) % CLASSES)
    config = changed(CONFIG, epochs=40, patience=3, average=average)
    tuned = fit(network(seed=4), config, samples(), progress=epochs.append, selection=selection)
    scores = [epoch.score for epoch in epochs]
    best = int(np.argmax(scores))
    assert len(epochs) == best + 1 + 3 < 40
    assert top1(tuned, selection) == pytest.approx(max(scores), abs=1e-9)
    assert epochs[0] == Epoch(1, 40, epochs[0].loss, scores[0])


def test_without_patience_the_last_weights_are_kept_and_scores_decide_nothing():
    epochs = []
    plain = fit(network(), CONFIG, samples())
    seen = fit(network(), CONFIG, samples(), selection=samples(30), progress=epochs.append)
    assert seen.digest == plain.digest
    assert epochs[-1].score == pytest.approx(top1(plain, samples(30)), abs=1e-9)


@pytest.mark.parametrize("metric, better", [("top1", 1.0), ("agreement", 1.0), ("mse", 0.0)])
def test_selection_without_labels_is_scored_against_the_teacher(metric, better):
    """The student is the teacher: at a rate that moves nothing it stays as good as can be."""
    epochs, config = [], changed(CONFIG, epochs=1, learning_rate=1e-12, optimizer="sgd")
    graph = fit(network(), CONFIG, samples())  # whose statistics are those of the samples
    fit(graph, config, samples(labels=False), graph, metric=metric, selection=samples(30, labels=False),
        progress=epochs.append)
    assert epochs[0].score == pytest.approx(better, abs=0.1)


def test_patience_asks_for_selection_samples():
    with pytest.raises(BadSamples, match=r"corners: \[train\] patience = 2 judges by selection samples"):
        fit(network(), changed(CONFIG, patience=2), samples())
    with pytest.raises(BadSamples, match="neither labels nor a teacher to score by top1"):
        fit(network(), changed(CONFIG, patience=2), samples(), selection=samples(9, labels=False))


def test_an_average_takes_the_place_of_the_weights():
    """One step: the average of 0.1 is between the first weights and those after the step."""
    config = changed(CONFIG, epochs=1, batch_size=96)
    first, last = network().tensors["f"].data, fit(network(), config, samples()).tensors["f"].data
    averaged = fit(network(), changed(config, average=0.1), samples()).tensors["f"].data
    np.testing.assert_allclose(averaged, 0.1 * first + 0.9 * last, rtol=1e-4, atol=1e-6)


# The user's own code ----------------------------------------------------------------------------------------

LOADER = """
import numpy as np
from tests.train.training_nets import samples

def same(epoch, seed):
    data = samples()
    order = np.random.default_rng((seed, epoch)).permutation(96)
    return [({"x": data.x["x"][index]}, data.y[index]) for index in np.array_split(order, 3)]

def generated(epoch, seed):
    yield from ((feeds["x"], y) for feeds, y in same(epoch, seed))

def unlabelled(epoch, seed):
    return [(feeds, None) for feeds, y in same(epoch, seed)]

def drawn(epoch, seed):
    import random, torch
    for feeds, y in same(epoch, seed):
        noise = np.random.rand() + random.random() + torch.rand(()).item()
        yield torch.from_numpy(feeds["x"]) * np.float32(noise), torch.from_numpy(y)

def shrinking(epoch, seed):
    return same(epoch, seed)[epoch:]

def growing(epoch, seed):
    return same(epoch, seed)[1 - epoch:]

def empty(epoch, seed):
    return []

def number(epoch, seed):
    return 3

def single(epoch, seed):
    return [samples().x["x"]]

def ragged(epoch, seed):
    return [({"x": samples().x["x"]}, np.zeros(5))]

def shaped(epoch, seed):
    return [({"x": np.zeros((4, 5), np.float32)}, np.zeros(4))]

def labelled_wrong(epoch, seed):
    return [(samples().x["x"], np.full(96, 7))]

def broken(epoch, seed):
    raise RuntimeError("no disk")
"""
LOSS = """
import torch
from torch.nn import functional

def cross_entropy(outputs, y):
    return functional.cross_entropy(outputs["fc"], y, reduction="none")

def of_probabilities(outputs, y):
    return -torch.log(outputs["p"][torch.arange(len(y)), y])

def mean(outputs, y):
    return cross_entropy(outputs, y).mean()

def counted(outputs, y):
    return (next(iter(outputs.values())).argmax(1) != y).long()

def number(outputs, y):
    return 1.0

def broken(outputs, y):
    return outputs["nowhere"]

thing = 3
"""


@pytest.fixture
def own(tmp_path):
    """Where the user's own code is."""
    (tmp_path / "loader.py").write_text(LOADER)
    (tmp_path / "loss.py").write_text(LOSS)
    return tmp_path


@pytest.mark.parametrize("name", ["same", "generated"])
def test_a_loader_of_the_same_batches_gives_the_same_weights(own, name):
    config = changed(CONFIG, loader=f"{own / 'loader.py'}:{name}")
    assert fit(network(), config, samples(2)).digest == fit(network(), CONFIG, samples()).digest


def test_a_teacher_sees_what_a_loader_gives(own):
    config = changed(CONFIG, loader=f"{own / 'loader.py'}:unlabelled")
    teacher = fit(network(), CONFIG, samples())
    by_loader = fit(network(seed=5), config, samples(2, labels=False), teacher)
    by_samples = fit(network(seed=5), CONFIG, samples(labels=False), teacher)
    np.testing.assert_allclose(by_loader.tensors["f"].data, by_samples.tensors["f"].data, rtol=0.02,
                               atol=1e-3)


def test_what_a_loader_draws_is_decided_by_the_seed(own):
    config = changed(CONFIG, loader=f"{own / 'loader.py'}:drawn")
    first = fit(network(), config, samples())
    np.random.seed(99)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert fit(network(), config, samples()).digest == first.digest
    assert fit(network(), CONFIG, samples()).digest != first.digest
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name, message", [
    ("shrinking", "gives 2 batches for epoch 1, where epoch 0 had 3; give as many each time"),
    ("growing", "gives more batches for epoch 1, where epoch 0 had 2"),
    ("empty", "gives no batches for epoch 0"),
    ("number", "gives a int instead of batches"),
    ("single", "gives a ndarray as a batch; give"),
    ("ragged", r"a batch of \[5, 96\] samples; each array holds as many"),
    ("shaped", r"'x' holds samples of shape \(5,\); net takes"),
    ("labelled_wrong", "label 7 of sample 0"),
    ("broken", "RuntimeError: no disk"),
    ("missing", "loader.py: has no function 'missing'"),
])
def test_a_loader_at_fault_is_named(own, name, message):
    config = changed(CONFIG, loader=f"{own / 'loader.py'}:{name}")
    with pytest.raises((BadInput, BadSamples), match=message):
        fit(network(), config, samples())


def test_a_loader_without_labels_needs_a_teacher(own):
    config = changed(CONFIG, loader=f"{own / 'loader.py'}:unlabelled")
    with pytest.raises(BadInput, match="unlabelled: gives no labels, and there is no teacher to learn from"):
        fit(network(), config, samples())


def test_a_loss_takes_the_place_of_the_labels(own):
    config = changed(CONFIG, loss=f"{own / 'loss.py'}:cross_entropy")
    assert fit(network(), config, samples()).digest == fit(network(), CONFIG, samples()).digest


def test_a_loss_sees_the_outputs_as_the_graph_has_them(own):
    """-log softmax is the cross-entropy of the logits."""
    config = changed(CONFIG, epochs=1, loss=f"{own / 'loss.py'}:of_probabilities")
    one, other = (fit(network(softmax=True), c, samples()) for c in (config, changed(CONFIG, epochs=1)))
    np.testing.assert_allclose(one.tensors["f"].data, other.tensors["f"].data, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name, message", [
    ("mean", r"mean: gives torch.float32 \(\) for 32 samples; give a float tensor \(32,\) of the loss of "),
    ("counted", r"counted: gives torch.int64 \(32,\) for 32 samples"),
    ("number", "number: gives float for 32 samples"),
    ("broken", "broken: KeyError: 'nowhere'"),
    ("thing", "loss.py: has no function 'thing'"),
])
def test_a_loss_at_fault_is_named(own, name, message):
    with pytest.raises(BadInput, match=message):
        fit(network(), changed(CONFIG, loss=f"{own / 'loss.py'}:{name}"), samples())


# Memory -----------------------------------------------------------------------------------------------------

def test_what_is_too_large_to_hold_is_made_batch_by_batch(monkeypatch):
    """Samples give the same bits; a teacher asked in other batches the same numbers but for rounding."""
    teacher = network(seed=5)
    held, by_labels = (fit(network(), CONFIG, samples(), t) for t in (teacher, None))
    monkeypatch.setattr(batches_module, "MOST_BYTES", 0)
    assert fit(network(), CONFIG, samples()).digest == by_labels.digest
    monkeypatch.setattr(distill_module, "MOST_BYTES", 0)
    asked = fit(network(), CONFIG, samples(), teacher)
    np.testing.assert_allclose(asked.tensors["f"].data, held.tensors["f"].data, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("count, size, expected", [(96, 32, 3), (97, 32, 4), (65, 64, 2), (3, 1, 1),
                                                   (2, 64, 1), (1, 64, 1)])
def test_no_batch_is_of_a_single_sample(count, size, expected):
    assert batch_count(count, size) == expected


# Additions --------------------------------------------------------------------------------------------------

class Diary(Addition):
    """What is called, in which order; and a parameter that only its penalty moves."""

    def __init__(self):
        self.calls = []

    def begin(self, module, steps):
        self.calls.append(f"begin {steps}")
        self.gate = torch.nn.Parameter(torch.tensor(5.0))
        return (self.gate,)

    def before_batch(self, module, step):
        self.calls.append(f"before {step}")

    def penalty(self, module):
        self.calls.append("penalty")
        return self.gate.square()

    def after_backward(self, module):
        assert self.gate.grad.item() == pytest.approx(2 * self.gate.item())
        self.calls.append("backward")

    def after_step(self, module, step):
        self.calls.append(f"step {step}")

    def before_score(self, module):
        self.calls.append("score")

    def end(self, module):
        self.calls.append("end")


def test_additions_are_called_in_order_and_their_parameters_trained():
    diary = Diary()
    config = changed(CONFIG, epochs=1, batch_size=48)
    fit(network(), config, samples(), additions=[diary], selection=samples(9))
    steps = [[f"before {n}", "penalty", "backward", f"step {n}"] for n in range(2)]
    assert diary.calls == ["begin 2", *steps[0], *steps[1], "score", "end"]
    assert diary.gate.item() < 5


class Halves(Addition):
    """Half of a weight is zero, also in the average that takes its place."""

    def end(self, module):
        with torch.no_grad():
            module.constant("f")[:, ::2] = 0


def test_what_an_addition_does_at_the_end_is_kept():
    tuned = fit(network(), changed(CONFIG, average=0.9), samples(), additions=[Halves()])
    assert not tuned.tensors["f"].data[:, ::2].any() and tuned.tensors["f"].data[:, 1::2].all()


class Unsettled(Addition):
    """Its schedule is under way in the first half of the steps."""

    def begin(self, module, steps):
        self.last, self.step = steps // 2, 0
        return ()

    def after_step(self, module, step):
        self.step = step

    def settled(self):
        return self.step >= self.last


def test_weights_in_the_middle_of_a_schedule_are_never_the_best():
    """All epochs score the same: the first that counts is the fourth of six."""
    epochs, config = [], changed(CONFIG, epochs=12, patience=2, learning_rate=1e-9)
    fit(network(), config, samples(), additions=[Unsettled()], selection=samples(30), progress=epochs.append)
    assert len(epochs) == 7 + 2


def test_a_batch_of_one_sample_gives_no_statistics(own):
    (own / "one.py").write_text("import numpy as np\ndef one(epoch, seed): return [(np.ones((1, 3)), [0])]")
    b = Builder("flat")
    parameters = [b.constant(n, np.ones(3, np.float32)) for n in "gbmv"]
    graph = b.graph(b.op("batch_norm", [b.input("x", (1, 3)), *parameters], "y", epsilon=1e-5))
    data = replace(samples(2), x={"x": np.ones((2, 3), np.float32)})
    with pytest.raises(BadSamples, match="flat: cannot learn from a batch: Expected more than 1 value"):
        fit(graph, TrainConfig(epochs=1, loader=f"{own / 'one.py'}:one"), data)
