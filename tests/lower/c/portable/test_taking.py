"""What is taken from where: tables as small as the pattern allows, and the reference's codes."""

import numpy as np
import pytest

from tests.c_host import compile_graphs
from tests.lower.c.nets import Net
from toolchain.errors import BadModel, Unsupported
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.portable.taking import take
from toolchain.runtime import reference

PARAMS = QuantParams(0.05, 3)
ONE_RUN = [0, 0, 0]


def moved(kind: str, shape: tuple[int, ...], indices=None, **attrs) -> Graph:
    net = Net(kind)
    x = net.codes_in("x", *shape)
    inputs = (x,) if indices is None else (x, net.constant("indices", np.array(indices)))
    return net.finish(net.op(kind, inputs, "y", quant=PARAMS, **attrs))


def crop(shape, begin, end, *strides) -> Graph:
    return moved("slice", shape, begin=begin, end=end, strides=strides or (1,) * len(shape))


PATTERNS = {
    "channels of a pixel": (crop((1, 4, 5, 6), (0, 0, 0, 2), (1, 4, 5, 5)), 3, [0, *range(4), *range(5)]),
    "rows of an image": (crop((1, 4, 5, 6), (0, 1, 0, 0), (1, 3, 5, 6)), 60, ONE_RUN),
    "a window": (crop((1, 4, 5, 6), (0, 1, 1, 0), (1, 3, 4, 6)), 18, [0, 0, 0, 1]),
    "every other row": (crop((1, 5, 5, 6), (0, 0, 0, 0), (1, 5, 5, 6), 1, 2, 1, 1), 30, [0, 0, 0, 1, 2]),
    "pairs of channels": (moved("gather", (1, 3, 8), [4, 5, 0, 1], axis=2), 2, [0, 0, 1, 2, 1, 0]),
    "an image twice": (moved("tile", (1, 2, 2, 3), multiples=(1, 2, 1, 1)), 12, [0, 0, 0, 0]),
    "pixels doubled": (moved("resize_nearest", (1, 2, 2, 3), size=(4, 4)), 3, [0, 0, 0, 1, 1, 0, 0, 1, 1]),
    "a mirror": (moved("mirror_pad", (1, 3), pads=((0, 0), (1, 1))), 1, [0, 0, 1, 0, 1, 2, 1]),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_tables_hold_no_more_than_the_pattern(name):
    graph, run, index = PATTERNS[name]
    call = take(graph, graph.ops[0])
    assert (call.params["run"], call.params["index"].data.tolist()) == (run, index)


def test_axes_that_are_too_many_become_one_table(tmp_path):
    """Five axes that repeat, and one that is cut twice."""
    graphs = [moved("tile", (1, 2, 3, 2, 2, 3), multiples=(1, 2, 3, 2, 3, 2)),
              crop((1, 4, 5, 3, 6, 5), (0, 1, 1, 0, 2, 1), (1, 4, 4, 3, 6, 5), 1, 2, 1, 2, 2, 3)]
    rng = np.random.default_rng(0)
    for graph, model in zip(graphs, compile_graphs(graphs, tmp_path), strict=True):
        feeds = {"x": rng.integers(-128, 128, (2, *graph.tensors["x"].shape[1:]), np.int8)}
        assert np.array_equal(model.run(feeds)["y"], reference.run(graph, feeds)["y"])


def test_places_beyond_16_bits_are_refused():
    with pytest.raises(Unsupported, match="takes from 65,537 places of an axis, C tells 65,536 apart"):
        write_c(crop((1, 65537, 2), (0, 0, 0), (1, 65537, 1)))


@pytest.mark.parametrize("indices", [[0, 6], [-1, 2]])
def test_indices_of_a_file_stay_within_what_they_index(indices):
    with pytest.raises(BadModel, match=f"gather of indices {indices[0]} to {indices[1]}, but x has 0 to 5"):
        write_c(moved("gather", (1, 6), indices, axis=1))


def test_indices_that_come_in_stay_within_what_they_index(tmp_path):
    net = Net("tokens")
    tokens = net.input("tokens", (1, 4), "int64")
    table = net.constant("table", np.arange(10, dtype=np.int8).reshape(5, 2), PARAMS)
    graph = net.finish(net.op("gather", (table, tokens), "y", quant=PARAMS, axis=0))
    model, = compile_graphs([graph], tmp_path)
    rows = model.run({"tokens": np.array([[3, -1, 5, 2**31 - 1]])})["y"][0, :, 0] // 2
    assert rows.tolist() == [3, 0, 4, 4]
