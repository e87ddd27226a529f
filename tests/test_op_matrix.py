"""The op matrix: every kind of op in every dtype of its row, against everyone else who computes it.

int8: the reference's codes are those of TFLite Micro and of our C, bit for bit; those of LiteRT's reference
kernels, but for fully_connected and sum, which LiteRT requantizes in float (1 code); within 1 code of ONNX
Runtime on our QDQ file. Plain numbers: within 1e-5 of the output's range.
"""

from collections.abc import Iterable

import numpy as np
import pytest

from tests import oracles
from tests.op_cases import WHOLE, cases, dtypes_of
from tests.op_maker import Case
from toolchain.ir.check import WEIGHTED
from toolchain.ir.ops import OPS

TOLERANCE = 1e-5
"""Float: largest difference, as a share of the largest value (1 if that is smaller)."""
FLOAT_CODES = {"resize_bilinear": 3}
"""Codes that a kernel may be off the float one: TFLite places pixels with 10 fraction bits."""

NO_TFLITE = "TFLite has no batch normalization"
BORDER = "our .onnx has float inputs and outputs, and a lone conversion is its border itself"
LACKS = {
    ("tflm", "batch_norm"): NO_TFLITE,
    ("litert", "batch_norm"): NO_TFLITE,
    **{("tflm", kind): "TFLite Micro has no such operator" for kind in ("pow", "gelu", "tile")},
    **{("tflm", kind, "int8"): "its kernel computes in float alone" for kind in ("exp", "log", "sqrt")},
    ("litert", "argmax", "int64"): "its ARG_MAX does not take int64",
    ("torch", "quantize"): "a module computes in float32",
    ("onnx", "quantize"): BORDER,
    ("onnx", "dequantize"): BORDER,
    ("c", "dequantize"): "our C is integer only",
    **{("float", kind): "codes leave a loop as they came" for kind in ("step", "state", "sequence", "last")},
    ("float", "quantize"): "moves between codes",
    ("float", "dequantize"): "moves between codes",
}
"""(oracle, kind) or (oracle, kind, dtype) -> why it cannot judge that at all; a single case says so in its
own `lacks`."""


def kinds(oracle: str, dtype: str) -> list[str]:
    """Those that the oracle can judge in a dtype."""
    return [kind for kind in OPS if dtype in dtypes_of(kind)
            and (oracle, kind) not in LACKS and (oracle, kind, dtype) not in LACKS]


def plain(oracle: str, dtypes=("float32", "bool", *WHOLE)) -> list[tuple[str, str]]:
    """(kind, dtype) of the plain dtypes that the oracle can judge."""
    return [(kind, dtype) for dtype in dtypes for kind in kinds(oracle, dtype)]


def judged(oracle: str, kind: str, dtype: str) -> list[Case]:
    """The kind's cases that the oracle can judge; at least three of them."""
    found = [case for case in cases(kind, dtype) if oracle not in case.lacks]
    assert len(found) >= 3
    return found


@pytest.mark.parametrize("kind", OPS)
def test_every_row_has_cases(kind):
    for dtype in dtypes_of(kind):
        assert len(cases(kind, dtype)) >= 4, f"{kind} in {dtype} needs cases: add a draw to tests/op_cases.py"


def assert_codes(found: Iterable[Case], others: Iterable[np.ndarray], within: int = 0) -> None:
    """Fails with a line for every case whose codes differ by more than `within`."""
    problems = []
    for case, other in zip(found, others, strict=True):
        ours = oracles.by_reference(case)
        assert (ours.shape, ours.dtype) == (other.shape, other.dtype), case.name
        apart = np.abs(ours.astype(np.float64) - other)
        if apart.max() > within:
            wrong = (apart > within).sum()
            problems.append(f"{case.name}: {wrong} of {apart.size} codes differ, by up to {apart.max():g}")
    assert not problems, "\n".join(problems)


def assert_reals(found: Iterable[Case], others: Iterable[np.ndarray]) -> None:
    problems = []
    for case, other in zip(found, others, strict=True):
        ours = oracles.by_reference(case)
        assert (ours.shape, ours.dtype) == (other.shape, other.dtype), case.name
        error = np.abs(ours.astype(np.float64) - other).max() / max(np.abs(other).max(), 1)
        if not error <= TOLERANCE:
            problems.append(f"{case.name}: off by {error:.1e} of the output's range")
    assert not problems, "\n".join(problems)


# int8 -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", kinds("float", "int8"))
def test_int8_stands_for_what_float_computes(kind):
    """Within a code and a rounding of the float kernel on the same reals: the judge is no island.

    Whole numbers that come of codes (argmax) are the same.
    """
    for case in judged("float", kind, "int8"):
        quant, ours = case.graph.tensors["y"].quant, oracles.by_reference(case)
        if quant is None:
            assert np.array_equal(ours, oracles.by_float_kernel(case)), case.name
        else:
            apart = oracles.dequantize(ours, quant) - oracles.by_float_kernel(case)
            assert np.abs(apart).max() <= FLOAT_CODES.get(kind, 1.01) * float(quant.scale), case.name


@pytest.mark.oracle
@pytest.mark.parametrize("kind", kinds("tflm", "int8"))
def test_int8_equals_tflite_micro(kind):
    found = judged("tflm", kind, "int8")
    assert_codes(found, oracles.by_tflite_micro(found))


@pytest.mark.oracle
@pytest.mark.parametrize("kind", kinds("litert", "int8"))
def test_int8_equals_litert_reference_kernels(kind):
    found = judged("litert", kind, "int8")
    assert_codes(found, map(oracles.by_litert, found), within=1 if kind in ("fully_connected", "sum") else 0)


@pytest.mark.oracle
@pytest.mark.parametrize("kind, activations", [
    (kind, activations) for kind in kinds("onnx", "int8") for activations in ("uint8", "int8")
    if not (activations == "uint8" and kind in WEIGHTED and oracles.U8S8_SATURATES)])
def test_int8_is_within_a_code_of_onnx_runtime(kind, activations):
    found = judged("onnx", kind, "int8")
    assert_codes(found, (oracles.by_onnx_runtime(case, activations) for case in found), within=1)


@pytest.mark.parametrize("kind", kinds("c", "int8"))
def test_int8_equals_our_c(kind, tmp_path):
    found = judged("c", kind, "int8")
    assert_codes(found, oracles.by_our_c(found, tmp_path))


# Plain numbers ----------------------------------------------------------------------------------------------

@pytest.mark.oracle
@pytest.mark.parametrize("kind, dtype", plain("tflm", ("float32", "bool")))
def test_plain_numbers_equal_tflite_micro(kind, dtype):
    """Not whole numbers, which few of its kernels take."""
    found = judged("tflm", kind, dtype)
    assert_reals(found, oracles.by_tflite_micro(found))


@pytest.mark.oracle
@pytest.mark.parametrize("kind, dtype", plain("litert"))
def test_plain_numbers_equal_litert(kind, dtype):
    found = judged("litert", kind, dtype)
    assert_reals(found, map(oracles.by_litert, found))


@pytest.mark.oracle
@pytest.mark.parametrize("kind, dtype", plain("onnx"))
def test_plain_numbers_equal_onnx_runtime(kind, dtype):
    found = judged("onnx", kind, dtype)
    assert_reals(found, map(oracles.by_onnx_runtime, found))


@pytest.mark.oracle
@pytest.mark.parametrize("kind, dtype", plain("torch"))
def test_plain_numbers_equal_torch(kind, dtype):
    found = judged("torch", kind, dtype)
    assert_reals(found, map(oracles.by_torch, found))
