"""What 4-bit weights cost docs/examples/har_watch/separable.py, and how much of that [qat] wins back.

Networks trained from seeds of their own, each quantized in several ways and run in LiteRT: the share of test
samples that it gets right, and of those that it answers as in float. Prints a table in Markdown.
"""

import argparse
import importlib
from pathlib import Path
import sys

import msgspec
import numpy as np

from toolchain.data import Samples, load_samples
from toolchain.execution import watch
from toolchain.ir.graph import Graph
from toolchain.ir.layout import channels_last
from toolchain.ir.passes import canonical
from toolchain.load.torch import load_torch
from toolchain.post_training import PostTraining
from toolchain.quantize.reals import reals_of
from toolchain.recipe import QatConfig, QuantSpec, Recipe

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "har_watch"
EPOCHS = 20
PLAIN = QuantSpec(scheme="static_wi4_ai8", bias_correction="none")


def quantized_by(**changes) -> Recipe:
    return Recipe(quantize=msgspec.structs.replace(PLAIN, **changes))


def trained_by(ranges: str, epochs: int) -> Recipe:
    return Recipe(quantize=PLAIN, qat=QatConfig(epochs=epochs, ranges=ranges))


def ways(epochs: int) -> dict[str, Recipe]:
    """Name of a row -> what is done."""
    return {"nearest codes": quantized_by(),
            "biases corrected": quantized_by(bias_correction="empirical"),
            "GPTQ, biases corrected": quantized_by(bias_correction="empirical", rounding="gptq"),
            "AdaRound, biases corrected": quantized_by(bias_correction="empirical", rounding="adaround"),
            "`[qat]`, ranges fixed": trained_by("fixed", epochs),
            "`[qat]`, ranges learned": trained_by("learned", epochs)}


def answers(graph: Graph, samples: Samples) -> np.ndarray:
    (logits,) = reals_of(graph, graph.outputs, samples, watch)
    return logits.argmax(1)


def scores(seed: int, epochs: int) -> dict[str, tuple[float, float]]:
    """Of the network that this seed makes: row -> percent right, percent as in float."""
    source = channels_last(load_torch(*importlib.import_module("separable").trained(seed), "separable"))
    samples, graph = load_samples("har_watch").fit_to(source), canonical(source)
    test, stages = samples.split("test"), PostTraining(graph, samples, lambda line: None, source)
    graphs = {"float": graph} | {name: stages.quantized(msgspec.structs.replace(recipe, seed=seed))
                                 for name, recipe in ways(epochs).items()}
    told = {name: answers(one, test) for name, one in graphs.items()}
    return {name: (100 * float((found == test.y).mean()), 100 * float((found == told["float"]).mean()))
            for name, found in told.items()}


def table(found: list[dict[str, tuple[float, float]]]) -> str:
    """A row each: percent right by seed, their mean, the share of the nearest codes' loss that it wins back,
    and the mean percent as in float."""
    seeds = " | ".join(f"seed {seed}" for seed in range(len(found)))
    lines = [f"| 4-bit weights | {seeds} | mean | won back | as in float |",
             f"|---|{'--:|' * (len(found) + 3)}"]
    exact, plain = (np.mean([one[name][0] for one in found]) for name in ("float", "nearest codes"))
    for name in found[0]:
        own, same = zip(*(one[name] for one in found))
        share = "" if name == "float" else f"{100 * (np.mean(own) - plain) / (exact - plain):.0f} %"
        lines.append(f"| {name} | {' | '.join(f'{x:.2f}' for x in own)} | {np.mean(own):.2f} | {share} "
                     f"| {np.mean(same):.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many networks")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of [qat]")
    given = parser.parse_args()
    sys.path.insert(0, str(EXAMPLE))
    print(table([scores(seed, given.epochs) for seed in range(given.seeds)]))


if __name__ == "__main__":
    main()
