"""The `serial` transport: a board on a serial line, with our firmware on it."""

from collections.abc import Iterator
from contextlib import contextmanager
import time

from toolchain.artifact import Artifact
from toolchain.device.protocol import Dut
from toolchain.device.session import FirmwareSession
from toolchain.errors import DeviceUnavailable
from toolchain.profile import TargetProfile

BAUD = 115200
"""board.h's, but for firmware that was built for energy."""
LEAST_SAMPLES = 3


class BoardSession(FirmwareSession):
    """An artefact on a board that keeps time."""

    def __init__(self, artifact: Artifact, profile: TargetProfile, dut: Dut):
        super().__init__(artifact, dut, f"{profile.name} at {profile.port}", "generated C")
        self.conditions = {"port": profile.port, "baud": BAUD, "firmware": dut.vendor(),
                           "ticks_hz": self.model.hz, "cflags": " ".join(profile.cflags)}

    def time(self, seconds: float) -> tuple[list[float], int]:
        """Microseconds of single inferences, by the board's clock, less those of an empty call; stack bytes.

        As many as fit into so many seconds of the host's, three at least.
        """
        inputs, samples_us, stack_bytes = self.bench_inputs(), [], 0
        deadline = time.monotonic() + seconds
        while len(samples_us) < LEAST_SAMPLES or time.monotonic() < deadline:
            inference = self.infer(inputs)
            samples_us.append((inference.ticks - inference.empty_ticks) * 1e6 / self.model.hz)
            stack_bytes = max(stack_bytes, inference.stack_bytes)
        return samples_us, stack_bytes


@contextmanager
def open_board(artifact: Artifact, profile: TargetProfile) -> Iterator[BoardSession]:
    """The board at the profile's port, once it has answered and is this model.

    Raises DeviceUnavailable, InvalidMeasurement.
    """
    import serial

    if not profile.port:
        raise DeviceUnavailable(f"{profile.name} is at the end of a serial line; say which: "
                                f"--device /dev/ttyACM0")
    try:
        with serial.Serial(profile.port, BAUD) as line:
            dut = Dut(line, f"{profile.name} at {profile.port}")
            dut.greet()
            yield BoardSession(artifact, profile, dut)
    except serial.SerialException as error:
        raise DeviceUnavailable(f"the serial line of {profile.name} broke: {error}; is the board plugged in, "
                                f"and may you use its port?") from None
