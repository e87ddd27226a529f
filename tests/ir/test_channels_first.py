"""A graph that came channels first leaves so: no transposes, the source's shapes and the source's weights."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from tests.literal import Literal, random_literal
from toolchain.ir.build import Builder
from toolchain.ir.channels_first import CHANNEL_OPS, channels_first
from toolchain.ir.layout import channels_last, transposes


@settings(max_examples=100)
@given(st.integers(0, 10**6))
def test_it_undoes_channels_last(seed):
    literal = random_literal(seed)
    graph = channels_last(literal)
    laid = channels_first(graph)
    assert transposes(laid) == 0
    assert laid.permutations == {name: tuple(np.argsort(perm)) for name, perm in graph.permutations.items()}
    for name in (*literal.inputs, *literal.outputs):
        assert laid.tensors[name].shape == literal.tensors[name].shape
    for tensor in laid.constants:
        assert np.array_equal(tensor.data, literal.tensors[tensor.name].data), tensor.name


def test_channel_ops_run_channels_first():
    net = Literal(0)
    x = net.b.input("x", (1, 3, 8, 4))
    laid = channels_first(channels_last(net.b.graph(net.pool(net.batch_norm(net.conv(x, 5))))))
    assert {op.kind for op in laid.ops} <= CHANNEL_OPS
    assert [laid.tensors[op.name].shape for op in laid.ops] == [(1, 5, 8, 4), (1, 5, 8, 4), (1, 5, 4, 2)]


def channels_last_source():
    b = Builder("last")
    w = b.constant("w", np.ones((5, 3, 3, 3), np.float32))
    y = b.op("conv2d", [b.input("x", (1, 8, 4, 3)), w, b.constant("b", np.zeros(5, np.float32))], "y",
             pads=(1, 1, 1, 1))
    return b.graph(b.op("relu", [y], "z"))


def test_a_source_that_was_channels_last_has_a_transpose_at_each_end():
    laid = channels_first(channels_last_source())
    assert [(op.kind, op.attrs.get("perm")) for op in laid.ops] == [
        ("transpose", (0, 3, 1, 2)), ("conv2d", None), ("relu", None), ("transpose", (0, 2, 3, 1))]
    assert (laid.tensors["x"].shape, laid.tensors["z"].shape) == ((1, 8, 4, 3), (1, 8, 4, 5))
    assert laid.permutations == {}


def test_a_1x1_convolution_of_what_lies_channels_last_is_a_product():
    b = Builder("tokens")
    w = b.constant("w", np.arange(15, dtype=np.float32).reshape(5, 1, 1, 3))
    y = b.op("conv2d", [b.input("x", (1, 8, 4, 3)), w, b.constant("b", np.zeros(5, np.float32))], "y",
             activation="relu")
    laid = channels_first(b.graph(y))
    assert [op.kind for op in laid.ops] == ["reshape", "fully_connected", "reshape"]
    assert laid.ops[1].attrs["activation"] == "relu" and laid.tensors["y"].shape == (1, 8, 4, 5)
    assert np.array_equal(laid.tensors["w"].data, np.arange(15).reshape(5, 3))


def test_products_turn_no_operand_themselves():
    b = Builder("scores")
    x = b.input("x", (1, 2, 6, 4))
    laid = channels_first(b.graph(b.op("batch_matmul", [x, x], "scores", transpose_b=True)))
    assert [(op.kind, op.attrs.get("perm")) for op in laid.ops] == [
        ("transpose", (0, 1, 3, 2)), ("batch_matmul", None)]
    assert not laid.ops[1].attrs["transpose_b"]


def test_what_several_slices_read_is_turned_once():
    b = Builder("heads")
    turned = b.op("transpose", [b.input("x", (1, 6, 3, 2, 4))], "turned", perm=(0, 2, 3, 1, 4))
    parts = [b.op("slice", [turned], f"part{i}", begin=(0, i, 0, 0, 0), end=(1, i + 1, 2, 6, 4),
                  strides=(1,) * 5) for i in range(3)]
    assert transposes(channels_first(b.graph(*parts))) == 1


def test_kept_tensors_come_out_as_they_lie_and_permutations_say_how():
    """value in the graph = value in the result, transposed by the permutation."""
    laid = channels_first(channels_last_source(), keep=("y", "x", "z"))
    assert laid.outputs == ("z", "y", "x") and laid.tensors["y"].shape == (1, 5, 8, 4)
    assert laid.permutations == {"y": (0, 2, 3, 1)}


def test_an_input_in_the_sources_layout():
    graph = replace(channels_last_source(), permutations={"x": (0, 3, 1, 2)})
    laid = channels_first(graph)
    assert laid.tensors["x"].shape == (1, 3, 8, 4) and laid.permutations == {"x": (0, 2, 3, 1)}
    assert [op.kind for op in laid.ops] == ["conv2d", "relu", "transpose"]


def test_rows_of_features_that_make_an_image_together_keep_their_order():
    """Only where each row is an image by itself do the matrix's rows turn."""
    net = Literal(0)
    rows = net.b.op("reshape", [net.b.input("x", (1, 10, 4))], "rows", shape=(10, 4))
    y = net.b.op("fully_connected", [rows, net.weights("w", 8, 4), net.weights("b", 8)], "fc")
    image = net.b.op("reshape", [y], "image", shape=(1, 8, 5, 2))
    laid = channels_first(channels_last(net.b.graph(net.conv(image, 3))))
    assert np.array_equal(laid.tensors["w"].data, net.b.tensors["w"].data)
