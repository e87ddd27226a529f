"""What a board needs in each of MLPerf Tiny's modes: firmware, line, meter."""

from contextlib import contextmanager

import msgspec
import pytest

from tests.device.standins.dut import ScriptedDut
from tests.device.standins.faults import FaultyLine, half_a_line, reset
from tests.device.test_mlperf import ENERGY, PROFILE, artifact, classifier
from toolchain.device import mlperf_board, protocol
from toolchain.device.boards import Board, Boards, MeterConfig
from toolchain.device.interface_board import InterfacedDut
from toolchain.device.mlperf_board import energy_firmware, for_energy, open_powered, require_pulses
from toolchain.device.place import Place
from toolchain.device.protocol import Dut
from toolchain.errors import InvalidMeasurement

BOARD = Board(target=PROFILE.name, transport="serial", address="/dev/ttyACM0", baud=115_200, name="bench",
              meters=("cable", "shield"))
METERS = {"cable": MeterConfig(kind="tc66c", address="/dev/ttyACM1", name="cable"),
          "shield": MeterConfig(kind="lpm01a", address="/dev/ttyACM2", supply_mv=1800, name="shield")}
INPUT = bytes(40)


def test_firmware_for_energy_is_built_for_it_once():
    built = artifact(classifier(49, 10, 1, classes=12))
    assert for_energy(PROFILE) == ENERGY == for_energy(ENERGY)
    assert energy_firmware(built, PROFILE) == energy_firmware(built, ENERGY)


@pytest.mark.parametrize("fault", [reset, half_a_line])
@pytest.mark.parametrize("pulses", [True, False])
def test_pulses_are_looked_for_over_a_line_that_is_disturbed(monkeypatch, fault, pulses):
    for name in ("REPLY_S", "HELLO_S", "INFER_S"):
        monkeypatch.setattr(protocol, name, 0.005)
    monkeypatch.setattr(Dut.infer, "__defaults__", (1, 0, 0.005))
    for at in range(4):
        board = ScriptedDut(pulse=(lambda: None) if pulses else None)
        dut = Dut(FaultyLine(board, fault, at, seed=at), "board")
        if pulses:
            require_pulses(dut, INPUT)
            continue
        with pytest.raises(InvalidMeasurement, match="tells the time instead of pulsing a pin; put the one"):
            require_pulses(dut, INPUT)


@pytest.mark.parametrize(("cflags", "baud"), [((), 9600), (("-DBOARD_BAUD=57600",), 57_600)])
@pytest.mark.parametrize("interface", ["", "/dev/ttyACM3"])
def test_the_way_to_a_board_for_energy(monkeypatch, interface, cflags, baud):
    """The interface board where there is one, at its own baud; else the board's line, at the firmware's for
    energy, whatever the entry says of the usual one. The meter is the first with a pin, open before.
    """
    opened = []

    @contextmanager
    def opens(*what):
        opened.append(what)
        yield what

    monkeypatch.setattr(mlperf_board, "load_boards", lambda: Boards(meters=METERS))
    monkeypatch.setattr(mlperf_board, "open_meter", lambda board, config: opens(config.name))
    monkeypatch.setattr(mlperf_board, "_spoken_to", lambda made, profile, *way: opens(*way))
    profile = msgspec.structs.replace(PROFILE, transport="serial", port=BOARD.address,
                                      cflags=(*PROFILE.cflags, *cflags))
    board = msgspec.structs.replace(BOARD, interface=interface)
    with open_powered(artifact(classifier(49, 10, 1, classes=12)), Place(board.name, profile, board)):
        way = (InterfacedDut, interface, 115_200) if interface else (Dut, BOARD.address, baud)
        assert opened == [("shield",), way]
