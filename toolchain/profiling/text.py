"""A cost table for people: what a channel costs, and in which steps."""

from collections.abc import Iterator

from toolchain.cost_cell import Cell
from toolchain.cost_table import Channels, CostTable, Row

COUNTS = (8, 16, 32, 64)
SHOWN = ("conv2d", "depthwise_conv2d", "transpose_conv2d", "fully_connected", "add")


def table_text(table: CostTable) -> str:
    """A line for each op of weights, and for add, on each axis of channels."""
    head = f"{'op':28} {'channels':9} {'step':>4}   {table.unit} a channel, of {', '.join(map(str, COUNTS))}"
    errors = ", ".join(f"{name} {error:+.1%}" for name, error in table.errors.items())
    return "\n".join((f"{table.target}: {table.core}, {table.runtime}, {table.when}", head, *_lines(table),
                      f"predicted against measured: {errors or 'not compared'}"))


def _lines(table: CostTable) -> Iterator[str]:
    for row in table.rows:
        if row.kind not in SHOWN:
            continue
        for axis in ("inputs", "outputs"):
            if len(getattr(row, axis).at) > 1:
                yield _line(table, row, axis)


def _line(table: CostTable, row: Row, axis: Channels) -> str:
    cell = middle(row)
    costs = table.costs_along(cell, axis, COUNTS)
    name = f"{row.kind} {row.variant} {'' if cell.taps == 1 else f'{cell.taps} taps'}"
    each = "".join(f"{cost / count:>11,.4g}" for cost, count in zip(costs, COUNTS))
    return f"{name.strip():28} {axis:9} {table.step(cell, axis):>4}  {each}"


def middle(row: Row) -> Cell:
    """The cell of the row's middle points."""
    sizes = {name: getattr(row, name).at[len(getattr(row, name).at) // 2]
             for name in ("taps", "pixels", "inputs", "outputs")}
    return Cell(row.kind, row.variant, **sizes)
