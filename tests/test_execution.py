"""Watching a graph of any level in any runtime: what is shown, in which layout, and for how long."""

from dataclasses import replace

import numpy as np
import pytest

from tests.op_cases import DRAW, cases
from tests.op_maker import SAMPLES
from tests.quantize.nets import Net, samples_of, small_net
from toolchain import execution
from toolchain.errors import BadModel, BadSamples, Unsupported
from toolchain.execution import OPEN, watch
from toolchain.quantize.calibrate import BATCH, batch_size, calibrate
from toolchain.quantize.quantize import quantize as quantize_graph
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference
from toolchain.runtime.batched import can_batch

NAMES = ("x", "conv", "pool", "dense")
TOLERANCE = 1e-5
"""Of float values, as a share of the largest."""


def channels_first_net():
    """As a graph is that came channels first: a source's layout at its border."""
    graph = small_net()
    turned = replace(graph, outputs=("conv", "dense"), permutations={"x": (0, 3, 1, 2), "conv": (0, 3, 1, 2)})
    return turned.with_ops(op for op in graph.ops if op.name != "probability")


def assert_close(got, want):
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * max(1, np.abs(want).max()))


@pytest.mark.parametrize("runtime", OPEN)
@pytest.mark.parametrize("count", [1, 3, BATCH, BATCH + 5])
@pytest.mark.parametrize("make", [small_net, channels_first_net])
def test_any_tensors_of_any_number_of_samples_are_shown_in_the_graphs_layout(runtime, count, make):
    graph = make()
    x = samples_of(graph, count).x
    shown = watch(graph, NAMES, runtime)(x)
    want = reference.run(graph, x, keep=NAMES)
    assert set(shown) == set(NAMES)
    for name in NAMES:
        assert shown[name].shape == (count, *graph.tensors[name].shape[1:])
        assert_close(shown[name], want[name])


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_fewer_samples_than_it_is_open_for_and_then_more(runtime):
    graph = small_net()
    x = samples_of(graph, 21).x["x"]
    run = watch(graph, ("dense",), runtime, batch=8)
    want = reference.run(graph, {"x": x}, keep=("dense",))["dense"]
    for part in (slice(0, 5), slice(5, 6), slice(6, 14), slice(0, 21), slice(19, 21)):
        assert_close(run({"x": x[part]})["dense"], want[part])


@pytest.mark.parametrize("runtime", OPEN)
def test_codes_go_into_a_quantized_graph_and_come_out(runtime):
    graph = small_net()
    coded = quantize_graph(graph, calibrate(graph, CalibrateConfig(), samples_of(graph)))
    names = ("x", "conv", "dense", "probability")
    codes = np.random.default_rng(0).integers(-128, 128, (5, 6, 6, 2), np.int8)
    shown, want = watch(coded, names, runtime)({"x": codes}), reference.run(coded, {"x": codes}, keep=names)
    for name in names:  # each rounds the mean its own way, to a code more or less, and hands that on
        assert shown[name].dtype == np.int8
        assert np.abs(shown[name].astype(int) - want[name]).max() <= (2 if name in names[2:] else 1)


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_each_kind_of_op_computes_the_same_for_samples_together(runtime):
    """Three samples in one run, beside the reference; those whose axis 0 is more than a batch run alone."""
    oracle, together = {"onnxruntime": "onnx"}.get(runtime, runtime), 0
    for kind in DRAW:
        for case in [case for case in cases(kind, "float32")[:2] if oracle not in case.lacks]:
            run = watch(case.graph, case.graph.outputs, runtime, batch=SAMPLES)
            (name,) = case.graph.outputs
            got, want = run(case.feeds)[name], reference.run(case.graph, case.feeds)[name]
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * max(1, np.abs(want).max()),
                                       err_msg=case.name)
            together += can_batch(case.graph)
    assert together > 60


def test_values_are_views_that_the_next_call_overwrites_and_that_outlive_the_runtime():
    graph = small_net()
    first, second = (samples_of(graph, 1, seed=seed).x for seed in (1, 2))
    run = watch(graph, ("conv",), "litert")
    shown = run(first)["conv"]
    kept = shown.copy()
    again = run(second)["conv"]
    assert np.shares_memory(shown, again) and not np.array_equal(shown, kept)
    with pytest.raises(ValueError, match="read-only"):
        shown[0] = 0
    del run
    assert_close(again, reference.run(graph, second, keep=("conv",))["conv"])


def test_only_what_leads_to_the_watched_tensors_is_run():
    graph = small_net()
    dense = next(op for op in graph.ops if op.name == "dense")
    graph = graph.with_ops(replace(op, kind="erf") if op is dense else op for op in graph.ops)
    x = samples_of(graph, 2).x
    with pytest.raises(Unsupported, match="dense"):
        watch(graph, ("dense",), "litert")
    np.testing.assert_array_equal(watch(graph, ("x",), "litert")(x)["x"], x["x"])
    assert watch(graph, ("conv",), "litert")(x)["conv"].shape == (2, 6, 6, 4)


@pytest.mark.parametrize("refusal", [Unsupported, BadModel])
def test_the_fastest_runtime_is_the_first_that_takes_the_graph(monkeypatch, refusal):
    def refuses(graph, names, batch):
        raise refusal("no")

    graph, opened = small_net(), []
    takes = OPEN["reference"]
    monkeypatch.setattr(execution, "OPEN", {
        "litert": refuses, "onnxruntime": lambda *what: opened.append(what) or takes(*what),
        "reference": takes})
    assert set(watch(graph, ("conv",))(samples_of(graph, 2).x)) == {"conv"}
    assert len(opened) == 1
    with pytest.raises(refusal):
        watch(graph, ("conv",), "litert")


def test_a_runtime_that_refuses_a_batch_is_given_one_sample_at_a_time():
    graph, sizes = small_net(), []

    def opens(given):
        (count, *_) = given.tensors["x"].shape
        sizes.append(count)
        if count > 1:
            raise BadModel("one only")
        return lambda feeds: reference.run(given, feeds)

    x = samples_of(graph, 4).x
    run = execution.InBatches(opens, graph, ("dense",), None)
    assert_close(run(x)["dense"], reference.run(graph, x, keep=("dense",))["dense"])
    run(x)
    assert sizes == [1, 4]


def test_how_many_run_together_is_a_matter_of_sizes():
    net = Net()
    net.input("x", (1, 256, 256, 3))
    graph = net.graph(net.conv("x", 16, "conv"))
    one = 4 * (256 * 256 * 3 + 256 * 256 * 16)
    assert batch_size(graph, ("x", "conv")) == max(1, (1 << 23) // one) == 1
    assert batch_size(graph, ("x",)) == 10
    assert batch_size(small_net(), NAMES) == BATCH


def test_feeds_that_do_not_fit_are_named():
    graph = small_net()
    run = watch(graph, ("conv",), "litert")
    with pytest.raises(BadSamples, match=r"input x: got float32 \(2, 5, 6, 2\), expected float32 \(N, 6, "):
        run({"x": np.zeros((2, 5, 6, 2), np.float32)})
