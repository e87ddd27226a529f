"""batch_matmul by the kernel for DSP cores, against the reference."""

import numpy as np
import pytest

from tests.c_calls import compile_calls
from tests.lower.c.nets import Net
from toolchain.ir.graph import Graph
from toolchain.lower.c.dsp.products import batch_matmul
from toolchain.lower.c.emit import CALLS
from toolchain.runtime import reference

CASES = 40


def portable(graph: Graph):
    return CALLS["batch_matmul"](graph, graph.ops[0])


def product_of(name: str, rows: int, depth: int, columns: int, batch: tuple[int, ...] = (1, 2),
               turned: bool = False, scale: float = 0.1, zero_points: tuple[int, int, int] = (3, -7, 5),
               **attrs) -> Graph:
    """a (batch, rows, depth) times b (batch, depth, columns), or turned."""
    net, (a_zero, b_zero, zero) = Net(name), zero_points
    a = net.codes_in("a", *batch, rows, depth, scale=0.05, zero_point=a_zero)
    b = net.codes_in("b", *batch, *((columns, depth) if turned else (depth, columns)), scale=0.03,
                     zero_point=b_zero)
    attrs = {"transpose_a": False, "transpose_b": turned, **attrs}
    return net.finish(net.make("batch_matmul", (a, b), "y", scale, zero, **attrs))


def draw(number: int) -> Graph:
    """Every rest of depth and columns by four; zero points at both ends; scales that give halves."""
    rng = np.random.default_rng(number)
    rows, depth, columns = (int(rng.integers(1, most)) for most in (7, 23, 11))
    scale, batch = 0.0015 * float(rng.choice([4, 7.3, 64, 999])), (1, *rng.integers(1, 4, 2).tolist())
    zero_points = tuple(rng.choice([-128, 127, 0, -3, 40], 3).tolist())
    return product_of(f"case{number}", rows, depth, columns, batch, bool(rng.integers(2)), scale,
                      zero_points)


def test_the_codes_are_the_reference_s(tmp_path):
    graphs = [draw(number) for number in range(CASES)]
    hosts = compile_calls([batch_matmul(portable(graph)) for graph in graphs], tmp_path)
    for graph, host in zip(graphs, hosts, strict=True):
        rng = np.random.default_rng(CASES)
        feeds = {name: rng.integers(-128, 128, graph.tensors[name].shape, np.int8) for name in graph.inputs}
        want = reference.run(graph, feeds)["y"].ravel()
        np.testing.assert_array_equal(host.run(list(feeds.values()), want.size), want, str(graph.ops[0]))


def test_one_matrix_meets_several(tmp_path):
    net = Net("shared")
    a = net.codes_in("a", 1, 3, 5, 6, scale=0.05, zero_point=-9)
    b = net.codes_in("b", 1, 1, 6, 7, scale=0.03, zero_point=4)
    graph = net.finish(net.make("batch_matmul", (a, b), "y", 0.02, 1, transpose_a=False, transpose_b=False))
    host, = compile_calls([batch_matmul(portable(graph))], tmp_path)
    rng = np.random.default_rng(1)
    feeds = {name: rng.integers(-128, 128, graph.tensors[name].shape, np.int8) for name in graph.inputs}
    want = reference.run(graph, feeds)["y"].ravel()
    np.testing.assert_array_equal(host.run(list(feeds.values()), want.size), want)


def test_the_longest_sums():
    assert batch_matmul(portable(product_of("longest", 1, 16_512, 1)))


@pytest.mark.parametrize("graph", [
    pytest.param(product_of("long", 1, 16_513, 1), id="sums beyond 30 bits"),
    pytest.param(product_of("turned", 3, 3, 2, transpose_a=True), id="rows with gaps"),
    pytest.param(product_of("left", 2, 3, 4, scale=1e-4), id="a shift to the left")])
def test_what_it_does_not_take_is_left_to_the_portable_one(graph):
    assert batch_matmul(portable(graph)) is None
