"""tflite-runtime 2.14, which older devices have, in its own environment (numpy 1): run from here in a child.

The child (`python tests/old_runtime.py FOLDER`, in that environment) reads <i>.tflite and <i>.npz, an array
of samples for each input, and writes <i>.out.npz. It imports nothing of ours.
"""

from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import subprocess
import sys
import tempfile

import numpy as np

PYTHON = Path(__file__).resolve().parents[1] / ".venv-tflite-runtime" / "bin" / "python"

Job = tuple[bytes, Mapping[str, np.ndarray]]


def run_old_runtime(jobs: Sequence[Job]) -> list[dict[str, np.ndarray]]:
    """Outputs by name, samples stacked, of each job. Raises RuntimeError with what the child wrote."""
    with tempfile.TemporaryDirectory(prefix="tflite-runtime-") as folder:
        for i, (model, feeds) in enumerate(jobs):
            Path(folder, f"{i}.tflite").write_bytes(model)
            np.savez(Path(folder, f"{i}.npz"), **feeds)
        done = subprocess.run([PYTHON, __file__, folder], capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode:
            raise RuntimeError(f"tflite-runtime ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return [_read(Path(folder, f"{i}.out.npz")) for i in range(len(jobs))]


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _serve(folder: Path) -> None:
    from tflite_runtime.interpreter import Interpreter

    for model in folder.glob("*.tflite"):
        interpreter = Interpreter(model_content=model.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
        np.savez(model.with_suffix(".out.npz"), **_run(interpreter, _read(model.with_suffix(".npz"))))


def _run(interpreter, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs: dict[str, list[np.ndarray]] = {detail["name"]: [] for detail in interpreter.get_output_details()}
    for i in range(len(next(iter(feeds.values())))):
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], feeds[detail["name"]][i:i + 1])
        interpreter.invoke()
        for detail in interpreter.get_output_details():
            outputs[detail["name"]].append(interpreter.get_tensor(detail["index"]))
    return {name: np.concatenate(samples) for name, samples in outputs.items()}


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
