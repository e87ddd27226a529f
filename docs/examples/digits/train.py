"""How networks that draw learn. `python -m docs.examples.digits.train [NAME ...]` trains model.py's again,
seeded, in two minutes of CPU time."""

from collections.abc import Callable, Iterator
import sys
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from docs.examples.digits.model import HERE, LATENT, NETWORKS, NOISE, SEED, split

BATCH = 64
Made = TypeVar("Made")
THREADS = 1  # their number decides in which order gradients are summed, so it decides the weights


def batches(epochs: int, *arrays: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Whole batches of every epoch, in an order of its own."""
    for _ in range(epochs):
        for index in torch.randperm(len(arrays[0])).split(BATCH)[:len(arrays[0]) // BATCH]:
            yield [array[index] for array in arrays]


def train_gan(drawing: nn.Module, judging: nn.Module, images: torch.Tensor, noise: int, epochs: int,
              rate: float) -> nn.Module:
    """Generator and discriminator against each other (Goodfellow et al. 2014, section 3).

    Gives the generator with its weights averaged; the discriminator sees images with noise that fades
    (Sonderby et al. 2017). noise: numbers that the generator draws from
    """
    average = torch.optim.swa_utils.AveragedModel(
        drawing, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    to_draw, to_judge = (torch.optim.Adam(net.parameters(), rate, (0.5, 0.99)) for net in (drawing, judging))
    steps = epochs * (len(images) // BATCH)
    for step, (real,) in enumerate(batches(epochs, images)):
        blur = 0.3 * (1 - step / steps)
        made = drawing(torch.randn(BATCH, noise))
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
    return average.module


def train_vae(network: nn.Module, images: torch.Tensor, latent: int, epochs: int, rate: float) -> nn.Module:
    """Maximise the ELBO of Bernoulli pixels (Kingma & Welling 2014, equation 10)."""
    optimizer = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(images) // BATCH))
    for (seen,) in batches(epochs, images):
        made, mean, log_variance = network(seen, torch.randn(BATCH, latent))
        apart = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
        loss = (F.binary_cross_entropy(made, seen, reduction="sum") + apart) / BATCH
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network


def train_classifier(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int,
                     rate: float) -> nn.Module:
    """Cross-entropy, on images with noise so that features are smooth."""
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.05)
    for seen, told in batches(epochs, images, labels):
        loss = F.cross_entropy(network(seen + 0.1 * torch.randn_like(seen)), told, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


# Those of model.py ------------------------------------------------------------------------------------------

def gan(epochs: int = 200) -> dict[str, nn.Module]:
    drawing, judging = NETWORKS["generator"](), NETWORKS["discriminator"]()
    made = train_gan(drawing, judging, split("train")[0], NOISE, epochs, 4e-4)
    return {"generator": made, "discriminator": judging}


def vae(epochs: int = 150, name: str = "vae", rate: float = 2e-3) -> dict[str, nn.Module]:
    return {name: train_vae(NETWORKS[name](), split("train")[0], LATENT, epochs, rate)}


def recurrent_vae(epochs: int = 300) -> dict[str, nn.Module]:
    return vae(epochs, "recurrent_vae", 5e-3)


def classifier(epochs: int = 60) -> dict[str, nn.Module]:
    return {"classifier": train_classifier(NETWORKS["classifier"](), *split("train"), epochs, 2e-3)}


TRAINING: dict[str, Callable[[], dict[str, nn.Module]]] = {
    "gan": gan, "vae": vae, "recurrent_vae": recurrent_vae, "classifier": classifier}


def train(name: str) -> dict[str, nn.Module]:
    """Networks by name, of a key of TRAINING, in eval mode."""
    return {key: network.eval() for key, network in seeded(TRAINING[name], SEED).items()}


def seeded(make: Callable[[], Made], seed: int) -> Made:
    """What is made; random numbers elsewhere go on as if it had not been."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return make()
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    for name in sys.argv[1:] or TRAINING:
        for key, network in train(name).items():
            (HERE / "weights").mkdir(exist_ok=True)
            np.savez_compressed(HERE / "weights" / f"{key}.npz",
                                **{k: v.numpy() for k, v in network.state_dict().items()})
            print(f"weights/{key}.npz: {sum(p.numel() for p in network.parameters()):,} parameters")
