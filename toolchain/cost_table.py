"""What ops cost on a target against their channels, measured: `edge profile-target` makes the file.

A row is one kind of op in one variant of its geometry, measured at a grid of (taps, pixels, input channels,
output channels). Between grid points costs are interpolated linearly on each axis, for kernels take so much
for each pixel, and in each of these so much for each channel, and so on; beyond the grid they go on as at its
end. Channels cost in steps: a kernel that does 16 at once takes as long for 17 as for 32. A finely measured
run of channel counts says where within a period the cost comes; that is the axis' measure between two points.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from toolchain.atomic import cache_folder, replacing
from toolchain.cost_cell import STAND_IN, Cell, cell_of
from toolchain.errors import BadConfig, Unsupported
from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.loops import repeats
from toolchain.ir.passes import canonical
from toolchain.profile import TARGETS, TargetProfile

FILE = "cost_table.json"
Count = Annotated[int, msgspec.Meta(gt=0)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
Channels = Literal["inputs", "outputs"]
STEPS = (1, 2, 4, 8, 16)
WITHIN = 0.02
"""What a smaller step may cost more than the best one, as a share."""
AXES = ("taps", "pixels", "inputs", "outputs")


class Axis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """at:     where it was measured, ascending
    period: share of the cost of so many units that the first r of them have, r = 0, 1, ...; () where each has
            the same
    """

    at: tuple[Count, ...] = (1,)
    period: tuple[float, ...] = ()

    def __post_init__(self):
        if not self.at or any(a >= b for a, b in zip(self.at, self.at[1:])):
            raise ValueError(f"an axis is measured at {list(self.at)}, which do not ascend")
        if self.period and self.period[0]:
            raise ValueError(f"the first of {len(self.period)} units has no share of a period yet: must be 0")

    def measure(self, count: int) -> float:
        """The count in units of one that cost the same."""
        if not self.period:
            return count
        whole, rest = divmod(count, len(self.period))
        return len(self.period) * (whole + self.period[rest])

    def between(self, count: int) -> tuple[int, float]:
        """(number of the point before, share of the way to the next one): 0 to 1 within the axis, more beyond
        its last point. An axis has two points at least."""
        before = min(max(bisect_right(self.at, count) - 1, 0), len(self.at) - 2)
        low, high = self.at[before], self.at[before + 1]
        span = self.measure(high) - self.measure(low)
        if span < 0.01 * (high - low):
            return before, (count - low) / (high - low)
        return before, (self.measure(count) - self.measure(low)) / span


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """kind, variant, axes: as Cell has them
    linear: what an element of the output costs more where it has no activation
    costs:  of all points of the grid, the last axis fastest
    """

    kind: str
    variant: str = ""
    taps: Axis = Axis()
    pixels: Axis = Axis()
    inputs: Axis = Axis()
    outputs: Axis = Axis()
    linear: float = 0.0
    costs: tuple[Amount, ...]

    def __post_init__(self):
        points = prod(len(axis.at) for axis in self.axes)
        if len(self.costs) != points:
            raise ValueError(f"{self.kind} {self.variant}: {len(self.costs)} costs for {points} grid points")

    @property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(getattr(self, name) for name in AXES)

    def cost(self, cell: Cell) -> float:
        """Of one op in this cell. On an axis of one point, and below the first, in proportion."""
        factor, corners = 1.0, [(0, 1.0)]
        for axis, name in zip(self.axes, AXES):
            count = getattr(cell, name)
            if count < axis.at[0] or len(axis.at) == 1:
                factor, count = factor * count / axis.at[0], axis.at[0]
            ends = [(0, 1.0)]
            if len(axis.at) > 1:
                before, share = axis.between(count)
                ends = [(n, w) for n, w in ((before, 1 - share), (before + 1, share)) if w]
            corners = [(place * len(axis.at) + n, weight * w) for place, weight in corners for n, w in ends]
        measured = sum(self.costs[place] * weight for place, weight in corners)
        return max(0.0, factor * measured + cell.linear * self.linear * cell.pixels * cell.outputs)


class CostTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Measured costs of the ops of an INT8 network on a target.

    target:     by name;  device: what it was measured on;  core: of the target, or the CPU's model
    runtime:    what ran the ops, with its version
    conditions: of the measurement, in words
    errors:     networks of sizes between the grid's -> predicted over measured, less 1
    unit:       "instructions", exact counts of an emulated board; or "us", microseconds of CPU time
    tool:       version of this toolchain;  when: date of the measurement, UTC
    fixed:      of every inference, whatever the network
    """

    schema: Literal["edge.cost_table"] = "edge.cost_table"
    schema_version: Literal[1] = 1
    target: str
    device: str
    runtime: str
    core: str
    unit: Literal["instructions", "us"]
    tool: str
    when: str
    conditions: dict[str, str] = {}
    errors: dict[str, float] = {}
    fixed: Amount = 0.0
    rows: Annotated[tuple[Row, ...], msgspec.Meta(min_length=1)]

    @cached_property
    def _rows(self) -> Mapping[tuple[str, str], Row]:
        return {(row.kind, row.variant): row for row in self.rows}

    @cached_property
    def _known(self) -> dict[Cell, float]:
        """Costs that were asked for: a search asks for the same ones many times."""
        return {}

    def row_of(self, cell: Cell) -> Row:
        """The row that tells the cell's cost: its own, one of its kind in another variant, a stand-in's.

        Raises Unsupported for a kind that the table tells nothing of.
        """
        for kind in (cell.kind, STAND_IN.get(cell.kind, "")):
            own = self._rows.get((kind, cell.variant)) or self._rows.get((kind, ""))
            if found := own or next((row for row in self.rows[::-1] if row.kind == kind), None):
                return found
        raise Unsupported(f"the cost table of {self.target} has nothing like {cell.kind}; it has "
                          f"{', '.join(sorted({row.kind for row in self.rows}))}: make it again with "
                          f"`edge profile-target {self.target}`")

    def of_op(self, op: Op, input_shapes: Sequence[Shape], output_shape: Shape) -> float:
        """The cost of an op for these shapes. Raises Unsupported."""
        return self.of_cell(cell_of(op, input_shapes, output_shape))

    def of_cell(self, cell: Cell) -> float:
        """The cost of what lies in a cell. Raises Unsupported."""
        if cell not in self._known:
            self._known[cell] = cell.times * self.row_of(cell).cost(cell)
        return self._known[cell]

    def predict(self, graph: Graph) -> float:
        """The cost of an inference as INT8. graph: at any level; what folding takes away counts nothing.

        Raises Unsupported.
        """
        graph = canonical(graph)
        tensors, times = graph.tensors, repeats(graph)
        return self.fixed + sum(
            times.get(op.name, 1) * self.of_op(op, [t.shape for t in graph.of(op)], tensors[op.name].shape)
            for op in graph.ops)

    def staircase(self, op: Op, input_shapes: Sequence[Shape], output_shape: Shape, axis: Channels,
                  counts: Sequence[int]) -> np.ndarray:
        """float64 (counts,): the op's cost with so many input or output channels instead of its own.

        A depthwise op, and one that works on single elements, has "outputs" alone.
        """
        return self.costs_along(cell_of(op, input_shapes, output_shape), axis, counts)

    def costs_along(self, cell: Cell, axis: Channels, counts: Sequence[int]) -> np.ndarray:
        """float64 (counts,): the cost of the cell with so many channels instead of its own."""
        return np.array([self.of_cell(cell._replace(**{axis: int(count)})) for count in counts])

    def step(self, cell: Cell, axis: Channels) -> int:
        """The least of STEPS whose multiples cost, within WITHIN, as little as those of any: costs of up to
        four of the largest step are held against the line through its multiples."""
        counts = np.arange(STEPS[-1], 4 * STEPS[-1] + 1)
        costs, corner = self.costs_along(cell, axis, counts), counts % STEPS[-1] == 0
        excess = costs / np.maximum(np.interp(counts, counts[corner], costs[corner]), np.finfo(float).tiny)
        means = [float(np.mean(excess[counts % step == 0])) for step in STEPS]
        return next(step for step, mean in zip(STEPS, means) if mean <= min(means) * (1 + WITHIN))


def own_place(profile: TargetProfile) -> Path:
    """Where a user's own table of a target lies."""
    return cache_folder() / "cost_tables" / f"{profile.name}.json"


def load_cost_table(profile: TargetProfile, path: Path | None = None) -> CostTable | None:
    """The table at `path`; else the user's own, else the target's own; None where there is none.

    Raises BadConfig for a file that is not a table of this target.
    """
    places = [own_place(profile), Path(profile.folder or TARGETS / profile.name, FILE)]
    found = path or next((place for place in places if place.is_file()), None)
    if found is None:
        return None
    table = read_cost_table(found)
    if table.target != profile.name:
        raise BadConfig(f"{found}: is the cost table of {table.target}, not of {profile.name}; make one with "
                        f"`edge profile-target {profile.name}`")
    return table


def read_cost_table(path: Path) -> CostTable:
    """A file that `write_cost_table` made. Raises BadConfig where it is none, or is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=CostTable)
    except OSError as error:
        raise BadConfig(f"{path}: {error.strerror}; name a file that `edge profile-target` wrote") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadConfig(f"{path}: no cost table, or a damaged one: {error}; make it again with "
                        f"`edge profile-target`") from None


def write_cost_table(path: Path, table: CostTable) -> None:
    """Whole or not at all, a row to a line."""
    fields = {name: getattr(table, name) for name in CostTable.__struct_fields__}
    rows = b",\n".join(map(msgspec.json.encode, fields.pop("rows")))
    head = b",\n".join(b'"%s":%s' % (name.encode(), msgspec.json.encode(value))
                       for name, value in fields.items())
    with replacing(path) as unfinished:
        unfinished.write_bytes(b"{%s,\n\"rows\":[\n%s\n]}\n" % (head, rows))
