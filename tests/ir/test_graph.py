"""Digests, builders and bookkeeping of the Graph."""

from dataclasses import replace

import numpy as np
import pytest

from toolchain.errors import BadGraph
from toolchain.ir.build import Builder
from toolchain.ir.graph import Source
from toolchain.ir.ops import graph_macs


def small():
    b = Builder("small")
    x = b.input("x", (1, 4, 4, 2))
    w = b.constant("w", np.arange(18 * 3, dtype=np.float32).reshape(3, 3, 3, 2))
    return b.graph(b.op("conv2d", [x, w, b.constant("b", np.zeros(3, np.float32))], "y", pads=(1, 1, 1, 1)))


def test_the_digest_is_the_same_on_every_machine():
    assert small().digest == "51a10080ed4a5a020d209603d630e2fc24c74055fad9003693d9c0aa27823206"


def test_the_digest_does_not_depend_on_the_order_of_tensors():
    graph = small()
    assert replace(graph, tensors=dict(reversed(graph.tensors.items()))).digest == graph.digest


def test_the_digest_ignores_the_source_and_notices_a_weight():
    graph = small()
    assert replace(graph, source=Source("onnx", "a.onnx")).digest == graph.digest
    changed = graph.tensors["w"].data.copy()
    changed[0, 0, 0, 0] += 1
    assert graph.with_tensors(replace(graph.tensors["w"], data=changed)).digest != graph.digest


def test_bookkeeping():
    graph = small()
    assert graph.producers["y"].kind == "conv2d" and [op.name for op in graph.consumers["x"]] == ["y"]
    assert graph.parameters == 57 and graph_macs(graph) == 4 * 4 * 3 * 18


def test_the_builder_keeps_names_apart_and_drops_what_no_output_needs():
    b = Builder("names")
    x = b.input("x", (1, 2))
    assert [b.op("relu", [x], "relu"), b.op("relu", [x], "relu")] == ["relu", "relu.1"]
    assert [op.name for op in b.graph("relu.1").ops] == ["relu.1"]


@pytest.mark.parametrize("kind, attrs, message", [
    ("conv3d", {}, "y: unknown op kind 'conv3d'"),
    ("relu", {"slope": 1}, "y: relu has no attribute slope"),
    ("pad", {}, "y: pad needs pads"),
    ("reshape", {"shape": (1, 7)}, r"y: reshape: \(1, 4\) cannot become \(1, 7\)"),
    ("mean", {"axes": (2,)}, r"y: mean: axes \(2,\) must be within 1..1"),
])
def test_ops_that_have_no_row_are_refused(kind, attrs, message):
    b = Builder("bad")
    with pytest.raises(BadGraph, match=message):
        b.op(kind, [b.input("x", (1, 4))], "y", **attrs)
