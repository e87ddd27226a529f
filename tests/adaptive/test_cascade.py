"""Stages of a cascade: networks from anywhere that read the same codes and give logits."""

from dataclasses import replace

import numpy as np
import pytest

from tests import chains
from tests.lower.c.nets import Net, residual_net
from toolchain.adaptive.cascade import cascade_stages
from toolchain.errors import BadInput, Unsupported
from toolchain.ir.graph import Frames, Metadata
from toolchain.ir.quant import dequantize, quantize
from toolchain.runtime import reference


def test_the_second_reads_the_firsts_input_by_its_name():
    small = chains.network("small", 4, 0.004)
    large = chains.network("large", 6, 0.004).renamed({"x": "image"})
    first, second = cascade_stages([small, large])
    assert first is small and second.inputs == ("x",) and "image" not in second.tensors


def test_other_codes_are_requantized():
    """x at other codes: what the network then reads is what TFLite's quantize op makes of the first's."""
    small, large = chains.network("small", 4, 0.004), chains.network("large", 6, 0.004, codes=(0.031, -12))
    theirs, own = small.tensors["x"].quant, large.tensors["x"].quant
    _, second = cascade_stages([small, large])
    codes = np.random.default_rng(0).integers(-128, 128, (9, 8, 8, 3)).astype(np.int8)
    expected = reference.run(large, {"x": quantize(dequantize(codes, theirs), own)})["logits"]
    assert [op.kind for op in second.ops][0] == "quantize" and second.tensors["x"].quant.same_as(theirs)
    off = np.abs(reference.run(second, {"x": codes})["logits"].astype(int) - expected)
    assert off.max() <= 1 and (off > 0).mean() < 0.05  # requantize in fixed point, not in float


def test_a_name_that_means_something_else_there():
    large = chains.network("large", 6, 0.004).renamed({"stem": "x.first", "x": "input"})
    small = chains.network("small", 4, 0.004).renamed({"x": "x.first"})
    _, second = cascade_stages([small, large])
    assert second.inputs == ("x.first",) and second.ops[0].inputs[0] == "x.first" != second.ops[0].name


def test_a_softmax_at_the_end_is_left_out_and_said_so():
    net = residual_net()
    first, _ = cascade_stages([net, net])
    assert first.outputs == ("dense",) and "probability" not in first.tensors
    assert first.source.notes[-1].startswith("its softmax (probability) is left out")


def test_layouts_are_the_firsts():
    """One from PyTorch, channels first, one from TFLite: an .onnx of both takes the first's layout."""
    small = replace(chains.network("small", 4, 0.004), permutations={"x": (0, 3, 1, 2)})
    _, second = cascade_stages([small, chains.network("large", 6, 0.004)])
    assert second.permutations == {"x": (0, 3, 1, 2)}


def flat_net():
    net = Net("flat")
    x = net.codes_in("x", 1, 4)
    return net.finish(net.make("fully_connected", (x, *net.weights("w", x, (5, 4))), "logits"))


def told(labels=(), frames=None):
    return Metadata(labels=labels, frames={"x": frames} if frames else {})


@pytest.mark.parametrize("small, large, message", [
    (chains.network("small", 4, 0.004), flat_net(), r"takes int8 \[1, 8, 8, 3\] and flat int8 \[1, 4\]"),
    (told(tuple("abcde")), told(tuple("vwxyz")), "small and large have different labels: .*'a'.* and .*'v'"),
    (told(frames=Frames((127.0,))), told(frames=Frames((0.0,))), "small and large have different pixels")],
    ids=["inputs", "labels", "pixels"])
def test_networks_of_other_tasks(small, large, message):
    networks = [chains.network(name, 4, 0.004) if isinstance(net, Metadata) else net
                for name, net in (("small", small), ("large", large))]
    networks = [replace(graph, metadata=net) if isinstance(net, Metadata) else graph
                for graph, net in zip(networks, (small, large))]
    with pytest.raises(BadInput, match=message):
        cascade_stages(networks)


def test_several_outputs():
    net = Net("two")
    x = net.codes_in("x", 1, 4)
    first, second = (net.make("fully_connected", (x, *net.weights(n, x, (5, 4))), n) for n in ("a", "b"))
    with pytest.raises(Unsupported, match=r"two has 2 outputs \(a, b\); a stage has one"):
        cascade_stages([net.finish(first, second), flat_net()])
