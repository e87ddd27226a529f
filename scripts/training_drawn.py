"""What benchmark_training.py measures of networks that draw (mnist_networks.py): how well they do so in INT8
with half of their multiply-accumulates, in LiteRT, in ONNX Runtime and in C on an emulated Cortex-M4."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import mnist_networks
from mnist_networks import FOLDER
import msgspec
import numpy as np
from pruning_cells import opened
from pruning_figures import BOARD, HOST
from training_figures import FLOAT, LITERT, ONNX, PRUNED, C, Drawn

from toolchain.artifact import Artifact
from toolchain.data import Samples, load_samples
from toolchain.deploy import deployed
from toolchain.device.qemu import open_device
from toolchain.drawing import rows
from toolchain.examination import first_answers, sample_feeds
from toolchain.features import embedding
from toolchain.ir.graph import Graph
from toolchain.metric import METRIC, loss_scale, standard_error, values_of
from toolchain.pipeline import Prepared, build, prepare
from toolchain.profile import Format, load_target
from toolchain.recipe import QuantSpec, Recipe
from toolchain.report.grid import grid_png
from toolchain.runtime import reference
from toolchain.training_sections import PruneConfig, TrainConfig

ARTIFACTS = ("float", "pruned", "int8", "board")
"""What is kept of a network, in folders of these names behind its own."""
ON_BOARD, AT_ONCE = 16, 500
"""Test samples that the board answers too; that the reference answers together."""


class Task(NamedTuple):
    """data: what `load_samples` takes;  metric: key of METRIC;  train: how the pruned network learns

    features: what sets of images are compared in, of a metric that does so
    """

    data: str
    metric: str
    train: TrainConfig
    features: str = ""


IMAGES = f"{mnist_networks.__file__}:images_and_noise"
TASKS: dict[str, Task] = {
    "generator": Task(f"{mnist_networks.__file__}:noise", "frechet",
                     TrainConfig(epochs=20, learning_rate=2e-3), f"{mnist_networks.__file__}:features"),
    "vae": Task(IMAGES, "elbo", TrainConfig(epochs=6, learning_rate=2e-3)),
    "recurrent_vae": Task(IMAGES, "elbo", TrainConfig(epochs=30, learning_rate=5e-3)),
}


def recipe_of(network: str, seed: int) -> Recipe:
    """Half of the multiply-accumulates, taught by the whole network, INT8."""
    task = TASKS[network]
    return Recipe(metric=task.metric, features=task.features, prune=PruneConfig(macs=0.5), train=task.train,
                  seed=seed)


@cache
def samples_of(network: str) -> Samples:
    """All parts, the same for every seed."""
    return load_samples(TASKS[network].data)


def start(network: str, seed: int) -> Graph:
    """As trained from that seed."""
    return opened(*mnist_networks.network(network, seed), network)


# Measured ---------------------------------------------------------------------------------------------------

def drawn(network: str, seed: int, key: str) -> Drawn:
    """Train where that was not done, prune, teach, quantize, answer the test samples. Artefacts are kept in
    a folder named after the key."""
    recipe, samples, graph = recipe_of(network, seed), samples_of(network), start(network, seed)
    board, test = load_target(BOARD), samples.split("test")
    plain = msgspec.structs.replace(recipe, prune=None, train=None)
    whole, small = (prepare(graph, each, samples, board) for each in (plain, recipe))
    made = _made(whole, small, samples)
    for name, artifact in made.items():
        artifact.write(FOLDER / "drawn" / key / f"{network}_{name}")
    scores, worse = compared(recipe, test.targets(graph), {
        FLOAT: _answers(made["float"], "tflite", test), PRUNED: _answers(made["pruned"], "tflite", test),
        LITERT: _answers(made["int8"], "tflite", test), ONNX: _answers(made["int8"], "onnx", test),
        C: _reference_answers(made["board"], small.graph, test)})
    boards, sizes = (build(whole, board, samples), made["board"]), made["board"].manifest.static_bytes
    return Drawn(key=key, network=network, seed=seed, metric=recipe.metric, n=len(test),
                 macs=(made["float"].manifest.macs, made["int8"].manifest.macs), scores=scores, worse=worse,
                 checked=ON_BOARD, differing=_differing(made["board"], small.graph, test.take(ON_BOARD)),
                 instructions=tuple(map(_instructions, boards)), flash=sizes["flash"], ram=sizes["ram"],
                 files=tuple(len(made[name].model("tflite")) for name in ("float", "int8")))


def _made(whole: Prepared, small: Prepared, samples: Samples) -> dict[str, Artifact]:
    """By name of ARTIFACTS."""
    host, board = load_target(HOST), load_target(BOARD)
    wanted = ((_in_float(whole), host), (_in_float(small), host), (small, host), (small, board))
    return {name: build(prepared, profile, samples)
            for name, (prepared, profile) in zip(ARTIFACTS, wanted, strict=True)}


def _in_float(prepared: Prepared) -> Prepared:
    recipe = msgspec.structs.replace(prepared.recipe, quantize=QuantSpec(scheme="float32"))
    return Prepared(prepared.float_graph, prepared.float_graph, recipe)


def _answers(artifact: Artifact, fmt: Format, test: Samples) -> list[np.ndarray]:
    """What the metric takes, of all test samples, in this host's runtime."""
    with deployed(artifact, fmt=fmt) as session:
        return first_answers(artifact, fmt, session, test, METRIC[artifact.manifest.metric].outputs)


def _reference_answers(artifact: Artifact, graph: Graph, test: Samples) -> list[np.ndarray]:
    """The same, of the generated C."""
    session = SimpleNamespace(run=lambda feeds: reference.run(graph, feeds), at_once=AT_ONCE)
    return first_answers(artifact, "c", session, test, METRIC[artifact.manifest.metric].outputs)


def compared(recipe: Recipe, expected: np.ndarray,
             outputs: Mapping[str, list[np.ndarray]]) -> tuple[dict, dict]:
    """Drawn.scores, Drawn.worse."""
    embed = embedding(recipe.features)
    values = {what: values_of(recipe.metric, given, expected, embed) for what, given in outputs.items()}
    whole = values.pop(FLOAT)
    lost = loss_scale(recipe.metric, whole, expected)
    return ({what: _mean(of) for what, of in ({FLOAT: whole} | values).items()},
            {what: _mean(lost * (whole - of)) for what, of in values.items()})


def _mean(values: np.ndarray) -> tuple[float, float]:
    """And its standard error."""
    return float(values.mean()), standard_error(values)


def _differing(artifact: Artifact, graph: Graph, few: Samples) -> int:
    """Codes in which the board's answers are not the reference's."""
    feeds = next(sample_feeds(artifact, "c", few, len(few)))
    wanted = reference.run(graph, feeds)
    with open_device(artifact, load_target(BOARD)) as device:
        found = device.run(feeds)
        return sum(int((found[port.name] != wanted[name]).sum())
                   for port, name in zip(device.outputs, graph.outputs, strict=True))


def _instructions(artifact: Artifact) -> int:
    """Of an inference, exact."""
    with open_device(artifact, load_target(BOARD)) as device:
        return device.bench().instructions


# Shown ------------------------------------------------------------------------------------------------------

def grid(figures: Sequence[Drawn], path: Path, count: int = 16) -> None:
    """Write a PNG of what the artefacts of each figure draw of the same test samples: the original, the
    pruned network, that in INT8 in LiteRT, and that on the board."""
    strips = [strip for figure in figures
              for strip in rows([FOLDER / "drawn" / figure.key / f"{figure.network}_{name}"
                                 for name in ARTIFACTS], TASKS[figure.network].data, "test", count)]
    path.write_bytes(grid_png(strips))
