"""Time two model files in one process and one thread, a block of the one, a block of the other. A child of
benchmark_peers.py, which starts several: how a process happens to lay out memory shifts figures by percents.

interleaved.py A B PAIRS FIRST        A, B: .tflite or .onnx;  FIRST: 0 or 1, which of them begins

Prints JSON: [file][pair][CPU, wall] in milliseconds per inference.
"""

from collections.abc import Callable
import json
from pathlib import Path
import sys
import time

import numpy as np

BLOCK_S = 0.005
"""A block is this long at least, so that a network of microseconds is timed warm."""
WARM_UP_S = 0.2
DTYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32}
"""What onnxruntime calls an input -> the dtype of what goes in."""


def invoker(path: Path) -> Callable[[], object]:
    """One inference on seeded noise, its inputs set beforehand where the runtime allows."""
    return _tflite(path) if path.suffix == ".tflite" else _onnx(path)


def _noise(shape, dtype) -> np.ndarray:
    rng = np.random.default_rng(0)
    if dtype == np.float32:
        return rng.standard_normal(shape, np.float32)
    if dtype == np.int32:  # tokens
        return rng.integers(0, 2, shape, dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def _tflite(path: Path) -> Callable[[], object]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    for port in interpreter.get_input_details():
        interpreter.set_tensor(port["index"], _noise(port["shape"], port["dtype"]))
    return interpreter.invoke


def _onnx(path: Path) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {port.name: _noise(port.shape, DTYPES[port.type]) for port in session.get_inputs()}
    return lambda: session.run(None, feeds)


def timed(infer: Callable[[], object], count: int) -> tuple[float, float]:
    """(CPU, wall) milliseconds per inference."""
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(count):
        infer()
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    return cpu / count / 1e6, wall / count / 1e6


def block_size(infer: Callable[[], object]) -> int:
    """How many inferences a block holds; warms up meanwhile."""
    end = time.perf_counter() + WARM_UP_S
    times = []
    while time.perf_counter() < end or len(times) < 3:
        times.append(timed(infer, 1)[0])
    return max(1, round(1e3 * BLOCK_S / float(np.median(times))))


def main(first: str, second: str, pairs: str, begins: str) -> None:
    models = [invoker(Path(path)) for path in (first, second)]
    count = max(map(block_size, models))
    found = [[], []]
    for pair in range(int(pairs)):
        turn = (pair + int(begins)) % 2
        for which in (turn, 1 - turn):
            found[which].append(timed(models[which], count))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
