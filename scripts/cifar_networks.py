"""Networks for 32 x 32 images, trained on the measuring kit's CIFAR images.

Input (N, 3, 32, 32): RGB 0..255. Output (N, 10) logits. Weights are kept in build/benchmark/cifar/ and
trained where they are missing: 10 minutes on one thread, the same on every run of the same machine.

cifar_networks.py NAME: train it.
"""

from collections.abc import Callable, Iterable, Iterator
import hashlib
import math
from pathlib import Path
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.models import InvertedResidual, ResNet, conv_bn
from tests.zoo.mobile import Bottleneck, classifier

FOLDER = Path(__file__).resolve().parent.parent / "build" / "benchmark" / "cifar"
EXAMPLE = torch.zeros(1, 3, 32, 32)
EPOCHS = {"resnet8": 40, "mobilenet_v2": 20, "mobilenet_v3": 20}
BATCH, RATE, DECAY = 64, 0.08, 5e-4
SHIFT = 4
FAST = torch.channels_last
SEED = 1


class Centred(nn.Module):
    """Pixels 0..255 become -2..2, about; a convolution takes it in."""

    def forward(self, x):
        return (x - 120.0) / 64.0


class ResNet8(nn.Sequential):
    """MLPerf Tiny's network for image classification."""

    def __init__(self):
        super().__init__(Centred(), ResNet([(16, 1, 1), (32, 1, 2), (64, 1, 2)]))


class MobileNetV2(nn.Sequential):
    """Sandler et al. 2018, table 2, half as wide; with three strides of 2, not five, for small images."""

    STAGES = ((1, 8, 1, 1), (6, 16, 2, 2), (6, 24, 2, 1), (6, 32, 2, 2), (6, 48, 2, 1), (6, 80, 2, 2))

    def __init__(self):
        layers, channels = [Centred(), conv_bn(3, 16)], 16
        for expand, outputs, count, stride in self.STAGES:
            for index in range(count):
                layers.append(InvertedResidual(channels, outputs, stride if index == 0 else 1, expand))
                channels = outputs
        super().__init__(*layers, conv_bn(channels, 320, 1), classifier(320, 10))


class MobileNetV3(nn.Sequential):
    """Howard et al. 2019, table 2, half as wide; with three strides of 2, not five, for small images."""

    BLOCKS = ((16, 3, 16, 16, True, nn.ReLU, 1), (16, 3, 40, 16, False, nn.ReLU, 2),
              (16, 3, 48, 16, False, nn.ReLU, 1), (16, 5, 64, 24, True, nn.Hardswish, 2),
              *[(24, 5, 96, 24, True, nn.Hardswish, 1)] * 2, (24, 5, 96, 32, True, nn.Hardswish, 1),
              (32, 5, 128, 32, True, nn.Hardswish, 1), (32, 5, 160, 48, True, nn.Hardswish, 2),
              *[(48, 5, 192, 48, True, nn.Hardswish, 1)] * 2)

    def __init__(self):
        blocks = [Bottleneck(*row) for row in self.BLOCKS]
        super().__init__(Centred(), conv_bn(3, 16, act=nn.Hardswish), *blocks,
                         conv_bn(48, 288, 1, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(288, 256), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(256, 10))


NETWORKS = {"resnet8": ResNet8, "mobilenet_v2": MobileNetV2, "mobilenet_v3": MobileNetV3}


def resnet8() -> tuple[nn.Module, tuple]:
    return trained("resnet8"), (EXAMPLE,)


def mobilenet_v2() -> tuple[nn.Module, tuple]:
    return trained("mobilenet_v2"), (EXAMPLE,)


def mobilenet_v3() -> tuple[nn.Module, tuple]:
    return trained("mobilenet_v3"), (EXAMPLE,)


def trained(name: str) -> nn.Module:
    """A network of NETWORKS with its weights, in eval mode."""
    path = weights_path(name)
    if not path.exists():
        train(name, path)
    network = NETWORKS[name]()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def weights_path(name: str) -> Path:
    """Named after what shapes the weights."""
    torch.manual_seed(SEED)
    shape = f"{NETWORKS[name]()} {EPOCHS[name]} {BATCH} {RATE} {DECAY} {SHIFT} {SEED}"
    return FOLDER / f"{name}-{hashlib.sha256(shape.encode()).hexdigest()[:12]}.pt"


# Training ---------------------------------------------------------------------------------------------------

def train(name: str, path: Path) -> None:
    """Writes the weights of the last step to `path`."""
    from kit_data import cifar

    data = cifar()
    torch.manual_seed(SEED)
    network = NETWORKS[name]().to(memory_format=FAST)
    learn(network, name, EPOCHS[name], len(data.train[1]), lambda random: batches(*data.train, random))
    hits = right(network, *data.parts.selection)
    print(f"{name}: {hits:.1%} of the selection samples", file=sys.stderr, flush=True)
    keep(network, path)


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov's momentum."""
    return torch.optim.SGD(groups(network, DECAY), RATE, momentum=0.9, nesterov=True)


def learn(network: nn.Module, name: str, epochs: int, samples: int,
          epoch_of: Callable[[np.random.Generator], Iterable[tuple]],
          optimiser_of: Callable[[nn.Module], torch.optim.Optimizer] = sgd) -> None:
    """The rate rises for a tenth of the steps, then falls as a cosine. epoch_of: batches (x, y) of one epoch
    over so many samples, in an order of its own."""
    torch.set_num_threads(1)
    random, steps = np.random.default_rng(SEED), epochs * (samples // BATCH)
    optimiser = optimiser_of(network)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step / steps))
    for epoch in range(epochs):
        begin, losses = time.perf_counter(), []
        for x, y in epoch_of(random):
            optimiser.zero_grad()
            x = x.to(memory_format=FAST) if x.ndim == 4 else x
            loss = functional.cross_entropy(network(x), y, label_smoothing=0.05)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"{name}: epoch {epoch + 1} of {epochs}, loss {np.mean(losses):.3f}, "
              f"{time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)


def kept(network: nn.Module, path: Path, train: Callable[[], None]) -> nn.Module:
    """The network with its weights, in eval mode; trained where they are not there yet."""
    if not path.exists():
        train()
        keep(network, path)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def keep(network: nn.Module, path: Path) -> None:
    """The weights, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    torch.save(network.state_dict(), temporary)
    temporary.replace(path)


def groups(network: nn.Module, decay: float) -> list[dict]:
    """Weights decay, biases and norms do not."""
    named = list(network.parameters())
    return [{"params": [p for p in named if p.ndim > 1], "weight_decay": decay},
            {"params": [p for p in named if p.ndim == 1], "weight_decay": 0.0}]


def rate_at(share: float) -> float:
    """Of the highest rate, after a share of all steps."""
    return 10 * share if share < 0.1 else 0.5 * (1 + math.cos(math.pi * min(1.0, (share - 0.1) / 0.9)))


def batches(x: np.ndarray, y: np.ndarray, random: np.random.Generator) -> Iterator[tuple]:
    """One epoch of (BATCH, 3, 32, 32) images, each moved by up to SHIFT pixels and half of them mirrored."""
    padded = np.pad(x.transpose(0, 3, 1, 2), ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)), mode="reflect")
    order, side = random.permutation(len(x)), x.shape[1]
    for start in range(0, len(x) - BATCH + 1, BATCH):
        chosen = order[start:start + BATCH]
        corners = random.integers(0, 2 * SHIFT + 1, (BATCH, 2))
        moved = [padded[i, :, top:top + side, left:left + side]
                 for i, (top, left) in zip(chosen, corners, strict=True)]
        flips = random.random(BATCH) < 0.5
        mirrored = np.stack([m[..., ::-1] if flip else m for m, flip in zip(moved, flips, strict=True)])
        yield torch.from_numpy(mirrored), torch.from_numpy(y[chosen])


def right(network: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    """Share of images whose label it tells."""
    with torch.no_grad():
        found = network.eval()(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))))
    return float(np.mean(found.argmax(1).numpy() == y))


if __name__ == "__main__":
    trained(sys.argv[1])
