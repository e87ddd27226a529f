"""Einsum computes what ONNX Runtime does, where two operands are multiplied as matrices."""

import pytest

from tests.load.onnx_models import assert_as_onnx_runtime, model_of, node, normal
from toolchain.errors import BadModel, Unsupported
from toolchain.load.onnx import load_onnx

pytestmark = pytest.mark.oracle

LEFT, RIGHT = (1, 3, 4, 5), (1, 3, 5, 6)


@pytest.mark.parametrize("equation, other", [
    ("bhqd,bhdk->bhqk", RIGHT), ("bhqd,bhkd->bhqk", (1, 3, 6, 5)), ("bhqd,bhdk->bqhk", RIGHT),
    ("b c h w, b c w k -> b k c h", RIGHT), ("nchw,nkhw->nck", (1, 7, 4, 5)), ("nctv,nvw->nctw", (1, 5, 6))])
def test_of_two_activations(equation, other):
    made = node("Einsum", "x z", "y", equation=equation)
    graph = assert_as_onnx_runtime(model_of([made], {"x": LEFT, "z": other}))
    assert [op.kind for op in graph.ops].count("batch_matmul") == 1


@pytest.mark.parametrize("equation, shape", [
    ("nctv,vw->nctw", (5, 6)), ("nchw,oc->nohw", (7, 3)), ("bhqd,hdm->bqm", (3, 5, 6))])
def test_of_a_constant(equation, shape):
    made = node("Einsum", "x w", "y", equation=equation)
    assert_as_onnx_runtime(model_of([made], {"x": LEFT}, {"w": normal(*shape)}))


@pytest.mark.parametrize("equation, reason", [
    ("nchw,nchw", "only two operands, each axis once, with '->' have a row"),
    ("...hw,...wk->...hk", "only two operands"), ("nccw,nchw->nch", "each axis once"),
    ("nchw,ncwk->nck", "an axis of one operand only; sum over it first")])
def test_other_sums_are_refused(equation, reason):
    model = model_of([node("Einsum", "x z", "y", equation=equation)], {"x": LEFT, "z": RIGHT})
    with pytest.raises(Unsupported, match=reason):
        load_onnx(model, "net")


def test_an_equation_that_does_not_fit_is_damaged():
    model = model_of([node("Einsum", "x z", "y", equation="ncw,ncwk->nck")], {"x": LEFT, "z": RIGHT})
    with pytest.raises(BadModel, match="Einsum at y: "):
        load_onnx(model, "net")
