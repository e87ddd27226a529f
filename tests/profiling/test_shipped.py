"""The tables that lie with the targets: whole, small, and right for networks that they were not made of."""

import pytest

from tests import models
from tests.zoo.micro import network
from toolchain.cost_table import FILE, load_cost_table, read_cost_table
from toolchain.ir.layout import channels_last
from toolchain.load.torch import load_torch
from toolchain.profile import TARGETS, load_target, target_names
from toolchain.profiling.counted import Counted
from toolchain.profiling.nets import coded

MOST_BYTES = 100_000
OFF = {"instructions": 0.15, "us": 0.20}
"""Unit -> share that predictions may be off, for whole networks beside the grid."""
REFERENCES = {"resnet8": models.resnet8, "mobilenet_v2": models.mobilenet_v2,
              "ds_cnn": lambda: network("ds_cnn_40"), "sensor": models.sensor_net}


def shipped() -> list[str]:
    return [name for name in target_names() if (TARGETS / name / FILE).is_file()]


def test_the_host_and_every_emulated_board_have_one():
    emulated = {name for name in target_names() if load_target(name).emulated}
    assert emulated | {"host"} == set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_table(name):
    path, profile = TARGETS / name / FILE, load_target(name)
    table = read_cost_table(path)
    assert path.stat().st_size < MOST_BYTES
    assert table.target == name and table.unit == ("instructions" if profile.emulated else "us")
    assert len(table.errors) == 4 and max(map(abs, table.errors.values())) < OFF[table.unit], table.errors
    cells = {(row.kind, row.variant) for row in table.rows}
    assert {("conv2d", "pointwise"), ("conv2d", "window"), ("depthwise_conv2d", "window"),
            ("fully_connected", ""), ("add", "")} <= cells


@pytest.mark.emulated
@pytest.mark.parametrize("name", REFERENCES)
def test_predicted_and_measured_on_the_cortex_m4(name, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path))
    profile = load_target("cortex_m4_qemu")
    graph = channels_last(load_torch(*REFERENCES[name](), name))
    measured = Counted(profile).whole(coded(graph))
    assert load_cost_table(profile).predict(graph) == pytest.approx(measured, rel=0.1)
