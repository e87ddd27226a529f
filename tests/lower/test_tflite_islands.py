"""Which ops of an integer graph compute on reals in the .tflite file."""

import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.quant import QuantParams
from toolchain.lower.tflite import write_tflite
from toolchain.lower.tflite_islands import FASTER_ON_REALS, island_note, with_islands
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


def attention(mask_first=False):
    """softmax(x y^T + mask) y, of two inputs."""
    b, unit = Builder("attention"), QuantParams(1 / 256, -128)
    x, y = (b.input(name, (1, 2, 6, 4), "int8", X) for name in "xy")
    mask = b.constant("mask", np.full((1, 1, 6, 6), -20, np.int8), X)
    if mask_first:
        x = b.op("add", [x, b.constant("shift", np.int8([[[[-10]]]]), X)], "shifted", quant=Y)
    scores = b.op("batch_matmul", [x, y], "scores", quant=Y, transpose_b=True)
    masked = b.op("add", [scores, mask], "masked", quant=Y)
    weights = b.op("softmax", [masked], "weights", quant=unit)
    return b.graph(b.op("batch_matmul", [weights, y], "z", quant=Y))


def test_what_stands_between_islands_joins_them():
    island = ["batch_matmul", "add", "softmax", "batch_matmul"]
    assert kinds(attention()) == ["dequantize", "dequantize", *island, "quantize"]
    assert kinds(attention(mask_first=True))[:2] == ["add", "dequantize"]  # it reads codes
    assert kinds(attention(), integer_only=True) == island


def test_a_softmax_whose_codes_are_wanted_stays_in_them():
    b = Builder("classifier")
    x = b.input("x", (1, 2, 6, 4), "int8", X)
    scores = b.op("batch_matmul", [x, x], "scores", quant=Y, transpose_b=True)
    graph = b.graph(b.op("softmax", [scores], "y", quant=QuantParams(1 / 256, -128)))
    assert kinds(graph) == ["dequantize", "batch_matmul", "quantize", "softmax"]


def test_a_note_says_what_computes_on_reals_and_how_not_to():
    assert island_note(attention(), integer_only=False) == (
        'the .tflite file computes 4 of 4 ops in float between conversions, where LiteRT is faster so '
        '(1 add, 2 batch_matmul, 1 softmax); [tflite] islands = "needed" keeps them in integers',)
    assert island_note(attention(), integer_only=True) == ()


def test_sixteen_bits_stay_codes():
    b, wide = Builder("net"), QuantParams(1e-4, 0, dtype="int16")
    assert kinds(b.graph(b.op("relu", [b.input("x", (1, 4), "int16", wide)], "y", quant=wide))) == ["relu"]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", sorted(FASTER_ON_REALS - {"prelu", "div", "log", "rsqrt", "batch_matmul"}))
def test_an_island_is_within_a_code_of_the_reference(kind):
    b, positive = Builder("net"), QuantParams(0.02, -128)
    graph = b.graph(b.op(kind, [b.input("x", (1, 256), "int8", positive)], "y", quant=Y))
    codes = {"x": np.arange(-128, 128).astype(np.int8)[None]}
    apart = np.abs(LiteRT(write_tflite(graph)).run(codes)["y"].astype(int) - reference.run(graph, codes)["y"])
    assert apart.max() <= 1


@pytest.mark.oracle
def test_attention_on_reals_is_nearer_to_the_reals_than_its_codes_are():
    graph, rng = attention(), np.random.default_rng(0)
    codes = {name: rng.integers(-60, 20, (1, 2, 6, 4), np.int8) for name in "xy"}
    x, y = (0.05 * (codes[name].astype(float) + 20) for name in "xy")
    scores = np.exp(x @ y.swapaxes(2, 3))
    exact = scores / scores.sum(-1, keepdims=True) @ y
    found = {name: 0.04 * (value["z"].astype(float) - 10) for name, value in {
        "island": LiteRT(write_tflite(graph)).run(codes), "codes": reference.run(graph, codes)}.items()}
    off = {name: np.abs(value - exact).max() for name, value in found.items()}
    assert off["island"] <= 0.0201 and off["island"] <= off["codes"]
