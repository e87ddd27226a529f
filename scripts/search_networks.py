"""The networks that benchmark_search.py searches: those of pruning_networks.py, trained on fewer
samples, so that more are left to select by: of 60 recipes the best is one that the samples flatter.

search_networks.py NAME: train it.
"""

from collections.abc import Callable, Iterator
from functools import cache
import hashlib
from pathlib import Path
import sys

import cifar_networks
import numpy as np
import pruning_networks
from pruning_networks import Case, Data, DsCnn, random_of
import torch
from torch import nn

from docs.examples.har_watch import model as har_watch

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "benchmark" / "search" / "networks"
EPOCHS = {"ds_cnn": 100, "watch": har_watch.EPOCHS, "resnet8": 40, "mobilenet_v2": 20}
SELECTION = 2500
"""Images to select by."""
MOTIONS = 100
"""Windows to calibrate with."""
PEOPLE = (1, 2, 3), (4, 5, 6, 7), (8, 9, 10)
"""Who trains, who calibrates and selects, who tests."""


# Samples: no speaker and no person is in two parts ----------------------------------------------------------

@cache
def keywords() -> Data:
    from kit_data import CALIBRATION, KIT, shuffled

    packs = [np.load(KIT / f"speech_commands/mfcc_{i}.npz") for i in (0, 1)]
    x, y, speaker = (np.concatenate([pack[key] for pack in packs]) for key in ("mfcc", "y", "speaker"))
    x, y = x[:, None].astype(np.float32), y.astype(np.int64)
    turn, order = np.unique(speaker, return_inverse=True)[1] % 20, shuffled(len(x))
    train, held_out, test = (order[np.isin(turn[order], which)] for which in
                             (range(8), range(8, 14), range(14, 20)))
    parts = train, held_out[:CALIBRATION], held_out[CALIBRATION:], test
    return Data(*((x[part], y[part]) for part in parts))


@cache
def images() -> Data:
    found = pruning_networks.images()
    x, y = (np.concatenate(pair) for pair in zip(found.train, found.selection))
    return found._replace(train=(x[:-SELECTION], y[:-SELECTION]), selection=(x[-SELECTION:], y[-SELECTION:]))


@cache
def motions() -> Data:
    """Of ten people: three to train on, four to calibrate and select by, three to test on."""
    with np.load(har_watch.SAMPLES) as samples:
        x, y, person = samples["x"], samples["y"], samples["subject"]
    x, y = np.ascontiguousarray(x.transpose(0, 2, 1), np.float32), y.astype(np.int64)
    order = np.random.default_rng(cifar_networks.SEED).permutation(len(x))
    train, held_out, test = (order[np.isin(person[order], people)] for people in PEOPLE)
    parts = train, held_out[:MOTIONS], held_out[MOTIONS:], test
    return Data(*((x[part], y[part]) for part in parts))


# Batches as they are trained on -----------------------------------------------------------------------------

def _keyword_batches(random: np.random.Generator) -> Iterator[tuple]:
    return pruning_networks.keyword_batches(*keywords().train, random)


def _image_batches(random: np.random.Generator) -> Iterator[tuple]:
    x, y = images().train
    return cifar_networks.batches(x.transpose(0, 2, 3, 1), y, random)


def _motion_batches(random: np.random.Generator) -> Iterator[tuple]:
    return pruning_networks.motion_batches(*motions().train, random)


def moved_keywords(epoch: int, seed: int) -> Iterator[tuple]:
    """Shifted in time, with noise, some frames lost."""
    return pruning_networks.fed(_keyword_batches(random_of(epoch, seed)))


def moved_images(epoch: int, seed: int) -> Iterator[tuple]:
    """Shifted by up to 4 pixels, half of them mirrored."""
    return pruning_networks.fed(_image_batches(random_of(epoch, seed)))


def turned_motions(epoch: int, seed: int) -> Iterator[tuple]:
    """As worn by other people: turned, harder or softer."""
    return pruning_networks.fed(_motion_batches(random_of(epoch, seed)))


# Networks ---------------------------------------------------------------------------------------------------

def ds_cnn() -> tuple[nn.Module, tuple]:
    return _trained("ds_cnn", DsCnn, keywords, _keyword_batches), (torch.zeros(1, 1, 49, 10),)


def resnet8() -> tuple[nn.Module, tuple]:
    return _trained("resnet8", cifar_networks.ResNet8, images, _image_batches), (cifar_networks.EXAMPLE,)


def watch() -> tuple[nn.Module, tuple]:
    return _trained("watch", har_watch.WatchNet, motions, _motion_batches, _adamw), (har_watch.EXAMPLE,)


def mobilenet_v2() -> tuple[nn.Module, tuple]:
    make = cifar_networks.MobileNetV2
    return _trained("mobilenet_v2", make, images, _image_batches), (cifar_networks.EXAMPLE,)


def _adamw(network: nn.Module) -> torch.optim.Optimizer:
    """As the example trains it."""
    return torch.optim.AdamW(network.parameters(), har_watch.LR, weight_decay=0.05)


def _trained(name: str, make: Callable[[], nn.Module], data: Callable[[], Data],
             batches: Callable[[np.random.Generator], Iterator[tuple]],
             optimiser_of: Callable[[nn.Module], torch.optim.Optimizer] = cifar_networks.sgd) -> nn.Module:
    """The network with its weights, in eval mode; they are kept under what shapes them."""
    torch.manual_seed(cifar_networks.SEED)
    network = make()
    shape = (f"{network} {optimiser_of(network)} {EPOCHS[name]} {len(data().train[1])} "
             f"{cifar_networks.BATCH} {cifar_networks.SEED}")
    path = FOLDER / f"{name}-{hashlib.sha256(shape.encode()).hexdigest()[:12]}.pt"
    return cifar_networks.kept(network, path, lambda: cifar_networks.learn(
        network, name, EPOCHS[name], len(data().train[1]), batches, optimiser_of))


CASES = {case.name: case for case in (
    Case("ds_cnn", "DS-CNN, keywords (MLPerf Tiny)", ds_cnn, keywords, moved_keywords, "other speakers"),
    Case("watch", "1-D residual network, a wrist sensor", watch, motions, turned_motions, "other people"),
    Case("resnet8", "ResNet-8, small images (MLPerf Tiny)", resnet8, images, moved_images, "other images"),
    Case("mobilenet_v2", "MobileNetV2, small images", mobilenet_v2, images, moved_images, "other images"),
)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    case = CASES[sys.argv[1]]
    network = case.network()[0]
    print(case.title, {part: pruning_networks.right(network, *getattr(case.data(), part))
                       for part in ("train", "selection")})
