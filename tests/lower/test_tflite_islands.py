"""Which ops of an integer graph compute on reals in the .tflite file."""

import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.quant import QuantParams
from toolchain.lower.tflite import write_tflite
from toolchain.lower.tflite_islands import FASTER_ON_REALS, with_islands
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT

X, Y = QuantParams(0.05, -20), QuantParams(0.04, 10)


def two_in_a_row(first="hard_swish", second="gelu"):
    b = Builder("net")
    x = b.input("x", (1, 4, 5, 3), "int8", X)
    y = b.op(first, [b.op("max_pool2d", [x], "pool", quant=X, kernel=(2, 2))], "first", quant=Y)
    return b.graph(b.op(second, [y], "y", quant=Y))


def kinds(graph, **options):
    return [op.kind for op in with_islands(graph, **options).ops]


def test_neighbours_that_are_faster_on_reals_share_an_island():
    assert kinds(two_in_a_row()) == ["max_pool2d", "dequantize", "hard_swish", "gelu", "quantize"]


def test_for_integers_only_what_has_no_kernel_is_on_an_island():
    assert kinds(two_in_a_row(), integer_only=True) == ["max_pool2d", "hard_swish", "gelu"]
    assert kinds(two_in_a_row(second="neg"), integer_only=True) == [
        "max_pool2d", "hard_swish", "dequantize", "neg", "quantize"]


def test_sixteen_bits_stay_codes():
    b, wide = Builder("net"), QuantParams(1e-4, 0, dtype="int16")
    assert kinds(b.graph(b.op("relu", [b.input("x", (1, 4), "int16", wide)], "y", quant=wide))) == ["relu"]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", sorted(FASTER_ON_REALS - {"prelu", "div", "log", "rsqrt"}))
def test_an_island_is_within_a_code_of_the_reference(kind):
    b, positive = Builder("net"), QuantParams(0.02, -128)
    graph = b.graph(b.op(kind, [b.input("x", (1, 256), "int8", positive)], "y", quant=Y))
    codes = {"x": np.arange(-128, 128).astype(np.int8)[None]}
    apart = np.abs(LiteRT(write_tflite(graph)).run(codes)["y"].astype(int) - reference.run(graph, codes)["y"])
    assert apart.max() <= 1
