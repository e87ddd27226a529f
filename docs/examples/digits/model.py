"""Networks that draw 8 x 8 handwritten digits: a DCGAN, two variational autoencoders.

`edge build docs/examples/digits/model.py:generator ...` takes any of generator, discriminator, vae, decoder,
recurrent_vae, recurrent_decoder and features. Their weights lie in weights/; `python -m
docs.examples.digits.train` trains them again. Images are in 0..1. All that is random is an input: networks
hold no noise.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[2] / "calibration_data" / "digits" / "samples.npz"
SPLITS = ("train", "calibration", "selection", "test")  # as in the set's manifest

SEED = 0
NOISE = 32  # numbers that the generator draws from
LATENT = 8  # numbers that an autoencoder tells a digit by
SIDE = 8  # pixels of an image; networks of other sizes have the same classes
WIDTH = 64  # hidden units of either layer of the recurrent autoencoder
DRAWN = 4096  # training inputs of the generator


# Networks ---------------------------------------------------------------------------------------------------

def up(channels_in: int, channels_out: int) -> nn.Sequential:
    """Twice as high and wide: a transposed convolution, batch norm, ReLU (Radford et al. 2016)."""
    conv = nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU())


class Decoder(nn.Module):
    """(N, size) -> (N, 1, side, side): the generator, and the second half of the autoencoder."""

    def __init__(self, size: int, side: int = SIDE, widths: tuple[int, int, int] = (64, 48, 24)):
        super().__init__()
        first, second, third = widths
        start = nn.ConvTranspose2d(size, first, side // 4, bias=False)
        self.start = nn.Sequential(start, nn.BatchNorm2d(first), nn.ReLU())
        self.grow = nn.Sequential(up(first, second), up(second, third))
        self.draw = nn.ConvTranspose2d(third, 1, 3, padding=1)

    def forward(self, noise):
        return torch.sigmoid(self.draw(self.grow(self.start(noise[:, :, None, None]))))


class Discriminator(nn.Module):
    """(N, 1, side, side) -> (N, 1): the logit of an image being a real one."""

    def __init__(self, side: int = SIDE):
        super().__init__()
        self.first = nn.Conv2d(1, 32, 4, 2, 1)
        self.second = nn.Sequential(nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64))
        self.judge = nn.Linear(64 * (side // 4) ** 2, 1)

    def forward(self, image):
        x = F.leaky_relu(self.first(image), 0.2)
        return self.judge(F.leaky_relu(self.second(x), 0.2).flatten(1))


class Encoder(nn.Module):
    """(N, 1, side, side) -> mean and logarithm of the variance of the code, (N, latent) each."""

    def __init__(self, latent: int = LATENT, side: int = SIDE):
        super().__init__()
        self.shrink = nn.Sequential(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(),
                                    nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU())
        self.mean, self.log_variance = (nn.Linear(64 * (side // 4) ** 2, latent) for _ in range(2))

    def forward(self, image):
        x = self.shrink(image).flatten(1)
        return self.mean(x), self.log_variance(x)


class RowEncoder(nn.Module):
    """(N, 1, side, side), read row by row -> what Encoder gives."""

    def __init__(self, latent: int = LATENT, side: int = SIDE, width: int = WIDTH):
        super().__init__()
        self.read = nn.GRU(side, width, batch_first=True)
        self.mean, self.log_variance = (nn.Linear(width, latent) for _ in range(2))

    def forward(self, image):
        states, _ = self.read(image.flatten(1, 2))
        return self.mean(states[:, -1]), self.log_variance(states[:, -1])


class RowDecoder(nn.Module):
    """(N, latent) -> (N, 1, side, side), drawn row by row: begins with the code, is fed learned numbers."""

    def __init__(self, latent: int = LATENT, side: int = SIDE, width: int = WIDTH):
        super().__init__()
        self.begin = nn.Linear(latent, width)
        self.rows = nn.Parameter(0.3 * torch.randn(1, side, latent))
        self.write = nn.GRU(latent, width, batch_first=True)
        self.draw = nn.Linear(width, side)

    def forward(self, code):
        states, _ = self.write(self.rows.expand(len(code), -1, -1), torch.tanh(self.begin(code))[None])
        return torch.sigmoid(self.draw(states))[:, None]


class Vae(nn.Module):
    """image (N, 1, side, side), noise (N, latent) -> reconstruction, mean, log_variance (Kingma & Welling
    2014)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, image, noise):
        mean, log_variance = self.encoder(image)
        return self.decoder(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance


class Classifier(nn.Module):
    """(N, 1, side, side) -> (N, 10) logits; images are compared by what its last layer reads, (N, 32)."""

    def __init__(self, side: int = SIDE):
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
                                  nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
                                  nn.Linear(32 * (side // 4) ** 2, 32))
        self.classify = nn.Linear(32, 10)

    def forward(self, image):
        return self.classify(F.relu(self.look(image)))


# What edge loads --------------------------------------------------------------------------------------------

def generator() -> tuple[nn.Module, tuple]:
    """Noise (N, 32) -> images."""
    return trained("generator"), (torch.zeros(1, NOISE),)


def discriminator() -> tuple[nn.Module, tuple]:
    """Images -> logits of being real."""
    return trained("discriminator"), (torch.zeros(1, 1, SIDE, SIDE),)


def vae() -> tuple[nn.Module, tuple]:
    """Image and noise -> reconstruction, mean and log_variance."""
    return trained("vae"), (torch.zeros(1, 1, SIDE, SIDE), torch.zeros(1, LATENT))


def decoder() -> tuple[nn.Module, tuple]:
    """The autoencoder's second half: codes (N, 8) -> images."""
    return trained("vae").decoder, (torch.zeros(1, LATENT),)


def recurrent_vae() -> tuple[nn.Module, tuple]:
    """Image and noise -> reconstruction, mean and log_variance, row by row."""
    return trained("recurrent_vae"), (torch.zeros(1, 1, SIDE, SIDE), torch.zeros(1, LATENT))


def recurrent_decoder() -> tuple[nn.Module, tuple]:
    """Its second half: codes (N, 8) -> images."""
    return trained("recurrent_vae").decoder, (torch.zeros(1, LATENT),)


def features() -> tuple[nn.Module, tuple]:
    """Images -> what a classifier of digits tells them by, (N, 32): the space of Frechet distances."""
    return trained("classifier").look, (torch.zeros(1, 1, SIDE, SIDE),)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "generator": lambda: Decoder(NOISE), "discriminator": Discriminator,
    "vae": lambda: Vae(Encoder(), Decoder(LATENT)), "recurrent_vae": lambda: Vae(RowEncoder(), RowDecoder()),
    "classifier": Classifier}


def trained(name: str) -> nn.Module:
    """With the weights of weights/NAME.npz."""
    network = NETWORKS[name]()
    with np.load(HERE / "weights" / f"{name}.npz") as stored:
        network.load_state_dict({key: torch.from_numpy(stored[key]) for key in stored})
    return network.eval()


# Samples ----------------------------------------------------------------------------------------------------

def split(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 1, 8, 8) in 0..1 and digits (N,) of one split."""
    with np.load(SAMPLES) as samples:
        chosen = samples["split"] == SPLITS.index(name)
        x, y = samples["x"][chosen], samples["y"][chosen]
    return torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32) / 16), torch.from_numpy(y)


def noise() -> dict[str, np.ndarray]:
    """For the generator: seeded noise, and beside it real images, which it is not meant to repeat."""
    return drawn(NOISE, SEED)


def codes() -> dict[str, np.ndarray]:
    """The same for the decoders."""
    return drawn(LATENT, SEED + 1)


def drawn(size: int, seed: int) -> dict[str, np.ndarray]:
    """x (N, size) standard normal, y (N, 8, 8, 1) real images of the same split, in turn."""
    rng, parts = np.random.default_rng(seed), []
    for name in SPLITS:
        images = split(name)[0].numpy().transpose(0, 2, 3, 1)
        count = DRAWN if name == "train" else len(images)
        parts.append({"x": rng.standard_normal((count, size), np.float32),
                      "y": images[np.arange(count) % len(images)], "split": np.full(count, name)})
    return {key: np.concatenate([part[key] for part in parts]) for key in ("x", "y", "split")}


def images_and_noise() -> dict[str, np.ndarray]:
    """For the autoencoders: images, seeded noise, and the same images as what should come out."""
    rng, parts = np.random.default_rng(SEED), []
    for name in SPLITS:
        images = split(name)[0].numpy().transpose(0, 2, 3, 1)
        parts.append({"image": images, "noise": rng.standard_normal((len(images), LATENT), np.float32),
                      "y": images, "split": np.full(len(images), name)})
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
