"""TFLite Micro as an oracle: the `tflite-micro` package, in a subprocess because it can abort.

The child (`python -m toolchain.runtime.tflm FOLDER`) reads <i>.tflite and <i>.npz and writes <i>.out.npz.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
import signal
import subprocess
import sys
import tempfile

import numpy as np

from toolchain.errors import BadModel, BadSamples, DeviceUnavailable

Sample = Mapping[str, np.ndarray]
ARENA_SLACK_BYTES = 1 << 20
"""Beside the activations: TFLite Micro's own records, scratch buffers and quantization data."""


class TFLiteMicroFailed(BadModel):
    """TFLite Micro refused a model, or aborted."""


def run_tflm(model: bytes, samples: Sequence[Sample]) -> list[dict[str, np.ndarray]]:
    """Outputs of each sample, by the tensor names in the flatbuffer, in the file's own layout and dtypes.

    samples: input name -> one array of the input's shape
    Raises TFLiteMicroFailed with the last lines that TFLite Micro wrote, BadSamples for a wrong input,
    DeviceUnavailable where the package is not installed.
    """
    return run_models([(model, samples)])[0]


def run_models(jobs: Sequence[tuple[bytes, Sequence[Sample]]]) -> list[list[dict[str, np.ndarray]]]:
    """`run_tflm` of many models in one subprocess."""
    with tempfile.TemporaryDirectory(prefix="tflm-") as folder:
        for index, (model, samples) in enumerate(jobs):
            Path(folder, f"{index}.tflite").write_bytes(model)
            np.savez(Path(folder, f"{index}.npz"), **_numbered(samples))
        child = [sys.executable, "-m", __name__, folder]
        done = subprocess.run(child, capture_output=True, text=True, errors="replace")
        results = [_read(Path(folder, f"{index}.out.npz"), len(job[1])) for index, job in enumerate(jobs)]
    if None in results:
        raise _failure(done, results.index(None), jobs)
    return results


def _numbered(samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    """One flat npz: "<sample>/<tensor>" -> array."""
    return {f"{i}/{name}": value for i, sample in enumerate(samples) for name, value in sample.items()}


def _read(path: Path, count: int) -> list[dict[str, np.ndarray]] | None:
    if not path.is_file():
        return None
    samples: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            index, name = key.split("/", 1)
            samples[int(index)][name] = archive[key]
    return samples


def _failure(done: subprocess.CompletedProcess, index: int, jobs: Sequence) -> Exception:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it wrote nothing"]
    last = lines[-1]
    if last == "ModuleNotFoundError: No module named 'tflite_micro'":
        return DeviceUnavailable("TFLite Micro is not installed here; `make setup` installs tflite-micro")
    if last.startswith("BadSamples: "):
        return BadSamples(last.removeprefix("BadSamples: "))
    fate = f"died of {signal.Signals(-done.returncode).name} on" if done.returncode < 0 else "refused"
    which = f"model {index + 1} of {len(jobs)}" if len(jobs) > 1 else "the model"
    said = "; ".join(lines[-3:])  # the check that failed, the op, the call
    return TFLiteMicroFailed(f"TFLite Micro {fate} {which} ({len(jobs[index][0]):,} bytes): {said}")


# In the subprocess ------------------------------------------------------------------------------------------

def _serve(folder: Path) -> None:
    """Run every job in the folder, in order; an output file appears when its job is done."""
    for model in sorted(folder.glob("*.tflite"), key=lambda path: int(path.stem)):
        with np.load(model.with_suffix(".npz"), allow_pickle=False) as archive:
            inputs = {key: archive[key] for key in archive.files}
        outputs = _invoke(model.read_bytes(), inputs)
        np.savez(model.with_suffix(".part.npz"), **outputs)
        model.with_suffix(".part.npz").rename(model.with_suffix(".out.npz"))


def _invoke(model: bytes, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    from tflite_micro import runtime

    graph = runtime.convert_bytearray_to_object(model).subgraphs[0]
    names_in = [graph.tensors[i].name.decode() for i in graph.inputs]
    names_out = [graph.tensors[i].name.decode() for i in graph.outputs]
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes(graph))
    outputs = {}
    for sample in dict.fromkeys(key.split("/", 1)[0] for key in inputs):
        for index, name in enumerate(names_in):
            details = interpreter.get_input_details(index)
            interpreter.set_input(_checked(inputs, f"{sample}/{name}", details), index)
        interpreter.invoke()
        outputs |= {f"{sample}/{name}": interpreter.get_output(i).copy() for i, name in enumerate(names_out)}
    return outputs


def _checked(inputs: Mapping[str, np.ndarray], key: str, details: Mapping) -> np.ndarray:
    name = key.split("/", 1)[1]
    if key not in inputs:
        raise BadSamples(f"no value for input {name}; got {', '.join(k.split('/', 1)[1] for k in inputs)}")
    value, shape, dtype = inputs[key], tuple(int(n) for n in details["shape"]), np.dtype(details["dtype"])
    if value.shape != shape or value.dtype != dtype:
        raise BadSamples(f"input {name}: got {value.dtype} {value.shape}, expected {dtype} {shape}")
    return value


def arena_bytes(graph) -> int:
    """Room for all activations at once, four bytes a value, twice over (scratch buffers), and the records."""
    values = sum(int(np.prod(tensor.shape)) if tensor.shape is not None else 1 for tensor in graph.tensors)
    return 8 * values + ARENA_SLACK_BYTES


def _main(folder: str) -> int:
    try:
        _serve(Path(folder))
    except BadSamples as error:
        print(f"BadSamples: {error}", file=sys.stderr)
    except Exception as error:  # bytes that are no model fail anywhere in the package's parser
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
