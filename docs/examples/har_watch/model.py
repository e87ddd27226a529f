"""A small 1-D residual network that tells seven shoulder exercises apart from 2 s of a wrist sensor.

Input (N, 6, 100): ax ay az in g, wx wy wz in rad/s, 50 Hz, as the sensor gives them. Output (N, 7) logits.
`edge build docs/examples/har_watch/model.py:trained ...` takes any of the functions below.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "calibration_data" / "har_watch" / "samples.npz"
CHECKPOINTS = ROOT / "build" / "har_watch"

SEED = 0
EPOCHS = 25
BATCH = 64
LR = 3e-3  # highest of the one-cycle schedule
THREADS = 1  # their number decides in which order gradients are summed, so it decides the weights
EXAMPLE = torch.zeros(1, 6, 100)


def conv_norm(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution over time that keeps the length (divided by the stride), then batch norm."""
    conv = nn.Conv1d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(channels_out))


class Block(nn.Module):
    """Two convolutions and a residual add (He et al. 2016); a stride or new width has a 1x1 shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.first = conv_norm(channels_in, channels_out, 5, stride)
        self.second = conv_norm(channels_out, channels_out, 5)
        same = stride == 1 and channels_in == channels_out
        self.shortcut = nn.Identity() if same else conv_norm(channels_in, channels_out, 1, stride)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class WatchNet(nn.Module):
    """(N, 6, 100) -> (N, 7)."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(6, 24, 5, stride=2)
        self.blocks = nn.Sequential(Block(24, 32, 2), Block(32, 48, 2), Block(48, 48, 1))
        self.classify = nn.Linear(48, 7)

    def forward(self, x):
        x = self.blocks(F.relu(self.stem(x)))
        return self.classify(x.mean(dim=2))


def untrained() -> tuple[nn.Module, tuple]:
    """The network with seeded random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return WatchNet().eval(), (EXAMPLE,)


def trained() -> tuple[nn.Module, tuple]:
    """The trained network."""
    return kept(WatchNet)


def kept(network: type[nn.Module], seed: int = SEED, *files: Path) -> tuple[nn.Module, tuple]:
    """It trained: from build/har_watch/ if this file, those and these samples were trained on before."""
    read = b"".join(file.read_bytes() for file in (Path(__file__), *files, SAMPLES))
    digest = hashlib.sha256(read + bytes([seed])).hexdigest()
    checkpoint = CHECKPOINTS / f"{digest[:16]}.pt"
    if not checkpoint.exists():
        threads = torch.get_num_threads()
        torch.set_num_threads(THREADS)
        model, _ = train(network, seed)
        torch.set_num_threads(threads)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        unfinished = checkpoint.with_suffix(f".{os.getpid()}")
        torch.save(model.state_dict(), unfinished)
        unfinished.rename(checkpoint)
    model = network()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    return model.eval(), (EXAMPLE,)


def train(network: type[nn.Module] = WatchNet, seed: int = SEED) -> tuple[nn.Module, tuple]:
    """Train on the people of the train split, seconds on two cores. Seeded."""
    x, y = split("train")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = network().train()
        steps = EPOCHS * (len(x) // BATCH)
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LR, total_steps=steps)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(x)).split(BATCH)[:len(x) // BATCH]:
                loss = F.cross_entropy(model(augment(x[batch])), y[batch], label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return model.eval(), (EXAMPLE,)


def augment(x: torch.Tensor) -> torch.Tensor:
    """Other people wear the watch at another angle, move harder or softer: rotate and scale both sensors."""
    n = len(x)
    angles = 0.15 * torch.randn(n, 3, 1, 1)  # radians, about each axis
    skew = torch.tensor([[[0., 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]],
                         [[0, -1, 0], [1, 0, 0], [0, 0, 0]]])
    turn = torch.linalg.matrix_exp((angles * skew).sum(1))
    strength = 1 + 0.2 * torch.randn(n, 2, 1, 1)
    return (torch.einsum("nij,nsjt->nsit", turn, x.view(n, 2, 3, -1)) * strength).reshape(x.shape)


def split(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """x (N, 6, 100) float32 and y (N,) of one split."""
    names = ("train", "calibration", "selection", "test")  # as in the set's manifest
    with np.load(SAMPLES) as samples:
        chosen = samples["split"] == names.index(name)
        x, y = samples["x"][chosen], samples["y"][chosen]
    return torch.from_numpy(x.astype(np.float32).transpose(0, 2, 1).copy()), torch.from_numpy(y)


def accuracy(model: nn.Module, name: str) -> float:
    """Share of a split's windows that the model gets right."""
    x, y = split(name)
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    network, _ = trained()
    for name in ("train", "selection", "test"):
        print(f"{name}: {accuracy(network, name):.2%} right")
