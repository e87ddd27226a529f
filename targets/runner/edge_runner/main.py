"""edge-runner in Python: the face of main.c and its record, with a runtime that the device's user has there.

    python3 edge_runner.pyz RUNTIME MODE MODEL key=value...
    python3 edge_runner.pyz clock
    python3 edge_runner.pyz hash FILE...

RUNTIME: litert (ai-edge-litert), tflite-runtime or onnxruntime. Needs Python 3.9, numpy 1 or 2, and that.
"""

import hashlib
import os
import sys

from edge_runner.clock import raw_ns
from edge_runner.fail import INPUT, LIBRARY, MEMORY, MODEL, fail
from edge_runner.options import cpu_numbers, read_options
from edge_runner.record import Record


def hash_files(record, paths):
    for i, path in enumerate(paths):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 16), b""):
                digest.update(chunk)
        record.line("sha256", i, digest.hexdigest())


def measure(record, runtime, mode, model, *words):
    options = read_options(words)
    if options["cpus"]:
        os.sched_setaffinity(0, cpu_numbers(options["cpus"]))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy only holds the samples
    try:
        from edge_runner.modes import MODES
    except ImportError as error:
        fail(LIBRARY, f"no numpy here ({error})")
    if mode not in MODES:
        fail(INPUT, f"no mode {mode}")
    MODES[mode](record, runtime, model, options)


def main():
    words, record = sys.argv[1:], Record()
    try:
        if words == ["clock"]:
            record.line("clock", raw_ns())
        elif words[:1] == ["hash"] and words[1:]:
            hash_files(record, words[1:])
        elif len(words) >= 3:
            measure(record, *words)
        else:
            fail(INPUT, "RUNTIME MODE MODEL key=value..., or clock, or hash FILE...")
        record.close()
    except MemoryError:
        fail(MEMORY, "no memory")
    except OSError as error:
        fail(INPUT, error)
    except Exception as error:  # runtimes' errors share no class
        fail(MODEL, f"{type(error).__name__}: {error}")
    os._exit(0)
