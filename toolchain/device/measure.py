"""measure(artifact, place, way) -> Measurement: what an artefact does on the device where it was put."""

from datetime import UTC, datetime

from toolchain.artifact import Artifact
from toolchain.device.measure_benchmark import benchmark_figures
from toolchain.device.measure_firmware import board_figures, emulator_figures
from toolchain.device.measure_programs import program_figures
from toolchain.device.place import Place
from toolchain.device.ways import BENCHMARK_MODEL, FIRMWARE, Way
from toolchain.measurement import Measurement


def measure(artifact: Artifact, place: Place, way: Way, *, threads: int = 1, seconds: float = 1.0,
            brief: bool = False) -> Measurement:
    """Deploy one of the artefact's files, check its test vectors there, and measure.

    threads: of runtimes that have some; seconds: of a timed run
    brief:   of an emulated board the whole inference alone, not its layers and functions
    What breaks a measurement's validity is in its problems. Raises DeviceUnavailable and its kinds, BadReply,
    BadModel where a runtime refuses the file.
    """
    started = datetime.now(UTC)
    if way.runner == BENCHMARK_MODEL:
        figures = benchmark_figures(artifact, place, way, threads, seconds)
    elif way.runner != FIRMWARE:
        figures = program_figures(artifact, place, way, threads, seconds)
    elif place.profile.transport == "qemu":
        figures = emulator_figures(artifact, place.profile, brief)
    else:
        figures = board_figures(artifact, place, seconds)
    return Measurement(artifact=artifact.manifest.name, artifact_digest=artifact.digest,
                       target=artifact.manifest.target, device=place.name, emulated=place.emulated,
                       started_at=started.isoformat(timespec="seconds"), runner=way.runner, **figures)
