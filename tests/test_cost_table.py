"""Costs told from a measured grid: exact where it was measured, straight between, in steps of channels."""

import msgspec
import numpy as np
import pytest

from tests.board import PROFILE
from toolchain.cost_cell import STAND_IN, Cell, cell_of
from toolchain.cost_table import (
    FILE,
    Axis,
    CostTable,
    Row,
    load_cost_table,
    own_place,
    read_cost_table,
    write_cost_table,
)
from toolchain.errors import BadConfig, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.ops import OPS, make
from toolchain.profile import load_target

PERIOD = (0.0, 1.0, 1.0, 1.0)
"""Four channels at once."""
TAPS, PIXELS, CHANNELS = (9, 25), (4, 16, 64), (1, 4, 8, 32)


def kernel(taps: int, pixels: int, inputs: int, outputs: int) -> float:
    """What a kernel with registers for four outputs takes."""
    fours = -(-outputs // 4)
    return 100 + pixels * (7 + taps * (3 + 2 * inputs)) + fours * (50 + 11 * pixels * taps * inputs)


def table(**fields) -> CostTable:
    points = [kernel(*sizes) for sizes in np.stack(
        np.meshgrid(TAPS, PIXELS, CHANNELS, CHANNELS, indexing="ij"), -1).reshape(-1, 4).tolist()]
    window = Row(kind="conv2d", variant="window", taps=Axis(TAPS), pixels=Axis(PIXELS), inputs=Axis(CHANNELS),
                 outputs=Axis(CHANNELS, PERIOD), linear=2.0, costs=tuple(points))
    relu = Row(kind="relu", pixels=Axis((1, 100)), outputs=Axis((1, 10)), costs=(5.0, 50.0, 500.0, 5000.0))
    made = CostTable(target="fake", device="none", runtime="made up", core="none", unit="instructions",
                     tool="0", when="2026-01-01", fixed=40.0, rows=(window, relu))
    return msgspec.structs.replace(made, **fields)


def conv(outputs: int, inputs: int, side: int, size: int = 3, groups: int = 1, stride: int = 1, **attrs):
    """(op, input shapes, output shape) of a padded convolution."""
    op = make("conv2d", ("x", "w", "b"), "y", stride=(stride, stride), **{"activation": "relu", **attrs})
    shapes = [(1, side * stride, side * stride, inputs), (outputs, size, size, inputs // groups), (outputs,)]
    return op, shapes, (1, side, side, outputs)


@pytest.mark.parametrize("side", [2, 4, 8])
@pytest.mark.parametrize("size", [3, 5])
def test_what_was_measured_is_told_as_it_was(side, size):
    for inputs in CHANNELS:
        for outputs in CHANNELS:
            exact = kernel(size * size, side * side, inputs, outputs)
            assert table().of_op(*conv(outputs, inputs, side, size)) == pytest.approx(exact, rel=1e-12)


def test_a_kernel_that_is_linear_in_each_size_is_told_between_and_beyond():
    for outputs in (2, 3, 5, 17, 20, 31, 33, 61, 96, 130):
        for inputs in (2, 3, 19, 100):
            exact = kernel(9, 36, inputs, outputs)
            assert table().of_op(*conv(outputs, inputs, 6)) == pytest.approx(exact, rel=1e-9)
    assert table().of_op(*conv(8, 8, 20)) == pytest.approx(kernel(9, 400, 8, 8))


def test_channels_cost_in_steps():
    told = table()
    stairs = told.staircase(*conv(8, 8, 8), "outputs", range(1, 65))
    assert stairs.tolist() == pytest.approx([kernel(9, 64, 8, n) for n in range(1, 65)])
    assert (np.diff(stairs) >= -1e-6).all()
    cell = cell_of(*conv(8, 8, 8))
    assert (told.step(cell, "outputs"), told.step(cell, "inputs")) == (4, 1)


def test_without_an_activation_each_output_costs_more():
    told = table()
    more = told.of_op(*conv(8, 8, 4, activation=None)) - told.of_op(*conv(8, 8, 4))
    assert more == pytest.approx(2 * 4 * 4 * 8)


def test_groups_are_convolutions_of_their_own():
    assert table().of_op(*conv(32, 32, 4, groups=4)) == pytest.approx(4 * kernel(9, 16, 8, 8))


def test_a_network_is_its_canonical_ops_and_what_an_inference_takes():
    b, rng = Builder("net"), np.random.default_rng(0)
    x = b.input("x", (1, 4, 4, 4))
    w = b.constant("w", rng.normal(size=(8, 3, 3, 4)).astype(np.float32))
    y = b.op("conv2d", [x, w, b.constant("b", np.zeros(8, np.float32))], "conv", pads=(1,) * 4)
    stats = [b.constant(role, np.ones(8, np.float32)) for role in ("gamma", "beta", "mean", "variance")]
    graph = b.graph(b.op("relu", [b.op("batch_norm", [y, *stats], "norm", epsilon=1e-5)], "out"))
    assert table().predict(graph) == pytest.approx(40 + kernel(9, 16, 4, 8))


def test_every_kind_has_a_cell_of_its_own_or_a_stand_in():
    shipped = load_cost_table(load_target("cortex_m4_qemu"))
    kinds = {row.kind for row in shipped.rows}
    there = kinds | {kind for kind, other in STAND_IN.items() if other in kinds} | {"batch_matmul"}
    assert set(OPS) <= there and set(STAND_IN) <= set(OPS)
    assert not set(STAND_IN.values()) - kinds


def test_stand_ins_and_what_there_is_none_for():
    relu6 = make("relu6", ("x",), "y"), [(1, 10, 10, 10)], (1, 10, 10, 10)
    assert table().of_op(*relu6) == 5000
    with pytest.raises(Unsupported, match="has nothing like softmax.*edge profile-target fake"):
        table().of_op(make("softmax", ("x",), "y"), [(1, 10)], (1, 10))


def test_cells():
    depthwise = make("depthwise_conv2d", ("x", "w", "b"), "y", stride=(2, 2), multiplier=1)
    assert cell_of(depthwise, [(1, 8, 8, 6), (1, 3, 3, 6), (6,)], (1, 4, 4, 6)) == Cell(
        "depthwise_conv2d", "strided", 1, 9, 16, 1, 6, linear=True)
    assert cell_of(*conv(6, 6, 4, groups=6)) == Cell("depthwise_conv2d", "window", 1, 9, 16, 1, 6)
    assert cell_of(*conv(6, 4, 4, size=1)) == Cell("conv2d", "pointwise", 1, 1, 16, 4, 6)
    dense = make("fully_connected", ("x", "w", "b"), "y", activation="relu")
    assert cell_of(dense, [(1, 5), (3, 5), (3,)], (1, 3)) == Cell("fully_connected", inputs=5, outputs=3)
    assert cell_of(dense, [(7, 5), (3, 5), (3,)], (7, 3)) == Cell("conv2d", "pointwise", 1, 1, 7, 5, 3)
    mean = make("mean", ("x",), "y", axes=(1, 2))
    assert cell_of(mean, [(1, 4, 4, 9)], (1, 9)) == Cell("mean", pixels=16, outputs=9)


def test_a_file_is_the_table_again(tmp_path):
    path = tmp_path / "costs.json"
    written = table(conditions={"a": 'b,"rows":[', "c": "d,"}, errors={"net": 0.01})
    write_cost_table(path, written)
    assert read_cost_table(path) == written
    assert len(path.read_text().splitlines()) > 10


@pytest.mark.parametrize("found, put", [
    ("]}\n", ""), ("{", ""), ("edge.cost_table", "edge.other"), ('"schema_version":1', '"schema_version":2'),
    ('"costs":[', '"costs":[7,'), ("[4,16,64]", "[4,4,64]"), ("[0.0,1.0", "[0.5,1.0"),
    ('"fixed":40.0', '"fixed":-1'), ('"fixed":40.0', '"fixed":NaN'), ('"tool"', '"tools"')])
def test_a_damaged_file_is_one_message(tmp_path, found, put):
    path = tmp_path / "costs.json"
    write_cost_table(path, table())
    whole = path.read_text()
    assert found in whole
    path.write_text(whole.replace(found, put, 1))
    with pytest.raises(BadConfig, match=r"costs.json: no cost table.*edge profile-target"):
        read_cost_table(path)


@pytest.fixture
def target(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "profile.toml").write_text(PROFILE)
    return load_target(str(folder))


def test_a_path_goes_before_the_users_own_and_that_before_the_targets(target, tmp_path):
    assert load_cost_table(target) is None
    write_cost_table(tmp_path / "fake" / FILE, table(fixed=1.0))
    assert load_cost_table(target).fixed == 1
    write_cost_table(own_place(target), table(fixed=2.0))
    assert load_cost_table(target).fixed == 2
    write_cost_table(tmp_path / "named.json", table(fixed=3.0))
    assert load_cost_table(target, tmp_path / "named.json").fixed == 3
    with pytest.raises(BadConfig, match="none.json: No such file"):
        load_cost_table(target, tmp_path / "none.json")
    write_cost_table(own_place(target), table(target="another"))
    with pytest.raises(BadConfig, match="is the cost table of another, not of fake"):
        load_cost_table(target)
