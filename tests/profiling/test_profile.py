"""A target measured: on a made-up bench, resumed after anything; on an emulated board, end to end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import json

import pytest
from typer.testing import CliRunner

from toolchain.cli import app
from toolchain.cost_cell import Cell
from toolchain.cost_table import own_place, read_cost_table
from toolchain.errors import DeviceLost, Unsupported
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.profile import TARGETS, load_target
from toolchain.profiling import profile as profiling
from toolchain.profiling.grids import PERIOD
from toolchain.profiling.nets import layers
from toolchain.profiling.text import table_text


class MadeUp:
    """A bench whose layers cost one for each multiply-accumulate of whole eights of outputs.

    after: layers until it is lost
    """

    unit, exact, passes, fixed = "instructions", True, 1, 50.0
    device, core, runtime, conditions = "made up", "none", "none 1", {}

    def __init__(self, after: int = 10**6):
        self.left, self.measured = after, []

    def fits(self, cell: Cell) -> bool:
        return True

    def batches(self, cells: Sequence[Cell]) -> Iterator[list[Cell]]:
        yield from (list(cells[first:first + 40]) for first in range(0, len(cells), 40))

    def measure(self, cells: Sequence[Cell]) -> list[float]:
        self.left -= len(cells)
        if self.left < 0:
            raise DeviceLost("made up: gone")
        self.measured += cells
        return [float(cell.taps * cell.pixels * cell.inputs * -(-cell.outputs // 8) * 8) for cell in cells]

    def whole(self, graph: Graph) -> float:
        return float(graph_macs(graph))


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """Puts a bench in the place of a device."""
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))

    def put(made: MadeUp) -> MadeUp:
        @contextmanager
        def opened(profile, device):
            yield made

        monkeypatch.setattr(profiling, "_bench", opened)
        return made

    return put


def test_a_run_that_was_lost_goes_on_where_it_was(bench):
    profile = load_target("cortex_m4_qemu")
    whole = bench(MadeUp())
    expected = profiling.profile_target(profile, quick=True)
    lost = bench(MadeUp(after=130))
    with pytest.raises(DeviceLost):
        profiling.profile_target(profile, quick=True)
    rest = bench(MadeUp())
    assert profiling.profile_target(profile, quick=True) == expected
    assert len(lost.measured) == 120 and lost.measured + rest.measured == whole.measured
    again = bench(MadeUp())
    profiling.profile_target(profile, quick=True)
    assert again.measured == whole.measured, "nothing is left of a run that ended"


def test_a_damaged_partial_file_is_measured_again(bench, tmp_path):
    profile = load_target("cortex_m4_qemu")
    bench(MadeUp(after=130))
    with pytest.raises(DeviceLost):
        profiling.profile_target(profile, quick=True)
    partial, = (tmp_path / "cache/cost_tables").glob("*.partial")
    partial.write_bytes(partial.read_bytes()[:100])
    rest = bench(MadeUp())
    profiling.profile_target(profile, quick=True)
    assert len(rest.measured) > 200 and not partial.exists()


def test_the_table_tells_the_steps(bench):
    bench(MadeUp())
    told = []
    table = profiling.profile_target(load_target("cortex_m4_qemu"), say=told.append, quick=True)
    window = Cell("conv2d", "window", 1, 9, 100, 20, 20)
    assert table.of_cell(window) == 9 * 100 * 20 * 24
    assert (table.step(window, "outputs"), table.step(window, "inputs")) == (8, 1)
    assert table.fixed == 50 and set(table.errors) == {"residual", "separable", "inverted", "sensor"}
    assert any("residual" in line for line in told)
    line = next(line for line in table_text(table).splitlines() if line.startswith("conv2d window"))
    assert line.split()[:6] == ["conv2d", "window", "9", "taps", "inputs", "1"]


def test_a_device_that_tells_nothing_of_layers(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path))
    board = tmp_path / "board"
    board.mkdir()
    text = (TARGETS / "cortex_m4_qemu/profile.toml").read_text()
    kept = [line for line in text.splitlines() if not line.startswith(("machine", "transport"))]
    (board / "profile.toml").write_text("\n".join([*kept, 'transport = "serial"', 'port = "/dev/ttyACM9"']))
    with pytest.raises(Unsupported, match="tells neither a layer's instructions nor its CPU time"):
        profiling.profile_target(load_target(str(board)))


def test_figures_of_this_host_are_no_other_targets():
    with pytest.raises(Unsupported, match="raspberry_pi_4 is not this host; name a board"):
        profiling.profile_target(load_target("raspberry_pi_4"))


@pytest.mark.emulated
@pytest.mark.slow
def test_a_quick_run_from_the_command_line(tmp_path, monkeypatch):
    """Its costs are the shipped table's where both were measured, and its predictions not far off."""
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGE_LEDGER", str(tmp_path / "ledger.db"))
    done = CliRunner().invoke(app, ["profile-target", "cortex_m4_qemu", "--quick", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    place = own_place(load_target("cortex_m4_qemu"))
    assert told["out"] == str(place) and told["table"]["unit"] == "instructions"
    table = read_cost_table(place)
    shipped = read_cost_table(TARGETS / "cortex_m4_qemu/cost_table.json")
    cell = Cell("conv2d", "window", 1, 9, 64, 16, 16)
    assert table.of_cell(cell) == pytest.approx(shipped.of_cell(cell), rel=1e-3)
    assert all(abs(error) < 0.15 for error in table.errors.values()), table.errors
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.emulated
def test_a_count_is_the_layers_own_and_repeats():
    """Exactly; other weights move it by some instructions, as sums do that are cut."""
    from toolchain.profiling.counted import Counted

    board = Counted(load_target("cortex_m4_qemu"))
    cells = [Cell("conv2d", "window", 1, 9, 64, 4, count) for count in (8, PERIOD)]
    first = board.measure(cells)
    assert first == board.measure(cells)
    assert board.measure(cells[::-1])[::-1] == pytest.approx(first, rel=1e-2)
    assert first[1] - first[0] > 8 * 64 * 36 / 4
    whole = board.whole(layers(cells[:1], chained=True))
    assert whole > first[0]
