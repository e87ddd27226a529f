"""Moments and limits without data, against closed forms and against samples."""

import math

import numpy as np
import pytest

from tests.quantize.nets import Net
from toolchain.quantize.spread import curved, normal, spreads
from toolchain.runtime import reference


def normal_pdf(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def normal_cdf(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def clipped_mean(mu: float, sigma: float, a: float, b: float) -> float:
    """Nagel et al. 2019, appendix C: the mean of a normal variable clipped to [a, b]."""
    alpha, beta = (a - mu) / sigma, (b - mu) / sigma
    inside = sigma * (normal_pdf(alpha) - normal_pdf(beta)) + mu * (normal_cdf(beta) - normal_cdf(alpha))
    return inside + a * normal_cdf(alpha) + (b * (1 - normal_cdf(beta)) if b < math.inf else 0)


@pytest.mark.parametrize("mu, sigma", [(0, 1), (-2.5, 0.7), (3, 2), (8, 5), (-9, 1), (0.01, 1e-3), (2, 0.0)])
def test_a_clipped_normal_has_its_closed_form(mu, sigma):
    for clip, (a, b) in (((lambda z: np.maximum(z, 0)), (0, math.inf)),
                         ((lambda z: np.clip(z, 0, 6)), (0, 6))):
        exact = clipped_mean(mu, sigma, a, b) if sigma else min(max(mu, a), b)
        made = curved(clip, normal(np.array([mu]), np.array([sigma])))
        assert made.mean[0] == pytest.approx(exact, abs=1e-3 * sigma)
        assert (made.low[0], made.high[0]) == pytest.approx((max(a, min(mu - 6 * sigma, b)),
                                                             min(b, max(mu + 6 * sigma, a))))


def test_rectified_standard_normal():
    """E[relu(z)] = 1 / sqrt(2 pi), E[relu(z)^2] = 1 / 2."""
    made = curved(lambda z: np.maximum(z, 0), normal(np.zeros(1), np.ones(1)))
    assert made.mean[0] == pytest.approx(1 / math.sqrt(2 * math.pi), rel=2e-3)
    assert made.deviation[0] == pytest.approx(math.sqrt(0.5 - 1 / (2 * math.pi)), rel=2e-3)


def norm(net: Net, x: str, name: str) -> str:
    channels = net.tensors[x].shape[-1]
    parameters = [net.constant(f"{name}.{role}", net.rng.normal(shift, 0.5, channels).astype(np.float32))
                  for role, shift in (("gamma", 1.0), ("beta", 0.3))]
    zero, one = (net.constant(f"{name}.{role}", np.full(channels, value, np.float32))
                 for role, value in (("mean", 0.0), ("variance", 1.0)))
    return net.op("batch_norm", [x, *parameters, zero, one], name, epsilon=1e-12)


def test_moments_are_those_of_samples():
    """A residual, curves and moves behind batch norms whose inputs are standard normal."""
    net = Net("moments", 6)
    x, z = net.input("x", (1, 4, 4, 6)), net.input("z", (1, 4, 4, 6))
    a = net.op("hard_swish", [norm(net, x, "first")], "swish")
    b = net.op("relu6", [norm(net, z, "second")], "relu6")
    total = net.op("add", [norm(net, x, "third"), norm(net, z, "fourth")], "sum", activation="relu")
    both = net.op("concat", [a, b, total], "both", axis=3)
    flat = net.op("reshape", [net.op("pad", [both], "pad", pads=((0, 0), (1, 0), (0, 0), (0, 0)))], "flat",
                  shape=(1, 360))
    graph = net.graph(flat, net.op("mean", [both], "mean", axes=(1, 2)), net.op("tanh", [x], "unknown"))
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal((4000, 4, 4, 6), np.float32) for name in ("x", "z")}
    seen = reference.run(graph, feeds, keep=["swish", "relu6", "sum"])
    found = spreads(graph, {})
    assert "unknown" not in found
    for name in ("swish", "relu6", "sum", "flat", "mean"):
        expected = found[name].full(graph.tensors[name].shape)
        np.testing.assert_allclose(seen[name].mean(axis=0), expected.mean[0], rtol=0, atol=0.12)
        assert abs((seen[name].mean(axis=0) - expected.mean[0]).mean()) < 0.01
    for name in ("swish", "relu6", "sum", "flat"):
        deviation = found[name].full(graph.tensors[name].shape).deviation
        assert seen[name].var(axis=0).mean() == pytest.approx((deviation**2).mean(), rel=0.03)
