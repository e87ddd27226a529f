"""INT8 by this toolchain and by others, from the same float file and the same calibration samples: what their
files answer to labelled test samples (docs/calibration-accuracy.md).

Writes accuracy.json and accuracy.md in build/benchmark/accuracy/, and the page where all was measured. Exits
with 3 where our best recipe's file is significantly worse than a peer's, or its mean SQNR lower.
"""

from collections.abc import Iterator
import json
import subprocess

from accuracy_cases import CASES, ENTRIES, Case
from accuracy_report import MEASURED, Judgement, judged, page, shortcomings
from accuracy_tools import FOLDER, PEERS, THEIRS, Workplace, logits, ours, prepare, vendor_file
from benchmark_peers import ROOT, say
import numpy as np
from peers_report import conditions
import typer

NO_BIASES = '[quantize]\nbias_correction = "none"\n'
RECIPES = {
    "min-max": f'{NO_BIASES}[calibrate]\nobserver = "minmax"',
    "percentile": f'{NO_BIASES}[calibrate]\nobserver = "percentile"',
    "entropy": f'{NO_BIASES}[calibrate]\nobserver = "entropy"',
    "mse": NO_BIASES,
    "default": "",
    "default + GPTQ": '[quantize]\nrounding = "gptq"',
    "default + equalised": "[quantize]\nequalise = true",
    "default + equalised + GPTQ": '[quantize]\nequalise = true\nrounding = "gptq"',
}
"""The default recipe: observer "mse", biases corrected on the samples."""
BEST = "default + equalised + GPTQ"
OURS = tuple(ours(name, recipe) for name, recipe in RECIPES.items())
SLOW = {"onnxruntime, Entropy", "onnxruntime, Percentile"}
"""Peers that keep every activation of every sample: 61 MB for a photograph of 224 x 224."""
QUICK_SAMPLES = 200
FAILURES = (subprocess.CalledProcessError,)
PAGE = ROOT / "docs" / "calibration-accuracy.md"


def rows(at: Workplace, tools: list) -> Iterator[tuple[str, np.ndarray | str]]:
    """Tool -> its logits, or why there are none."""
    for tool in tools:
        try:
            yield tool.name, logits(at, tool.file(at))
        except FAILURES as error:
            yield tool.name, error.stderr.strip().splitlines()[-1][:300]
    if at.case.vendor:
        yield "the vendor's file", logits(at, vendor_file(at))


def judge(case: Case, quick: bool) -> Judgement:
    """Everything about one network."""
    say(case.title)
    parts = case.parts()
    x, y = (part[:QUICK_SAMPLES] if quick else part for part in parts.test)
    at = prepare(case, calibration=parts.calibration, test=x)
    tools = [*OURS, *(peer for peer in PEERS if not quick or peer.name not in SLOW)]
    exact = logits(at, at.float_file(".tflite"))
    return judged(case.title, len(parts.calibration), exact, y, dict(rows(at, tools)))


def main(quick: bool = typer.Option(False, help="fewer test samples, no peer that keeps every activation"),
         only: str = typer.Option("", help="names of networks, with commas between them")) -> None:
    """Compare; print the tables."""
    chosen = [CASES[name] for name in only.split(",")] if only else ENTRIES
    found = {case.name: judge(case, quick) for case in chosen}
    text = page(conditions(THEIRS), found, BEST)
    figures = {name: network.figures() for name, network in found.items()}
    (FOLDER / "accuracy.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
    (FOLDER / "accuracy.md").write_text(text, encoding="utf-8")
    if not (only or quick):
        PAGE.write_text(PAGE.read_text(encoding="utf-8").partition(MEASURED)[0] + text, encoding="utf-8")
    print(text, end="")
    if lines := [line for network in found.values() for line in shortcomings(network, BEST)]:
        say("\n".join(lines))
        raise typer.Exit(3)


if __name__ == "__main__":
    typer.run(main)
