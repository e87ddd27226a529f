"""`edge profile-target`: what ops cost on a target against their channels, measured layer by layer.

What is measured so far lies in a partial file in the user's cache: a run that was ended goes on from there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec

from toolchain import __version__
from toolchain.atomic import cache_folder, replacing
from toolchain.cost_cell import Cell
from toolchain.cost_table import Axis, CostTable, Row
from toolchain.device.place import open_place
from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.profile import TargetProfile
from toolchain.profiling.counted import Counted
from toolchain.profiling.grids import COUNTED, QUICK, TIMED, WEIGHTED, Density, Grid, grids, shares, within
from toolchain.profiling.held_out import networks
from toolchain.profiling.timed import Timed

Progress = Callable[[int, int], None]
"""Told how many layers of how many were measured."""
FIGURES = 6
"""Significant figures of a time."""


class Bench(Protocol):
    """What layers are measured on.

    unit:      of its figures;  exact: whether each repeats
    passes:    how often each layer is measured; the least counts
    fixed:     what an inference takes beside its layers
    device, core, runtime, conditions: as CostTable has them
    """

    unit: str
    exact: bool
    passes: int
    fixed: float
    device: str
    core: str
    runtime: str
    conditions: dict[str, str]

    def fits(self, cell: Cell) -> bool:
        """Whether there is room for such a layer."""

    def batches(self, cells: Sequence[Cell]) -> Iterator[list[Cell]]:
        """Layers that are measured together."""

    def measure(self, cells: Sequence[Cell]) -> list[float]:
        """The cost of each layer."""

    def whole(self, graph: Graph) -> float:
        """The cost of an inference."""


def profile_target(profile: TargetProfile, device: str | None = None,
                   say: Callable[[str], None] = lambda text: None, quick: bool = False,
                   progress: Progress = lambda done, total: None) -> CostTable:
    """Measure a target's table.

    device: a board, as open_place takes it; quick: fewer sizes, for a look and for tests
    Raises Unsupported for a device that tells nothing of layers, DeviceUnavailable and its kinds.
    """
    with _bench(profile, device) as bench:
        density = QUICK if quick else COUNTED if bench.exact else TIMED
        found = [within(grid, bench.fits) for grid in grids(density)]
        rows = [grid for grid in found if grid is not None]
        cells = list(dict.fromkeys(cell for grid in rows for cell in grid.cells))
        say(f"{profile.name}: {len(cells)} layers on {bench.device}, by {bench.runtime}")
        kept = _Kept(_partial_place(profile, bench, density))
        costs = _measured(bench, cells, kept, progress)
        table = _table(profile, bench, rows, costs)
        table = msgspec.structs.replace(table, errors=_errors(bench, table, profile.ram_bytes, say))
    kept.forget()
    return table


@contextmanager
def _bench(profile: TargetProfile, device: str | None) -> Iterator[Bench]:
    with open_place(profile, device) as place:
        if place.profile.emulated and place.board is None:
            yield Counted(place.profile)
        elif place.transport is not None and not place.emulated:
            yield Timed(profile, place)
        else:
            raise Unsupported(f"{place.name} tells neither instructions nor the time of a layer; profile an "
                              f"emulated target of the same core, as cortex_m4_qemu is, and use its table "
                              f"by `--cost-table`")


def _partial_place(profile: TargetProfile, bench: Bench, density: Density) -> Path:
    """Of figures that go together."""
    told = (__version__, bench.device, bench.core, bench.runtime, bench.conditions, density)
    key = sha256(repr(told).encode()).hexdigest()[:16]
    return cache_folder() / "cost_tables" / f"{profile.name}.{key}.partial"


class _Kept:
    """Figures that outlast this process, in a file that is whole at any moment."""

    def __init__(self, place: Path):
        self._place = place
        self.costs: dict[str, list[float]] = {}
        try:
            self.costs = msgspec.json.decode(place.read_bytes(), type=dict[str, list[float]])
        except (OSError, msgspec.DecodeError):
            pass  # none was left, or it is damaged: measured again

    def add(self, cells: Sequence[Cell], costs: Sequence[float]) -> None:
        for cell, cost in zip(cells, costs, strict=True):
            self.costs.setdefault(_key(cell), []).append(cost)
        with replacing(self._place) as unfinished:
            unfinished.write_bytes(msgspec.json.encode(self.costs))

    def passes(self, cell: Cell) -> int:
        return len(self.costs.get(_key(cell), ()))

    def forget(self) -> None:
        self._place.unlink(missing_ok=True)


def _key(cell: Cell) -> str:
    return " ".join(map(str, cell))


def _measured(bench: Bench, cells: Sequence[Cell], kept: _Kept, progress: Progress) -> dict[Cell, float]:
    """Each layer's least figure."""
    done, total = sum(min(kept.passes(cell), bench.passes) for cell in cells), bench.passes * len(cells)
    for number in range(bench.passes):
        left = [cell for cell in cells if kept.passes(cell) <= number]
        for batch in bench.batches(left):
            kept.add(batch, bench.measure(batch))
            done += len(batch)
            progress(done, total)
    return {cell: min(kept.costs[_key(cell)]) for cell in cells}


def _table(profile: TargetProfile, bench: Bench, rows: Sequence[Grid],
           costs: Mapping[Cell, float]) -> CostTable:
    return CostTable(target=profile.name, device=bench.device, runtime=bench.runtime, core=bench.core,
                     unit=bench.unit, tool=__version__, when=f"{datetime.now(UTC):%Y-%m-%d}",
                     conditions=bench.conditions, fixed=_rounded(bench.fixed),
                     rows=tuple(_row(grid, costs, bench.exact) for grid in rows))


def _row(grid: Grid, costs: Mapping[Cell, float], exact: bool) -> Row:
    periods = {axis: shares([costs[cell] for cell in grid.period(axis)], exact) for axis in grid.periods}
    axes = {axis: Axis(getattr(grid, axis), periods.get(axis, ()))
            for axis in ("taps", "pixels", "inputs", "outputs")}
    linear = 0.0
    if grid.kind in WEIGHTED and exact:
        typical = grid.typical
        more = costs[typical._replace(linear=True)] - costs[typical]
        linear = _rounded(more / (typical.pixels * typical.outputs))
    return Row(kind=grid.kind, variant=grid.variant, linear=linear, **axes,
               costs=tuple(_rounded(costs[cell]) for cell in grid.points))


def _rounded(cost: float) -> float:
    return float(f"{cost:.{FIGURES}g}")


def _errors(bench: Bench, table: CostTable, ram_bytes: int, say: Callable[[str], None]) -> dict[str, float]:
    """How far the table is off for whole networks of other sizes than the grid's."""
    errors = {}
    for name, graph in networks(ram_bytes):
        predicted, measured = table.predict(graph), bench.whole(graph)
        errors[name] = round(predicted / measured - 1, 4)
        say(f"{table.target}: {name}: {predicted:,.5g} predicted, {measured:,.5g} {table.unit} measured")
    return errors
