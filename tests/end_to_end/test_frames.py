"""Raw uint8 photographs through the example's artefact of EfficientNet-Lite0.

Beside float preprocessing and the float network in ONNX Runtime. Figures are printed (`pytest -rP`).
"""

from io import BytesIO
from pathlib import Path
import zipfile

import numpy as np
from PIL import Image
import pytest

from toolchain.artifact import Artifact
from toolchain.data import load_samples
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.onnx import write_onnx
from toolchain.pipeline import build, prepare
from toolchain.profile import load_target
from toolchain.recipe import load_recipe
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "efficientnet_lite0"


@pytest.fixture(scope="module")
def photos(kit) -> tuple[np.ndarray, list[str], np.ndarray]:
    """(200, 224, 224, 3) uint8 RGB, what is in them in words and as ImageNet's class index."""
    pixels, names, truth = [], [], []
    for i in (0, 1):
        with np.load(kit / f"imagenet_photos/photos224_{i}.npz") as blob:
            data, ends = blob["jpeg"].tobytes(), blob["offset"]
            names += [name[10:-5].replace("_", " ").lower() for name in blob["name"].tolist()]
            truth += blob["y"].tolist()
        pixels += [np.asarray(Image.open(BytesIO(data[a:b])).convert("RGB")) for a, b in zip(ends, ends[1:])]
    return np.stack(pixels), names, np.array(truth)


@pytest.fixture(scope="module")
def graph():
    return load(f"{EXAMPLE}/model.py:pretrained")


@pytest.fixture(scope="module")
def artifact(graph) -> Artifact:
    recipe, samples, host = load_recipe(EXAMPLE / "recipe.toml"), load_samples("photos"), load_target("host")
    return build(prepare(graph, recipe, samples, host), host, samples)


def test_raw_photographs_are_named_as_the_float_network_names_them(graph, artifact, photos):
    x, *_ = photos
    real = np.ascontiguousarray(((x.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2))
    exact = OnnxRuntime(write_onnx(canonical(graph))).run({"inputs": real})["_fc"].argmax(1)
    port, = LiteRT(artifact.model("tflite")).inputs
    assert (port.dtype, port.scale, port.zero_point) == ("uint8", 1 / 128, 127)
    for fmt, fed in (("tflite", x), ("onnx", np.ascontiguousarray(x.transpose(0, 3, 1, 2)))):
        session = (LiteRT if fmt == "tflite" else OnnxRuntime)(artifact.model(fmt))
        agreement = float((session.run({"inputs": fed})["_fc"].argmax(1) == exact).mean())
        print(f"{fmt}: {100 * agreement:.1f} % of {len(x)} raw photographs get the float network's class")
        assert agreement >= 0.93


def test_the_metadata_names_the_class(artifact, photos):
    """By the .tflite file alone. 155 of the photographs have a name of labels.txt, others a synonym
    of WordNet's."""
    x, names, truth = photos
    with zipfile.ZipFile(BytesIO(artifact.model("tflite"))) as archive:
        labels = [label.lower() for label in archive.read("labels.txt").decode().splitlines()]
    assert len(labels) == 1000
    found = LiteRT(artifact.model("tflite")).run({"inputs": x})["_fc"].argmax(1)
    named = [i for i, name in enumerate(names) if name in labels]
    right = [i for i in named if labels[found[i]] == names[i]]
    print(f"{len(right)} of {len(named)} photographs get their own name")
    assert len(named) == 155 and all(labels[truth[i]] == names[i] for i in named)
    assert len(right) >= 0.85 * len(named)


def test_the_normalization_costs_no_multiplication(graph, artifact):
    assert artifact.manifest.macs == graph_macs(canonical(graph))
