"""Patch-based execution: the same codes with less memory, and no more work than it must be."""

from time import process_time

import numpy as np
import pytest

from tests.c_host import compile_graphs
from tests.lower.c.nets import Net, residual_net
from tests.lower.c.test_emit import random_feeds
from toolchain.errors import Unsupported
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.c.arena.patches import choices, in_bands, runs
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import Machine
from toolchain.runtime import reference


def random_net(seed: int) -> Graph:
    """Two to five windowed or pointwise layers, sometimes with a shortcut, and a mean."""
    net = Net(f"random{seed}", seed)
    rng = net.rng
    x = net.codes_in("x", 1, int(rng.integers(9, 20)), int(rng.integers(5, 9)), 3)
    for i in range(rng.integers(2, 6)):
        x = LAYERS[rng.choice([*LAYERS])](net, x, f"t{i}")
    return net.finish(net.make("mean", x, "y", axes=(1, 2)))


def _conv(net: Net, x: str, name: str) -> str:
    """Of any window, stride, dilation and padding less than what it spans."""
    rng, channels = net.rng, net.tensors[x].shape[-1]
    kernel, stride = (int(rng.integers(1, 4)) for _ in range(2)), int(rng.integers(1, 3))
    kernel = tuple(kernel)
    dilation = 2 if rng.random() < 0.3 else 1
    spans = [dilation * (k - 1) for k in kernel]
    pads = tuple(int(rng.integers(0, span + 1)) for span in spans for _ in range(2))
    attrs = {"stride": (stride, stride), "dilation": (dilation, dilation), "pads": _tall(net, x, spans, pads)}
    if rng.random() < 0.5:
        operands = (x, *net.weights(name, x, (1, *kernel, channels), 3))
        return net.make("depthwise_conv2d", operands, name, **attrs)
    operands = (x, *net.weights(name, x, (int(rng.integers(1, 6)), *kernel, channels)))
    return net.make("conv2d", operands, name, **attrs)


def _tall(net: Net, x: str, spans, pads) -> tuple[int, ...]:
    """All of the padding where the input is small."""
    small = min(net.tensors[x].shape[1:3]) <= max(spans) + 1
    return (spans[0], spans[0], spans[1], spans[1]) if small else pads


def _pool(net: Net, x: str, name: str) -> str:
    kind = net.rng.choice(["average_pool2d", "max_pool2d"])
    quant = net.tensors[x].quant
    return net.make(str(kind), x, name, quant.scale, quant.zero_point, kernel=(2, 2), pads=(0, 1, 1, 0),
                    stride=(1, 2))


def _shortcut(net: Net, x: str, name: str) -> str:
    channels = net.tensors[x].shape[-1]
    inner = net.conv(x, f"{name}.inner", channels, 3)
    return net.make("add", (net.make("tanh", inner, f"{name}.tanh", 1 / 128, 0), x), name, 0.06, 1)


LAYERS = {"conv": _conv, "pool": _pool, "shortcut": _shortcut,
          "relu": lambda net, x, name: net.make("relu", x, name)}


@pytest.mark.parametrize("seed", range(40))
def test_codes_are_those_of_the_whole(seed):
    graph = random_net(seed)
    feeds = random_feeds(graph, 3, seed)
    expected = reference.run(graph, feeds)["y"]
    cut = choices(graph, runs(graph), (2, 3, 5))
    assert cut or len(graph.ops) < 4
    for each in cut:
        assert np.array_equal(reference.run(check(each, "QUANTIZED"), feeds)["y"], expected)


def test_c_in_bands(tmp_path):
    """Own buffers and arena, portable kernels and others."""
    graphs = [choices(graph, runs(graph), (3,))[-1] for graph in map(random_net, range(8, 20))]
    for isa in ("", "armv7e-m", "armv6-m"):
        folder = tmp_path / f"m{isa}"
        folder.mkdir()
        for model in compile_graphs(graphs, folder, machine=Machine(isa)):
            feeds = random_feeds(model.graph)
            expected = reference.run(model.graph, feeds)["y"]
            assert np.array_equal(model.run(feeds)["y"], expected), (isa, model.graph.name)
            assert np.array_equal(model.in_arena().run(feeds)["y"], expected), (isa, model.graph.name)


def wide_net() -> Graph:
    """Most of its memory is in the second layer."""
    net = Net("wide")
    x = net.conv(net.codes_in("x", 1, 32, 16, 2), "narrow", 4)
    x = net.conv(net.conv(x, "wide", 24), "less", 4, stride=(2, 2))
    x = net.conv(net.conv(x, "small", 8, stride=(2, 2)), "end", 4)
    return net.finish(net.make("mean", x, "y", axes=(1, 2)))


def test_bands_share_weights_and_the_border_is_padded():
    graph = wide_net()
    cut = in_bands(graph, 3, 2)
    by_name = {op.name: op for op in cut.ops}
    assert [op.kind for op in cut.ops].count("slice") == 2 and by_name["less"].kind == "concat"
    assert by_name["narrow.band0"].attrs["pads"] == (1, 0, 1, 1)
    assert by_name["wide.band1"].attrs["pads"] == (0, 1, 1, 1)
    assert cut.tensors["less.band0"].shape == (1, 8, 8, 4) and cut.tensors["wide.band0"].shape[1] == 16
    assert all(by_name[f"wide.band{i}"].inputs[1:] == ("wide.weight", "wide.bias") for i in (0, 1))
    assert graph_macs(graph) < graph_macs(cut) < 1.1 * graph_macs(graph)


def test_weights_are_in_flash_once():
    whole, cut = write_c(wide_net()), write_c(wide_net(), machine=Machine(patches=4))
    assert cut.weight_bytes == whole.weight_bytes
    assert cut.arena_bytes < 0.5 * whole.arena_bytes


def test_only_what_nothing_else_reads_is_cut():
    """stem is read by dw and by sum; from the pooling on nothing can be."""
    graph = residual_net()
    assert [graph.ops[count - 1].name for count in runs(graph)] == ["sum", "squashed", "pooled"]
    net = Net("looked_at")
    y = net.conv(net.codes_in("x", 1, 8, 8, 2), "y", 4)
    assert [*runs(net.finish(y, net.conv(net.conv(y, "z", 2), "end", 2)))] == []


def test_as_many_bands_as_ram_asks_for():
    graph = wide_net()
    whole = write_c(graph)
    assert write_c(graph, machine=Machine(ram_bytes=whole.arena_bytes + 3000)).macs == whole.macs
    less = write_c(graph, machine=Machine(ram_bytes=whole.arena_bytes + 2000))
    least = write_c(graph, machine=Machine(ram_bytes=6500))
    assert whole.macs < less.macs < least.macs
    assert whole.arena_bytes > less.arena_bytes > least.arena_bytes and least.arena_bytes + 2304 <= 6500
    assert write_c(graph, machine=Machine(ram_bytes=2500)).macs == whole.macs
    assert write_c(graph, machine=Machine(ram_bytes=6500, patches=0)).macs == whole.macs
    note = f"in bands, for less RAM: {least.macs:,} multiply-accumulates for {whole.macs:,}"
    assert whole.notes == () and [text[len("its first layers run "):] for text in least.notes] == [note]


def test_bands_that_cannot_be_are_an_error():
    message = ("residual: \\[c\\] patches = 9, but its first layers cannot be done in as many bands; take "
               'fewer, 0 for none, or "auto"')
    with pytest.raises(Unsupported, match=message):
        write_c(residual_net(), machine=Machine(patches=9))
    assert write_c(residual_net(), machine=Machine(patches=8)).files


@pytest.fixture
def vww(kit) -> Graph:
    return canonical(load(kit / "models/vww_96_int8.tflite"))


@pytest.mark.parametrize("ram_bytes, arena_bytes, macs", [
    (40_947, 38_640, 1.0), (38_000, 35_696, 1.01), (34_000, 31_696, 1.15)])
def test_a_large_network_in_little_memory(vww, ram_bytes, arena_bytes, macs):
    """40,947 B: 40 % of what TensorFlow Lite Micro takes. In less than 2 s, with what it loads."""
    start = process_time()
    source = write_c(vww, machine=Machine("armv7e-m", ram_bytes=ram_bytes))
    assert process_time() - start < 2
    assert source.arena_bytes <= arena_bytes and source.macs <= macs * graph_macs(vww)


def test_the_same_bytes_every_time():
    one, two = (write_c(wide_net(), machine=Machine("armv7e-m", ram_bytes=6500)) for _ in range(2))
    assert dict(one.files) == dict(two.files)
