"""The `serial` transport: a board on a serial line, with our firmware on it."""

from collections.abc import Iterator
from contextlib import contextmanager
import re
import time

from toolchain.artifact import Artifact
from toolchain.device.clock import raw_clock_s
from toolchain.device.protocol import Dut, InferenceRun
from toolchain.device.serial_port import open_line, shown
from toolchain.device.session import FirmwareSession
from toolchain.errors import DeviceUnavailable
from toolchain.profile import TargetProfile

BAUD, ENERGY_BAUD = 115200, 9600
"""board.h's BOARD_BAUD."""
LEAST_SAMPLES = 20


class BoardSession(FirmwareSession):
    """An artefact on a board that keeps time."""

    def __init__(self, artifact: Artifact, profile: TargetProfile, dut: Dut, address: str, baud: int):
        super().__init__(artifact, dut, f"{profile.name} at {shown(address)}", "generated C")
        self._facts = {"port": shown(address), "baud": baud, "firmware": self.persist(dut.vendor),
                       "ticks_hz": self.model.hz, "cflags": " ".join(profile.cflags)}

    @property
    def conditions(self) -> dict[str, str | int]:
        """What the figures hold under; tries_again: where the line or a reset spoilt an answer."""
        return self._facts | ({"tries_again": self.tries_again} if self.tries_again else {})

    def time(self, seconds: float) -> tuple[list[float], int]:
        """Microseconds of single inferences, by the board's clock, less those of an empty call; stack bytes.

        As many as fit into so many seconds of the host's, twenty at least.
        """
        inputs, samples_us, stack_bytes = self.bench_inputs(), [], 0
        deadline = time.monotonic() + seconds
        while len(samples_us) < LEAST_SAMPLES or time.monotonic() < deadline:
            inference = self.infer(inputs)
            samples_us.append((inference.ticks - inference.empty_ticks) * 1e6 / self.model.hz)
            stack_bytes = max(stack_bytes, inference.stack_bytes)
        return samples_us, stack_bytes

    def window(self, inferences: int) -> tuple[InferenceRun, float, float]:
        """So many inferences of the same input, and when the host asked for them and was answered (s)."""
        def ask() -> tuple[InferenceRun, float, float]:
            self._dut.load_codes(inputs)
            begin_s = raw_clock_s()
            return self._dut.infer(inferences), begin_s, raw_clock_s()
        inputs = self.bench_inputs()
        return self.persist(ask)


@contextmanager
def open_board(artifact: Artifact, profile: TargetProfile, address: str | None = None,
               baud: int | None = None) -> Iterator[BoardSession]:
    """The board at an address, once it has answered and is this model.

    address: of boards.toml's entry (serial_port.open_line); the profile's port where none is given
    baud:    what the firmware was built for where none is given
    Raises DeviceUnavailable, InvalidMeasurement.
    """
    address, baud = address or profile.port, baud or firmware_baud(profile)
    if not address:
        raise DeviceUnavailable(f"{profile.name} is at the end of a serial line; say which: "
                                f"--device /dev/ttyACM0")
    with open_line(address, baud, profile.name) as line:
        dut = Dut(line, f"{profile.name} at {shown(address)}")
        dut.greet()
        yield BoardSession(artifact, profile, dut, address, baud)


def firmware_baud(profile: TargetProfile) -> int:
    """Of firmware built with the profile's cflags (board.h)."""
    flags = " ".join(profile.cflags)
    if chosen := re.search(r"-D ?BOARD_BAUD=(\d+)", flags):
        return int(chosen[1])
    return ENERGY_BAUD if "TK_ENERGY" in flags else BAUD
