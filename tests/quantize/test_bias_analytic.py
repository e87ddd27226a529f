"""Bias correction from batch-norm statistics alone."""

from dataclasses import replace

import numpy as np
import torch

from tests.models import mobilenet_v2
from tests.quantize.nets import Net, run_quantized, samples_of
from tests.quantize.test_spread import clipped_mean, norm
from toolchain.ir.graph import Graph
from toolchain.ir.layout import channels_last
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize
from toolchain.quantize.bias_analytic import correct_biases_analytically
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.equalise import cross_layer
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference


def norm_net() -> Graph:
    """batch norm of a standard normal input -> relu -> 1x1 convolution: the paper's case, and exact."""
    net = Net("norm", 8)
    y = norm(net, net.input("x", (1, 6, 6, 5)), "norm")
    y = net.op("relu", [y], "relu")
    return net.graph(net.conv(y, 9, "conv", kernel=1))


def coarse(quantized: Graph, name: str) -> Graph:
    """The codes of a weight in steps of 16: an error that shows."""
    weight = quantized.tensors[name]
    return quantized.with_tensors(replace(weight, data=(weight.data // 16 * 16).astype(np.int8)))


def test_codes_are_those_of_equation_17():
    """b -= (W' - W) E[x], with E[x] of a clipped normal from gamma and beta."""
    source = norm_net()
    graph, samples = canonical(source), samples_of(source, 16)
    coded = coarse(quantize(graph, calibrate(graph, CalibrateConfig(), samples)), "conv.weight")
    better = correct_biases_analytically(source, graph, coded)
    gamma, beta = (source.tensors[f"norm.{role}"].data for role in ("gamma", "beta"))
    x = np.array([clipped_mean(float(b), abs(float(g)), 0, np.inf) for g, b in zip(gamma, beta)])
    (weight, exact_weight), (bias, exact_bias) = (
        (dequantize(coded.tensors[name].data, coded.tensors[name].quant), graph.tensors[name].data)
        for name in ("conv.weight", "conv.bias"))
    shift = torch.from_numpy(weight - exact_weight)[:, 0, 0].double() @ torch.from_numpy(x)
    steps = np.round((shift.numpy() + bias - exact_bias) / coded.tensors["conv.bias"].quant.scale)
    taken = coded.tensors["conv.bias"].data - better.tensors["conv.bias"].data
    np.testing.assert_allclose(taken, steps, atol=1)
    assert np.abs(steps).max() > 20


def test_the_mean_error_goes_with_and_without_equalisation():
    source = norm_net()
    samples, fresh = samples_of(source, 64, seed=1), samples_of(source, 256, seed=2)
    exact = reference.run(canonical(source), fresh.x)["conv"].mean(axis=(0, 1, 2))
    result = cross_layer(canonical(source))
    assert "relu" in result.factors
    for graph, factors in ((canonical(source), {}), (result.graph, result.factors)):
        coded = coarse(quantize(graph, calibrate(graph, CalibrateConfig(), samples)), "conv.weight")
        better = correct_biases_analytically(source, graph, coded, factors)
        before, after = (run_quantized(of, fresh.x)["conv"].mean(axis=(0, 1, 2)) - exact
                         for of in (coded, better))
        assert np.abs(after).max() < 0.25 * np.abs(before).max()


def test_no_batch_norm_no_correction():
    net = Net("plain")
    graph = net.graph(net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv"))
    coded = quantize(graph, calibrate(graph, CalibrateConfig(), samples_of(graph)))
    assert correct_biases_analytically(graph, graph, coded).digest == coded.digest


def test_a_network_from_torch_is_corrected_in_most_layers():
    """Names of what goes into an op outlive the folding of batch norms and activations."""
    from toolchain.load.torch import load_torch

    module, example = mobilenet_v2()
    source = channels_last(load_torch(module, example, "mobilenet_v2"))
    graph = canonical(source)
    coded = quantize(graph, calibrate(graph, CalibrateConfig(), samples_of(graph, 4)))
    better = correct_biases_analytically(source, graph, coded)
    biases = [t.name for t in coded.constants if t.dtype == "int32" and t.quant is not None]
    changed = [name for name in biases
               if not np.array_equal(coded.tensors[name].data, better.tensors[name].data)]
    assert len(changed) >= len(biases) - 2
