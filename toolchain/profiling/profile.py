"""`edge profile-target`: what ops cost on a target against their channels, measured layer by layer.

What is measured so far lies in a partial file in the user's cache: a run that was ended goes on from there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec

from toolchain import __version__
from toolchain.atomic import cache_folder, replacing
from toolchain.cost_cell import Cell
from toolchain.cost_table import Axis, CostTable, Row
from toolchain.device.place import open_place, resources
from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.ledger.ledger import Ledger
from toolchain.profile import TargetProfile
from toolchain.profiling.counted import Counted
from toolchain.profiling.grids import (
    AXES,
    COUNTED,
    QUICK,
    TIMED,
    WEIGHTED,
    Density,
    Grid,
    grids,
    shares,
    within,
)
from toolchain.profiling.held_out import networks
from toolchain.profiling.timed import Timed
from toolchain.report.progress import progress_bar

WAIT_S = 600.0
"""For a device that another process measures on."""
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
                   quiet: bool = True) -> CostTable:
    """Measure a target's table.

    device: a board, as open_place takes it
    say:    is told what is measured, and how far predictions are off
    quick:  fewer sizes, for a look
    quiet:  no bar on stderr
    Raises Unsupported for a device that tells nothing of layers, DeviceUnavailable and its kinds.
    """
    with _bench(profile, device) as bench:
        density = QUICK if quick else COUNTED if bench.exact else TIMED
        found = [within(grid, bench.fits) for grid in grids(density)]
        rows = [grid for grid in found if grid is not None]
        cells = list(dict.fromkeys(cell for grid in rows for cell in grid.cells))
        say(f"{profile.name}: {len(cells)} layers on {bench.device}, by {bench.runtime}")
        kept = _Kept(_partial_place(profile, bench, density))
        costs = _measured(bench, cells, kept, quiet)
        table = _table(profile, bench, rows, costs)
        table = msgspec.structs.replace(table, errors=_errors(bench, table, profile.ram_bytes, say))
    kept.forget()
    return table


@contextmanager
def held(profile: TargetProfile, device: str | None, ledger: str | None) -> Iterator[None]:
    """The device for us alone, as long as this lasts. Raises DeviceBusy after WAIT_S."""
    needed = resources(profile, device)
    with Ledger.open(ledger) as opened:
        with opened.lease(needed, wait_s=WAIT_S) if needed else nullcontext():
            yield


@contextmanager
def _bench(profile: TargetProfile, device: str | None) -> Iterator[Bench]:
    with open_place(profile, device) as place:
        if place.profile.emulated and place.board is None:
            yield Counted(place.profile)
        elif place.here and profile.transport != "local":
            raise Unsupported(f"{profile.name} is not this host; name a board of it with --device")
        elif place.transport is not None and not place.emulated:
            yield Timed(profile, place)
        else:
            raise Unsupported(f"{place.name} tells neither a layer's instructions nor its CPU time; profile "
                              f"an emulated target of its core, as cortex_m4_qemu is one, and prune for that")


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


def _measured(bench: Bench, cells: Sequence[Cell], kept: _Kept, quiet: bool) -> dict[Cell, float]:
    """Each layer's least figure."""
    done = sum(min(kept.passes(cell), bench.passes) for cell in cells)
    with progress_bar(bench.device, bench.passes * len(cells), unit="layer", done=done, quiet=quiet) as tell:
        for number in range(bench.passes):
            for batch in bench.batches([cell for cell in cells if kept.passes(cell) <= number]):
                kept.add(batch, bench.measure(batch))
                done += len(batch)
                tell(done)
    return {cell: min(kept.costs[_key(cell)]) for cell in cells}


def _table(profile: TargetProfile, bench: Bench, rows: Sequence[Grid],
           costs: Mapping[Cell, float]) -> CostTable:
    return CostTable(target=profile.name, device=bench.device, runtime=bench.runtime, core=bench.core,
                     unit=bench.unit, tool=__version__, when=f"{datetime.now(UTC):%Y-%m-%d}",
                     conditions=bench.conditions, fixed=_rounded(bench.fixed),
                     rows=tuple(_rows(rows, costs, bench.exact)))


def _rows(grids: Sequence[Grid], costs: Mapping[Cell, float], exact: bool) -> Iterator[Row]:
    """Where a grid's channels were not measured one by one, the last one's of its kind do."""
    periods: dict[str, dict[str, tuple[float, ...]]] = {}
    for grid in grids:
        for axis in grid.periods:
            stair = shares([costs[cell] for cell in grid.period(axis)], exact)
            periods.setdefault(grid.kind, {})[axis] = stair
        of_kind = periods.get(grid.kind, {})
        axes = {axis: Axis(getattr(grid, axis), of_kind.get(axis, ())) for axis in AXES}
        yield Row(kind=grid.kind, variant=grid.variant, linear=_linear(grid, costs) if exact else 0.0, **axes,
                  costs=tuple(_rounded(costs[cell]) for cell in grid.points))


def _linear(grid: Grid, costs: Mapping[Cell, float]) -> float:
    """Row.linear."""
    if grid.kind not in WEIGHTED:
        return 0.0
    more = costs[grid.typical._replace(linear=True)] - costs[grid.typical]
    return _rounded(more / (grid.typical.pixels * grid.typical.outputs))


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
