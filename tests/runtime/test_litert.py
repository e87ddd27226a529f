"""LiteRT as a session: what it takes and gives, one sample or many, and what it refuses."""

import numpy as np
import pytest

from tests.random_nets import noise, quantized, random_net
from toolchain.errors import BadModel, BadSamples
from toolchain.ir.build import Builder
from toolchain.lower.tflite import write_tflite
from toolchain.port import Port
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT

pytestmark = pytest.mark.oracle


def two_inputs():
    """a + b and a * b, so that order and names can be mixed up."""
    build = Builder("two")
    b, a = build.input("b", (1, 2, 3)), build.input("a", (1, 2, 3))
    return build.graph(build.op("mul", [a, b], "product"), build.op("sub", [a, b], "difference"))


def test_ports_come_in_the_files_order_and_are_fed_by_name():
    session = LiteRT(write_tflite(two_inputs()))
    assert session.inputs == (Port("b", (1, 2, 3), "float32"), Port("a", (1, 2, 3), "float32"))
    assert [port.name for port in session.outputs] == ["product", "difference"]
    a, b = np.full((1, 2, 3), 5, np.float32), np.full((1, 2, 3), 3, np.float32)
    outputs = session.run({"a": a, "b": b})
    assert (outputs["difference"] == 2).all() and (outputs["product"] == 15).all()


def test_quantization_is_on_the_ports():
    graph = quantized(random_net(3))
    (x,), (y,) = (LiteRT(write_tflite(graph)).inputs, LiteRT(write_tflite(graph)).outputs)
    quant = graph.tensors["x"].quant
    assert (x.dtype, x.scale, x.zero_point) == ("int8", float(quant.scale), int(quant.zero_point))
    assert (y.dtype, y.scale, y.zero_point) == ("int8", 1 / 256, -128)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_samples_are_the_single_ones_stacked(threads):
    graph = random_net(2)
    session, feeds = LiteRT(write_tflite(graph), threads=threads), noise(graph, 4)
    together = session.run(feeds)["softmax"]
    alone = [session.run({"x": feeds["x"][i:i + 1]})["softmax"] for i in range(4)]
    assert together.shape == (4, *graph.tensors["softmax"].shape[1:])
    assert np.array_equal(together, np.concatenate(alone))
    assert np.ptp(together, axis=0).max() > 1e-4


def test_samples_need_not_be_contiguous():
    graph = random_net(2)
    session, (x,) = LiteRT(write_tflite(graph)), noise(graph, 4).values()
    mirrored = np.ascontiguousarray(x[:, :, ::-1])
    strided, packed = (session.run({"x": feed})["softmax"] for feed in (x[:, :, ::-1], mirrored))
    assert np.array_equal(strided, packed)


def test_every_tensor_can_be_looked_at():
    graph = random_net(6)
    session, feeds = LiteRT(write_tflite(graph), preserve_all=True), noise(graph, 1)
    session.run(feeds)
    names = [op.name for op in graph.ops]
    expected, seen = reference.run(graph, feeds, keep=names), session.tensors()
    for name in names:
        np.testing.assert_allclose(seen[name], expected[name], atol=1e-5, err_msg=name)


def test_tensors_need_to_be_asked_for():
    with pytest.raises(ValueError, match="preserve_all=True"):
        LiteRT(write_tflite(two_inputs())).tensors()


def test_reference_kernels_are_the_references_codes():
    graph = quantized(random_net(1))
    feeds = noise(graph, 5)
    codes = LiteRT(write_tflite(graph), reference_kernels=True).run(feeds)["softmax"]
    off = np.abs(codes.astype(int) - reference.run(graph, feeds)["softmax"])
    assert off.max() <= 1 and codes.std() > 1


@pytest.mark.parametrize("feeds, message", [
    ({"a": np.zeros((1, 2, 3), np.float32)}, "no samples for input b; the model takes b, a"),
    ({"a": np.zeros((1, 2, 3), np.float32), "b": np.zeros((1, 3, 2), np.float32)},
     "input b: got float32 (1, 3, 2), expected float32 (N, 2, 3)"),
    ({"a": np.zeros((1, 2, 3), np.float64), "b": np.zeros((1, 2, 3), np.float32)},
     "input a: got float64 (1, 2, 3), expected float32 (N, 2, 3)"),
])
def test_wrong_samples_name_the_input(feeds, message):
    with pytest.raises(BadSamples) as caught:
        LiteRT(write_tflite(two_inputs())).run(feeds)
    assert str(caught.value) == message


@pytest.mark.parametrize("damage", [
    lambda model: b"", lambda model: model[:100], lambda model: model[:4] + b"ONNX" + model[8:],
    lambda model: model[:len(model) // 2]], ids=["empty", "cut", "identifier", "half"])
def test_bad_bytes_are_one_line(damage):
    model = damage(write_tflite(random_net(0)))
    with pytest.raises(BadModel) as caught:
        LiteRT(model)
    assert str(caught.value).startswith(f"LiteRT does not take this model ({len(model):,} bytes): ")
    assert "\n" not in str(caught.value)
