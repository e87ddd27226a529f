"""The network that default INT8 breaks does break, at the layer where it was planted, and nowhere else."""

import numpy as np
import pytest

from tests.breaking_net import OUTLIER, PLANTED, SPREAD, breaking_net, breaking_swish_net, trained_net
from toolchain.execution import watch
from toolchain.ir.passes import canonical
from toolchain.metric import score
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.equalise import equalised
from toolchain.quantize.quantize import quantize
from toolchain.quantize.reals import watch_reals
from toolchain.quantize.sensitivity import sensitivity
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference

NETS = {"relu": breaking_net, "hard_swish": breaking_swish_net}


@pytest.fixture(scope="module", params=NETS)
def net(request):
    return NETS[request.param]()


@pytest.fixture(scope="module")
def networks(net):
    graph, samples, _ = net
    graph = canonical(graph)
    return graph, quantize(graph, calibrate(graph, CalibrateConfig(), samples.split("calibration")))


def accuracy(graph) -> float:
    samples = breaking_net()[1].split("test").fit_to(graph)
    answers = watch_reals(graph, graph.outputs, watch)(samples.feeds(slice(None)))[graph.outputs[0]]
    return 100 * score("top1", answers, samples.y).value


def test_its_batch_norm_scales_spread_over_1000_to_1(net):
    gamma = net[0].tensors[f"{PLANTED}.gamma"].data
    assert gamma.max() / gamma.min() > SPREAD / 2
    assert gamma.argmax() == OUTLIER and np.sort(gamma)[-2] < gamma.max() / 10


def test_default_int8_loses_tens_of_points(networks):
    floats, codes = map(accuracy, networks)
    assert floats > 90
    assert codes < floats - 30


def test_the_planted_layer_is_the_whole_trouble(net, networks):
    """With a hard swish behind it, what that gives spreads as far as what it reads."""
    rows = sensitivity(*networks, net[1].split("selection"), watch)
    planted = [net[2]] + [f"{PLANTED}.hard_swish"] * (net[2] == PLANTED)
    assert [row.name for row in rows[:len(planted)]] == planted
    assert rows[len(planted) - 1].sqnr_db < 10 and rows[len(planted)].sqnr_db > 30


def test_behind_a_hard_swish_equalising_has_nothing_to_do():
    graph = canonical(breaking_swish_net()[0])
    found = equalised(graph, breaking_swish_net()[1].split("calibration"), watch)
    assert PLANTED not in found.factors and any(line.startswith(f"{PLANTED}: left") for line in found.lines)


def test_planting_changes_nothing_that_float_sees():
    samples = breaking_net()[1].split("test").fit_to(trained_net())
    before, after = (reference.run(graph, samples.feeds(slice(None)))["classifier"]
                     for graph in (trained_net(), breaking_net()[0]))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-4 * np.ptp(before))
