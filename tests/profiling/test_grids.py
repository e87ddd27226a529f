"""Where ops are measured, and what is made of channels counted one by one."""

from math import prod

import pytest

from toolchain.cost_cell import cell_of
from toolchain.ir.check import CONVERSIONS, level_of
from toolchain.profiling.grids import COUNTED, PERIOD, QUICK, TIMED, Grid, grids, shares, within
from toolchain.profiling.held_out import networks
from toolchain.profiling.nets import layer_name, layers


@pytest.mark.parametrize("density", [COUNTED, TIMED, QUICK])
@pytest.mark.parametrize("chained", [True, False])
def test_each_cell_has_a_layer_of_its_geometry(density, chained):
    """The layer's own cell is the one that it was made for: what is measured is what is told."""
    for grid in grids(density):
        cells = list({grid.points[0], grid.typical, grid.typical._replace(outputs=PERIOD + 3), *(
            [grid.points[-1]] if prod(grid.points[-1][3:7]) < 2**21 else [])})
        graph = layers(cells, chained)
        assert level_of(graph) == "QUANTIZED"
        ops = {op.name: op for op in graph.ops}
        for number, cell in enumerate(cells):
            op = ops[layer_name(number)]
            shapes = [tensor.shape for tensor in graph.of(op)]
            found = cell_of(op, shapes, graph.tensors[op.name].shape)
            assert found._replace(linear=False) == cell, op
            assert op.kind not in CONVERSIONS


def test_a_chain_keeps_what_it_does_not_measure_small():
    graph = layers([grid.typical for grid in grids(QUICK)], chained=True)
    assert [graph.tensors[name].size for name in (*graph.inputs, *graph.outputs)] == [1, 1]


def test_a_grid_shrinks_to_what_fits():
    grid = Grid("conv2d", "window", (9, 25), (4, 64, 256), (1, 4, 64), (1, 4, 64), ("outputs",))
    assert within(grid, lambda cell: True) == grid
    found = within(grid, lambda cell: cell.pixels * cell.outputs <= 300)
    assert all(cell.pixels * cell.outputs <= 300 for cell in found.cells) and len(found.points) >= 8
    assert (found.taps, found.inputs, found.periods) == (grid.taps, grid.inputs, ("outputs",))
    assert within(grid, lambda cell: cell.outputs <= 30).periods == ()
    assert within(grid, lambda cell: False) is None


def test_shares_of_exact_costs_are_theirs():
    costs = [100.0 + 7 * n + 3 * (n % 2) for n in range(PERIOD + 1)]
    rise = 7 * PERIOD
    assert shares(costs, exact=True) == pytest.approx([(cost - 100) / rise for cost in costs[:-1]], abs=1e-4)
    assert shares([5.0] * (PERIOD + 1), exact=True) == ()


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
def test_shares_of_noisy_costs_are_steps(width):
    noise = [0.02, -0.01, 0.03, 0.0, -0.02] * 4
    costs = [20 + -(-n // width) * width + noise[n] for n in range(PERIOD + 1)]
    assert shares(costs, exact=False) == tuple(-(-n // width) * width / PERIOD for n in range(PERIOD))


@pytest.mark.parametrize("ram_bytes", [16_384, 2**22])
def test_held_out_networks_are_in_codes_and_off_the_grid(ram_bytes):
    measured = {cell for grid in grids(COUNTED) for cell in grid.cells}
    for name, graph in networks(ram_bytes):
        assert level_of(graph) == "QUANTIZED"
        cells = [cell_of(op, [t.shape for t in graph.of(op)], graph.tensors[op.name].shape)
                 for op in graph.ops]
        assert sum(cell in measured for cell in cells) <= 1, name
