"""Masks take no codes from the scores that are seen."""

import numpy as np
import pytest

from tests.zoo.judge import samples_of, sqnr_db
from toolchain.ir.build import Builder
from toolchain.pipeline import prepare
from toolchain.quantize.hidden import DEPTH, masked_ranges
from toolchain.recipe import QuantSpec, Recipe
from toolchain.runtime import reference

CAUSAL = np.tri(6, dtype=bool)
HIDDEN = np.float32(-1e4)


def masked(kind, mask=None, beta=1.0):
    """softmax of masked x x^T, times x."""
    b = Builder("masked")
    x = b.input("x", (1, 6, 8))
    scores = b.op("batch_matmul", [x, x], "scores", transpose_b=True)
    if kind == "add":
        mask = np.where(CAUSAL, 0, HIDDEN).astype(np.float32) if mask is None else mask
        made = b.op("add", [scores, b.constant("mask", mask)], "masked")
    else:
        operands = [b.constant("seen", CAUSAL), scores, b.constant("mask", np.array([HIDDEN]))]
        made = b.op("select", operands, "masked")
    shares = b.op("softmax", [made], "shares", beta=beta)
    return b.graph(b.op("batch_matmul", [shares, x], "y"))


def test_scores_end_where_softmax_gives_no_code():
    found = masked_ranges(masked("add", beta=2.0), {"scores": (-3.0, 5.0)})
    assert found["masked"] == pytest.approx((-3 - DEPTH / 2, 5.0))
    assert found["mask"] == pytest.approx((-3 - DEPTH / 2 - 5, 0.0))
    assert np.exp(-DEPTH) == pytest.approx(1 / 512)


def test_what_a_mask_adds_to_scores_that_are_seen_is_kept():
    slopes = np.where(CAUSAL, -0.5 * np.arange(6, dtype=np.float32), HIDDEN).astype(np.float32)
    found = masked_ranges(masked("add", slopes), {"scores": (-3.0, 5.0)})
    assert found["masked"] == pytest.approx((-3 - 2.5 - DEPTH, 5.0))


def test_a_chosen_mask_is_just_below_the_scores():
    found = masked_ranges(masked("select"), {"scores": (-3.0, 5.0)})
    assert found == {"mask": pytest.approx((-3 - DEPTH, -3 - DEPTH))}


def test_what_is_read_by_others_or_hides_nothing_keeps_its_range():
    assert masked_ranges(masked("add", np.zeros((6, 6), np.float32)), {"scores": (-3.0, 5.0)}) == {}
    b = Builder("read")
    x = b.input("x", (1, 6, 6))
    made = b.op("add", [x, b.constant("mask", np.full((6, 6), HIDDEN))], "masked")
    graph = b.graph(b.op("softmax", [made], "shares"), b.op("relu", [made], "read"))
    assert masked_ranges(graph, {"x": (0.0, 1.0)}) == {}


@pytest.mark.parametrize("kind", ["add", "select"])
def test_masked_attention_is_as_good_in_int8_as_attention(kind):
    graph, rng = masked(kind), np.random.default_rng(0)
    x = rng.standard_normal((48, 6, 8)).astype(np.float32)
    recipe = Recipe(quantize=QuantSpec(bias_correction="none"))
    codes = prepare(graph, recipe, samples_of(x[:32])).graph
    quant, out = codes.tensors["x"].quant, codes.tensors["y"].quant
    given = np.clip(np.rint(x[32:] / quant.scale) + quant.zero_point, -128, 127).astype(np.int8)
    found = (reference.run(codes, {"x": given})["y"].astype(float) - out.zero_point) * out.scale
    assert sqnr_db(reference.run(graph, {"x": x[32:]})["y"], found) > 28
