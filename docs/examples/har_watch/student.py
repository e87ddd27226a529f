"""Half as wide as model.py's network, so a quarter of its multiply-accumulates: a student of its own.

`edge build docs/examples/har_watch/student.py:narrow --recipe docs/examples/har_watch/taught.toml ...`
"""

from collections.abc import Iterator

from model import BATCH, EXAMPLE, SEED, Block, augment, conv_norm, split
import torch
from torch import nn


class NarrowNet(nn.Module):
    """(N, 6, 100) -> (N, 7)."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(6, 12, 5, stride=2)
        self.blocks = nn.Sequential(Block(12, 16, 2), Block(16, 24, 2), Block(24, 24, 1))
        self.classify = nn.Linear(24, 7)

    def forward(self, x):
        x = self.blocks(torch.relu(self.stem(x)))
        return self.classify(x.mean(dim=2))


def narrow() -> tuple[nn.Module, tuple]:
    """The network with seeded random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return NarrowNet().eval(), (EXAMPLE,)


def turned(epoch: int, seed: int) -> Iterator[tuple]:
    """Batches of one epoch of the train split, augmented: for [train] loader."""
    x, y = split("train")
    for batch in torch.randperm(len(x)).split(BATCH)[:len(x) // BATCH]:
        yield {"x": augment(x[batch]).numpy()}, y[batch].numpy()
