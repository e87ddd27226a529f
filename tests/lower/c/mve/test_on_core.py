"""MVE kernels with MVE: the emulated Cortex-M55 gives the reference's codes, and in how many instructions."""

import pytest

from tests.device.trials import images, run_trials, trial
from tests.lower.c.mve import draws
from toolchain.profile import load_target
from toolchain.runtime import reference

COUNT = 40
MOST_PER_PRODUCT = {"pointwise": 0.19, "depthwise": 0.85}
"""Instructions of a relu's layer, call and all: 64 channels over 12 x 12 pixels."""


@pytest.fixture(scope="module")
def profile():
    return load_target("cortex_m55_qemu")


def tried(graphs, profile):
    """Numbers of graphs with wrong codes, instructions by number."""
    made = [trial(graph, given := draws.feeds(graph), reference.run(graph, given), profile, number)
            for number, graph in enumerate(graphs)]
    outcomes = [run_trials(image, profile) for image in images(made, profile.flash_bytes // 2)]
    return ([number for outcome in outcomes for number, _ in outcome.wrong],
            {number: count for outcome in outcomes for number, count in outcome.instructions.items()})


@pytest.mark.emulated
@pytest.mark.parametrize("what", ["convolution", "depthwise", "dense", "pointwise", "elementwise"])
def test_the_reference_s_codes(what, profile):
    wrong, _ = tried([getattr(draws, what)(1000 + number) for number in range(COUNT)], profile)
    assert not wrong


@pytest.mark.emulated
def test_instructions_for_a_product(profile):
    net = draws.Net("priced")
    x = net.codes_in("x", 1, 12, 12, 64, zero_point=-128)
    relu = {"scale": 0.05, "zero_point": -128, "activation": "relu"}
    whole = net.make("conv2d", (x, *net.weights("w", x, (64, 1, 1, 64))), "y", **relu)
    other = draws.Net("priced_too")
    x = other.codes_in("x", 1, 12, 12, 64, zero_point=-128)
    single = other.make("depthwise_conv2d", (x, *other.weights("w", x, (1, 3, 3, 64), 3)), "y",
                        pads=(1, 1, 1, 1), **relu)
    wrong, count = tried([net.finish(whole), other.finish(single)], profile)
    assert not wrong
    assert count[0] / (144 * 64 * 64) < MOST_PER_PRODUCT["pointwise"]
    assert count[1] / (144 * 64 * 9) < MOST_PER_PRODUCT["depthwise"]
