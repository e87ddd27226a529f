"""Bytes by hand, and by what really comes out."""

from dataclasses import replace
import zlib

import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.graph import constant
from toolchain.ir.quant import QuantParams, quantize, weight_params
from toolchain.prune.sparse_size import sparse_size
from toolchain.prune.sparsify import sparsify
from toolchain.training_sections import SparsifyConfig


def holding(*data, quant=None):
    """A graph with these constants; what it computes does not matter."""
    b = Builder("held")
    graph = b.graph(b.op("relu", [b.input("x", (1, 4))], "y"))
    return graph.with_tensors(*(constant(f"c{i}", d, quant) for i, d in enumerate(data)))


def test_float_by_hand():
    """10 x 30, 40 of which are not zero: 300 bits are 38 bytes; columns take 1 byte, 11 row starts 1 each."""
    data = np.zeros((10, 30), np.float32)
    data.ravel()[::7][:40] = 1.5
    size = sparse_size(holding(data))
    assert (size.dense, size.bitmask, size.rows) == (1200, 38 + 160, 40 * 5 + 11)
    assert size.zeros == pytest.approx(260 / 300) and size.zlib == len(zlib.compress(data.tobytes(), 9))


def test_wide_rows_take_wider_indices():
    """300 columns: 2 bytes; 400 that are not zero: row starts of 2 bytes."""
    data = np.zeros((4, 300), np.float32)
    data[:, :100] = 1
    assert sparse_size(holding(data)).rows == 400 * 6 + 5 * 2


def test_a_tensor_without_zeros_is_stored_as_it_is():
    size = sparse_size(holding(np.ones((8, 8), np.float32), np.zeros((8, 8), np.float32)))
    assert (size.dense, size.bitmask, size.rows) == (512, 256 + 8, 256 + 9)


def test_codes_are_zero_where_their_reals_are():
    data = np.array([[7, 7, 7, -3]] * 16, np.int8)
    size = sparse_size(holding(data, quant=QuantParams(np.float32(0.1), 7)))
    assert size.zeros == 0.75 and (size.dense, size.bitmask) == (64, 8 + 16)


def test_codes_of_four_bits_are_two_to_a_byte():
    real = np.array([[1.0, -7, 0, 2, 3]], np.float32)
    params = weight_params(real, None, "int4")
    graph = holding(quantize(real, params, narrow=True), quant=params)
    size = sparse_size(graph)
    assert size.dense == 3 and size.zlib == len(zlib.compress(bytes([0x91, 0x20, 0x03]), 9))


def test_more_zeros_take_less_and_the_line_says_it_all():
    b, rng = Builder("net"), np.random.default_rng(0)
    parts = [b.constant("w", rng.standard_normal((64, 64)).astype(np.float32)),
             b.constant("b", np.ones(64, np.float32))]
    graph = b.graph(b.op("fully_connected", [b.input("x", (1, 64)), *parts], "y"))
    sizes = [sparse_size(sparsify(graph, SparsifyConfig(sparsity=s)).graph) for s in (0.1, 0.5, 0.9)]
    for ways in zip(*((size.bitmask, size.rows, size.zlib) for size in sizes)):
        assert sorted(ways, reverse=True) == list(ways)
    assert {size.dense for size in sizes} == {4 * 65 * 64}
    found = replace(sizes[2], zlib=2000).summary
    assert found == ("88.6% of the constants are zero: 16,640 bytes dense, 2,408 with bitmasks, 2,436 in "
                     "compressed rows, 2,000 through zlib; dense kernels gain no time")


def test_a_graph_without_constants():
    assert sparse_size(holding()).dense == 0
