"""A GRU that tells seven shoulder exercises apart while they are done, reading by reading of a wrist sensor.

Input (N, 100, 6): ax ay az in g, wx wy wz in rad/s, 50 Hz, as the sensor gives them. Output (N, 7) logits.
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
CHECKPOINTS = ROOT / "build" / "watch_gru"

SEED = 0
EPOCHS = 15
BATCH = 64
LR = 5e-3  # highest of the one-cycle schedule
THREADS = 1  # their number decides in which order gradients are summed, so it decides the weights
EXAMPLE = torch.zeros(1, 100, 6)


class WatchGRU(nn.Module):
    """(N, T, 6) -> (N, 7) after the last of T readings. All but the GRU sees one reading at a time."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(6, 24)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.classify = nn.Linear(32, 7)

    def forward(self, x):
        states, _ = self.gru(F.relu(self.mix(x)))
        return self.classify(states[:, -1])


def trained() -> tuple[nn.Module, tuple]:
    """The trained network: from build/watch_gru/ if this file and these samples were trained on before."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + SAMPLES.read_bytes()).hexdigest()
    checkpoint = CHECKPOINTS / f"{digest[:16]}.pt"
    if not checkpoint.exists():
        threads = torch.get_num_threads()
        torch.set_num_threads(THREADS)
        model = train()
        torch.set_num_threads(threads)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        unfinished = checkpoint.with_suffix(f".{os.getpid()}")
        torch.save(model.state_dict(), unfinished)
        unfinished.rename(checkpoint)
    model = WatchGRU()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    return model.eval(), (EXAMPLE,)


def train() -> nn.Module:
    """Train on the people of the train split, half a minute on one core. Seeded."""
    x, y = train_split()
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = WatchGRU().train()
        steps = EPOCHS * (len(x) // BATCH)
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LR, total_steps=steps)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(x)).split(BATCH)[:len(x) // BATCH]:
                loss = F.cross_entropy(model(x[batch]), y[batch], label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
    return model


def train_split() -> tuple[torch.Tensor, torch.Tensor]:
    """x (N, 100, 6) float32 and y (N,)."""
    with np.load(SAMPLES) as samples:
        chosen = samples["split"] == 0
        x, y = samples["x"][chosen], samples["y"][chosen]
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y)
