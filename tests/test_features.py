"""The network that gives features: as a file of an artefact, and of the outputs that it is for."""

import numpy as np
import pytest
import torch

from toolchain.errors import BadInput, BadSamples
from toolchain.features import embedding, embedding_of, features_file

MODEL = """
import torch
from torch import nn

def features():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten()), (torch.zeros(1, 3, 6, 6),)
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    file = tmp_path_factory.mktemp("features") / "model.py"
    file.write_text(MODEL)
    return f"{file}:features"


def test_features_of_channels_last_images_are_torchs(spec):
    scope = {}
    exec(MODEL, scope)
    network, _ = scope["features"]()
    images = np.random.default_rng(0).random((4, 6, 6, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()
    found = embedding(spec)(images)
    assert found.shape == (4, 80) and np.sort(found, 1) == pytest.approx(np.sort(wanted, 1), abs=1e-5)
    assert np.array_equal(embedding_of(features_file(spec))(images), found)


def test_grey_images_may_be_channels_first(tmp_path):
    (tmp_path / "model.py").write_text(MODEL.replace("3, 5, 3", "1, 5, 3").replace("1, 3, 6", "1, 1, 6"))
    embed = embedding(f"{tmp_path}/model.py:features")
    images = np.random.default_rng(0).random((4, 6, 6, 1)).astype(np.float32)
    assert np.array_equal(embed(images.reshape(4, 1, 6, 6)), embed(images))


def test_no_model_gives_no_features():
    assert embedding("") is None


def test_outputs_of_another_shape(spec):
    with pytest.raises(BadSamples, match=r"takes .*\(6, 6, 3\), but outputs have shape \(3, 6, 6\)"):
        embedding(spec)(np.zeros((4, 3, 6, 6)))


def test_a_function_that_is_not_there(spec):
    with pytest.raises(BadInput, match="has no function 'nothing'"):
        embedding(spec.removesuffix('features') + 'nothing')
