"""python -IB keras_child convert|predict MODEL FOLDER SEED: the Keras door's half beside TensorFlow.

convert: writes model.tflite, seen.npz (a seeded sample of each input, and what the model itself makes of it)
         and report.json (names of inputs and outputs, the graph's nodes, layers by name scope, notes)
predict: reads feeds.npz and writes seen.npz
Arrays are named "input/<name>" and "output/<name>". Why a file is not taken stands in report.json; exit 3.
"""

import json
from pathlib import Path
import sys

import numpy as np
from untrusted import Damaged, Refused, check

NOT_TAKEN = 3
MEMORY_BYTES, MEMORY_PER_BYTE = 2 << 30, 12
"""Most that may be allocated: TensorFlow's own, and so many times the file's size."""


def main(task: str, path: str, out: str, seed: str) -> int:
    """Do the task. Returns the exit code."""
    model, folder = Path(path), Path(out)
    _limit_memory(model)
    try:
        check(model)
        report = _convert(model, folder, int(seed)) if task == "convert" else _predict(model, folder)
    except ModuleNotFoundError as error:
        report = {"missing": error.name}
    except Refused as error:
        report = {"refused": error.items}
    except Damaged as error:
        report = {"damaged": str(error)}
    (folder / "report.json").write_text(json.dumps(report))
    return 0 if "inputs" in report else NOT_TAKEN


def _limit_memory(model: Path) -> None:
    if sys.platform == "linux":
        import resource

        files = [path for path in (model, *model.rglob("*")) if path.is_file()]
        most = MEMORY_BYTES + MEMORY_PER_BYTE * sum(path.stat().st_size for path in files)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _convert(model: Path, folder: Path, seed: int) -> dict[str, object]:
    from network import converted, open_network, run

    network = open_network(model)
    rng = np.random.default_rng(seed)
    feeds = [_noise(rng, tuple(spec.shape), spec.dtype.as_numpy_dtype) for spec in network.specs]
    _write_seen(network, feeds, run(network, feeds), folder)
    tflite, nodes = converted(network)
    (folder / "model.tflite").write_bytes(tflite)
    return {"inputs": network.inputs, "outputs": network.outputs, "nodes": nodes, "layers": network.layers,
            "notes": network.notes}


def _predict(model: Path, folder: Path) -> dict[str, object]:
    from network import open_network, run

    network = open_network(model)
    with np.load(folder / "feeds.npz", allow_pickle=False) as archive:
        feeds = [archive[f"input/{name}"] for name in network.inputs]
    _write_seen(network, feeds, run(network, feeds), folder)
    return {"inputs": network.inputs}


def _noise(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """As the self-check makes it, so that it finds this sample done: standard normal floats, else 0 or 1."""
    if np.issubdtype(dtype, np.floating):
        return rng.standard_normal(shape, np.float32).astype(dtype)
    plain = np.int64 if dtype == np.bool_ else dtype
    return rng.integers(0, 1, size=shape, dtype=plain, endpoint=True).astype(dtype)


def _write_seen(network, feeds: list[np.ndarray], outputs: list[np.ndarray], folder: Path) -> None:
    named = {f"input/{name}": value for name, value in zip(network.inputs, feeds, strict=True)}
    named |= {f"output/{name}": value for name, value in zip(network.outputs, outputs, strict=True)}
    np.savez(folder / "seen.npz", **named)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
