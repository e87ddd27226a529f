"""Parity on test vectors: what is counted, and what is beyond a runtime's tolerance."""

from dataclasses import replace

import numpy as np
import pytest

from toolchain.artifact import Artifact, Manifest, own_output
from toolchain.device.parity import EXACT, ONCE, PROBABLE, WIDE, parity, tolerance
from toolchain.port import Port

CODES = Port("y", (1, 100), "int8", 0.05, 3)
REALS = Port("y", (1, 100), "float32")
X = Port("x", (1, 4), "float32")


def artifact(port: Port, vectors: np.ndarray, scheme="static_wi8_ai8", fmt="tflite") -> Artifact:
    manifest = Manifest(name="net", target="host", formats=(fmt,), scheme=scheme,
                        inputs={fmt: (X,), "graph": (X,)}, outputs={fmt: (port,), "graph": (port,)})
    return Artifact(manifest, {}, {"input/x": np.zeros((10, 4), np.float32), "output/y": vectors})


class Answers:
    """A session that answers so."""

    runtime, inputs, outputs = "stands in", (X,), (CODES,)

    def __init__(self, y: np.ndarray):
        self.y = y

    def run(self, feeds):
        assert feeds["x"].shape == (10, 4)
        return {"y": self.y}


def vectors(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-100, 100, (10, 100)).astype(np.int8)


def moved(codes: int, count: int) -> np.ndarray:
    """The vectors with so many codes off by so much."""
    y = vectors()
    y.ravel()[:count] += np.int8(codes)
    return y


@pytest.mark.parametrize("codes, count, fine", [(1, 1000, True), (16, 100, True), (17, 1, False),
                                                (2, 401, False)])
def test_codes_of_a_runtime_that_rounds_once(codes, count, fine):
    checked, problems = parity(artifact(CODES, vectors()), "tflite", Answers(moved(codes, count)))
    assert (checked.checked, checked.mismatched, checked.worst) == (1000, count, codes)
    assert bool(problems) != fine


def test_a_problem_says_how_far_and_how_far_is_allowed():
    _, problems = parity(artifact(CODES, vectors()), "tflite", Answers(moved(20, 500)))
    assert problems == (
        "output 'y' is off by up to 20 codes, 50.0% of them by more than 1; allowed are 16 and 40% (kernels "
        "that round once differ by 1 code at each requantization); see which layer differs with edge "
        "diagnose, or take another runtime",)


def test_generated_c_is_the_reference():
    assert parity(artifact(CODES, vectors(), fmt="c"), "c", Answers(vectors()))[1] == ()
    checked, (problem,) = parity(artifact(CODES, vectors(), fmt="c"), "c", Answers(moved(1, 1)))
    assert checked.mismatched == 1 and "allowed are 0 and 0%" in problem


@pytest.mark.parametrize("scheme, off, fine", [
    ("float32", 0.9e-4, True), ("float32", 1.1e-4, False), ("float16", 4e-3, True),
    ("float16", 6e-3, False), ("dynamic_wi8_afp32", 0.09, True), ("dynamic_wi8_afp32", 0.11, False),
    ("weight_only_wi4_afp32", 4e-3, True), ("as it came", 1.1e-4, False)])
def test_reals_by_their_share_of_the_range(scheme, off, fine):
    reference = np.linspace(-1, 1, 1000).reshape(10, 100).astype(np.float32)
    y = reference.astype(np.float64)
    y[3, 7] += 2 * off
    checked, problems = parity(artifact(REALS, reference, scheme), "tflite", Answers(y))
    assert checked.mismatched == 1 and checked.worst == pytest.approx(2 * off, rel=0.01)
    assert bool(problems) != fine


def test_nan_is_never_fine():
    y = np.zeros((10, 100), np.float32)
    y[0, 0] = np.nan
    reference = artifact(REALS, np.zeros((10, 100), np.float32), "dynamic_wi8_afp32")
    checked, problems = parity(reference, "tflite", Answers(y))
    assert checked.mismatched == 1
    assert problems == ("output 'y' holds NaN or Inf on the device; the artefact cannot be trusted there",)


def test_without_vectors_there_is_nothing_to_compare():
    bare = replace(artifact(CODES, vectors()), vectors={})
    assert parity(bare, "tflite", Answers(vectors())) == (None, ())


def test_each_kind_of_output_has_its_tolerance():
    probabilities = Port("y", (1, 100), "int8", 1 / 256, -128)
    wide = Port("y", (1, 100), "int16", 1e-4, 0)
    assert [tolerance(fmt, "static_wi8_ai8", port) for fmt, port in
            (("c", CODES), ("tflite", CODES), ("onnx", probabilities), ("tflite", wide))] == [
        EXACT, ONCE, PROBABLE, WIDE]


def test_a_file_of_other_numbers_is_held_to_its_own_answers():
    own, others = vectors(1), vectors(2)
    made = artifact(CODES, others, fmt="onnx")
    made = replace(made, vectors={**made.vectors, own_output("onnx", "y"): own})
    found, problems = parity(made, "onnx", Answers(own))
    assert (found.mismatched, problems) == (0, ()) and parity(made, "onnx", Answers(others))[1]
