"""The zoo: every network that the doors are judged by, and what it is fed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tests.zoo import pretrained
from tests.zoo.seeding import Draw, bounded, gaussian, smooth, words

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CALIBRATION, HELD_OUT = (64, 1), (16, 2)
"""(samples, seed) for `Entry.draw`: none is in both; networks were settled with a third seed."""


@dataclass(frozen=True)
class Entry:
    """A network.

    title:  for the table
    source: "file.py:function" under the repository's root, or a function that gives the path of an .onnx file
    draw:   (count, seed) -> (count, ...) samples for the only input, in the source's layout; of several
            inputs those by name
    fast:   small enough to be judged on every run of the tests
    """

    name: str
    title: str
    source: str | Callable[[], Path]
    draw: Callable[[int, int], np.ndarray | Mapping[str, np.ndarray]]
    fast: bool = False

    def open(self) -> str:
        """What `toolchain.load.load` takes."""
        return str(ROOT / self.source) if isinstance(self.source, str) else str(self.source())

    @property
    def is_torch(self) -> bool:
        return isinstance(self.source, str)


def _drawn(shape: tuple[int, ...], draw: Draw, count: int, seed: int) -> np.ndarray:
    return draw(shape, count, seed).numpy()


def _seeded(file: str, function: str, title: str, *shape: int, draw: Draw = smooth,
            fast: bool = False) -> Entry:
    """A network built in code with seeded weights, fed what it was settled on (with another seed)."""
    return Entry(function, title, f"tests/zoo/{file}.py:{function}", partial(_drawn, shape, draw), fast)


ENTRIES = (
    _seeded("mobile", "mobilenet_v1", "MobileNetV1", 3, 160, 160),
    _seeded("mobile", "mobilenet_v1_vww", "MobileNetV1 0.25 (MLPerf Tiny)", 3, 96, 96, fast=True),
    _seeded("mobile", "mobilenet_v2", "MobileNetV2", 3, 224, 224),
    _seeded("mobile", "mobilenet_v3_small", "MobileNetV3-Small", 3, 160, 160),
    _seeded("mobile", "shufflenet_v2", "ShuffleNetV2", 3, 160, 160),
    _seeded("mobile", "squeezenet", "SqueezeNet 1.1", 3, 128, 128),
    Entry("efficientnet_lite0", "EfficientNet-Lite0, trained",
          "docs/examples/efficientnet_lite0/model.py:pretrained", pretrained.photographs),
    _seeded("residual", "resnet18", "ResNet-18", 3, 128, 128),
    _seeded("residual", "resnet50", "ResNet-50", 3, 128, 128),
    _seeded("residual", "regnet_y_400mf", "RegNetY-400MF", 3, 128, 128),
    _seeded("residual", "densenet121", "DenseNet-121", 3, 128, 128),
    _seeded("residual", "convnext", "ConvNeXt, small", 3, 96, 96),
    _seeded("images", "unet_transposed", "U-Net, transposed convolutions", 3, 96, 96),
    _seeded("images", "unet_bilinear", "U-Net, bilinear", 3, 96, 96),
    _seeded("images", "ssd", "SSD on inverted residuals", 3, 128, 128),
    _seeded("images", "yolo", "YOLOv8-style detector", 3, 128, 128),
    Entry("text_detector", "PP-OCRv4 text detector, trained (ONNX)", pretrained.text_detector,
          pretrained.pages),
    _seeded("small", "ds_cnn", "DS-CNN (MLPerf Tiny)", 1, 49, 10, fast=True),
    _seeded("small", "tcn", "TCN", 6, 128, fast=True),
    _seeded("attention", "keyword_transformer", "Keyword transformer", 1, 49, 40, fast=True),
    _seeded("attention", "vit", "ViT, small", 3, 64, 64, fast=True),
    _seeded("attention", "mobilevit", "MobileViT, small", 3, 64, 64, fast=True),
    _seeded("attention", "text_transformer", "Text transformer", 64, draw=words, fast=True),
    _seeded("recurrent", "gru", "GRU", 1, 49, 40, draw=bounded, fast=True),
    _seeded("recurrent", "lstm", "LSTM", 1, 49, 40, draw=bounded, fast=True),
    _seeded("recurrent", "lstm_both_ways", "LSTM in both directions", 1, 49, 40, draw=bounded, fast=True),
    _seeded("recurrent", "gru_stacked", "GRU, stacked", 1, 49, 40, draw=bounded, fast=True),
    _seeded("recurrent", "text_gru", "Text GRU", 64, draw=words, fast=True),
    Entry("silero_vad", "silero-vad, trained (ONNX)", pretrained.silero_vad, pretrained.frames_of_sound),
    Entry("swift_f0", "swift-f0, trained (ONNX)", pretrained.swift_f0, pretrained.spectrograms),
    _seeded("generative", "dcgan_generator", "DCGAN generator", 100, 1, 1, draw=gaussian),
    _seeded("generative", "dcgan_discriminator", "DCGAN discriminator", 3, 64, 64),
    _seeded("generative", "conv_vae", "Convolutional VAE", 1, 32, 32, fast=True),
    _seeded("small", "autoencoder", "Autoencoder (MLPerf Tiny)", 1, 5, 128, fast=True),
)
ZOO: Mapping[str, Entry] = {entry.name: entry for entry in ENTRIES}
