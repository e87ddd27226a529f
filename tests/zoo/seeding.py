"""Seeded weights and samples that behave like real ones: ranges stay sane, channels and samples differ.

Plain torch: the peers' environment imports the networks too.
"""

from collections.abc import Callable
import math

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

OCTAVES = (2, 4, 8, 16, 32)
"""Grid points a side of the random fields that a sample is the sum of; photographs' spectra fall likewise."""
BATCH, BATCHES = 8, 2
SETTLING = 3
"""The seed of the samples that set batch-norm statistics; the other splits have others."""
NORMS = nn.BatchNorm1d | nn.BatchNorm2d

Draw = Callable[[tuple[int, ...], int, int], torch.Tensor]
"""(shape of one sample without its batch, count, seed) -> (count, *shape) float32, or int32 tokens"""


def smooth(shape: tuple[int, ...], count: int, seed: int) -> torch.Tensor:
    """Low-frequency random fields (channels, [height,] width) with a contrast and a level of their own."""
    generator = torch.Generator().manual_seed(seed)
    channels, *sides = shape
    mode = "bilinear" if len(sides) == 2 else "linear"
    x = 0.1 * torch.randn((count, *shape), generator=generator)
    for points in OCTAVES:
        field = torch.randn((count, channels, *(min(points, side) for side in sides)), generator=generator)
        x += functional.interpolate(field, size=sides, mode=mode, align_corners=False) / points ** 0.5
    contrast = 0.5 + torch.rand((count, *[1] * len(shape)), generator=generator)
    level = 0.5 * torch.randn((count, channels, *[1] * len(sides)), generator=generator)
    return contrast * x + level


def bounded(shape: tuple[int, ...], count: int, seed: int) -> torch.Tensor:
    """`smooth` within -3 and 3, as features are that were normalized and clipped."""
    return smooth(shape, count, seed).clamp(-3, 3)


def gaussian(shape: tuple[int, ...], count: int, seed: int) -> torch.Tensor:
    """Latent vectors."""
    return torch.randn((count, *shape), generator=torch.Generator().manual_seed(seed))


def words(shape: tuple[int, ...], count: int, seed: int) -> torch.Tensor:
    """int32 tokens of 500, as frequent as words are (Zipf's law)."""
    generator = torch.Generator().manual_seed(seed)
    weights = 1 / torch.arange(1, 501, dtype=torch.float32)
    drawn = torch.multinomial(weights, math.prod((count, *shape)), True, generator=generator)
    return drawn.reshape(count, *shape).to(torch.int32)


def seeded(make: Callable[[], nn.Module], *shape: int, draw: Draw = smooth) -> tuple[nn.Module, tuple]:
    """(network, example): `make()` with seeded weights, settled on samples of `shape`, in eval mode."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = make()
        network.apply(_initialise)
        _settle(network, draw(shape, BATCH * BATCHES, SETTLING))
    return network.eval(), (draw(shape, 1, SETTLING),)


def _initialise(layer: nn.Module) -> None:
    """Kaiming's normal weights (He et al. 2015); norms with scales and shifts of their own.

    Untrained batch norms amplify every perturbation, about 1.2 times a layer (Yang et al. 2019), which
    training undoes; so do shifts above zero, which keep ReLUs where they are linear.
    """
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear) and not is_parametrized(layer):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if isinstance(layer, nn.ConvTranspose2d):
        reached = layer.weight[0, 0].numel() / (layer.stride[0] * layer.stride[1])
        nn.init.normal_(layer.weight, std=(2 / (layer.in_channels * max(reached, 1))) ** 0.5)
    if isinstance(layer, NORMS | nn.LayerNorm):
        nn.init.uniform_(layer.weight, 0.5, 1.0)
        nn.init.normal_(layer.bias, 0.75, 0.3)
    elif isinstance(getattr(layer, "bias", None), nn.Parameter):
        nn.init.normal_(layer.bias, std=0.05)


def _settle(network: nn.Module, samples: torch.Tensor) -> None:
    """Batch norms get the statistics of the samples: momentum None is their plain average."""
    for layer in network.modules():
        if isinstance(layer, NORMS):
            layer.momentum = None
    network.train()
    for batch in samples.split(BATCH):
        network(batch)
