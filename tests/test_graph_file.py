"""A graph comes back from its file as it was; what is no such file is one clear error."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import msgspec
import numpy as np
import pytest

from tests.coded_nets import coded_net
from tests.prune.nets import RandomNet
from toolchain.atomic import write_sealed
from toolchain.errors import BadInput
from toolchain.graph_file import read_graph, write_graph
from toolchain.ir.build import Builder
from toolchain.ir.graph import Frames, Graph, Metadata, Source
from toolchain.runtime import reference


def same(one: Graph, other: Graph) -> bool:
    """Down to types, order and everything that the digest leaves out."""
    assert one.digest == other.digest and list(one.tensors) == list(other.tensors)
    for a, b in zip(one.tensors.values(), other.tensors.values()):
        assert (a.name, a.shape, a.dtype) == (b.name, b.shape, b.dtype)
        assert (a.quant is None) == (b.quant is None) and (a.quant is None or a.quant.same_as(b.quant))
        assert a.data is None or (a.data.tobytes() == b.data.tobytes() and a.data.dtype == b.data.dtype
                                  and b.data.flags.writeable)
    for a, b in zip(one.ops, other.ops, strict=True):
        assert repr(a) == repr(b)  # 1 is not 1.0, a tuple no list
    return (one.source, one.metadata, one.permutations) == (other.source, other.metadata, other.permutations)


def again(graph: Graph, folder) -> Graph:
    path = folder / "a.graph"
    write_graph(path, graph)
    return read_graph(path)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), blocks=st.integers(0, 6))
def test_float_graphs_come_back(seed, blocks, tmp_path_factory):
    graph = RandomNet(seed).graph(blocks)
    assert same(graph, again(graph, tmp_path_factory.getbasetemp()))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_quantized_graphs_come_back_and_compute_the_same(seed, tmp_path_factory):
    net = coded_net(seed)
    got = again(net.graph, tmp_path_factory.getbasetemp())
    assert same(net.graph, got)
    expected, outputs = (reference.run(graph, net.feeds) for graph in (net.graph, got))
    assert all(np.array_equal(expected[name], outputs[name]) for name in net.graph.outputs)


def small(value=0.0) -> Graph:
    b = Builder("small")
    x = b.input("ein/gäng:0", (1, 2, 2, 3))
    y = b.op("pad", [x], "pad", pads=((0, 0), (1, 0), (0, 1), (0, 0)), value=value)
    return b.graph(b.op("add", [y, b.constant("c", np.float32([1, -0.0, 1e-45]))], "sum"))


def test_what_the_digest_leaves_out_comes_back(tmp_path):
    source = Source("onnx", "a b.onnx", "ab" * 32, 1e-7, ("batch bound to 1", "ü"), (("x", "port"),))
    metadata = Metadata(("cat", "dog"), {"ein/gäng:0": Frames((0.1, 2.0, 3.0), (1.0, 1.0, 255.0), "rgb")})
    graph = replace(small(), source=source, metadata=metadata, permutations={"ein/gäng:0": (0, 3, 1, 2)})
    assert same(graph, again(graph, tmp_path))


@pytest.mark.parametrize("value", [float("-inf"), 0.1, 1, -0.0])
def test_numbers_of_attributes_come_back_bit_for_bit(value, tmp_path):
    assert same(small(value), again(small(value), tmp_path))


def test_the_same_graph_makes_the_same_bytes(tmp_path):
    for name in "ab":
        write_graph(tmp_path / name, small())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_damaged_file_is_one_clear_error(tmp_path):
    path, rng = tmp_path / "damaged", np.random.default_rng(0)
    write_graph(path, small())
    whole, contents = path.read_bytes(), [b"", b"x"]
    contents += [whole[:int(end)] for end in rng.integers(0, len(whole), 20)]
    for at, bit in zip(rng.integers(0, len(whole), 60), rng.integers(0, 8, 60)):
        contents.append(whole[:at] + bytes([whole[at] ^ 1 << int(bit)]) + whole[at + 1:])
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(BadInput, match="damaged: no graph, or a damaged one: .*; delete it"):
            read_graph(path)


def test_no_file(tmp_path):
    with pytest.raises(BadInput, match="nowhere: No such file or directory; name a file that holds a graph"):
        read_graph(tmp_path / "nowhere")


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_sealed_file_of_other_content_is_a_graph_or_an_error(at, value, tmp_path_factory):
    """Whoever can seal a file can still not make reading it fail in another way."""
    path = tmp_path_factory.getbasetemp() / "forged"
    write_graph(path, small())
    content = bytearray(path.read_bytes()[65:])
    content[at % len(content)] = value
    write_sealed(path, bytes(content))
    try:
        assert isinstance(read_graph(path), Graph)
    except BadInput as error:
        assert "forged" in str(error)


@pytest.mark.parametrize("change, message", [
    ({"schema_version": 2}, "Invalid enum value 2"),
    ({"inputs": ("x",)}, "it has no tensor x"),
    ({"extra": 1}, "unknown field `extra`"),
    ({"tensors": ()}, "it has no tensor"),
])
def test_a_file_of_another_kind_is_told(tmp_path, change, message):
    path = tmp_path / "other"
    write_graph(path, small())
    record = msgspec.msgpack.decode(path.read_bytes()[65:])
    write_sealed(path, msgspec.msgpack.encode(record | change))
    with pytest.raises(BadInput, match=f"other: no graph, or a damaged one: .*{message}"):
        read_graph(path)


def test_a_shape_larger_than_the_file_is_refused(tmp_path):
    path = tmp_path / "large"
    write_graph(path, small())
    record = msgspec.msgpack.decode(path.read_bytes()[65:])
    for tensor in record["tensors"]:
        if tensor["data"] is not None:
            tensor["shape"] = [2**40, 2**40]
    write_sealed(path, msgspec.msgpack.encode(record))
    with pytest.raises(BadInput, match="12 bytes are no float32 of shape"):
        read_graph(path)


@pytest.mark.parametrize("value", [None, "zzz", 1.5, {}, [[]], [None, None], [2**40] * 9])
@pytest.mark.parametrize("op, name", [
    (0, "pads"), (0, "stride"), (1, "kernel"), (2, "begin"), (2, "strides")])
def test_an_attribute_of_another_shape_is_refused(tmp_path, op, name, value):
    build = Builder("forged")
    weight, bias = (build.constant(n, np.ones(s, np.float32)) for n, s in (("w", (2, 1, 1, 3)), ("b", (2,))))
    x = build.op("conv2d", [build.input("x", (1, 4, 4, 3)), weight, bias], "conv", pads=(0, 0, 0, 0))
    x = build.op("max_pool2d", [x], "pool", kernel=(2, 2), stride=(2, 2))
    path, ends = tmp_path / "forged", {"end": (1, 1, 1, 2), "strides": (1, 1, 1, 1)}
    write_graph(path, build.graph(build.op("slice", [x], "cut", begin=(0, 0, 0, 0), **ends)))
    record = msgspec.msgpack.decode(path.read_bytes()[65:])
    record["ops"][op]["attrs"][name] = value
    write_sealed(path, msgspec.msgpack.encode(record))
    with pytest.raises(BadInput, match="forged"):
        read_graph(path)
