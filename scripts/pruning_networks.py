"""The networks that pruning is judged on, with their batch norms, trained, and their samples in parts.

Each is a `Case`: a network for `toolchain.load`, the samples, and a function for [train] loader, which gives
the augmented batches that both sides of benchmark_pruning.py are tuned on. Weights are kept in
build/benchmark/, named after what shapes them, and trained where they are missing.

pruning_networks.py NAME: train it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
import hashlib
from pathlib import Path
import sys
from typing import NamedTuple

import cifar_networks
import numpy as np
import torch
from torch import nn

from docs.examples.har_watch import model as har_watch
from tests.models import conv_bn

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "benchmark" / "pruning"
Labelled = tuple[np.ndarray, np.ndarray]
"""Samples (n, ...) float32 as the torch network takes them, labels (n,) int64."""


class Data(NamedTuple):
    """Disjoint parts; what calibrates does so without labels, `test` is looked at when all is done."""

    train: Labelled
    calibration: Labelled
    selection: Labelled
    test: Labelled


@dataclass(frozen=True)
class Case:
    """network: it and its example, trained;  loader: (epoch, seed) -> batches of one epoch for `fit`

    parted: how the test samples differ from the others
    """

    name: str
    title: str
    network: Callable[[], tuple[nn.Module, tuple]]
    data: Callable[[], Data]
    loader: Callable[[int, int], Iterator[tuple]]
    parted: str

    @property
    def source(self) -> str:
        """What `load` takes."""
        return _named(self.network)

    @property
    def loader_source(self) -> str:
        """What [train] loader takes."""
        return _named(self.loader)


def _named(function: Callable) -> str:
    """file.py:function, of the file that it is written in."""
    return f"{function.__code__.co_filename}:{function.__name__}"


def random_of(epoch: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch])


def fed(batches: Iterator[tuple]) -> Iterator[tuple]:
    """Batches (x, y) of tensors as `fit` takes them."""
    for x, y in batches:
        yield {"x": x.numpy()}, y.numpy()


# CIFAR images -----------------------------------------------------------------------------------------------

@cache
def images() -> Data:
    from kit_data import cifar

    train, parts = cifar()
    calibration = parts.calibration, np.zeros(len(parts.calibration), np.int64)
    return Data(*((np.ascontiguousarray(x.transpose(0, 3, 1, 2)), y)
                  for x, y in (train, calibration, parts.selection, parts.test)))


def resnet8() -> tuple[nn.Module, tuple]:
    return cifar_networks.resnet8()


def mobilenet_v2() -> tuple[nn.Module, tuple]:
    return cifar_networks.mobilenet_v2()


def moved_images(epoch: int, seed: int) -> Iterator[tuple]:
    """Shifted by up to 4 pixels, half of them mirrored."""
    x, y = images().train
    return fed(cifar_networks.batches(x.transpose(0, 2, 3, 1), y, random_of(epoch, seed)))


# Keywords ---------------------------------------------------------------------------------------------------

SPEECH_EPOCHS = 100
SHIFT, NOISE, SILENT = 4, 0.5, 8
"""A clip is moved by up to so many frames, gets noise of this deviation, loses up to so many frames."""


class DsCnn(nn.Sequential):
    """MLPerf Tiny's network for keywords (Zhang et al. 2017): (N, 1, 49, 10) MFCCs -> (N, 12) logits."""

    def __init__(self):
        blocks = [layer for _ in range(4)
                  for layer in (conv_bn(64, 64, groups=64, act=nn.ReLU), conv_bn(64, 64, 1, act=nn.ReLU))]
        stem = [nn.Conv2d(1, 64, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        super().__init__(Tenth(), *stem, nn.Dropout(0.2), *blocks, nn.Dropout(0.4), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(64, 12))


class Gru(nn.Module):
    """Keywords by the last state of a GRU: (N, 1, 49, 10) MFCCs -> (N, 12) logits."""

    def __init__(self, width: int = 96):
        super().__init__()
        self.layer, self.drop = nn.GRU(10, width, batch_first=True), nn.Dropout(0.3)
        self.classifier = nn.Linear(width, 12)

    def forward(self, x):
        return self.classifier(self.drop(self.layer(x.squeeze(1) * 0.1)[0][:, -1]))


class Transformer(nn.Module):
    """Keywords by attention (Berg et al. 2021) over what a convolution makes of five frames, two apart
    (Hassani et al. 2021): (N, 1, 49, 10) MFCCs -> (N, 12) logits."""

    def __init__(self, width: int = 48, layers: int = 3):
        super().__init__()
        self.embed = nn.Sequential(nn.Conv1d(10, width, 5, 2, 2, bias=False), nn.BatchNorm1d(width),
                                   nn.ReLU())
        self.place = nn.Parameter(0.02 * torch.randn(1, 25, width))
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(
            width, 3, 4 * width, dropout=0.2, batch_first=True, norm_first=True) for _ in range(layers)])
        self.norm, self.drop, self.classifier = nn.LayerNorm(width), nn.Dropout(0.2), nn.Linear(width, 12)

    def forward(self, x):
        x = self.embed(0.1 * x.squeeze(1).transpose(1, 2)).transpose(1, 2) + self.place
        for layer in self.layers:
            x = layer(x)
        return self.classifier(self.drop(self.norm(x).mean(1)))


def adamw(network: nn.Module) -> torch.optim.Optimizer:
    """For attention, which gradient descent alone hardly trains."""
    return torch.optim.AdamW(cifar_networks.groups(network, 0.05), 2e-3)


class Tenth(nn.Module):
    """MFCCs deviate by 9, about; a convolution takes it in."""

    def forward(self, x):
        return x * 0.1


@cache
def keywords() -> Data:
    """No speaker is in two parts."""
    from kit_data import CALIBRATION, KIT, SELECTION, shuffled

    packs = [np.load(KIT / f"speech_commands/mfcc_{i}.npz") for i in (0, 1)]
    x, y, speaker = (np.concatenate([pack[key] for pack in packs]) for key in ("mfcc", "y", "speaker"))
    x, y = x[:, None].astype(np.float32), y.astype(np.int64)
    turn = np.unique(speaker, return_inverse=True)[1] % 20
    order = shuffled(len(x))
    parts = [order[np.isin(turn[order], which)] for which in (range(11), (11,), (12, 13), range(14, 20))]
    train, calibration, selection, test = parts
    parts = train, calibration[:CALIBRATION], selection[:SELECTION], test
    return Data(*((x[part], y[part]) for part in parts))


def ds_cnn() -> tuple[nn.Module, tuple]:
    return _trained("ds_cnn", DsCnn), (torch.zeros(1, 1, 49, 10),)


def gru() -> tuple[nn.Module, tuple]:
    return _trained("gru", Gru), (torch.zeros(1, 1, 49, 10),)


def transformer() -> tuple[nn.Module, tuple]:
    return _trained("transformer", Transformer, adamw), (torch.zeros(1, 1, 49, 10),)


def moved_keywords(epoch: int, seed: int) -> Iterator[tuple]:
    """Shifted in time, with noise, some frames lost."""
    return fed(keyword_batches(*keywords().train, random_of(epoch, seed)))


def keyword_batches(x: np.ndarray, y: np.ndarray, random: np.random.Generator) -> Iterator[tuple]:
    frames = np.arange(x.shape[2])
    for index in _shuffled_batches(len(x), random):
        batch = x[index] + NOISE * random.standard_normal((len(index), *x.shape[1:]), np.float32)
        for clip in batch:
            clip[0] = clip[0, np.clip(frames + random.integers(-SHIFT, SHIFT + 1), 0, len(frames) - 1)]
            start, length = random.integers(0, len(frames)), random.integers(0, SILENT + 1)
            clip[0, start:start + length] = clip[0].mean(axis=0)
        yield torch.from_numpy(batch), torch.from_numpy(y[index])


def _shuffled_batches(count: int, random: np.random.Generator) -> list[np.ndarray]:
    size = cifar_networks.BATCH
    return np.split(random.permutation(count)[:count // size * size], count // size)


def _trained(name: str, make: Callable[[], nn.Module],
             optimiser_of: Callable = cifar_networks.sgd) -> nn.Module:
    """The network with its weights, in eval mode."""
    torch.manual_seed(cifar_networks.SEED)
    network = make()
    shape = (f"{network} {optimiser_of(network)} {SPEECH_EPOCHS} {SHIFT} {NOISE} {SILENT} "
             f"{cifar_networks.BATCH} {cifar_networks.SEED}")
    path = FOLDER / f"{name}-{hashlib.sha256(shape.encode()).hexdigest()[:12]}.pt"
    return cifar_networks.kept(network, path, lambda: cifar_networks.learn(
        network, name, SPEECH_EPOCHS, len(keywords().train[1]),
        lambda random: keyword_batches(*keywords().train, random), optimiser_of))


# The watch --------------------------------------------------------------------------------------------------

@cache
def motions() -> Data:
    """No person is in two parts."""
    parts = {name: har_watch.split(name) for name in Data._fields}
    return Data(**{name: (x.numpy(), y.numpy().astype(np.int64)) for name, (x, y) in parts.items()})


def watch() -> tuple[nn.Module, tuple]:
    return har_watch.trained()


def turned_motions(epoch: int, seed: int) -> Iterator[tuple]:
    """As worn by other people: turned, harder or softer."""
    return fed(motion_batches(*motions().train, random_of(epoch, seed)))


def motion_batches(x: np.ndarray, y: np.ndarray, random: np.random.Generator) -> Iterator[tuple]:
    """Of one epoch."""
    with torch.random.fork_rng():
        torch.manual_seed(int(random.integers(2**31)))
        for index in _shuffled_batches(len(x), random):
            yield har_watch.augment(torch.from_numpy(x[index])), torch.from_numpy(y[index])


CASES = {case.name: case for case in (
    Case("resnet8", "ResNet-8, small images (MLPerf Tiny)", resnet8, images, moved_images, "other images"),
    Case("ds_cnn", "DS-CNN, keywords (MLPerf Tiny)", ds_cnn, keywords, moved_keywords, "other speakers"),
    Case("mobilenet_v2", "MobileNetV2, small images", mobilenet_v2, images, moved_images, "other images"),
    Case("watch", "1-D residual network, a wrist sensor", watch, motions, turned_motions, "other people"),
    Case("gru", "GRU, keywords", gru, keywords, moved_keywords, "other speakers"),
    Case("transformer", "transformer, keywords", transformer, keywords, moved_keywords, "other speakers"),
)}
WHOLE = ("resnet8", "ds_cnn", "mobilenet_v2", "watch")
"""Of these a run that names none; Torch-Pruning prunes neither recurrent layers nor attention."""


def right(network: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    """Share of samples whose label it tells."""
    with torch.no_grad():
        found = torch.cat([network(part) for part in torch.from_numpy(x).split(256)])
    return float(np.mean(found.argmax(1).numpy() == y))


if __name__ == "__main__":
    torch.set_num_threads(1)
    case = CASES[sys.argv[1]]
    network = case.network()[0]
    hits = {part: right(network, *getattr(case.data(), part)) for part in ("train", "selection")}
    print(case.title, hits)
