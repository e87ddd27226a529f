"""Networks with memory: keywords from 49 frames of 40 coefficients."""

from functools import partial

import torch
from torch import nn

from tests.zoo.seeding import bounded, seeded

FRAMES, COEFFICIENTS, CLASSES = 49, 40, 12


class Keywords(nn.Module):
    """A recurrent layer and a classifier of its last state; in both directions of the last states of both."""

    def __init__(self, kind: type[nn.RNNBase], width: int, **options):
        super().__init__()
        self.layer = kind(COEFFICIENTS, width, batch_first=True, **options)
        self.directions = 2 if self.layer.bidirectional else 1
        self.classifier = nn.Linear(self.directions * width, CLASSES)

    def forward(self, x):
        _, state = self.layer(x.squeeze(1))
        hidden = state[0] if isinstance(state, tuple) else state
        return self.classifier(torch.cat([hidden[-n] for n in range(self.directions, 0, -1)], 1))


def _keywords(kind: type[nn.RNNBase], width: int, **options):
    return seeded(partial(Keywords, kind, width, **options), 1, FRAMES, COEFFICIENTS,
                  draw=bounded)


def gru():
    """Cho et al. 2014."""
    return _keywords(nn.GRU, 64)


def lstm():
    """Hochreiter & Schmidhuber 1997."""
    return _keywords(nn.LSTM, 64)


def lstm_both_ways():
    """Schuster & Paliwal 1997."""
    return _keywords(nn.LSTM, 48, bidirectional=True)


def gru_stacked():
    return _keywords(nn.GRU, 48, num_layers=2)
