"""Networks that draw 8 x 8 handwritten digits: a DCGAN, two variational autoencoders.

`edge build docs/examples/digits/model.py:generator ...` takes any of generator, discriminator, vae, decoder,
recurrent_vae, recurrent_decoder and features. Their weights lie in weights/; `python
docs/examples/digits/model.py` trains them again, seeded, in two minutes of CPU time. Images are in 0..1. All
that is random is an input: networks hold no noise.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[2] / "calibration_data" / "digits" / "samples.npz"
SPLITS = ("train", "calibration", "selection", "test")  # as in the set's manifest

SEED = 0
BATCH = 64
THREADS = 1  # their number decides in which order gradients are summed, so it decides the weights
NOISE = 32  # numbers that the generator draws from
LATENT = 8  # numbers that an autoencoder tells a digit by
ROWS = 8  # of an image, from the top down: the steps of the recurrent autoencoder
WIDTH = 64  # hidden units of either of its layers
DRAWN = 4096  # training inputs of the generator


# Networks ---------------------------------------------------------------------------------------------------

def up(channels_in: int, channels_out: int) -> nn.Sequential:
    """Twice as high and wide: a transposed convolution, batch norm, ReLU (Radford et al. 2016)."""
    conv = nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU())


class Decoder(nn.Module):
    """(N, size) -> (N, 1, 8, 8): the generator, and the second half of the autoencoder."""

    def __init__(self, size: int):
        super().__init__()
        self.start = nn.Sequential(nn.ConvTranspose2d(size, 64, 2, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.grow = nn.Sequential(up(64, 48), up(48, 24))
        self.draw = nn.ConvTranspose2d(24, 1, 3, padding=1)

    def forward(self, noise):
        return torch.sigmoid(self.draw(self.grow(self.start(noise[:, :, None, None]))))


class Discriminator(nn.Module):
    """(N, 1, 8, 8) -> (N, 1): the logit of an image being a real one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 32, 4, 2, 1)
        self.second = nn.Sequential(nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64))
        self.judge = nn.Linear(64 * 2 * 2, 1)

    def forward(self, image):
        x = F.leaky_relu(self.first(image), 0.2)
        return self.judge(F.leaky_relu(self.second(x), 0.2).flatten(1))


class Encoder(nn.Module):
    """(N, 1, 8, 8) -> mean and logarithm of the variance of the code, (N, LATENT) each."""

    def __init__(self):
        super().__init__()
        self.shrink = nn.Sequential(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(),
                                    nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(256, LATENT), nn.Linear(256, LATENT)

    def forward(self, image):
        x = self.shrink(image).flatten(1)
        return self.mean(x), self.log_variance(x)


class RowEncoder(nn.Module):
    """(N, 1, 8, 8), read row by row -> mean and logarithm of the variance of the code, (N, LATENT) each."""

    def __init__(self):
        super().__init__()
        self.read = nn.GRU(8, WIDTH, batch_first=True)
        self.mean, self.log_variance = nn.Linear(WIDTH, LATENT), nn.Linear(WIDTH, LATENT)

    def forward(self, image):
        states, _ = self.read(image.flatten(1, 2))
        return self.mean(states[:, -1]), self.log_variance(states[:, -1])


class RowDecoder(nn.Module):
    """(N, LATENT) -> (N, 1, 8, 8), drawn row by row: it begins with the code, and is fed learned numbers."""

    def __init__(self):
        super().__init__()
        self.begin = nn.Linear(LATENT, WIDTH)
        self.rows = nn.Parameter(0.3 * torch.randn(1, ROWS, LATENT))
        self.write = nn.GRU(LATENT, WIDTH, batch_first=True)
        self.draw = nn.Linear(WIDTH, 8)

    def forward(self, code):
        states, _ = self.write(self.rows.expand(len(code), -1, -1), torch.tanh(self.begin(code))[None])
        return torch.sigmoid(self.draw(states))[:, None]


class Vae(nn.Module):
    """image (N, 1, 8, 8), noise (N, LATENT) -> reconstruction, mean, log_variance (Kingma & Welling 2014)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, image, noise):
        mean, log_variance = self.encoder(image)
        return self.decoder(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance


class Classifier(nn.Module):
    """(N, 1, 8, 8) -> (N, 10) logits; what its last layer reads, (N, 32), is what images are compared by."""

    def __init__(self):
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
                                  nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 32))
        self.classify = nn.Linear(32, 10)

    def forward(self, image):
        return self.classify(F.relu(self.look(image)))


# What edge loads --------------------------------------------------------------------------------------------

def generator() -> tuple[nn.Module, tuple]:
    """Noise (N, 32) -> images."""
    return trained("generator"), (torch.zeros(1, NOISE),)


def discriminator() -> tuple[nn.Module, tuple]:
    """Images -> logits of being real."""
    return trained("discriminator"), (torch.zeros(1, 1, 8, 8),)


def vae() -> tuple[nn.Module, tuple]:
    """Image and noise -> reconstruction, mean and log_variance."""
    return trained("vae"), (torch.zeros(1, 1, 8, 8), torch.zeros(1, LATENT))


def decoder() -> tuple[nn.Module, tuple]:
    """The autoencoder's second half: codes (N, 8) -> images."""
    return trained("vae").decoder, (torch.zeros(1, LATENT),)


def recurrent_vae() -> tuple[nn.Module, tuple]:
    """Image and noise -> reconstruction, mean and log_variance, row by row."""
    return trained("recurrent_vae"), (torch.zeros(1, 1, 8, 8), torch.zeros(1, LATENT))


def recurrent_decoder() -> tuple[nn.Module, tuple]:
    """Its second half: codes (N, 8) -> images."""
    return trained("recurrent_vae").decoder, (torch.zeros(1, LATENT),)


def features() -> tuple[nn.Module, tuple]:
    """Images -> what a classifier of digits tells them by, (N, 32): the space of Frechet distances."""
    return trained("classifier").look, (torch.zeros(1, 1, 8, 8),)


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


# Training ---------------------------------------------------------------------------------------------------

def batches(epochs: int, *arrays: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Whole batches of every epoch, in an order of its own."""
    for _ in range(epochs):
        for index in torch.randperm(len(arrays[0])).split(BATCH)[:len(arrays[0]) // BATCH]:
            yield [array[index] for array in arrays]


def train_gan(epochs: int = 200) -> dict[str, nn.Module]:
    """Generator and discriminator against each other (Goodfellow et al. 2014, section 3).

    The generator's weights are averaged; the discriminator sees images with noise that fades (Sonderby et al.
    2017).
    """
    drawing, judging = Decoder(NOISE).train(), Discriminator().train()
    average = torch.optim.swa_utils.AveragedModel(
        drawing, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    to_draw, to_judge = (torch.optim.Adam(net.parameters(), 4e-4, (0.5, 0.99)) for net in (drawing, judging))
    images, _ = split("train")
    steps = epochs * (len(images) // BATCH)
    for step, (real,) in enumerate(batches(epochs, images)):
        blur = 0.3 * (1 - step / steps)
        made = drawing(torch.randn(BATCH, NOISE))
        seen = [judging(x + blur * torch.randn_like(x)) for x in (real, made.detach())]
        loss = F.softplus(-seen[0]).mean() + F.softplus(seen[1]).mean()
        to_judge.zero_grad()
        loss.backward()
        to_judge.step()
        loss = F.softplus(-judging(made + blur * torch.randn_like(made))).mean()
        to_draw.zero_grad()
        loss.backward()
        to_draw.step()
        average.update_parameters(drawing)
    return {"generator": average.module, "discriminator": judging}


def train_vae(epochs: int = 150, name: str = "vae", rate: float = 2e-3) -> dict[str, nn.Module]:
    """Maximise the ELBO of Bernoulli pixels (Kingma & Welling 2014, equation 10)."""
    network = NETWORKS[name]().train()
    optimizer = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (947 // BATCH))
    for (images,) in batches(epochs, split("train")[0]):
        made, mean, log_variance = network(images, torch.randn(len(images), LATENT))
        apart = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
        loss = (F.binary_cross_entropy(made, images, reduction="sum") + apart) / len(images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {name: network}


def train_recurrent_vae(epochs: int = 300) -> dict[str, nn.Module]:
    return train_vae(epochs, "recurrent_vae", 5e-3)


def train_classifier(epochs: int = 60) -> dict[str, nn.Module]:
    """Cross-entropy, on images with noise so that features are smooth."""
    network = Classifier().train()
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
    for images, labels in batches(epochs, *split("train")):
        loss = F.cross_entropy(network(images + 0.1 * torch.randn_like(images)), labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"classifier": network}


TRAINING: dict[str, Callable[[], dict[str, nn.Module]]] = {
    "gan": train_gan, "vae": train_vae, "recurrent_vae": train_recurrent_vae, "classifier": train_classifier}


def train(name: str) -> dict[str, nn.Module]:
    """Networks by name, of a key of TRAINING, in eval mode. Seeded."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            return {key: network.eval() for key, network in TRAINING[name]().items()}
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    for name in sys.argv[1:] or TRAINING:
        for key, network in train(name).items():
            (HERE / "weights").mkdir(exist_ok=True)
            np.savez_compressed(HERE / "weights" / f"{key}.npz",
                                **{k: v.numpy() for k, v in network.state_dict().items()})
            print(f"weights/{key}.npz: {sum(p.numel() for p in network.parameters()):,} parameters")
