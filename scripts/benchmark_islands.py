"""Time INT8 networks of the zoo beside their float versions in LiteRT: as they are written by default, with
ops that are faster on reals on islands, and with none but those that are needed.

benchmark_islands.py [NAME ...]     names of tests/zoo/catalogue.py; by default those that attend

Prints a table of CPU time, medians of paired ratios over several processes, one thread. Exits with 3 where an
INT8 network is slower than its float version.
"""

import json
from pathlib import Path
import subprocess
import sys
import tempfile

import numpy as np
from peers_report import table

from tests.zoo.catalogue import CALIBRATION, ZOO
from tests.zoo.judge import FLOAT, samples_of
from toolchain.load import load
from toolchain.lower.tflite import write_tflite
from toolchain.pipeline import prepare
from toolchain.recipe import Recipe

ATTENDING = ("keyword_transformer", "vit", "mobilevit", "text_transformer")
PAIRS, PROCESSES = 40, 4
INTERLEAVED = Path(__file__).with_name("interleaved.py")
HEAD = ("network", "float, ms", "INT8, ms", "INT8 / float", 'INT8 / float, islands = "needed"')


def written(name: str, folder: Path) -> tuple[Path, Path, Path]:
    """The .tflite files: float, INT8, INT8 with the islands that are needed."""
    graph, samples = load(ZOO[name].open()), samples_of(ZOO[name].draw(*CALIBRATION))
    codes = prepare(graph, Recipe(), samples).graph
    models = {"float": write_tflite(prepare(graph, FLOAT, None).graph), "auto": write_tflite(codes),
              "needed": write_tflite(codes, integer_only=True)}
    paths = tuple(folder / f"{name}.{kind}.tflite" for kind in models)
    for path, model in zip(paths, models.values()):
        path.write_bytes(model)
    return paths


def paired(first: Path, second: Path) -> np.ndarray:
    """(2, pairs) CPU milliseconds of two files that take turns, each process begun by the other."""
    found = []
    for number in range(PROCESSES):
        command = [sys.executable, INTERLEAVED, first, second, str(PAIRS), str(number % 2)]
        found.append(np.array(json.loads(subprocess.check_output(command)))[:, :, 0])
    return np.concatenate(found, axis=1)


def row(name: str) -> tuple[float, list[str]]:
    """(INT8's time by float's, cells)."""
    with tempfile.TemporaryDirectory() as folder:
        exact, auto, needed = written(name, Path(folder))
        times, others = paired(exact, auto), paired(exact, needed)
    ratio, slow = (float(np.median(t[1] / t[0])) for t in (times, others))
    ms = [f"{median:.3f}" for median in np.median(times, axis=1)]
    return ratio, [ZOO[name].title, *ms, f"{ratio:.2f}", f"{slow:.2f}"]


def main(*names: str) -> None:
    found = [row(name) for name in names or ATTENDING]
    print(table(list(HEAD), [cells for _, cells in found]))
    sys.exit(3 if max(ratio for ratio, _ in found) > 1 else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
