"""The measuring kit's labelled samples ($EDGE_KIT) in three parts: for calibration, selection and test."""

from collections.abc import Iterator
from io import BytesIO
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from toolchain.data import load_samples

ROOT = Path(__file__).resolve().parent.parent
KIT = Path(os.environ.get("EDGE_KIT") or ROOT.parent / "shared" / "kit")
SEED = 4
CALIBRATION, SELECTION = 100, 500
"""Samples to calibrate with, and, at most, to choose a recipe by."""


class Parts(NamedTuple):
    """Disjoint samples, each (n, ...) float32 as the network reads them, channels last; labels (n,) int64, or
    (0,) where there are none."""

    calibration: np.ndarray
    selection: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def jpegs(path: Path) -> Iterator[Image.Image]:
    """The images of one of the kit's blobs."""
    with np.load(path) as blob:
        data, ends = blob["jpeg"].tobytes(), blob["offset"]
    for start, end in zip(ends[:-1], ends[1:]):
        yield Image.open(BytesIO(data[start:end])).convert("RGB")


def images(paths: list[Path], size: tuple[int, int] | None = None) -> np.ndarray:
    """(N, height, width, 3) uint8; scaled where `size` is given."""
    found = (image for path in paths for image in jpegs(path))
    if size is not None:
        found = (image.resize(size, Image.Resampling.BILINEAR) for image in found)
    return np.stack([np.asarray(image) for image in found])


def labels(paths: list[Path]) -> np.ndarray:
    return np.concatenate([np.load(path)["y"] for path in paths]).astype(np.int64)


def shuffled(count: int) -> np.ndarray:
    """An order that depends on the seed alone: a moving average must not see samples sorted by class."""
    return np.random.default_rng(SEED).permutation(count)


class Cifar(NamedTuple):
    """The 9,000 training images and labels without those held out, then the parts; pixels 0..255."""

    train: tuple[np.ndarray, np.ndarray]
    parts: Parts


def cifar() -> Cifar:
    folder = KIT / "cifar10_jpeg"
    packs = [folder / f"train_{i}.npz" for i in range(3)]
    x, y = images(packs).astype(np.float32), labels(packs)
    order = shuffled(len(x))
    calibration, selection, train = np.split(order, [CALIBRATION, CALIBRATION + SELECTION])
    test = [folder / "test.npz"]
    return Cifar((x[train], y[train]), Parts(x[calibration], (x[selection], y[selection]),
                                             (images(test).astype(np.float32), labels(test))))


def keywords() -> Parts:
    """MFCCs; no speaker is in two parts."""
    packs = [np.load(KIT / f"speech_commands/mfcc_{i}.npz") for i in (0, 1)]
    x, y, speaker = (np.concatenate([pack[key] for pack in packs]) for key in ("mfcc", "y", "speaker"))
    x, y = x[..., None].astype(np.float32), y.astype(np.int64)
    turn = np.unique(speaker, return_inverse=True)[1] % 14
    order = shuffled(len(x))
    calibration, selection, test = (order[np.isin(turn[order], which)] for which in (0, (1, 2), range(3, 14)))
    calibration, selection = calibration[:CALIBRATION], selection[:SELECTION]
    return Parts(x[calibration], (x[selection], y[selection]), (x[test], y[test]))


def persons() -> Parts:
    """Photos at 96 x 96 in 0..1: those of ImageNet's calibrate, and choose, without labels."""
    photos, others = (images([KIT / f"imagenet_photos/photos224_{i}.npz"], (96, 96)).astype(np.float32) / 255
                      for i in (0, 1))
    with np.load(KIT / "vww_coco/images96.npz") as blob:
        test = blob["x"].astype(np.float32) / 255, blob["y"].astype(np.int64)
    x = photos[shuffled(len(photos))][:CALIBRATION]
    return Parts(x, (others, np.zeros(0, np.int64)), test)


def photographs() -> Parts:
    """(RGB - 127) / 128. Crops of calibration_data/photos and their mirror images calibrate, those of its
    test split choose (without labels); the kit's photos, of other things, are tested."""
    paths = [KIT / f"imagenet_photos/photos224_{i}.npz" for i in (0, 1)]
    crops = load_samples("photos")
    calibration, selection = (np.asarray(crops.split(name).x["x"]) for name in ("calibration", "test"))
    calibration = np.concatenate([calibration, calibration[:, :, ::-1]])
    x, chosen, test = (_centred(part) for part in (calibration[shuffled(len(calibration))][:CALIBRATION],
                                                   selection, images(paths)))
    return Parts(x, (chosen, np.zeros(0, np.int64)), (test, labels(paths)))


def _centred(pixels: np.ndarray) -> np.ndarray:
    return (pixels.astype(np.float32) - 127) / 128
