"""The wrist-sensor network of depthwise separable convolutions (Howard et al. 2017): few weights, each of
which counts, so that 4 bits are too coarse for them as they are.

Data, input and output are those of model.py: `edge build docs/examples/har_watch/separable.py:trained ...`
"""

from pathlib import Path

import model
import torch
from torch import nn

CHANNELS = (16, 24, 32, 48, 48)
STRIDES = (2, 1, 2, 1)


def separable(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """A filter over time for each channel, then sums of channels; both with batch norm."""
    filters = nn.Conv1d(channels_in, channels_in, 7, stride, padding=3, groups=channels_in, bias=False)
    return nn.Sequential(filters, nn.BatchNorm1d(channels_in), nn.ReLU(),
                         *model.conv_norm(channels_in, channels_out, 1), nn.ReLU())


class SeparableNet(nn.Module):
    """(N, 6, 100) -> (N, 7)."""

    def __init__(self):
        super().__init__()
        self.stem = model.conv_norm(6, CHANNELS[0], 5, stride=2)
        self.blocks = nn.Sequential(*map(separable, CHANNELS, CHANNELS[1:], STRIDES))
        self.classify = nn.Linear(CHANNELS[-1], 7)

    def forward(self, x):
        return self.classify(self.blocks(torch.relu(self.stem(x))).mean(dim=2))


def trained(seed: int = model.SEED) -> tuple[nn.Module, tuple]:
    """The trained network."""
    return model.kept(SeparableNet, seed, Path(__file__))
