"""static_wi8_ai16: the 16-bit kernels against TFLite Micro, bit for bit, and LiteRT's reference kernels."""

import numpy as np
import pytest

from tests.op_cases_int16 import CASES, SAMPLES, drawn
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.tflm import run_models

LACKS = {
    **dict.fromkeys(("relu", "reduce_max", "reduce_min", "gather", "tile", "mirror_pad"),
                    "it has no int16 kernel"),
    "argmax": "its ARG_MAX does not give int64",
    "hard_swish": "it has no int16 kernel; in a .tflite file it is on reals"}
"""Cases that TFLite Micro cannot judge."""
ROUNDS_IN_FLOAT = {"fully_connected", "mul", "leaky_relu", "negative_slope", "relu", "softmax", "hard_swish"}
"""Cases whose multipliers or tables LiteRT rounds otherwise than TFLite Micro, or that it computes on reals:
within 1 code."""


@pytest.mark.oracle
@pytest.mark.parametrize("kind", [kind for kind in CASES if kind not in LACKS])
def test_codes_equal_those_of_tflite_micro(kind):
    found = drawn(kind)
    jobs = [(write_tflite(graph), [{n: v[i:i + 1] for n, v in feeds.items()} for i in range(SAMPLES)])
            for graph, feeds in found]
    for (graph, feeds), outputs in zip(found, run_models(jobs), strict=True):
        theirs = np.concatenate([sample["y"] for sample in outputs])
        np.testing.assert_array_equal(reference.run(graph, feeds)["y"], theirs)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", CASES)
def test_codes_equal_those_of_litert_reference_kernels(kind):
    for graph, feeds in drawn(kind):
        session = LiteRT(write_tflite(graph), reference_kernels=True)
        ours, theirs = reference.run(graph, feeds)["y"], session.run(feeds)["y"]
        apart = np.abs(ours.astype(np.int64) - theirs).max()
        assert apart <= (kind in ROUNDS_IN_FLOAT), f"{apart} codes apart"
