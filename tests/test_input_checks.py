"""A network's own batch norms and metadata tell samples that it was not trained on."""

from dataclasses import replace
import re

import numpy as np
import pytest
import torch
from torch import nn

from tests.load.torch_nets import load_checked
from toolchain.data import Preprocessing, Samples
from toolchain.input_checks import distance, findings, first_norms
from toolchain.ir.build import Builder
from toolchain.ir.graph import Frames

RNG = np.random.default_rng(0)


def pictures(count: int) -> np.ndarray:
    """Pixels 0..255 with the smooth colours of photographs."""
    coarse = RNG.integers(0, 256, (count, 4, 4, 3)).astype(np.float32)
    return coarse.repeat(4, 1).repeat(4, 2).clip(0, 255).round().astype(np.uint8)


PIXELS = pictures(64)


@pytest.fixture(scope="module")
def trained():
    """A convolution and batch norm whose statistics were taken of pixels normalized to -1..1."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8, momentum=None), nn.ReLU(),
                           nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4))
    x = torch.from_numpy((PIXELS.astype(np.float32) - 127.5) / 127.5).permute(0, 3, 1, 2)
    module.train()(x)
    return load_checked(module.eval(), 1, 3, 16, 16)


def fed_as(mean, scale, x=None) -> Samples:
    x = pictures(64) if x is None else x
    return Samples("photos", {"x": x}, None, None, np.arange(len(x)), Preprocessing(mean, scale),
                   "channels_last", channels=("red", "green", "blue"))


def test_only_the_first_of_batch_norms_is_asked(trained):
    assert [op.inputs[0] for op in first_norms(trained)] == ["0"]


def test_the_distance_is_torch_s_batch_statistics(trained):
    """Mean and variance that torch's own batch norm would take of the same batch."""
    norm, = first_norms(trained)
    x = (PIXELS.astype(np.float32) - 127.5) / 127.5
    offset, octaves = distance(trained, norm, {trained.inputs[0]: x})
    assert offset < 1e-3 and abs(octaves) < 1e-3
    offset, octaves = distance(trained, norm, {trained.inputs[0]: 4 * x})
    assert abs(octaves - 2) < 1e-3


def test_samples_as_in_training_are_not_remarked_on(trained):
    assert not findings(fed_as(127.5, 127.5), trained)


def test_classes_that_a_few_samples_lack_are_not_missed(trained):
    assert not findings(replace(fed_as(127.5, 127.5), y=np.arange(64) + 200), trained)


@pytest.mark.parametrize("mean, scale, words", [
    (0.0, 1.0, "times more than"), (0.0, 255.0, "times less than"), (127.5, 1.0, "times more than"),
    ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "times more than")])
def test_another_normalization_is_noticed_and_the_right_one_named(trained, mean, scale, words):
    finding, = findings(fed_as(mean, scale), trained)
    assert finding.severity == "warning" and words in finding.message
    assert finding.message.endswith("pixels normalized to -1..1, (x - 127.5) / 127.5 would fit")


def test_values_normalized_before_they_were_stored_are_noticed_too(trained):
    finding, = findings(fed_as(0.0, 1.0, pictures(64) / np.float32(255)), trained)
    assert "times less than" in finding.message and "-1..1" in finding.message


def test_a_batch_norm_that_never_saw_data_says_nothing():
    graph = load_checked(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval(), 1, 3, 16, 16)
    assert not first_norms(graph)


def graph_of_images(frames=None):
    builder = Builder("net")
    builder.input("image", (1, 16, 16, 3))
    graph = builder.graph(builder.op("relu", ["image"], "y"))
    known = {} if frames is None else {"image": frames}
    return replace(graph, metadata=replace(graph.metadata, frames=known))


@pytest.mark.parametrize("mean, scale, message", [
    (0.0, 255.0, None), (0.0, 1.0, "values are in .*, but the model says that it takes 0..1 "),
    (127.5, 127.5, "values are in -1..1, but the model"),
    (0.0, 255.0 * 255, "values are in 0..0.0039.*, but the model")])
def test_metadata_is_believed(mean, scale, message):
    found = findings(fed_as(mean, scale), graph_of_images(Frames((0.0,), (255.0,), "rgb")))
    assert not found if message is None else re.search(message, str(found[0]))


def test_pixels_as_they_are_are_doubted_where_nothing_is_known():
    finding, = findings(fed_as(0.0, 1.0), graph_of_images())
    assert "whole numbers in 0..255, pixels by the look of them" in finding.message
    assert not findings(fed_as(127.0, 128.0), graph_of_images())


def test_a_shape_that_does_not_fit_is_an_error():
    finding, = findings(fed_as(0.0, 1.0, pictures(64)[:, :8]), graph_of_images())
    assert finding.severity == "error" and "holds samples of shape (8, 16, 3)" in finding.message
