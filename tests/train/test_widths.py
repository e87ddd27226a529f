"""Several widths of one set of weights, trained together: slices stay slices."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.train.training_nets import network, samples
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.prune.groups import channel_groups
from toolchain.prune.nested import Narrow, narrow
from toolchain.quantize.shared_codes import factors_of
from toolchain.recipe import TrainConfig
from toolchain.runtime import reference
from toolchain.train.answers import answers_of
from toolchain.train.distill import soft_loss
from toolchain.train.widths import LEAST, Sandwich, WidthsModule, fit_widths

CONFIG = TrainConfig(epochs=25, batch_size=32, learning_rate=0.05)


def slices(graph: Graph, *shares: float) -> list[Narrow]:
    groups = channel_groups(graph).groups
    return [narrow(graph, groups, share, [2] * len(groups)) for share in shares]


def fitted(graph: Graph, *shares: float, config: TrainConfig = CONFIG, **asked) -> tuple[Graph, ...]:
    return fit_widths(graph, config, samples(), None, 3, "top1", None, others=slices(graph, *shares), **asked)


def accuracy(graph: Graph) -> float:
    data = samples()
    return (reference.run(graph, {"x": data.x["x"]})[graph.outputs[0]].argmax(1) == data.y).mean()


@pytest.mark.parametrize("folded, softmax", [(False, False), (False, True), (True, False)])
def test_all_widths_learn_and_stay_slices(folded, softmax):
    """Folded: as an import comes that has no batch norms left."""
    graph = network(softmax, channels=16)
    graph = canonical(graph) if folded else graph
    found = fitted(graph, 0.5, 0.25)
    assert [accuracy(each) > 0.95 for each in found] == [True] * 3
    assert [each.outputs for each in found] == [graph.outputs] * 3
    wide, *others = map(canonical, found)
    assert [op.kind for op in wide.ops] == [op.kind for op in others[0].ops]
    for each in others:
        for op in (op for op in each.ops if op.kind in ("conv2d", "fully_connected")):
            own, whole = (graph.tensors[graph.producers[op.name].inputs[1]].data for graph in (each, wide))
            assert own.shape[0] < whole.shape[0] or own.shape[-1] < whole.shape[-1]
            factors = factors_of(own, whole, 0)
            assert factors is not None and len(set(factors.tolist())) > 1, "scales of its own"
        biases = [graph.tensors[op.inputs[2]].data for graph in (wide, each) for op in graph.ops[:1]]
        assert not np.array_equal(biases[0][:len(biases[1])], biases[1])


def test_a_narrow_one_computes_what_its_graph_does():
    graph = network()
    others = slices(graph, 0.5, 0.25)
    module = WidthsModule(graph, others)
    x = torch.from_numpy(samples(8).x["x"])
    module.eval()
    for number, each in enumerate(others):
        got = module._at(number, ({"x": x},))["fc"].detach().numpy()
        expected = reference.run(each.graph, {"x": x.numpy()})["fc"]
        assert np.allclose(got, expected, atol=1e-5)
    assert [each.digest for each in module.narrow_graphs()] == [each.graph.digest for each in others]
    assert module.to_graph().digest == graph.digest


def test_what_the_others_lose_is_told_by_the_widest():
    graph = network()
    module = WidthsModule(graph, slices(graph, 0.5, 0.25)).train()
    sandwich = Sandwich(answers_of(graph, graph, "top1"), 4.0)
    module({"x": torch.from_numpy(samples(12).x["x"])})
    expected = sum(soft_loss(said["fc"], module.said["fc"].detach(), 4.0) for said in module.narrow)
    found = sandwich.penalty(module)
    assert found.item() == pytest.approx(expected.item()) and found.item() > 0
    found.backward()
    own = [name for name, p in module.named_parameters() if p.grad is not None]
    assert any(name.startswith("width1_") for name in own) and module.keys["w"] in own
    assert module.constant("g").grad is None, "the widest's batch norm learns nothing of the others"


def test_scales_keep_their_signs():
    """Whatever a step does, also of a batch norm whose scale is negative."""
    graph = network()
    gamma = graph.tensors["g"]
    graph = graph.with_tensors(replace(gamma, data=np.where(np.arange(8) % 2, -1, 1).astype(np.float32)))
    module = WidthsModule(graph, slices(graph, 0.5))
    sandwich = Sandwich((), 1.0)
    sandwich.begin(module, 1)
    with torch.no_grad():
        for scale, _ in sandwich.scales:
            scale.neg_()
    sandwich.after_step(module, 0)
    for scale, sign in sandwich.scales:
        assert torch.equal(torch.sign(scale), sign)
        assert torch.allclose(scale.abs(), torch.full_like(scale, LEAST))
    assert [len(sign) for _, sign in sandwich.scales] == [8, 4, 3], "gammas, and factors of the last layer"


def test_the_same_seed_gives_the_same_weights():
    first, second = (fitted(network(), 0.5, config=TrainConfig(epochs=2)) for _ in range(2))
    assert [each.digest for each in first] == [each.digest for each in second]


def test_other_slices_are_another_run():
    graph = network()
    assert WidthsModule(graph, slices(graph, 0.5)).key() != WidthsModule(graph, slices(graph, 0.25)).key()


def test_a_run_that_was_stopped_goes_on(tmp_path):
    """As if it had not been."""
    class Stop(Exception):
        pass

    def stop(epoch) -> None:
        if epoch.number == 2:
            raise Stop

    graph, path = network(), tmp_path / "checkpoint"
    others = slices(graph, 0.5)
    whole = fit_widths(graph, CONFIG, samples(), None, 3, "top1", None, others=others)
    with pytest.raises(Stop), pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolchain.train.checkpoint.SECONDS", 0.0)
        patch.setattr("toolchain.train.checkpoint.SHARE", 1e9)
        fit_widths(graph, CONFIG, samples(), None, 3, "top1", stop, others=others, checkpoint=path)
    assert path.exists()
    found = fit_widths(graph, CONFIG, samples(), None, 3, "top1", None, others=others, checkpoint=path)
    assert [each.digest for each in found] == [each.digest for each in whole]
