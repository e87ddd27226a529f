"""What a .tflite file answers in LiteRT, in reals. A child of benchmark_zoo.py: a vendor's file may crash it.

answer_tflite.py FILE.tflite SAMPLES.npz OUT.npz        SAMPLES: x, float32 in the layout of the file's input
"""

from pathlib import Path
import sys

import numpy as np

from toolchain.port import Port, convert
from toolchain.runtime.litert import LiteRT


def main(model: str, samples: str, target: str) -> None:
    """OUT has an array for each output, called as it is."""
    session, x = LiteRT(Path(model).read_bytes()), np.load(samples)["x"]
    (have,) = session.inputs
    found = session.run({have.name: convert(x, Port("x", have.shape, "float32"), have)})
    np.savez(target, **{port.name: convert(found[port.name], port, Port("y", port.shape, "float32"))
                        for port in session.outputs})


if __name__ == "__main__":
    main(*sys.argv[1:])
