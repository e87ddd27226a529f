"""A run that was killed goes on to the very same weights; what is not its file is refused."""

from dataclasses import replace
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from tests.train.training_nets import network, samples
from toolchain.errors import BadInput
from toolchain.prune.batch_norm_l1 import BatchNormL1
from toolchain.prune.gates import Gates
from toolchain.prune.groups import channel_groups
from toolchain.prune.masks import with_masks
from toolchain.prune.movement import Movement
from toolchain.prune.sparse_training import GradualSparsity, Masked
from toolchain.runtime.additions import Addition
from toolchain.train import checkpoint as checkpoint_module
from toolchain.train.checkpoint import Checkpoint
from toolchain.train.fit import fit
from toolchain.training_sections import SparsifyConfig, TrainConfig

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {
    "adamw": TrainConfig(epochs=3, batch_size=32, learning_rate=0.02, weight_decay=0.05, average=0.9),
    "sgd": TrainConfig(epochs=3, batch_size=32, learning_rate=0.05, optimizer="sgd", warm_up=0.2,
                       label_smoothing=0.1),
    "patience": TrainConfig(epochs=4, batch_size=24, learning_rate=0.03, patience=2, average=0.8),
    "features": TrainConfig(epochs=4, batch_size=32, learning_rate=0.03, patience=3, average=0.8,
                            features={"relu": "bn"}),
}
LONG = TrainConfig(epochs=80, batch_size=32, learning_rate=0.01, average=0.9, features=("bn", "relu"))


class Noise(Addition):
    """Gates of its own that it trains, steps that it counts, numbers that it draws."""

    def begin(self, module, steps):
        self.gate, self.count = torch.nn.Parameter(torch.ones(8)), 0
        return (self.gate,)

    def penalty(self, module):
        return 0.01 * (self.gate * torch.rand(8) + module.constant("g")).square().sum() * (1 + self.count)

    def after_step(self, module, step):
        assert step == self.count
        self.count += 1

    def state(self):
        return {"count": torch.tensor(self.count)}

    def resume(self, state):
        self.count = int(state["count"])


class Stopped(Exception):
    pass


class StopAt(Noise):
    """Stands for a kill after so many steps."""

    def __init__(self, last):
        self.last = last

    def after_step(self, module, step):
        super().after_step(module, step)
        if step == self.last:
            raise Stopped


StopAt.__qualname__ = Noise.__qualname__


def train(recipe, additions=(), path=None, **changed):
    """Of features, those of a teacher with other channels: adapters are trained."""
    config = LONG if recipe == "long" else RECIPES[recipe]
    teacher = network(seed=5, channels=11 if config.features else 8)
    arguments = {"seed": 3, "selection": samples(30), "teacher": teacher} | changed
    return fit(network(), config, samples(), additions=additions, checkpoint=path, **arguments)


@pytest.fixture
def always(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setattr(checkpoint_module, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint_module, "SHARE", 1e9)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("last", [1, 2, 3, 7])
def test_goes_on_to_the_same_weights(recipe, last, tmp_path, always):
    """Stopped in the middle of an epoch, at its end, and in the next one."""
    path = tmp_path / "run.checkpoint"
    whole = train(recipe, [Noise()]).digest
    with pytest.raises(Stopped):
        train(recipe, [StopAt(last)], path)
    assert path.is_file()
    assert train(recipe, [Noise()], path).digest == whole
    assert not path.exists()


def masked_network():
    graph = network()
    return with_masks(graph, channel_groups(graph).groups)


def additions(kind):
    """(what is trained, the house's additions of that kind), anew each time."""
    graph, masked = network(), masked_network()
    groups = channel_groups(graph).groups
    if kind == "gates":
        return masked.graph, [Gates(masked, groups, lambda kept: float(sum(kept)), 5.0)]
    if kind == "batch_norm_l1":
        return graph, [BatchNormL1(graph, groups, 0.1)]
    if kind == "masked":
        return graph, [Masked({"w": np.random.default_rng(0).random((8, 3, 3, 2)) < 0.5})]
    growing = GradualSparsity if kind == "gradual" else Movement
    return graph, [growing(graph, SparsifyConfig(sparsity=0.6))]


@pytest.mark.parametrize("kind", ["gates", "batch_norm_l1", "masked", "gradual", "movement"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_what_is_done_besides_goes_on_too(kind, average, tmp_path, always, monkeypatch):
    """Stopped after each write in turn: a run writes once, is stopped, and the next goes on."""
    path = tmp_path / "run.checkpoint"
    config = TrainConfig(epochs=4, batch_size=48, learning_rate=0.02, patience=3, average=average)

    def run(checkpoint=None):
        graph, parts = additions(kind)
        return fit(graph, config, samples(), network(seed=5), selection=samples(30), additions=parts,
                   checkpoint=checkpoint).digest
    whole, write = run(), Checkpoint.write

    def once(self, state):
        write(self, state)
        raise Stopped
    stops = 0
    while True:
        with monkeypatch.context() as patched:
            patched.setattr(Checkpoint, "write", once)
            try:
                assert run(path) == whole
                break
            except Stopped:
                stops += 1
    assert stops == 8


CHILD = """
import sys
from pathlib import Path
from toolchain.train import checkpoint
checkpoint.SECONDS, checkpoint.SHARE = 0.0, 1e9
from tests.train.test_checkpoint import Noise, train
train("long", [Noise()], Path(sys.argv[1]))
"""


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_a_killed_process_is_gone_on_with(seed, tmp_path):
    """SIGKILL at a seeded moment while it writes after every step; another process goes on."""
    path, kills = tmp_path / "run.checkpoint", np.random.default_rng(seed).uniform(0, 0.3, 1 + (seed > 0))
    for wait in kills:
        before = path.stat().st_mtime_ns if path.exists() else 0
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], cwd=ROOT,
                                 env=os.environ | {"OMP_NUM_THREADS": "1"})
        while child.poll() is None and not (path.exists() and path.stat().st_mtime_ns != before):
            time.sleep(0.001)
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL and path.is_file()
    assert train("long", [Noise()], path).digest == train("long", [Noise()]).digest
    assert not path.exists()


def stopped_file(tmp_path):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Stopped):
        train("adamw", [StopAt(2)], path)
    return path


def test_other_arguments_are_refused(tmp_path, always):
    path = stopped_file(tmp_path)
    others = {"seed": {"seed": 4}, "teacher": {"teacher": network(seed=6)}, "metric": {"metric": "agreement"},
              "selection samples": {"selection": samples(33)}}
    for name, changed in others.items():
        with pytest.raises(BadInput, match=rf"run.checkpoint: is of a run with another {name}; .*delete it"):
            train("adamw", [Noise()], path, **changed)
    with pytest.raises(BadInput, match="another penalty, mask or gate;"):
        train("adamw", [], path)
    with pytest.raises(BadInput, match=r"another \[train\] section;"):
        train("sgd", [Noise()], path)
    shifted = samples()
    shifted = replace(shifted, x={"x": shifted.x["x"] + 1})
    with pytest.raises(BadInput, match="another training samples;"):
        fit(network(), RECIPES["adamw"], shifted, network(seed=5), 3, selection=samples(30),
            additions=[Noise()], checkpoint=path)


def test_an_additions_settings_are_part_of_it(tmp_path, always):
    path = stopped_file(tmp_path)

    class Other(Noise):
        __qualname__ = Noise.__qualname__

        def key(self):
            return "sparsity 0.7"
    with pytest.raises(BadInput, match="another penalty, mask or gate;"):
        train("adamw", [Other()], path)


def test_a_damaged_file_is_one_clear_error(tmp_path, always):
    whole = stopped_file(tmp_path).read_bytes()
    path, rng = tmp_path / "damaged", np.random.default_rng(0)
    flipped = []
    for _ in range(20):
        at, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        flipped.append(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1:])
    for content in (b"", b"x", whole[:64], whole[:-1], whole + b"x", b"PK\x03\x04" * 50, *flipped):
        path.write_bytes(content)
        with pytest.raises(BadInput, match="damaged: no checkpoint of training, or a .*delete it"):
            train("adamw", [Noise()], path)


def test_nothing_in_a_file_is_run(tmp_path):
    """A sealed pickle that would write a file is refused."""
    class Bomb:
        def __reduce__(self):
            return Path(tmp_path / "ran").write_text, ("x",)
    path = tmp_path / "bomb"
    checkpoint_module.Checkpoint(path, {}).write({"state": Bomb()})
    with pytest.raises(BadInput, match="no checkpoint of training, or a damaged one"):
        train("adamw", [], path)
    assert not (tmp_path / "ran").exists()


def test_a_place_that_takes_no_file_is_said_before_the_work(tmp_path):
    with pytest.raises(BadInput, match="is a folder; name the file to write"):
        train("adamw", path=tmp_path)


def test_it_is_written_now_and_then(tmp_path, monkeypatch):
    """Not before SECONDS are over, nor for more than SHARE of the time."""
    now = [100.0]
    monkeypatch.setattr(checkpoint_module.time, "monotonic", lambda: now[0])
    kept = checkpoint_module.Checkpoint(tmp_path / "file", {"seed": "1"})
    now[0] += 4.9
    assert not kept.is_due
    now[0] += 0.2
    assert kept.is_due
    write = checkpoint_module.write_sealed

    def slow(path, content):
        now[0] += 1.0
        write(path, content)
    monkeypatch.setattr(checkpoint_module, "write_sealed", slow)
    kept.write({"x": torch.ones(2)})
    now[0] += 19.9
    assert not kept.is_due
    now[0] += 0.2
    assert kept.is_due
    assert kept.load()["x"].tolist() == [1, 1]
