"""What benchmark_training.py measures of quantization: what codes cost a network, in several ways of choosing
them, and how much of that [qat] wins back."""

from collections.abc import Mapping
from functools import cache, partial
import importlib
from pathlib import Path
import sys
from typing import NamedTuple

from figures import packed
import msgspec
import numpy as np
from pruning_cells import opened, recipe_of, samples_of, start
from pruning_figures import UNPRUNED, Cell
import torch
from training_figures import DEFAULT, FLOAT, LEARNED, NEAREST, Coded

from toolchain.data import Samples, load_samples
from toolchain.execution import watch
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.post_training import PostTraining
from toolchain.quantize.calibrate import OpenWatch
from toolchain.quantize.reals import reals_of
from toolchain.recipe import QatConfig, QuantSpec, Recipe
from toolchain.scheme import scheme_of
from toolchain.train.distill import tensors
from toolchain.train.quantized_module import QuantizedModule

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "har_watch"
SEPARABLE = "separable"
EPOCHS: Mapping[str, int] = {SEPARABLE: 20, "ds_cnn": 10, "resnet8": 4}
"""Network -> of [qat]. SEPARABLE is trained from each seed anew, the others are the kit's, trained once."""
COARSE, FINE = "static_wi4_ai8", "static_wi8_ai8"
SCHEMES = (FINE, COARSE)


class Source(NamedTuple):
    """A trained network with its batch norms, its samples, and what [qat] takes from its own training."""

    graph: Graph
    samples: Samples
    loader: str


@cache
def source(network: str, seed: int) -> Source:
    if network != SEPARABLE:
        graph, samples = start(network), samples_of(network, seed)
        train = recipe_of(Cell(network, UNPRUNED, 1.0, seed)).train
        return Source(graph, samples.fit_to(graph), train.loader)
    if str(EXAMPLE) not in sys.path:
        sys.path.insert(0, str(EXAMPLE))
    graph = opened(*importlib.import_module(SEPARABLE).trained(seed), SEPARABLE)
    return Source(graph, load_samples("har_watch").fit_to(graph), "")


def ways(scheme: str, config: QatConfig, seed: int) -> dict[str, Recipe]:
    """Name -> what is done. Eight bits are not trained."""
    plain = QuantSpec(scheme=scheme, bias_correction="none")

    def chosen(**changes) -> Recipe:
        return Recipe(quantize=msgspec.structs.replace(plain, **changes), seed=seed)

    def trained(ranges: str) -> Recipe:
        return Recipe(quantize=plain, qat=msgspec.structs.replace(config, ranges=ranges), seed=seed)

    found = {NEAREST: chosen(), DEFAULT: chosen(bias_correction="empirical")}
    if scheme == FINE:
        return found
    return found | {"GPTQ, biases corrected": chosen(bias_correction="empirical", rounding="gptq"),
                    "AdaRound, biases corrected": chosen(bias_correction="empirical", rounding="adaround"),
                    "`[qat]`, ranges fixed": trained("fixed"), LEARNED: trained("learned")}


def coded(network: str, scheme: str, seed: int, epochs: int, key: str) -> Coded:
    """Quantize in every way; answer the test samples in LiteRT."""
    of = source(network, seed)
    graph, test = canonical(of.graph), of.samples.split("test")
    stages = PostTraining(graph, of.samples, lambda line: None, of.graph)
    recipes = ways(scheme, QatConfig(epochs=epochs, loader=of.loader), seed)
    graphs = {FLOAT: graph} | {way: stages.quantized(recipe) for way, recipe in recipes.items()}
    told = {way: _answers(one, test) for way, one in graphs.items()}
    simulated = _simulated(graph, graphs[NEAREST], scheme, test)
    in_c = _answers(graphs[NEAREST], test, partial(watch, runtime="reference"))
    return Coded(key=key, network=network, scheme=scheme, seed=seed, n=len(test.y),
                 hits={way: packed(found == test.y) for way, found in told.items()},
                 same={way: float((found == told[FLOAT]).mean()) for way, found in told.items()},
                 predicted=float((simulated == told[NEAREST]).mean()), in_c=float((simulated == in_c).mean()))


def _answers(graph: Graph, samples: Samples, open_watch: OpenWatch = watch) -> np.ndarray:
    (logits,) = reals_of(graph, graph.outputs, samples, open_watch)
    return logits.argmax(1)


def _simulated(graph: Graph, quantized: Graph, scheme: str, samples: Samples) -> np.ndarray:
    """The classes that [qat] sees when it begins."""
    module = QuantizedModule(graph, quantized, scheme_of(scheme).weights, {}, learned=False).eval()
    with torch.no_grad():
        return np.concatenate([module(tensors(feeds))[graph.outputs[0]].argmax(1).numpy()
                               for feeds in samples.batches(256)])
