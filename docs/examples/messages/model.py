"""Two networks that tell in which of 12 languages a message is written, character by character.

`edge build docs/examples/messages/model.py:gru ...` or `:transformer`. Input (N, 64) int32: lines of
vocabulary.txt from 0, padded with 0. Output (N, 12) logits. Their weights lie in weights/, in float16;
`python docs/examples/messages/model.py` trains them again, seeded, each in a minute or so of CPU time.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[2] / "calibration_data" / "messages" / "samples.npz"
SPLITS = ("train", "calibration", "selection", "test")  # as in the set's manifest
CHARACTERS = len((HERE / "vocabulary.txt").read_text(encoding="utf-8").splitlines())
LENGTH, LANGUAGES = 64, 12

SEED = 0
EPOCHS = 40
BATCH = 64
HIDDEN = 0.1  # share of characters that training takes for unknown ones
UNKNOWN = 1
THREADS = 1  # their number decides in which order gradients are summed, so it decides the weights


# Networks ---------------------------------------------------------------------------------------------------

class Gru(nn.Module):
    """(N, 64) -> (N, 12): what a GRU (Cho et al. 2014) remembers of the characters, on average."""

    def __init__(self):
        super().__init__()
        self.embed, self.gru = nn.Embedding(CHARACTERS, 32), nn.GRU(32, 64, batch_first=True)
        self.classify = nn.Linear(64, LANGUAGES)

    def forward(self, tokens):
        return self.classify(self.gru(self.embed(tokens))[0].mean(1))


class Transformer(nn.Module):
    """(N, 64) -> (N, 12): every second character with its neighbours is a token; two encoder layers attend.

    Norms come first (Vaswani et al. 2017; Xiong et al. 2020); the mean is classified.
    """

    def __init__(self, width: int = 48, heads: int = 4):
        super().__init__()
        self.embed = nn.Embedding(CHARACTERS, 32)
        self.join = nn.Conv1d(32, width, 3, 2, 1)
        self.position = nn.Parameter(0.1 * torch.randn(1, LENGTH // 2, width))
        layer = partial(nn.TransformerEncoderLayer, width, heads, 2 * width, 0.1, "gelu",
                        batch_first=True, norm_first=True)
        self.encoder = nn.Sequential(layer(), layer())
        self.norm, self.classify = nn.LayerNorm(width), nn.Linear(width, LANGUAGES)

    def forward(self, tokens):
        x = self.join(self.embed(tokens).transpose(1, 2)).transpose(1, 2)
        return self.classify(self.norm(self.encoder(F.gelu(x) + self.position)).mean(1))


# What edge loads --------------------------------------------------------------------------------------------

def gru() -> tuple[nn.Module, tuple]:
    return trained("gru"), (torch.zeros(1, LENGTH, dtype=torch.int32),)


def transformer() -> tuple[nn.Module, tuple]:
    return trained("transformer"), (torch.zeros(1, LENGTH, dtype=torch.int32),)


NETWORKS: dict[str, Callable[[], nn.Module]] = {"gru": Gru, "transformer": Transformer}
RATES = {"gru": 1e-2, "transformer": 3e-3}  # highest of the one-cycle schedule


def trained(name: str) -> nn.Module:
    """With the weights of weights/NAME.npz."""
    network = NETWORKS[name]()
    with np.load(HERE / "weights" / f"{name}.npz") as stored:
        network.load_state_dict({key: torch.from_numpy(stored[key].astype(np.float32)) for key in stored})
    return network.eval()


# Training ---------------------------------------------------------------------------------------------------

def split(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Characters (N, 64) int32 and languages (N,) of one split."""
    with np.load(SAMPLES) as samples:
        chosen = samples["split"] == SPLITS.index(name)
        x, y = samples["x"][chosen, :, 0], samples["y"][chosen]
    return torch.from_numpy(x.astype(np.int32)), torch.from_numpy(y)


def accuracy(network: nn.Module, name: str) -> float:
    """Share of the messages of a split whose language is told."""
    x, y = split(name)
    with torch.no_grad():
        return float((network(x).argmax(1) == y).float().mean())


def augment(tokens: torch.Tensor) -> torch.Tensor:
    """(N, 64): each message from any character of its first half on, some of its characters unknown."""
    lengths = (tokens != 0).sum(1, keepdim=True)
    starts = (torch.rand(len(tokens), 1) * lengths / 2).long()
    moved = F.pad(tokens, (0, LENGTH)).gather(1, starts + torch.arange(LENGTH))
    return torch.where((torch.rand(moved.shape) < HIDDEN) & (moved != 0), UNKNOWN, moved)


def train(name: str, epochs: int = EPOCHS) -> nn.Module:
    """The network of that name, in eval mode. Seeded."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            return fit(NETWORKS[name]().train(), RATES[name], epochs).eval()
    finally:
        torch.set_num_threads(threads)


def fit(network: nn.Module, rate: float, epochs: int) -> nn.Module:
    """Cross-entropy on the training split, whole batches."""
    x, y = split("train")
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * (len(x) // BATCH))
    for _ in range(epochs):
        for index in torch.randperm(len(x)).split(BATCH)[:len(x) // BATCH]:
            loss = F.cross_entropy(network(augment(x[index])), y[index], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return network


if __name__ == "__main__":
    for name in sys.argv[1:] or NETWORKS:
        network = train(name)
        (HERE / "weights").mkdir(exist_ok=True)
        np.savez_compressed(HERE / "weights" / f"{name}.npz",
                            **{key: value.half().numpy() for key, value in network.state_dict().items()})
        print(f"weights/{name}.npz: {sum(p.numel() for p in network.parameters()):,} parameters, "
              f"{accuracy(trained(name), 'selection'):.1%} of the selection split")
