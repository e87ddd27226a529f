"""The flow that makes a float network smaller: what is done in which order, refused, remembered."""

from dataclasses import replace
from pathlib import Path
import random
import re
import signal
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from tests.breaking_net import gratings, trained_net
from toolchain.conversion import write_model
from toolchain.cost_table import load_cost_table
from toolchain.errors import BadConfig, BadInput, BadSamples, DoesNotPay, Unsupported
from toolchain.fitting import in_codes
from toolchain.graph_file import read_graph
from toolchain.ir.check import WEIGHTED
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.profile import load_target
from toolchain.prune.groups import channel_groups
from toolchain.recipe import (
    CalibrateConfig,
    ClusterConfig,
    EarlierConfig,
    LowRankConfig,
    PruneConfig,
    Recipe,
    SparsifyConfig,
    TrainConfig,
)
from toolchain.runtime import reference
from toolchain.shrinking import Shrinking

M4 = load_target("cortex_m4_qemu")
SHORT = TrainConfig(epochs=2, learning_rate=2e-3)


def shrinking(samples=True, **given) -> Shrinking:
    return Shrinking(trained_net(), Recipe(**given), gratings() if samples else None, M4)


def accuracy(graph) -> float:
    test = gratings().split("test")
    outputs = reference.run(graph, test.feeds(slice(None)))[graph.outputs[0]]
    return float((outputs.argmax(-1) == test.y).mean())


def test_pruned_and_tuned_by_what_it_was():
    told = []
    graph = replace(shrinking(prune=PruneConfig(macs=0.5), train=SHORT), say=told.append).run()
    assert graph_macs(graph) <= 0.5 * graph_macs(trained_net())
    untuned = shrinking(prune=PruneConfig(macs=0.5)).run()
    assert accuracy(trained_net()) > accuracy(graph) > accuracy(untuned)
    assert graph.source.notes[-1].startswith("pruned ") and told == ["tuning for 2 epochs"]


def test_without_samples_weights_alone_judge():
    graph = shrinking(samples=False, prune=PruneConfig(macs=0.7)).run()
    assert graph_macs(graph) <= 0.7 * graph_macs(trained_net())


def test_zeros_stay_zero_while_the_rest_is_tuned():
    graph = shrinking(prune=PruneConfig(macs=0.8), sparsify=SparsifyConfig(sparsity=0.5), train=SHORT).run()
    told = re.match(r"([\d.]+)% of ([\d,]+) weights in \d+ tensors are zero", graph.source.notes[-1])
    zeros = sum(int((t.data == 0).sum()) for t in graph.constants if t.name.endswith(".weight"))
    assert float(told[1]) == 50.0 and zeros == round(int(told[2].replace(",", "")) / 2)


@pytest.mark.parametrize("schedule", ["gradual", "movement"])
def test_zeros_are_found_while_it_is_trained(schedule):
    config = SparsifyConfig(sparsity=0.6, schedule=schedule)
    graph = shrinking(sparsify=config, train=SHORT).run()
    zeros = sum(int((t.data == 0).sum()) for t in graph.constants if t.name.endswith(".weight"))
    assert zeros > 0.5 * sum(t.data.size for t in graph.constants if t.name.endswith(".weight"))
    with pytest.raises(BadConfig, match=f'schedule = "{schedule}" finds zeros while it trains; give samples'):
        shrinking(sparsify=config).run()


def test_thinner_ops_after_pruning_and_tuned():
    """A share of what pruning leaves."""
    config = LowRankConfig(macs=0.8)
    graph = shrinking(prune=PruneConfig(macs=0.7), low_rank=config, train=SHORT).run()
    pruned = shrinking(prune=PruneConfig(macs=0.7)).run()
    untuned = shrinking(prune=PruneConfig(macs=0.7), low_rank=config).run()
    assert graph_macs(graph) == graph_macs(untuned) <= 0.8 * graph_macs(pruned)
    assert accuracy(graph) > accuracy(untuned)
    assert [note.split()[0] for note in graph.source.notes[-2:]] == ["pruned", "in"]


def test_thinner_ops_save_what_a_table_says_or_are_refused():
    told, table = [], load_cost_table(M4)
    run = replace(shrinking(low_rank=LowRankConfig(instructions=0.95)), table=table, say=told.append)
    assert table.predict(run.run()) <= 0.95 * table.predict(trained_net())
    assert "instructions -> " in told[0]
    with pytest.raises(DoesNotPay, match="breaking: low rank does not pay: .* Lower its budget, or limit"):
        replace(run, recipe=Recipe(low_rank=LowRankConfig(macs=0.95)),
                table=msgspec.structs.replace(table, fixed=1e9)).run()
    within = shrinking(low_rank=LowRankConfig(macs=1e9)).run()
    assert within.digest == trained_net().digest


def test_shared_values_stay_shared_while_they_are_tuned():
    """Through zeros, training and INT8: an output channel has no more codes than clusters."""
    graph = shrinking(sparsify=SparsifyConfig(sparsity=0.3), cluster=ClusterConfig(clusters=8),
                      train=SHORT).run()
    untuned = shrinking(cluster=ClusterConfig(clusters=8)).run()
    assert accuracy(graph) > 0.6 and graph.source.notes[-1].split()[1:3] == ["weights", "in"]
    for made in (graph, untuned):
        weights = [t.data for t in made.constants if t.name.endswith(".weight")]
        assert max(len(np.unique(weight)) for weight in weights) <= 8
    codes = in_codes(graph)
    for op in codes.ops:
        if op.kind in WEIGHTED:
            rows = np.moveaxis(codes.tensors[op.inputs[1]].data, WEIGHTED[op.kind], 0)
            assert max(len(np.unique(row)) for row in rows) <= 8


def test_nothing_asked_nothing_done():
    assert shrinking().run() is trained_net()


def test_training_wants_samples():
    with pytest.raises(BadSamples, match="needs samples, beside a loader of your own too; give --data"):
        shrinking(samples=False, train=SHORT).run()


def test_pruning_that_does_not_pay_on_the_target_is_refused():
    """One where all that counts is the same for every network."""
    table = msgspec.structs.replace(load_cost_table(M4), fixed=1e9)
    told = (r"does not pay: .* instructions -> .* on cortex_m4_qemu, by its table; MACs .*\. Prune more, or "
            r"limit instructions itself")
    with pytest.raises(DoesNotPay, match=told):
        replace(shrinking(prune=PruneConfig(macs=0.5)), table=table).run()


def test_a_network_within_its_budget_is_left_as_it_is():
    told = []
    run = replace(shrinking(prune=PruneConfig(instructions=1e9)), table=load_cost_table(M4), say=told.append)
    assert graph_macs(run.run()) == graph_macs(trained_net())
    assert told[0] == "breaking is within its budget as it is: no channel goes"


def test_another_run_is_not_gone_on_with(tmp_path):
    one = replace(shrinking(prune=PruneConfig(macs=0.5)), folder=tmp_path / "run")
    graph = one.run()
    assert read_graph(tmp_path / "run" / "pruned.graph").digest != trained_net().digest
    assert one.run().digest == graph.digest
    other = replace(shrinking(prune=PruneConfig(macs=0.6)), folder=tmp_path / "run")
    with pytest.raises(BadInput, match="holds a run of another model, recipe or target, or of other samples"):
        other.run()


def test_epochs_are_counted_over_all_phases_and_from_where_a_run_goes_on(tmp_path):
    def counted() -> list[tuple[int, int]]:
        told = []
        replace(stepwise(), folder=tmp_path, progress=lambda epoch: told.append((epoch.number, epoch.epochs))
                ).run()
        return told
    assert counted() == [(number, 6) for number in range(1, 7)]
    (tmp_path / "tuned.graph").unlink()
    assert counted() == [(number, 6) for number in range(3, 7)]
    assert counted() == []


# Teachers ---------------------------------------------------------------------------------------------------

NETS = """
from collections import OrderedDict
import torch
from torch import nn

def made(seed, **layers):
    torch.manual_seed(seed)
    made = OrderedDict((name, layer()) for name, layer in layers.items())
    return nn.Sequential(made), (torch.zeros(1, 1, 12, 12),)

def student():
    return made(1, conv=lambda: nn.Conv2d(1, 12, 3, 2), norm=lambda: nn.BatchNorm2d(12), act=nn.ReLU,
                flat=nn.Flatten, out=lambda: nn.Linear(300, 8))

def teacher():
    net, example = made(SEED, first=lambda: nn.Conv2d(1, 12, 5, 2, 2), curve=nn.SiLU, flat=nn.Flatten,
                        classes=lambda: nn.Linear(432, 8), end=lambda: nn.Softmax(-1))
    net.classes.weight.data *= 10
    return net, example
"""


@pytest.fixture
def nets(tmp_path):
    """Writes the file of both, by the seed of the teacher's weights."""
    def write(seed=2) -> str:
        (tmp_path / "nets.py").write_text(NETS.replace("SEED", str(seed)))
        return str(tmp_path / "nets.py")
    return write


def alike(*graphs) -> float:
    """How often both have the same winner on test samples."""
    feeds = [(graph, gratings().split("test").fit_to(graph).feeds(slice(None))) for graph in graphs]
    one, other = (reference.run(graph, fed)[graph.outputs[0]].argmax(-1) for graph, fed in feeds)
    return float((one == other).mean())


@pytest.mark.parametrize("file_format, features", [
    ("onnx", {"transfer": "attention", "features": {"act": "curve"}}), ("onnx", {}),
    ("tflite", {"features": {"out": "classes"}})])
def test_another_model_teaches(nets, tmp_path, file_format, features):
    """Of PyTorch, with other ops, names and sizes; from calibration samples, whose labels are nobody's."""
    file, path, told = nets(), tmp_path / f"student.{file_format}", []
    write_model(canonical(load(f"{file}:student")), path)
    student, teacher = load(path), load(f"{file}:teacher")
    few = replace(gratings(), splits=np.where(gratings().splits == "train", "calibration", "test"))
    config = TrainConfig(epochs=10, learning_rate=5e-3, teacher=f"{file}:teacher", **features)
    tuned = Shrinking(student, Recipe(train=config), few, say=told.append).run()
    assert alike(student, teacher) < 0.35 < 0.55 < alike(tuned, teacher)
    assert told == [f"tuning for 10 epochs, taught by {file}:teacher, on 1024 calibration samples without "
                    f"labels"]
    if not features:
        other = replace(few, y=few.y[::-1])
        assert Shrinking(student, Recipe(train=config), other).run().digest == tuned.digest


@pytest.mark.parametrize("schedule", ["one_shot", "gates"])
def test_a_pruned_network_is_taught_what_the_whole_one_has_inside(schedule):
    """By names that both have, before and after channels went; adapters are gone in the end."""
    config = msgspec.structs.replace(SHORT, epochs=8, features=("stem.act", "block.expand.bn.relu"))
    graph = shrinking(prune=PruneConfig(macs=0.5, schedule=schedule), train=config).run()
    plain = shrinking(prune=PruneConfig(macs=0.5), train=SHORT).run()
    assert graph.digest != plain.digest and accuracy(graph) > 0.8 * accuracy(trained_net())
    assert set(graph.tensors) == set(plain.tensors)


def test_a_teachers_content_is_part_of_a_run(nets, tmp_path):
    student = load(f"{nets()}:student")
    config = TrainConfig(epochs=1, teacher=f"{nets()}:teacher")
    one = Shrinking(student, Recipe(train=config), gratings(), folder=tmp_path / "run")
    digest = one.run().digest
    assert replace(one).run().digest == digest
    nets(seed=3)
    with pytest.raises(BadInput, match="holds a run of another model, recipe or target, or of other samples"):
        replace(one).run()


def test_what_cannot_teach_is_said_before_the_work(nets, tmp_path):
    told = "'stem.atc', which is no activation of the student; did you mean stem.act"
    for train, message in (({"features": ("stem.atc",)}, told),
                           ({"teacher": str(tmp_path / "none.onnx")}, "none.onnx: no such file"),
                           ({"teacher": f"{nets()}:student", "features": {"stem": "ou"}}, "you mean out")):
        config = msgspec.structs.replace(SHORT, **train)
        with pytest.raises(BadInput, match=message):
            replace(shrinking(prune=PruneConfig(macs=0.5), train=config), folder=tmp_path / "run").run()
        assert not (tmp_path / "run").exists()


def test_a_quantized_network_cannot_teach():
    config = msgspec.structs.replace(SHORT, teacher=str(Path(__file__).parent / "golden" / "int8.tflite"))
    with pytest.raises(Unsupported, match="int8.tflite is quantized: it cannot teach here; name its float m"):
        shrinking(train=config).run()


# Steps before -----------------------------------------------------------------------------------------------

BRIEF = TrainConfig(epochs=1, learning_rate=2e-3)


def shares(share) -> PruneConfig:
    return PruneConfig(shares={"*": share}, importance="l2")


def in_steps(*given, **more) -> Shrinking:
    """Cut to these shares one after the other, trained behind each."""
    *before, last = given
    earlier = tuple(EarlierConfig(prune=shares(share), train=BRIEF) for share in before)
    return shrinking(earlier=earlier, prune=shares(last), train=BRIEF, **more)


def widths(graph) -> dict:
    return {group.name: group.channels for group in channel_groups(graph).groups}


def test_a_step_goes_on_from_the_weights_of_the_one_before():
    still = msgspec.structs.replace(BRIEF, learning_rate=1e-9)
    first = in_steps(0.25).run()
    step = EarlierConfig(prune=shares(0.25), train=BRIEF)
    both = shrinking(earlier=(step,), prune=shares(0.25), train=still).run()
    weights = [tensor.name for tensor in first.constants if tensor.name.endswith(".weight")]
    assert all(np.allclose(first.tensors[name].data, both.tensors[name].data, atol=1e-6) for name in weights)
    anew = shrinking(prune=shares(0.25), train=still).run()
    assert not any(np.allclose(first.tensors[name].data, anew.tensors[name].data, atol=1e-6)
                   for name in weights)


def test_shares_are_of_what_the_network_came_with():
    whole, graph = widths(trained_net()), in_steps(0.25, 0.25, 0.5).run()
    assert widths(in_steps(0.25, 0.25).run()) == widths(in_steps(0.25).run())
    assert all(kept < whole[name] for name, kept in widths(graph).items())
    assert widths(graph) == widths(in_steps(0.5).run())
    assert widths(in_steps(0.5, 0.25).run()) == widths(in_steps(0.5).run())


def test_steps_are_trained_on_other_batches_than_those_before(monkeypatch):
    from toolchain.train import fit as module

    seeds, fit = [], module.fit

    def noted(graph, config, samples, teacher, seed, *rest, **more):
        seeds.append(seed)
        return fit(graph, config, samples, teacher, seed, *rest, **more)

    monkeypatch.setattr(module, "fit", noted)
    in_steps(0.1, 0.2, 0.3, seed=5).run()
    assert seeds == [5, 6, 7]


def test_steps_are_made_once_where_somebody_keeps_them():
    kept, made = {}, []

    def keep(key, make):
        if key not in kept:
            made.append(key)
            kept[key] = make()
        return kept[key]

    first = replace(in_steps(0.25), keep=keep).run()
    assert len(made) == 1 and first.digest == in_steps(0.25).run().digest
    second = replace(in_steps(0.25, 0.5), keep=keep).run()
    assert len(made) == 2 and second.digest == in_steps(0.25, 0.5).run().digest
    replace(in_steps(0.25, 0.5, calibrate=CalibrateConfig(observer="minmax")), keep=keep).run()
    assert len(made) == 2
    replace(in_steps(0.25, 0.5, seed=1), keep=keep).run()
    assert len(made) == 4


def test_a_run_of_steps_is_gone_on_with_and_no_other(tmp_path):
    here = in_steps(0.25, 0.5)
    digest = replace(here, folder=tmp_path).run().digest
    told = []
    assert replace(here, folder=tmp_path, say=told.append).run().digest == digest and told == []
    with pytest.raises(BadInput, match="holds a run of another model, recipe or target"):
        replace(in_steps(0.3, 0.5), folder=tmp_path).run()


def test_a_run_that_is_broken_off_in_an_earlier_step_goes_on_from_there(tmp_path):
    def breaks(epoch):
        calls.append(epoch)
        if len(calls) == 2:
            raise KeyboardInterrupt

    calls, here = [], in_steps(0.1, 0.25, 0.5)
    with pytest.raises(KeyboardInterrupt):
        replace(here, folder=tmp_path / "run", progress=breaks).run()
    told = []
    again = replace(here, folder=tmp_path / "run", say=told.append).run()
    assert again.digest == here.run().digest and 1 <= len(told) <= 2


def test_an_earlier_steps_teacher_is_part_of_a_run(nets, tmp_path):
    step = EarlierConfig(train=TrainConfig(epochs=1, teacher=f"{nets()}:teacher"))
    here = replace(shrinking(earlier=(step,), train=BRIEF), folder=tmp_path / "run")
    here.run()
    nets(seed=3)
    with pytest.raises(BadInput, match=r"/run: holds a run of another model"):
        replace(here).run()


def test_steps_and_budgets_do_not_go_together():
    step = EarlierConfig(prune=shares(0.25), train=BRIEF)
    with pytest.raises(BadConfig, match=r"\[prune\] has a budget, and \[\[earlier\]\] goes by shares"):
        Recipe(earlier=(step,), prune=PruneConfig(macs=0.5))
    with pytest.raises(BadConfig, match=r"\[\[earlier\]\] prune has a budget; give shares"):
        EarlierConfig(prune=PruneConfig(macs=0.5), train=BRIEF)


RUN = """
from pathlib import Path
import sys
from dataclasses import replace
from tests.test_shrinking import stepwise
print(replace(stepwise(), folder=Path(sys.argv[1])).run().digest)
"""


def stepwise() -> Shrinking:
    """Steps with training between them."""
    config = PruneConfig(macs=0.4, schedule="iterative", steps=3)
    return shrinking(prune=config, train=TrainConfig(epochs=6, batch_size=16))


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_network(tmp_path):
    """Whenever it is killed: while it cuts, tunes, writes."""
    root, rng, kills = Path(__file__).resolve().parents[1], random.Random(4), 0
    for patience in (*(rng.uniform(2, 5) for _ in range(5)), None):
        child = subprocess.Popen([sys.executable, "-c", RUN, tmp_path / "run"], cwd=root, text=True,
                                 stdout=subprocess.PIPE)
        try:
            told, _ = child.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            kills += 1
    assert child.returncode == 0 and kills
    assert told.strip() == stepwise().run().digest
