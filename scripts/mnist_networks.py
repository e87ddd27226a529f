"""Networks that draw 28 x 28 handwritten digits, trained on the measuring kit's MNIST, and their samples.

Networks and training are those of docs/examples/digits, for larger images in 0..1. Weights are kept in
build/benchmark/training/, named after what shapes them, and trained where they are missing, in one to three
minutes of a core each.

mnist_networks.py NAME SEED: train it.
"""

from collections.abc import Callable
import hashlib
from pathlib import Path
import sys
from typing import NamedTuple

from cifar_networks import keep
from kit_data import KIT, shuffled
import numpy as np
import torch
from torch import nn

from docs.examples.digits import model, train
from docs.examples.digits.model import (
    Classifier,
    Decoder,
    Discriminator,
    Encoder,
    RowDecoder,
    RowEncoder,
    Vae,
)

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "benchmark" / "training"
SIDE = 28
NOISE, LATENT = 32, 16
"""Numbers that the generator draws from, and that an autoencoder tells a digit by."""
WIDTHS, WIDTH = (48, 32, 16), 96
"""Channels of what draws; hidden units of either recurrent layer."""
PARTS = {"train": 12_000, "calibration": 500, "selection": 2_000}
"""Of the kit's training images, so many each; its test images are the test part. No image is in two."""
DRAWN = 8_000
"""Training inputs of the generator."""
SAMPLES_SEED = 0
"""Of the noise among samples, which is the same for every network; and of the classifier."""


class Case(NamedTuple):
    """make:   a network with random weights
    learn:  (it, training images, digits, epochs, learning rate) -> it, trained
    inputs: their shapes, of one sample
    """

    make: Callable[[], nn.Module]
    learn: Callable[[nn.Module, torch.Tensor, torch.Tensor, int, float], nn.Module]
    inputs: tuple[tuple[int, ...], ...]
    epochs: int
    rate: float


# Networks ---------------------------------------------------------------------------------------------------

def learn_to_draw(network: nn.Module, images: torch.Tensor, _: torch.Tensor, *pace: float) -> nn.Module:
    return train.train_gan(network, Discriminator(SIDE), images, NOISE, *pace)


def learn_to_code(network: nn.Module, images: torch.Tensor, _: torch.Tensor, *pace: float) -> nn.Module:
    return train.train_vae(network, images, LATENT, *pace)


IMAGE, CODE = (1, SIDE, SIDE), (LATENT,)
CASES = {
    "generator": Case(lambda: Decoder(NOISE, SIDE, WIDTHS), learn_to_draw, ((NOISE,),), 20, 4e-4),
    "vae": Case(lambda: Vae(Encoder(LATENT, SIDE), Decoder(LATENT, SIDE, WIDTHS)), learn_to_code,
                (IMAGE, CODE), 8, 2e-3),
    "recurrent_vae": Case(lambda: Vae(RowEncoder(LATENT, SIDE, WIDTH), RowDecoder(LATENT, SIDE, WIDTH)),
                          learn_to_code, (IMAGE, CODE), 24, 1e-2),
    "classifier": Case(lambda: Classifier(SIDE), train.train_classifier, (IMAGE,), 8, 2e-3),
}


def network(name: str, seed: int) -> tuple[nn.Module, tuple]:
    """A key of CASES, trained from that seed, and an example."""
    return trained(name, seed), tuple(torch.zeros(1, *shape) for shape in CASES[name].inputs)


def features() -> tuple[nn.Module, tuple]:
    """Images -> what a classifier of digits tells them by, (N, 32): the space of Frechet distances."""
    classifier, example = network("classifier", SAMPLES_SEED)
    return classifier.look, example


def trained(name: str, seed: int) -> nn.Module:
    """In eval mode."""
    case = CASES[name]
    made = case.make()
    shaping = [Path(module.__file__).read_text(encoding="utf-8") for module in (model, train)]
    shape = f"{made} {case.epochs} {case.rate} {seed} {PARTS} {shaping}"
    path = FOLDER / f"{name}-{seed}-{hashlib.sha256(shape.encode()).hexdigest()[:12]}.pt"
    if not path.exists():
        parts = map(torch.from_numpy, split("train"))
        keep(train.seeded(lambda: case.learn(case.make(), *parts, case.epochs, case.rate), seed), path)
    made.load_state_dict(torch.load(path, weights_only=True))
    return made.eval()


# Samples ----------------------------------------------------------------------------------------------------

def split(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, 28, 28) float32 in 0..1 and digits (N,) int64 of one part."""
    with np.load(KIT / "mnist" / ("test.npz" if name == "test" else "train.npz")) as pack:
        x, y = pack["x"][:, None].astype(np.float32) / 255, pack["y"].astype(np.int64)
    if name == "test":
        return x, y
    ends = np.cumsum(list(PARTS.values()))
    chosen = np.split(shuffled(len(x)), ends)[list(PARTS).index(name)]
    return x[chosen], y[chosen]


def noise() -> dict[str, np.ndarray]:
    """For the generator: noise, and beside it real images, which it is not meant to repeat."""
    rng, parts = np.random.default_rng(SAMPLES_SEED), []
    for name in (*PARTS, "test"):
        images, _ = split(name)
        count = DRAWN if name == "train" else len(images)
        parts.append({"x": rng.standard_normal((count, NOISE), np.float32), "y": images[:count],
                      "split": np.full(count, name)})
    return _joined(parts)


def images_and_noise() -> dict[str, np.ndarray]:
    """For the autoencoders: images, noise, and the same images as what should come out."""
    rng, parts = np.random.default_rng(SAMPLES_SEED), []
    for name in (*PARTS, "test"):
        images, _ = split(name)
        parts.append({"image": images, "noise": rng.standard_normal((len(images), LATENT), np.float32),
                      "y": images, "split": np.full(len(images), name)})
    return _joined(parts)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


if __name__ == "__main__":
    trained(sys.argv[1], int(sys.argv[2]))
