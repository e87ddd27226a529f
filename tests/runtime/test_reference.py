"""How the reference runs a graph: samples, memory, names, errors. What ops compute the op matrix judges."""

import tracemalloc

import numpy as np
import pytest

from toolchain.errors import BadSamples, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.runtime import reference
from toolchain.runtime.reference import run

QUANT = QuantParams(np.float32(0.1), 3)


def float_net() -> Graph:
    """conv -> relu -> mean over the image -> reshape, one input of 6 x 6 x 2."""
    builder, rng = Builder("net"), np.random.default_rng(0)
    x = builder.input("x", (1, 6, 6, 2))
    weight = builder.constant("w", rng.normal(size=(4, 3, 3, 2)).astype(np.float32))
    bias = builder.constant("b", rng.normal(size=4).astype(np.float32))
    conv = builder.op("conv2d", (x, weight, bias), "conv", pads=(1, 1, 1, 1), activation="relu")
    pooled = builder.op("mean", (conv,), "pooled", axes=(1, 2), keepdims=True)
    return builder.graph(builder.op("reshape", (pooled,), "y", shape=(1, 4)))


def int8_op(kind: str, input_shape, out: QuantParams = QUANT, **attrs) -> Graph:
    builder = Builder(kind)
    x = builder.input("x", input_shape, "int8", QUANT)
    return builder.graph(builder.op(kind, (x,), "y", quant=out, **attrs))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 6, 6, 2)).astype(np.float32)


def test_a_convolution_is_the_sum_of_its_definition():
    graph, x = float_net(), images(1)
    weight, bias = graph.tensors["w"].data, graph.tensors["b"].data
    padded = np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    conv = run(graph, {"x": x}, keep=["conv"])["conv"]
    for row, column in ((0, 0), (2, 3), (5, 5)):
        sums = (padded[row:row + 3, column:column + 3] * weight).sum(axis=(1, 2, 3)) + bias
        assert conv[0, row, column] == pytest.approx(np.maximum(sums, 0), abs=1e-5)


def test_many_samples_give_what_each_gives_alone(monkeypatch):
    graph, x = float_net(), images(7)
    alone = np.concatenate([run(graph, {"x": x[i:i + 1]})["y"] for i in range(7)])
    monkeypatch.setattr(reference, "VALUES_AT_ONCE", 3 * 144)  # three at a time, the last part is short
    assert run(graph, {"x": x})["y"] == pytest.approx(alone, abs=1e-6)


def test_keep_hands_out_activations_and_inputs_beside_the_outputs():
    values = run(float_net(), {"x": images(3)}, keep=["conv", "x"])
    assert {name: value.shape for name, value in values.items()} == {
        "y": (3, 4), "conv": (3, 6, 6, 4), "x": (3, 6, 6, 2)}
    assert values["conv"].min() == 0


def test_keep_names_what_the_graph_lacks():
    with pytest.raises(KeyError, match="net has no tensor conv.1"):
        run(float_net(), {"x": images(1)}, keep=["conv.1"])


def test_memory_does_not_grow_with_the_samples():
    """100 samples of a chain of ten 256 kB activations: a few live at a time."""
    builder = Builder("chain")
    name = builder.input("x", (1, 256, 256))
    for i in range(10):
        name = builder.op("tanh", (name,), f"t{i}")
    graph = builder.graph(builder.op("mean", (name,), "y", axes=(1, 2)))
    x = np.zeros((100, 256, 256), np.float32)
    tracemalloc.start()
    run(graph, {"x": x})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 256 * 256 * 4


@pytest.mark.parametrize("shapes", [[(1, 12), (6, 2), (1, 12)], [(1, 3, 4), (3, 4), (1, 12)]])
def test_an_axis_that_is_no_batch_on_the_way_runs_sample_by_sample(shapes):
    builder = Builder("reshapes")
    name = builder.input("x", shapes[0])
    for i, shape in enumerate(shapes[1:]):
        name = builder.op("reshape", (name,), f"r{i}", shape=shape)
    x = np.arange(5 * 12, dtype=np.float32).reshape(5, *shapes[0][1:])
    assert np.array_equal(run(builder.graph(name), {"x": x})[name], x.reshape(5, 12))


def test_operands_of_different_rank_broadcast_as_one_sample_would():
    builder = Builder("ranks")
    a, b = builder.input("a", (1, 2, 3, 4)), builder.input("b", (1, 4))
    graph = builder.graph(builder.op("add", (a, b), "y"))
    rng = np.random.default_rng(2)
    feeds = {"a": rng.normal(size=(3, 2, 3, 4)), "b": rng.normal(size=(3, 4))}
    feeds = {name: value.astype(np.float32) for name, value in feeds.items()}
    assert np.array_equal(run(graph, feeds)["y"], feeds["a"] + feeds["b"][:, None, None])


def test_wrong_samples_name_the_input():
    message = r"input x: got float32 \(1, 6, 6, 3\), expected float32 \(N, 6, 6, 2\)"
    with pytest.raises(BadSamples, match=message):
        run(float_net(), {"x": np.zeros((1, 6, 6, 3), np.float32)})


def test_an_op_without_a_kernel_for_its_dtypes_is_loud():
    builder = Builder("wide")
    x = builder.input("x", (1, 4), "uint8", QuantParams(np.float32(0.1), 0, dtype="uint8"))
    graph = builder.graph(builder.op("relu", (x,), "y", quant=builder.tensors[x].quant))
    with pytest.raises(Unsupported, match="y: the reference has no relu for uint8 activations"):
        run(graph, {"x": np.zeros((1, 4), np.uint8)})


@pytest.mark.parametrize("kind, attrs", [
    ("reshape", {"shape": (1, 4)}),
    ("pad", {"pads": ((0, 0), (1, 1), (0, 0))}),
    ("transpose", {"perm": (0, 2, 1)}),
])
def test_codes_are_not_handed_on_under_another_meaning(kind, attrs):
    graph = int8_op(kind, (1, 2, 2), QuantParams(np.float32(0.2), 3), **attrs)
    with pytest.raises(Unsupported, match=f"y: int8 {kind} hands codes on as they are, but x has scale 0.1"):
        run(graph, {"x": np.zeros((1, 2, 2), np.int8)})


@pytest.mark.parametrize("kind, scale, zero_point", [
    ("softmax", 1 / 256, -128), ("logistic", 1 / 256, -128), ("tanh", 1 / 128, 0)])
def test_a_curve_gives_codes_at_one_scale_only(kind, scale, zero_point):
    message = f"y: int8 {kind} gives codes at scale {scale}, zero point {zero_point}"
    with pytest.raises(Unsupported, match=message):
        run(int8_op(kind, (1, 4)), {"x": np.zeros((1, 4), np.int8)})


def test_int8_averages_round_halves_away_from_zero_and_leave_padding_out():
    graph = int8_op("average_pool2d", (1, 1, 4, 1), kernel=(1, 2), pads=(0, 0, 1, 0))
    x = np.array([5, 6, -6, -7], np.int8).reshape(1, 1, 4, 1)  # windows (5), (5, 6), (6, -6), (-6, -7)
    assert run(graph, {"x": x})["y"].ravel().tolist() == [5, 6, 0, -7]


def test_padding_of_an_int8_convolution_holds_the_zero_point():
    """A box filter over a constant image whose reals are 0: with the right padding every sum is the bias."""
    builder = Builder("conv")
    x = builder.input("x", (1, 3, 3, 1), "int8", QUANT)
    scale = QuantParams(np.float32(1), 0)
    weight = builder.constant("w", np.full((1, 3, 3, 1), 100, np.int8), scale)
    bias = builder.constant("b", np.array([7], np.int32), QuantParams(np.float32(0.1), 0, dtype="int32"))
    graph = builder.graph(builder.op("conv2d", (x, weight, bias), "y", quant=QUANT, pads=(1, 1, 1, 1)))
    assert (run(graph, {"x": np.full((1, 3, 3, 1), 3, np.int8)})["y"] == 7 + 3).all()


def test_accumulators_wrap_at_32_bits_as_in_c():
    builder = Builder("wrap")
    x = builder.input("x", (1, 1), "int8", QuantParams(np.float32(1), 0))
    weight = builder.constant("w", np.array([[127]], np.int8), QuantParams(np.float32(1), 0))
    largest = np.array([2**31 - 1], np.int32)
    bias = builder.constant("b", largest, QuantParams(np.float32(1), 0, dtype="int32"))
    out = QuantParams(np.float32(2**25), 0)
    graph = builder.graph(builder.op("fully_connected", (x, weight, bias), "y", quant=out))
    assert run(graph, {"x": np.array([[1]], np.int8)})["y"] == -64
