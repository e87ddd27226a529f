"""Moves of values: batches, and what indices may be."""

import numpy as np
import pytest

from toolchain.errors import BadSamples
from toolchain.ir.build import Builder
from toolchain.ir.ops import make
from toolchain.runtime import moving, reference


def test_a_slice_of_an_axis_that_is_no_batch_is_literal():
    """Three matrices on axis 0, as attention parts queries, keys and values: the second one is taken."""
    builder = Builder("parts")
    x = builder.input("x", (1, 6))
    parts = builder.op("reshape", [x], "parts", shape=(3, 2))
    one = builder.op("slice", [parts], "one", begin=(1, 0), end=(2, 2), strides=(1, 1))
    feeds = {"x": np.arange(12, dtype=np.float32).reshape(2, 6)}
    assert reference.run(builder.graph(one), feeds)["one"].tolist() == [[2, 3], [8, 9]]


def test_a_slice_keeps_every_sample():
    op = make("slice", ["x"], "y", begin=(0, 1), end=(1, 4), strides=(1, 2))
    x = np.arange(15).reshape(3, 5)
    assert moving.slice_(moving.over_samples(op, 3), x).tolist() == [[1, 3], [6, 8], [11, 13]]


def gathered(x_shape, indices_shape, axis, feeds):
    builder = Builder("gather")
    x, indices = builder.input("x", x_shape), builder.input("indices", indices_shape, "int32")
    graph = builder.graph(builder.op("gather", [x, indices], "y", axis=axis))
    return reference.run(graph, feeds)["y"]


def test_each_sample_picks_by_its_own_indices():
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    found = gathered((1, 6), (1, 2), 1, {"x": x, "indices": np.array([[0, 5], [1, 1]], np.int32)})
    assert found.tolist() == [[[0, 5]], [[7, 7]]]


@pytest.mark.parametrize("index", [-1, 6])
def test_an_index_outside_the_axis_is_refused(index):
    message = f"y: gather of index {index}, but x has 0 to 5"
    with pytest.raises(BadSamples, match=message):
        gathered((1, 6), (1, 1), 1, {"x": np.zeros((1, 6), np.float32), "indices": np.int32([[index]])})


def test_depth_to_space_lays_blocks_row_by_row():
    op, x = make("depth_to_space", ["x"], "y", block=2), np.arange(8).reshape(1, 1, 2, 4)
    y = moving.depth_to_space(op, x)
    assert y[0, :, :, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert np.array_equal(moving.space_to_depth(make("space_to_depth", ["y"], "x", block=2), y), x)
