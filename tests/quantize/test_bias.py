"""Empirical bias correction against the published formula, written again in torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.quantize.nets import Net, run_quantized, samples_of
from tests.random_nets import noise, random_net
from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize
from toolchain.ir.quant import quantize as codes_of
from toolchain.quantize.bias import correct_biases, correctable
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.quantize.weights import BIAS_LIMIT
from toolchain.recipe import CalibrateConfig, QuantSpec
from toolchain.runtime import reference


def by_reference(graph, names):
    return lambda feeds: reference.run(graph, feeds, keep=names)


def quantized(graph: Graph, samples: Samples, scheme: str = "static_wi8_ai8") -> Graph:
    return quantize(graph, calibrate(graph, CalibrateConfig(), samples), QuantSpec(scheme=scheme))


def chain_net() -> Graph:
    """conv with stride and pads -> depthwise -> fully connected; activations hide what is before them."""
    net = Net("chain", 1)
    y = net.conv(net.input("x", (1, 9, 9, 3)), 8, "conv", stride=(2, 2), activation="relu6")
    depthwise = [y, net.weights("depthwise.weight", 1, 3, 3, 8), net.weights("depthwise.bias", 8)]
    y = net.op("depthwise_conv2d", depthwise, "depthwise", activation="relu")
    y = net.op("mean", [y], "mean", axes=(1, 2))
    return net.graph(net.dense(y, 6, "dense"))


def torch_sums(op, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> torch.Tensor:
    """(channels, values) before the activation, by torch."""
    x, weight, bias = (torch.from_numpy(np.ascontiguousarray(v)).double() for v in (x, weight, bias))
    if op.kind == "fully_connected":
        return (x @ weight.T + bias).T
    x, groups = x.permute(0, 3, 1, 2), 1
    top, bottom, left, right = op.attrs["pads"]
    x = functional.pad(x, (left, right, top, bottom))
    weight = weight.permute(0, 3, 1, 2)
    if op.kind == "depthwise_conv2d":
        weight, groups = weight.transpose(0, 1), x.shape[1]
    return functional.conv2d(x, weight, bias, op.attrs["stride"], groups=groups).transpose(0, 1).flatten(1)


def test_codes_are_those_of_the_published_formula():
    """Nagel et al. 2019, appendix D (as NNCF's BiasCorrection and AIMET do): op by op, b -= E[W'x'] - E[Wx],
    x' from the network whose earlier biases are corrected, every sample run through torch."""
    graph = chain_net()
    samples = samples_of(graph, 24)
    coded = quantized(graph, samples)
    ours = correct_biases(graph, coded, samples, by_reference)
    exact = reference.run(graph, samples.x, keep=["x", "conv", "mean"])
    for op in correctable(graph, coded):
        x = coded.tensors[op.inputs[0]]
        feeds = {"x": codes_of(samples.x["x"], coded.tensors["x"].quant)}
        found = dequantize(reference.run(coded, feeds, keep=[x.name])[x.name], x.quant)
        weight, bias = (dequantize(t.data, t.quant) for t in coded.of(op)[1:])
        quantized_mean = torch_sums(op, found, weight, bias).mean(1)
        float_weight, float_bias = (graph.tensors[name].data for name in op.inputs[1:])
        float_mean = torch_sums(op, exact[x.name], float_weight, float_bias).mean(1)
        old = coded.tensors[op.inputs[2]]
        new = np.round(old.data - ((quantized_mean - float_mean).numpy() / old.quant.scale))
        np.testing.assert_allclose(ours.tensors[op.inputs[2]].data, new, rtol=0, atol=1)
        assert np.abs(new - old.data).max() > 5
        coded = coded.with_tensors(ours.tensors[op.inputs[2]])


def test_means_before_the_activation_meet():
    """The last layer's outputs, which nothing clamps, have the mean of the float network's, to a step."""
    graph = chain_net()
    samples = samples_of(graph, 64)
    coded = quantized(graph, samples)
    exact = reference.run(graph, samples.x)["dense"].mean(axis=0)

    def distance(of: Graph) -> float:
        return np.abs(run_quantized(of, samples.x)["dense"].mean(axis=0) - exact).max()

    step = float(coded.tensors["dense"].quant.scale)
    assert distance(correct_biases(graph, coded, samples, by_reference)) < 0.25 * step
    assert distance(coded) > 0.5 * step


@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi8_ai16"])
@pytest.mark.parametrize("seed", range(6))
def test_any_network_comes_closer_in_the_mean(seed, scheme):
    """Random nets of all kinds: nothing but bias codes changes, and the logits' mean error does not grow."""
    graph = canonical(random_net(seed))
    x = dict(noise(graph, 24))
    samples = Samples("noise", x, None, None, np.arange(24))
    coded = quantized(graph, samples, scheme)
    better = correct_biases(graph, coded, samples, by_reference)
    biases = {op.inputs[2] for op in correctable(graph, coded)}
    for name, tensor in better.tensors.items():
        if tensor.is_constant and name not in biases:
            np.testing.assert_array_equal(tensor.data, coded.tensors[name].data)
    exact = reference.run(graph, x, keep=["head"])["head"].mean(axis=0)
    feeds = {"x": codes_of(x["x"], coded.tensors["x"].quant)}
    errors = []
    for of in (coded, better):
        quant = of.tensors["head"].quant
        found = dequantize(reference.run(of, feeds, keep=["head"])["head"], quant)
        errors.append(np.abs(found.mean(axis=0) - exact).max())
    assert errors[1] <= errors[0] + float(coded.tensors["head"].quant.scale)


def test_two_ops_that_share_a_bias_get_one_each():
    net = Net("twins", 2)
    x, bias = net.input("x", (1, 4)), net.weights("bias", 3)
    data = net.rng.normal(0, 0.5, (3, 4)).astype(np.float32)
    a, b = (net.op("fully_connected", [x, net.constant(f"{name}.weight", data), bias], name) for name in "ab")
    graph = net.graph(a, b)
    samples = samples_of(graph)
    coded = quantized(graph, samples)
    shared = coded.ops[0].inputs[2]
    twin = replace(coded.ops[1], inputs=(*coded.ops[1].inputs[:2], shared))
    better = correct_biases(graph, coded.with_ops([coded.ops[0], twin]), samples, by_reference)
    assert len({op.inputs[2] for op in better.ops}) == 2


def test_rows_that_are_no_samples_are_fed_whole():
    """A matrix of 6 rows for each sample goes from step to step."""
    net = Net("rows", 3)
    y = net.op("reshape", [net.input("x", (1, 6, 5))], "rows", shape=(6, 5))
    y = net.dense(net.dense(y, 7, "first", activation="relu"), 4, "second")
    graph = net.graph(net.op("reshape", [net.dense(y, 3, "third")], "y", shape=(1, 6, 3)))
    samples = samples_of(graph, 40)
    better = correct_biases(graph, quantized(graph, samples), samples, by_reference)
    exact, found = reference.run(graph, samples.x)["y"], run_quantized(better, samples.x)["y"]
    assert np.abs((found - exact).mean(axis=(0, 1))).max() < 0.25 * float(better.tensors["y"].quant.scale)


def test_codes_stay_within_their_limit():
    net = Net("large", 2)
    x = net.input("x", (1, 4))
    graph = net.graph(net.dense(x, 3, "y"))
    samples = samples_of(graph)
    coded = quantized(graph, samples)
    bias = coded.tensors["y.bias"]
    full = np.full_like(bias.data, BIAS_LIMIT["int8"])
    full_coded = coded.with_tensors(replace(bias, data=full))
    shifted_graph = graph.with_tensors(replace(graph.tensors["y.bias"], data=np.float32([1e30] * 3)))
    better = correct_biases(shifted_graph, full_coded, samples, by_reference)
    np.testing.assert_array_equal(better.tensors["y.bias"].data, full)
