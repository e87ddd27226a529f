"""What a meter of boards.toml is made of."""

import pytest

from tests.device.meters.files import Shell, config, ina226
from toolchain.device.boards import Board
from toolchain.device.meters.counter import FileCounter
from toolchain.device.meters.kinds import METER, meter_for
from toolchain.device.meters.system import Host, Remote
from toolchain.errors import BadConfig


def test_an_emulated_board_has_no_energy():
    board = Board(target="raspberry_pi_4", transport="virtual", emulated=True, name="pi-virt")
    with pytest.raises(BadConfig, match="'pi-virt' is emulated.*has no energy; take 'mine' out"):
        meter_for(board, config("rapl", gain_error=0.02), Host())


@pytest.mark.parametrize("kind", METER)
def test_every_kind_is_made_without_touching_a_device(kind):
    board = Board(target="raspberry_pi_5", transport="ssh", name="pi")
    meter = meter_for(board, config(kind, "host:/sys/class/hwmon/hwmon9", supply_mv=3300), Host())
    assert all(callable(getattr(meter, name)) for name in ("open", "window", "close"))
    assert isinstance(meter, FileCounter) == (kind in ("rapl", "odpm", "charge_counter"))


def test_a_kind_that_is_not_there():
    with pytest.raises(BadConfig, match="no kind 'monsoon'; known: joulescope"):
        meter_for(Board(target="t", transport="local", name="b"), config("monsoon"), Host())


def test_an_hwmon_of_the_host_is_external_and_one_of_the_board_is_not(tmp_path):
    board = Board(target="t", transport="ssh", name="b")
    folder = ina226(tmp_path)
    outside = meter_for(board, config("hwmon", f"host:{folder}"), Remote(Shell({})))
    outside.begin()
    assert outside.facts.tier == "external meter" and outside.facts.rails == ("supply",)
    inside = meter_for(board, config("hwmon", folder), Host())
    inside.begin()
    assert inside.facts.tier == "rail monitor" and inside.facts.rails == ("ina226",)
