"""A quantized graph seen in reals."""

import numpy as np

from tests.quantize.nets import Net, samples_of
from toolchain.ir.quant import dequantize, quantize
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize as quantize_graph
from toolchain.quantize.reals import reals_of, watch_reals
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference


def by_reference(graph, names):
    return lambda feeds: reference.run(graph, feeds, keep=names)


def test_codes_are_made_of_what_goes_in_and_reals_of_what_comes_out():
    net = Net()
    graph = net.graph(net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv"))
    samples = samples_of(graph)
    coded = quantize_graph(graph, calibrate(graph, CalibrateConfig(), samples))
    x, conv = (coded.tensors[name].quant for name in ("x", "conv"))
    expected = dequantize(reference.run(coded, {"x": quantize(samples.x["x"], x)})["conv"], conv)
    shown = watch_reals(coded, ("conv",), by_reference)(samples.x)
    np.testing.assert_array_equal(shown["conv"], expected)


def test_a_float_graph_is_watched_as_it_is():
    net = Net()
    graph = net.graph(net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv"))
    x = samples_of(graph).x
    np.testing.assert_array_equal(watch_reals(graph, ("conv",), by_reference)(x)["conv"],
                                  reference.run(graph, x)["conv"])


def test_all_samples_are_kept_though_what_is_shown_is_overwritten():
    net = Net()
    graph = net.graph(net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv"))
    samples, shown = samples_of(graph, 21), {}

    def open_watch(graph, names):
        def run(feeds):
            found = reference.run(graph, feeds, keep=names)
            for name in names:
                memory = shown.setdefault(name, np.empty((21, *found[name].shape[1:]), np.float32))
                memory[:len(found[name])] = found[name]
            return {name: shown[name][:len(found[name])] for name in names}
        return run

    x, conv = reals_of(graph, ("x", "conv"), samples, open_watch)
    np.testing.assert_array_equal(x, samples.x["x"])
    np.testing.assert_array_equal(conv, reference.run(graph, samples.x)["conv"])
