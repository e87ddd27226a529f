"""Two trained networks of one task, the larger one better, and labelled samples in splits: as files."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from toolchain.ir.graph import Graph
from toolchain.load import arranged
from toolchain.load.torch import load_torch
from toolchain.lower.onnx import write_onnx

SIZES = {"train": 1500, "calibration": 60, "selection": 600, "test": 800}
CLASSES = 4


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of 8 numbers around two places for each class, near others for some."""
    random = np.random.default_rng(seed)
    places = np.random.default_rng(1).normal(0, 1.5, (2 * CLASSES, 8))
    which = random.integers(0, len(places), count)
    x = places[which] + random.normal(0, 0.8, (count, 8)) * random.uniform(0.3, 1.7, (count, 1))
    return x.astype(np.float32), which % CLASSES


def samples(path: Path, **left_out: None) -> Path:
    """An .npz of all splits. left_out: arrays that it has not"""
    parts = [drawn(count, number) for number, count in enumerate(SIZES.values())]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts))
    arrays = {"x": x, "y": y, "split": np.repeat([*SIZES], [*SIZES.values()])}
    np.savez(path, **{name: array for name, array in arrays.items() if name not in left_out})
    return path


def trained(name: str, *widths: int, softmax: bool = False, classes: int = CLASSES) -> Graph:
    """A perceptron with layers of these widths between."""
    torch.manual_seed(0)
    sizes, layers = (8, *widths, classes), []
    for before, after in zip(sizes, sizes[1:]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    x, y = map(torch.from_numpy, drawn(SIZES["train"], 0))
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(120):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimiser.step()
    network = nn.Sequential(network, nn.Softmax(1)) if softmax else network
    return arranged(load_torch(network.eval(), (torch.zeros(1, 8),), name))


def written(folder: Path, graph: Graph) -> Path:
    """As an .onnx file."""
    path = folder / f"{graph.name}.onnx"
    path.write_bytes(write_onnx(graph))
    return path
