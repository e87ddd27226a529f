"""What each rounding of weights gives: SQNR of INT8's logits in LiteRT, by method and network.

    PYTHONPATH=. python scripts/compare_rounding.py [--methods gptq,adaround] [--only kws,resnet18]

The kit's networks ($EDGE_KIT) are tested on labelled samples, those of tests/zoo on drawn ones; neither were
calibrated on. Both use 64 samples for calibration, by min-max, and rounding.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
import time

from accuracy_cases import CASES, logits_only
import numpy as np

from tests.zoo.catalogue import CALIBRATION, HELD_OUT, Entry
from tests.zoo.catalogue import ENTRIES as ZOO
from toolchain.data import Samples
from toolchain.execution import watch
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.metric import standard_error
from toolchain.paired import sqnr_db
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.quantize.reals import reals_of
from toolchain.quantize.rounding import METHOD, rounded
from toolchain.recipe import CalibrateConfig

SAMPLES = 64
FROM_ZOO = ("mobilenet_v2", "mobilenet_v3_small", "resnet18")
FROM_KIT = ("kws", "ic", "vww", "efficientnet_lite0")
Parts = Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Calibration samples, test samples and labels of these, (0,) where there are none."""


def networks() -> Iterator[tuple[str, str, Parts]]:
    """(name, source, its samples)"""
    for name in FROM_KIT:
        yield name, CASES[name].source, partial(_from_kit, name)
    for entry in ZOO:
        if entry.name in FROM_ZOO:
            yield entry.name, entry.open(), partial(_drawn, entry)


def _drawn(entry: Entry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return entry.draw(*CALIBRATION), entry.draw(*HELD_OUT), np.zeros(0, int)


def _from_kit(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = CASES[name].parts()
    return parts.calibration[:SAMPLES], *parts.test


def as_samples(x: np.ndarray, graph: Graph) -> Samples:
    return Samples("samples", {"x": x}, None, None, np.arange(len(x))).fit_to(graph)


def logits(graph: Graph, samples: Samples, name: str) -> np.ndarray:
    """(N, classes) in reals."""
    return reals_of(graph, [name], samples, watch)[0].reshape(len(samples), -1)


def compare(name: str, source: str, parts: Parts, methods: list[str]) -> None:
    """Print a row for each method."""
    graph = logits_only(canonical(load(source)))
    calibration, x, y = parts()
    samples, tested = as_samples(calibration, graph), as_samples(x, graph)
    plain = quantize(graph, calibrate(graph, CalibrateConfig(observer="minmax"), samples, watch))
    (output,) = graph.outputs
    exact = logits(graph, tested, output)
    for method in ("nearest", *methods):
        began = time.perf_counter()
        chosen = rounded(graph, plain, samples, watch, method)
        seconds = time.perf_counter() - began
        found = logits(chosen, tested, output)
        each = sqnr_db(exact, found)
        top1 = f"{100 * np.mean(found.argmax(1) == y):.2f}" if len(y) else ""
        agree = 100 * np.mean(found.argmax(1) == exact.argmax(1))
        print(f"| {name} | {len(x)} | {method} | {each.mean():.2f} ± {standard_error(each):.2f} "
              f"| {agree:.2f} | {top1} | {seconds:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", default=",".join(METHOD))
    parser.add_argument("--only", default=",".join(FROM_KIT + FROM_ZOO))
    wanted = parser.parse_args()
    print("| network | n | rounding | SQNR of logits, dB | same class as float, % | top-1, % | s |\n"
          "|---|---|---|---|---|---|---|")
    for name, source, parts in networks():
        if name in wanted.only.split(","):
            compare(name, source, parts, wanted.methods.split(","))


if __name__ == "__main__":
    main()
