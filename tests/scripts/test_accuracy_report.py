"""The comparison of INT8 files: what its tables say, and what counts as a shortcoming."""

from accuracy_cases import logits_only
from accuracy_report import judged, page, shortcomings
import numpy as np
import pytest

from toolchain.ir.graph import Graph, Op, Source, Tensor

RANDOM = np.random.default_rng(0)
EXACT = RANDOM.normal(size=(400, 5))
LABELS = EXACT.argmax(1)


def noisy(noise: float, wrong: int = 0) -> np.ndarray:
    """Logits with white noise, and the first `wrong` samples' turned around."""
    found = EXACT + noise * RANDOM.normal(size=EXACT.shape)
    found[:wrong] = -EXACT[:wrong]
    return found


def judgement(ours: np.ndarray | str, **peers: np.ndarray):
    return judged("Net", 100, EXACT, LABELS, {"ours, best": ours, **peers})


def test_a_row_has_top1_agreement_and_sqnr_with_their_errors():
    r = judgement(noisy(0.01, wrong=20)).rows["ours, best"]
    assert r.top1[0] == pytest.approx(95, abs=1)
    assert r.top1[1] == pytest.approx(100 * (0.05 * 0.95 / 399) ** 0.5, rel=0.1)
    assert r.agreement[0] == r.top1[0]
    assert judgement(EXACT + 0.1 * np.sign(EXACT)).rows["ours, best"].sqnr_db[0] < 25


def test_a_lower_mean_sqnr_is_a_shortcoming():
    (line,) = shortcomings(judgement(noisy(0.02), better=noisy(0.01), worse=noisy(0.04)), "best")
    assert line.startswith("Net: SQNR ") and "better" in line


def test_fewer_hits_are_one_only_where_chance_does_not_explain_them():
    assert shortcomings(judgement(noisy(0.001, wrong=3), peer=noisy(0.01)), "best")[1:] == []
    lines = shortcomings(judgement(noisy(0.001, wrong=40), peer=noisy(0.01)), "best")
    assert any("top-1" in line and "p = 0.000" in line for line in lines)


def test_no_file_of_ours_is_a_shortcoming():
    assert shortcomings(judgement("KeyError: 'x'", peer=EXACT), "best") == [
        "Net: ours, best failed: KeyError: 'x'"]


def test_the_page_names_the_closest_peer_and_what_failed():
    network = judged("Net", 100, EXACT, LABELS, {"ours, best": noisy(0.01), "near": noisy(0.02),
                                                 "far": noisy(0.1), "none": "out of memory"})
    text = page("today", {"net": network}, "best")
    assert text.startswith("Measured today\n")
    assert "(near) | **+" in text and "**ours, best**" in text
    assert "- Net, none: `out of memory`" in text
    assert network.figures()["rows"]["near"]["top1"] == network.rows["near"].top1


def test_a_softmax_at_the_end_is_cut_off():
    names = ("x", "z", "p", "y")
    tensors = {name: Tensor(name, (1, 4)) for name in names}
    ops = (Op("relu", ("x",), ("z",)), Op("softmax", ("z",), ("p",)), Op("reshape", ("p",), ("y",)))
    graph = Graph("net", tensors, ops, ("x",), ("y",), Source("test"))
    cut = logits_only(graph)
    assert cut.outputs == ("z",) and [op.kind for op in cut.ops] == ["relu"]
    assert logits_only(cut) is cut
