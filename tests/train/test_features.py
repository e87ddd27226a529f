"""Activations that are taught: losses against torch written out by hand, adapters, what is refused."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.breaking_net import trained_net
from tests.recurrent_nets import SAMPLES, tagger
from tests.train.training_nets import network, samples
from toolchain.errors import BadInput
from toolchain.ir.build import Builder
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.distill import Teacher
from toolchain.train.features import Transfer, attention, attention_loss
from toolchain.train.fit import fit
from toolchain.training_sections import TrainConfig

CONFIG = TrainConfig(epochs=8, batch_size=32, learning_rate=0.02, features=("relu",))
RNG = np.random.default_rng(0)


def activations(*shape):
    """Channels last, and the same channels first."""
    x = torch.from_numpy(RNG.standard_normal(shape).astype(np.float32))
    return x, x.movedim(-1, 1)


def attention_by_hand(x):
    """As the paper's own code has it: at(x) of channels first."""
    return functional.normalize(x.pow(2).mean(1).reshape(len(x), -1))


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 6), (2, 3, 4, 5), (2, 2, 3, 2, 4)])
def test_attention_is_where_activations_are_large(shape):
    own, own_first = activations(*shape[:-1], shape[-1] + 2) if len(shape) > 2 else activations(5, 7, 2)
    others, others_first = activations(*own.shape[:-1], 3)
    by_hand = (attention_by_hand(own_first) - attention_by_hand(others_first)).pow(2).sum(1).mean()
    assert attention_loss(own, others).item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert attention_loss(3 * own, own).item() == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(attention(own, own.shape[1:-1]).norm(dim=1), torch.ones(len(own)))


def test_maps_of_other_sizes_are_averaged_down():
    own, _ = activations(3, 4, 9, 5)
    others, _ = activations(3, 8, 3, 6)
    energy = own.square().mean(-1).numpy().reshape(3, 4, 3, 3).mean(3)
    its = others.square().mean(-1).numpy().reshape(3, 4, 2, 3).mean(2)
    unit = [x.reshape(3, -1) / np.linalg.norm(x.reshape(3, -1), axis=1, keepdims=True) for x in (energy, its)]
    expected = np.square(unit[0] - unit[1]).sum(1).mean()
    assert attention_loss(own, others).item() == pytest.approx(expected, rel=1e-5)


def begun(config, student, teacher, seed=0):
    torch.manual_seed(seed)
    transfer = Transfer(config, student, teacher)
    return transfer, list(transfer.begin(GraphModule(student), 10))


def test_fitnets_and_its_gradients_against_a_1x1_convolution():
    """Mean squared error by the teacher's mean square, as the mean of two pairs, times beta."""
    config = msgspec.structs.replace(CONFIG, features={"relu": "bn", "fc": "fc"}, beta=3.0)
    transfer, (weight, bias) = begun(config, network(), network(channels=11))
    (own, own_first), (others, others_first) = activations(6, 4, 4, 8), activations(6, 4, 4, 11)
    own.requires_grad_()
    transfer.adjusted = True
    ends, its_ends = activations(6, 3)[0], activations(6, 3)[0]
    loss = transfer.loss({"relu": own, "fc": ends}, [others, its_ends])
    loss.backward()

    conv = nn.Conv2d(8, 11, 1)
    conv.weight.data, conv.bias.data = weight.data[:, :, None, None].clone(), bias.data.clone()
    x = own_first.detach().clone().requires_grad_()
    by_hand = (conv(x) - others_first).pow(2).mean() / others_first.pow(2).mean()
    by_hand = 3 * (by_hand + (ends - its_ends).pow(2).mean() / its_ends.pow(2).mean()) / 2
    by_hand.backward()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    for got, expected in ((own.grad.movedim(-1, 1), x.grad), (weight.grad, conv.weight.grad[:, :, 0, 0]),
                          (bias.grad, conv.bias.grad)):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("transfer, channels, count", [("fitnets", 8, 0), ("fitnets", 11, 2),
                                                       ("attention", 11, 0)])
def test_adapters_are_where_channels_differ(transfer, channels, count):
    config = msgspec.structs.replace(CONFIG, transfer=transfer)
    assert len(begun(config, network(), network(channels=channels))[1]) == count


def inside(graph, data):
    """What relu gives."""
    return Teacher(graph, features=["relu"]).outputs({"x": torch.from_numpy(data.x["x"])})[1]


def explained(student, teacher, data):
    """Share of the teacher's activations that a linear map of the student's explains, at best."""
    found = [inside(graph, data).numpy() for graph in (student, teacher)]
    x, y = (z.reshape(-1, z.shape[-1]) for z in found)
    x = np.concatenate([x, np.ones((len(x), 1), np.float32)], 1)
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return 1 - np.square(left).mean() / np.square(y).mean()


def test_an_adapter_lets_fewer_channels_learn_what_more_say():
    """And it is gone in the end: the student has its own tensors, no more."""
    data, student, teacher = samples(labels=False), network(seed=3, channels=4), network(seed=5, channels=11)
    config = msgspec.structs.replace(CONFIG, epochs=30, beta=100.0)
    taught = fit(student, config, data, teacher)
    plain = fit(student, TrainConfig(epochs=30, batch_size=32, learning_rate=0.02), data, teacher)
    assert explained(taught, teacher, data) > explained(plain, teacher, data) + 0.02
    assert {name: tensor.shape for name, tensor in taught.tensors.items()} == {
        name: tensor.shape for name, tensor in student.tensors.items()}
    assert taught.outputs == student.outputs


def test_attention_draws_maps_near():
    data, student, teacher = samples(labels=False), network(seed=3), network(seed=5, channels=11)
    config = msgspec.structs.replace(CONFIG, epochs=20, transfer="attention", beta=100.0)

    def off(graph):
        return attention_loss(inside(graph, data), inside(teacher, data)).item()
    assert off(fit(student, config, data, teacher)) < 0.3 * off(student)


def test_features_alone_beside_labels():
    """alpha 0: nothing of the teacher's answers, which are wrong, and what it has inside."""
    data = samples()
    wrong = replace(data, y=2 - data.y)
    liar = fit(network(seed=5), TrainConfig(epochs=8, batch_size=32, learning_rate=0.05), wrong)
    config = msgspec.structs.replace(CONFIG, epochs=12, alpha=0.0, learning_rate=0.05)
    tuned = fit(network(seed=6), config, data, liar)
    (choices,) = Teacher(tuned).outputs({"x": torch.from_numpy(data.x["x"])})
    assert (choices.argmax(-1).numpy() == data.y).mean() > 0.95


def test_an_adapter_begins_as_the_regression_on_the_first_batch_and_is_trained_from_there():
    transfer, (weight, bias) = begun(CONFIG, network(), network(channels=11))
    (own, _), (others, _) = activations(6, 4, 4, 8), activations(6, 4, 4, 11)
    first = transfer.loss({"relu": own}, [others]).item()
    x, y = own.reshape(-1, 8).numpy(), others.reshape(-1, 11).numpy()
    solved, *_ = np.linalg.lstsq(np.concatenate([x, np.ones((len(x), 1))], 1), y, rcond=None)
    np.testing.assert_allclose(weight.detach().numpy().T, solved[:-1], atol=2e-3)
    np.testing.assert_allclose(bias.detach().numpy(), solved[-1], atol=2e-3)
    with torch.no_grad():
        weight += 0.1
    assert transfer.loss({"relu": own}, [others]).item() > first


def test_the_seed_decides_everything_here_too():
    teacher = network(seed=5, channels=11)
    one, two, other = (fit(network(), CONFIG, samples(), teacher, seed).digest for seed in (1, 1, 2))
    assert one == two != other


def wide():
    """relu of 8 x 8 places, and of none."""
    b = Builder("wide")
    x = b.input("x", (1, 4, 4, 2))
    y = b.op("relu", [b.op("resize_nearest", [x], "large", size=(8, 8))], "relu")
    return b.graph(b.op("mean", [y], "flat", axes=(1, 2)))


@pytest.mark.parametrize("features, transfer, told", [
    (("rleu",), "fitnets",
     r"net: \[train\] features names 'rleu', which is no activation of the student; did you mean relu"),
    ({"relu": "zzz"}, "fitnets",
     "wide: .* 'zzz', which is no activation of the teacher; it has large, relu, flat"),
    ({"w": "relu"}, "fitnets", "'w', which is no activation of the student"),
    (("relu",), "fitnets", r"relu \(1, 4, 4, 8\) of the student, relu \(1, 8, 8, 2\) of the teacher: "
                           'transfer = "fitnets" compares place by place; .* take "attention"'),
    ({"fc": "flat"}, "attention",
     '"attention" compares where activations are large, along 1 to 3 axes .*take "fitnets"'),
    ({"relu": "flat"}, "attention", "as many in both")])
def test_what_does_not_go_together_is_refused(features, transfer, told):
    config = msgspec.structs.replace(CONFIG, features=features, transfer=transfer)
    with pytest.raises(BadInput, match=told) as refused:
        Transfer(config, network(), wide())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_teacher_tells_every_activation_as_it_is_before_ops_are_fused(one_by_one):
    graph = trained_net("hard_swish")
    feeds = {"x": torch.from_numpy(RNG.standard_normal((3, 12, 12, 1)).astype(np.float32))}
    names = [op.name for op in graph.ops]
    expected = GraphModule(replace(graph, outputs=tuple(names))).eval()(feeds)
    asked = [[name] for name in names] if one_by_one else [names]
    for features in asked:
        _, *found = Teacher(graph, features=features).outputs(feeds)
        for name, value in zip(features, found, strict=True):
            torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4, msg=name)


def test_features_want_a_teacher():
    with pytest.raises(BadInput, match=r"net: \[train\] features has no teacher to learn from; give one"):
        fit(network(), CONFIG, samples())


def test_features_that_are_too_large_to_hold_are_made_batch_by_batch(monkeypatch):
    teacher = network(seed=5, channels=11)
    held = fit(network(), CONFIG, samples(), teacher)
    monkeypatch.setattr("toolchain.train.distill.MOST_BYTES", 4 * 96 * 100)
    assert Teacher(teacher, features=["relu"]).all_outputs(samples()) is None
    np.testing.assert_allclose(fit(network(), CONFIG, samples(), teacher).tensors["f"].data,
                               held.tensors["f"].data, rtol=1e-3, atol=1e-5)


def test_what_a_loop_repeats_is_no_feature():
    graph = tagger("gru")
    labelled = replace(SAMPLES.fit_to(graph), y=np.zeros((16, 3), np.float32))
    config = TrainConfig(epochs=1, features=("layer.gru.hidden",))
    with pytest.raises(BadInput, match="'layer.gru.hidden', which a loop repeats 7 times; name what leaves"):
        fit(graph, config, labelled, graph, metric="mse")
