"""The arithmetic of what switchable widths, switchable bits and gates are compared by."""

from copy import deepcopy

from conditional_bits import gains, top_codes, with_top_bits
from conditional_figures import Answer, Gates, Subject, Weighed, Widths
from conditional_networks import WIDTHS, alive, at_width, gated, kept_of, sliced, slimmable
from conditional_report import difference, page
from figures import Conditions, packed
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from pruning_networks import DsCnn
import pytest
import torch

from docs.examples.har_watch.model import WatchNet
from tests.lower.c.nets import residual_net
from toolchain.ir.check import WEIGHTED
from toolchain.ir.quant import dequantize
from toolchain.runtime import reference

EXAMPLES = {WatchNet: torch.zeros(1, 6, 100), DsCnn: torch.zeros(1, 1, 49, 10)}


@pytest.mark.parametrize("make", EXAMPLES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_slice_is_what_a_width_computes(make, width):
    torch.manual_seed(0)
    network, example = slimmable(make()), EXAMPLES[make]
    x = torch.randn(8, *example.shape[1:])
    at_width(network.train(), width)(x)  # batch norms have something to say
    with torch.no_grad():
        expected, plain = at_width(network.eval(), width)(x), sliced(network, width, example)
        torch.testing.assert_close(plain(x), expected)
    assert not any("Slim" in type(layer).__name__ for layer in plain.modules())


def test_the_widest_slice_is_the_network_itself():
    torch.manual_seed(0)
    network, x = WatchNet().eval(), torch.randn(4, 6, 100)
    with torch.no_grad():
        torch.testing.assert_close(slimmable(deepcopy(network)).eval()(x), network(x))


def test_a_narrow_slice_has_the_first_weights():
    network = slimmable(WatchNet())
    narrow = sliced(network, 0.5, EXAMPLES[WatchNet])
    whole = network.blocks[0].first[0].conv.weight
    assert torch.equal(narrow.blocks[0].first[0].weight, whole[:16, :12])


@given(st.integers(1, 24), st.sampled_from([0.25, 0.5, 0.75, 1.0]), st.integers(0, 2**31))
def test_gates_keep_the_largest(channels, keep, seed):
    saliency = torch.from_numpy(np.random.default_rng(seed).permutation(channels)[None] + 1.0)
    kept, least = kept_of(saliency, keep), channels - round(keep * channels)
    assert torch.equal(kept, torch.where(saliency > least, saliency, 0.0))


@pytest.mark.parametrize("make", EXAMPLES)
def test_each_input_has_its_own_channels(make):
    torch.manual_seed(0)
    network, seen = gated(make(), 0.5).eval(), []
    network.gates["blocks_0" if make is WatchNet else "1"].register_forward_hook(
        lambda gate, given, out: seen.append(out))
    with torch.no_grad():
        network(torch.randn(32, *EXAMPLES[make].shape[1:]))
    on = alive(seen[0]).flatten(1)
    assert (on.sum(1) <= on.shape[1] / 2).all() and len(on.unique(dim=0)) > 1


@given(st.integers(-128, 127))
def test_top_bits_are_the_nearest_that_there_are(code):
    steps = 16 * np.arange(-8, 8)
    found = int(top_codes(np.array([code], np.int8))[0])
    assert found in steps and abs(found - code) == abs(steps - code).min()


@given(st.integers(0, 2**31))
def test_no_scale_is_nearer(seed):
    codes = np.random.default_rng(seed).integers(-127, 128, (3, 7)).astype(np.int8)
    coarse = top_codes(codes)
    for fine, few, gain in zip(codes.astype(float), coarse.astype(float), gains(codes, coarse, 0)):
        assert gain == pytest.approx(np.linalg.lstsq(few[:, None], fine, rcond=None)[0][0])


def test_a_slice_of_nothing_keeps_its_scale():
    assert gains(np.array([[3, -3]], np.int8), np.zeros((1, 2), np.int8), 0) == [1.0]


@pytest.mark.parametrize("rescaled", [False, True])
def test_a_network_of_top_bits_computes_with_them(rescaled):
    graph = residual_net()
    coarse = with_top_bits(graph, rescaled)
    for op in graph.ops:
        if op.kind in WEIGHTED:
            before, after = (each.tensors[op.inputs[1]] for each in (graph, coarse))
            assert np.array_equal(after.data, top_codes(before.data))
            bias, again = (dequantize(each.tensors[op.inputs[2]].data, each.tensors[op.inputs[2]].quant)
                           for each in (graph, coarse))
            np.testing.assert_allclose(again, bias, atol=coarse.tensors[op.inputs[2]].quant.scale.max())
    x = {"x": np.random.default_rng(0).integers(-128, 128, (2, 8, 8, 3)).astype(np.int8)}
    (exact,), (found,) = (reference.run(each, x).values() for each in (graph, coarse))
    assert not np.array_equal(exact, found)


# The page ---------------------------------------------------------------------------------------------------

def answer(hits: list[int], instructions: float = 100.0) -> Answer:
    return Answer(packed(np.array(hits, bool)), packed(np.array(hits, bool)), 10.0, instructions, 1000)


def test_the_page_pairs_by_sample():
    good, bad = answer([1, 1, 1, 0]), answer([1, 0, 0, 0], 50.0)
    of = Subject("watch", 0, (2, 3))
    slices = {f"slice {width}": bad for width in ("1", "0.5", "0.25")}
    ours = {"whole": good, **{f"pruned {width}": good for width in ("0.75", "0.5", "0.25")},
            "alone 0.5": bad, "alone 0.25": bad}
    made = [Widths(key="w", subject=of, n=4, answers=slices | ours),
            Gates(key="g", subject=of, n=4, answers={"gates 0.5": bad, "cascade 0.5": good}),
            Weighed(key="b", network="watch", instructions={"board": (100, 250)}, constants=(8, 4)),
            Conditions(key="c", said="today.")]
    text = page(made)
    assert "| watch, 2 + 3 epochs, n = 4 x 1 seed |" in text and "Measured today." in text
    assert "| pruned 0.5 | 100 | 1,000 | 75.00 (75.0) | +50.00 (+0.00 to +100.00) |" in text
    assert "| alone 0.25 | 50 | 1,000 | 25.00 (25.0) | +0.00 (+0.00 to +0.00) |" in text
    assert "1,000 bytes at least as one set of weights; side by side 3,000, of which 2,000" in text
    assert "| watch, board | 100 | 250 | 2.50x |" in text
    assert "| gates, 0.5 | 10 | 50 | 0.50x | 25.00 (25.0) |  |" in text
    assert "| cascade 0.5, INT8 | 10 | 100 | 1.00x | 75.00 (75.0) | +50.00 (+0.00 to +100.00) |" in text


def test_seeds_are_averaged_before_samples_are_drawn():
    both, either = np.ones((2, 2), bool), np.eye(2, dtype=bool)
    assert difference([*both], [*either]) == "+50.00 (+50.00 to +50.00)"
