"""Gates close what is useless, to a limit, and leave masks of zeros and ones."""

import numpy as np
import pytest
import torch

from tests.prune.nets import RandomNet
from tests.prune.trained import trained
from toolchain.data import Samples
from toolchain.errors import BadInput
from toolchain.ir.build import Builder
from toolchain.prune.cost import MACS
from toolchain.prune.gates import Gates
from toolchain.prune.groups import channel_groups
from toolchain.prune.hard_concrete import estimate
from toolchain.prune.masks import scales_of, with_masks
from toolchain.prune.widths import Price, Widths
from toolchain.runtime import reference
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.fit import fit
from toolchain.training_sections import TrainConfig

HIDDEN, STEPS = 16, 400


def half_useless():
    """Two hidden layers: the odd channels of the first and the even ones of the second are dead relus."""
    rng, half, b = np.random.default_rng(0), HIDDEN // 2, Builder("half")
    w1, b1 = np.zeros((HIDDEN, 4)), np.full(HIDDEN, -1.0)
    w1[::2], b1[::2] = np.concatenate([np.eye(4), -np.eye(4)]), 0.1
    w2, b2 = np.zeros((HIDDEN, HIDDEN)), np.full(HIDDEN, -1.0)
    w2[1::2, ::2], b2[1::2] = 2 * np.linalg.qr(rng.normal(size=(half, half)))[0], 0.5
    w3 = rng.choice([-1, 1], (3, HIDDEN)) * rng.uniform(0.5, 1, (3, HIDDEN))
    x = b.input("x", (1, 4))
    for number, (w, bias) in enumerate([(w1, b1), (w2, b2), (w3, np.zeros(3))], 1):
        parts = [b.constant(f"w{number}", w.astype(np.float32)),
                 b.constant(f"b{number}", bias.astype(np.float32))]
        x = b.op("fully_connected", [x, *parts], f"h{number}", activation="relu" if number < 3 else None)
    return b.graph(x)


def samples(graph, count=256):
    x = np.random.default_rng(1).standard_normal((count, 4)).astype(np.float32)
    return x, reference.run(graph, {"x": x})[graph.outputs[0]]


def gates_of(graph, share, unit=1.0, **more):
    """Gates with a limit on the MACs, times a unit."""
    groups = channel_groups(graph).groups
    macs, masked = Price(Widths(graph, groups), MACS), with_masks(graph, groups)
    limit = unit * share * macs.at([group.channels for group in groups])
    return masked, Gates(masked, groups, lambda kept: unit * macs.at(kept), limit, **more)


def expected_cost(gates):
    return gates.price([score.sum() for score in gates.scores])


@pytest.fixture(scope="module")
def learned():
    torch.manual_seed(0)
    graph = half_useless()
    masked, gates = gates_of(graph, 136 / 400 * (4 * 16 + 16 * 16 + 16 * 3) / 368)
    return graph, gates, trained(masked.graph, *samples(graph), [gates], STEPS)


def test_the_useless_half_goes(learned):
    """The limit is what the useful half costs."""
    _, gates, _ = learned
    assert {number: sorted(gone.tolist()) for number, gone in gates.gone().items()} == {
        0: list(range(1, HIDDEN, 2)), 1: list(range(0, HIDDEN, 2))}


def test_the_expected_cost_meets_the_limit(learned):
    _, gates, _ = learned
    assert expected_cost(gates) == pytest.approx(gates.limit, rel=0.05)


def test_what_is_trained_computes_as_the_network_without_the_channels(learned):
    graph, gates, tuned = learned
    groups = channel_groups(graph).groups
    weights = graph.with_tensors(*(tuned.tensors[t.name] for t in graph.constants))
    masked = with_masks(weights, groups).at(scales_of(groups, gates.gone()))
    x, y = samples(graph)
    found = reference.run(tuned, {"x": x})["h3"]
    np.testing.assert_array_equal(found, reference.run(masked, {"x": x})["h3"])
    assert np.square(found - y).mean() < 0.01 * y.var()
    values = np.concatenate([t.data.ravel() for t in tuned.constants if t.name.endswith(":mask")])
    assert set(values) == {0.0, 1.0}


def test_loss_and_cost_may_be_in_any_unit():
    """The multiplier follows both."""
    graph, found = half_useless(), []
    for loss_unit, cost_unit in ((1.0, 1.0), (1e-2, 1e6)):
        torch.manual_seed(0)
        masked, gates = gates_of(graph, 0.4, cost_unit)
        trained(masked.graph, *samples(graph), [gates], 60, unit=loss_unit)
        found.append(np.concatenate(gates.scores))
    np.testing.assert_allclose(*found, atol=0.01)
    assert np.ptp(found[0]) > 0.1


def test_fit_goes_on_from_a_state_as_if_it_had_not_been_stopped():
    graph = half_useless()
    x, y = samples(graph, 64)

    def run(resumed):
        torch.manual_seed(3)
        masked, gates = gates_of(graph, 0.4)
        module, optimizer = GraphModule(masked.graph).train(), None
        gates.begin(module, 40)
        optimizer = torch.optim.SGD(module.parameters(), 1e-3)
        for step in range(40):
            if resumed and step in (7, 33):
                state = {name: value.clone() for name, value in gates.state().items()}
                gates = gates_of(graph, 0.4)[1]
                gates.begin(module, 40)
                gates.resume(state)
            gates.before_batch(module, step)
            optimizer.zero_grad()
            (module({"x": torch.from_numpy(x)})["h3"] - torch.from_numpy(y)).square().mean().backward()
            gates.after_backward(module)
            optimizer.step()
        return np.concatenate(gates.scores)

    np.testing.assert_array_equal(run(False), run(True))
    assert run(True).min() < 0.9


def test_in_fit_an_average_and_patience_end_in_binary_masks():
    graph = half_useless()
    x, y = samples(graph, 96)
    data = Samples("half", {"x": x}, y, None, np.arange(96))
    masked, gates = gates_of(graph, 0.5)
    config = TrainConfig(epochs=6, batch_size=16, alpha=0, average=0.9, patience=5)
    tuned = fit(masked.graph, config, data, metric="mse", selection=data, additions=[gates])
    masks = np.concatenate([t.data.ravel() for t in tuned.constants if t.name.endswith(":mask")])
    closed = sum(len(gone) for gone in gates.gone().values())
    assert set(masks) == {0.0, 1.0} and (masks == 0).sum() == closed > 0


def test_before_anything_is_learned_the_network_is_what_it_was():
    graph = half_useless()
    masked, gates = gates_of(graph, 0.5)
    module = GraphModule(masked.graph).eval()
    gates.begin(module, 10)
    gates.before_score(module)
    x, y = samples(graph)
    np.testing.assert_allclose(module({"x": torch.from_numpy(x)})["h3"].detach(), y, rtol=1e-5, atol=1e-6)
    assert not gates.settled() and np.all(estimate(gates.log_alpha.detach()).numpy() == 1)


@pytest.mark.parametrize("seed", range(6))
def test_the_gradient_of_a_gate_is_that_of_its_channel_wherever_it_is_read(seed):
    """Masks of random networks, by finite differences in float64."""
    graph = RandomNet(seed).graph(3)
    groups = channel_groups(graph).groups
    masked = with_masks(graph, groups)
    gates = Gates(masked, groups, lambda kept: float(sum(kept)), 0.9 * sum(g.channels for g in groups))
    module = GraphModule(masked.graph).double().eval()
    feeds = {"x": torch.from_numpy(np.random.default_rng(seed).standard_normal((2, 6, 6, 3)))}
    values = torch.rand(len(gates.log_alpha), dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def loss(at):
        gates._set(module, at)
        return module(feeds)[graph.outputs[0]].square().mean()

    found = loss(values.requires_grad_())
    found.backward()
    scale = found.item()
    rng, size = np.random.default_rng(seed), 1e-6
    for position in rng.choice(len(values), 6, replace=False):
        step = torch.zeros_like(values)
        step[position] = size
        with torch.no_grad():
            difference = float(loss(values + step) - loss(values - step)) / (2 * size)
        assert float(values.grad[position]) == pytest.approx(difference, rel=1e-3, abs=1e-6 * scale)


@pytest.mark.parametrize("steps, least", [(4, None), (3, None), (5, [5, 10])])
def test_kept_channels_are_multiples_and_as_many_as_the_limit_allows(steps, least):
    _, gates = gates_of(half_useless(), 0.4, steps=[steps, steps], least=least)
    with torch.no_grad():
        gates.log_alpha.copy_(torch.linspace(-3, 3, 2 * HIDDEN))
    gone = gates.gone()
    kept = [HIDDEN - len(gone.get(number, ())) for number in range(2)]
    assert all(count % steps == 0 or count == HIDDEN for count in kept)
    assert all(count >= few for count, few in zip(kept, gates.least)) and gates.price(kept) <= gates.limit
    for number, channels in gone.items():
        stays = np.setdiff1d(np.arange(HIDDEN), channels)
        assert gates.scores[number][channels].max() < gates.scores[number][stays].min()


def test_a_group_without_room_has_no_gates():
    _, gates = gates_of(half_useless(), 0.6, steps=[16, 1])
    torch.manual_seed(0)
    graph = half_useless()
    trained(with_masks(graph, channel_groups(graph).groups).graph, *samples(graph, 32), [gates], 20)
    assert np.all(gates.scores[0] > 0.999) and 0 not in gates.gone()


def test_a_limit_out_of_reach_is_refused_before_training():
    with pytest.raises(BadInput, match="half: gates cannot bring the network within its budget: with the "
                                       "fewest channels it takes 4.89 times that"):
        gates_of(half_useless(), 0.01)
