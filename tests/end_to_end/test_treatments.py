"""What equalisation and bias correction gain, on trained networks and on the zoo's: SQNR of logits in LiteRT.

Small networks answer to the luck of rounding: by half a dB to one and a half between sets of weights of the
same function. So each figure is the mean of several: channels scaled by up to 3 % give other codes. Samples
that calibrate are never those that are compared. Figures are printed (`pytest -rP`).
"""

from collections.abc import Callable, Mapping

from kit_data import jpegs
import numpy as np
from PIL import Image
import pytest

from tests.zoo.catalogue import CALIBRATION, HELD_OUT, ZOO
from tests.zoo.judge import samples_of, sqnr_db
from toolchain.execution import watch
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.quantize.bias import correct_biases
from toolchain.quantize.bias_analytic import correct_biases_analytically
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.channels import on_axis, rescaled, scalable_groups
from toolchain.quantize.equalise import cross_layer, equalised
from toolchain.quantize.quantize import quantize
from toolchain.quantize.reals import reals_of
from toolchain.recipe import CalibrateConfig, QuantSpec

pytestmark = [pytest.mark.slow, pytest.mark.oracle]
DRAWS = 4
Factors = Mapping[str, np.ndarray]


def drawn(graph: Graph, seed: int) -> tuple[Graph, Factors]:
    """The same function with other codes, and by what its channels were divided."""
    rng, factors = np.random.default_rng(seed), {}
    for group in scalable_groups(graph).groups:
        each = np.exp(rng.uniform(-0.03, 0.03, group.count))
        graph = rescaled(graph, group, each)
        factors |= {name: on_axis(each, channels) for name, channels in group.channels.items()}
    return graph, factors


class Bench:
    """One network, its calibration samples, and the float logits of other samples."""

    spec = QuantSpec()

    def __init__(self, source: Graph, calibration: np.ndarray, test: np.ndarray):
        self.source, self.graph = source, canonical(source)
        self.calibration, self.test = (samples_of(x).fit_to(self.graph) for x in (calibration, test))
        last = self.graph.producers[self.graph.outputs[0]]
        self.logits = last.inputs[0] if last.kind in ("softmax", "logistic") else last.name
        self.exact = self.answers(self.graph)

    def answers(self, graph: Graph) -> np.ndarray:
        return reals_of(graph, [self.logits], self.test, watch)[0]

    def quantized(self, graph: Graph) -> Graph:
        return quantize(graph, calibrate(graph, CalibrateConfig(), self.calibration, watch), self.spec)

    def figure(self, graph: Graph, correct: Callable[[Graph, Graph, Factors], Graph] | None = None) -> float:
        """Mean SQNR of the samples, dB, over the draws."""
        return float(np.mean([self._figure(*drawn(graph, seed), correct) for seed in range(DRAWS)]))

    def _figure(self, graph: Graph, factors: Factors, correct) -> float:
        codes = self.quantized(graph)
        found = self.answers(correct(graph, codes, factors) if correct else codes)
        return float(np.mean([sqnr_db(exact, row) for exact, row in zip(self.exact, found, strict=True)]))

    def empirically(self, graph: Graph, codes: Graph, factors: Factors) -> Graph:
        return correct_biases(graph, codes, self.calibration, watch)

    def analytically(self, graph: Graph, codes: Graph, factors: Factors) -> Graph:
        return correct_biases_analytically(self.source, graph, codes, factors)


def keywords(kit) -> Bench:
    parts = [np.load(kit / "speech_commands" / f"mfcc_{i}.npz") for i in (0, 1)]
    x, speaker = (np.concatenate([part[key] for part in parts]) for key in ("mfcc", "speaker"))
    x, held_out = x[..., None].astype(np.float32), np.isin(speaker, np.unique(speaker)[::14])
    source = load(kit / "models/kws_ref_model_float32.tflite")
    return Bench(source, x[held_out][:100], x[~held_out][::6][:400])


def small_images(kit) -> Bench:
    training, test = (np.stack([np.asarray(image, np.float32)
                                for image in list(jpegs(kit / "cifar10_jpeg" / name))[::step]])
                      for name, step in (("train_0.npz", 30), ("test.npz", 5)))
    return Bench(load(kit / "models/pretrainedResnet.tflite"), training, test)


def persons(kit) -> Bench:
    photos = [np.asarray(image.resize((96, 96), Image.Resampling.BILINEAR), np.float32) / 255
              for image in jpegs(kit / "imagenet_photos/photos224_0.npz")]
    with np.load(kit / "vww_coco/images96.npz") as blob:
        test = blob["x"].astype(np.float32) / 255
    return Bench(load(kit / "models/vww_96_float.tflite"), np.stack(photos), test)


def measured(name: str, bench: Bench) -> dict[str, float]:
    graph = bench.graph
    scaled = equalised(graph, bench.calibration, watch).graph
    found = {"plain": bench.figure(graph), "equalised": bench.figure(scaled),
             "biases": bench.figure(graph, bench.empirically),
             "both": bench.figure(scaled, bench.empirically)}
    if any(op.kind == "batch_norm" for op in bench.source.ops):
        found |= {"biases analytic": bench.figure(graph, bench.analytically)}
    found |= {"weights with weights": bench.figure(cross_layer(graph).graph)}
    figures = ", ".join(f"{key} {value:.1f} dB" for key, value in found.items())
    print(f"{name}, n = {len(bench.test)}: {figures}")
    return found


@pytest.mark.parametrize("make", [keywords, small_images, persons], ids=lambda make: make.__name__)
def test_trained_networks_gain(kit, make):
    found = measured(make.__name__, make(kit))
    assert found["both"] > found["plain"] + 0.5
    assert found["biases"] > found["plain"]
    assert found["both"] > found["biases"] - 0.3


@pytest.mark.parametrize("name", ["ds_cnn", "autoencoder", "conv_vae", "tcn", "mobilenet_v1_vww"])
def test_the_zoos_small_networks_lose_nothing(name):
    """Seeded weights, none the worse for it; half a dB to a dB is what draws leave open. Their batch norms
    know little of the samples, so that what is corrected by them may lose more."""
    entry = ZOO[name]
    found = measured(name, Bench(load(entry.open()), entry.draw(*CALIBRATION), entry.draw(*HELD_OUT)))
    assert found["both"] > found["plain"] - 0.5
    assert found["biases"] > found["plain"] - 0.5 and found["both"] > found["biases"] - 0.5
    assert found["equalised"] > found["plain"] - 1
    assert found.get("biases analytic", found["plain"]) > found["plain"] - 1.5


def test_biases_matter_most_where_activations_are_wide():
    """int16 activations: what error is left is the weights', and the most of it is in the mean."""
    entry = ZOO["ds_cnn"]
    bench = Bench(load(entry.open()), entry.draw(*CALIBRATION), entry.draw(*HELD_OUT))
    bench.spec = QuantSpec(scheme="static_wi8_ai16")
    plain, corrected = bench.figure(bench.graph), bench.figure(bench.graph, bench.empirically)
    print(f"int16 activations, n = {len(bench.test)}: plain {plain:.1f} dB, biases {corrected:.1f} dB")
    assert corrected > plain + 5
