"""MLPerf Tiny's modes for an artefact in firmware: what each found, as a Measurement or an Evaluation."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from toolchain.artifact import Artifact
from toolchain.atomic import replacing
from toolchain.deploy import chosen_format, own_profile
from toolchain.device.boards import load_boards
from toolchain.device.measure_firmware import linked_sizes
from toolchain.device.mlperf import sent_bytes, task_of
from toolchain.device.mlperf_board import (
    energy_firmware,
    open_contender,
    open_powered,
    require_pulses,
)
from toolchain.device.mlperf_modes import (
    WINDOW_S,
    WINDOWS,
    Performance,
    median_energy,
    run_accuracy,
    run_energy,
    run_performance,
)
from toolchain.device.place import Place, open_place
from toolchain.device.qemu import ICOUNT_SHIFT, QemuSession
from toolchain.device.ways import FIRMWARE
from toolchain.errors import BadInput, Unsupported, about
from toolchain.examination import Exam, sample_feeds
from toolchain.measurement import Evaluation, Latency, Measurement
from toolchain.metric import score
from toolchain.profile import TargetProfile, load_target

Mode = Literal["performance", "accuracy", "energy"]
MODES: tuple[Mode, ...] = ("performance", "accuracy", "energy")
EMULATED_INFERENCES = 10
"""In a window of an emulated board, whose every inference takes the same instructions."""
IDLE_S = 3.0
ENERGY_FILE = "firmware_energy.elf"
NO_AUC = ("ad01's accuracy is the area under the ROC curve of its scores, which is not told here; `edge eval "
          "--metric mse` compares its outputs")


def require_mode(artifact: Artifact, mode: str) -> None:
    """Raises BadInput, Unsupported for what has no such mode."""
    if mode not in MODES:
        raise BadInput(f"no mode is called '{mode}'; MLPerf Tiny's are {', '.join(MODES)}")
    chosen_format(artifact, "c")
    if not own_profile(artifact).has_firmware:
        raise Unsupported(f"{artifact.manifest.target} runs no firmware of ours; MLPerf Tiny's modes are for "
                          f"microcontrollers")
    if len(artifact.manifest.inputs["c"]) != 1:
        raise Unsupported(f"{artifact.manifest.name} has several inputs; MLPerf Tiny's modes send one")
    if mode == "accuracy" and task_of(artifact.manifest)[0] == "ad01":
        raise Unsupported(NO_AUC)


def run_mode(artifact: Artifact, device: str | None, mode: Mode,
             exam: Exam | None = None) -> Measurement | Evaluation:
    """What one mode finds on a board. exam: for accuracy, by top1

    Raises DeviceUnavailable and its kinds, InvalidMeasurement, BadConfig, Unsupported.
    """
    with open_place(own_profile(artifact), device) as place:
        if mode == "accuracy":
            return accuracy(artifact, place, exam)
        return (performance if mode == "performance" else energy)(artifact, place)


def performance(artifact: Artifact, place: Place) -> Measurement:
    """Throughput: the median over five windows of ten seconds and more. An emulated board has none: on the
    target's own emulator instructions of a window are told.
    """
    started = datetime.now(UTC)
    with open_contender(artifact, place) as board:
        found = run_performance(board.dut, inputs_of(artifact),
                                emulated_inferences=EMULATED_INFERENCES if place.emulated else None)
        own = board.session if isinstance(board.session, QemuSession) else None
        instructions = own and own.bench().instructions
    conditions = {**board.conditions, "mode": "performance", "windows": len(found.windows),
                  "inferences": found.windows[0].inferences, **_told(found, own is not None)}
    latency_us = found.throughput and Latency(1e6 / found.throughput, samples=len(found.windows))
    return _measurement(artifact, place, started, runtime=board.session.runtime, conditions=conditions,
                        instructions=instructions, latency_us=latency_us, **linked_sizes(artifact))


def accuracy(artifact: Artifact, place: Place, exam: Exam) -> Evaluation:
    """The share of single inferences whose largest result is the label's; results have three decimals."""
    with open_contender(artifact, place) as board:
        results = run_accuracy(board.dut, _sent(artifact, exam))
    with about(exam.data):
        found = score(exam.metric, results, exam.samples.y)
    return Evaluation(metric=found.metric, value=found.value, n=found.n, standard_error=found.standard_error,
                      data=Path(exam.data).name, split=exam.split, device=place.name,
                      emulated=place.emulated, runtime=board.session.runtime, artifact_digest=artifact.digest)


def energy(artifact: Artifact, place: Place) -> Measurement:
    """The window in the middle of five, each between two pulses of the board's pin; what all five gave is in
    the conditions.
    """
    started, inputs = datetime.now(UTC), inputs_of(artifact)
    with open_powered(artifact, place) as (board, meter):
        require_pulses(board.dut, inputs[0])
        energies = run_energy(board.dut, meter, inputs, window_s=WINDOW_S, idle_s=IDLE_S)
    gross_uj = [one.gross_uj for one in energies]
    conditions = {**board.conditions, "mode": "energy", "windows": len(energies),
                  "windows_gross_uj": " ".join(f"{one:.6g}" for one in gross_uj),
                  "note": f"median of {len(energies)} windows, {min(gross_uj):.4g} to {max(gross_uj):.4g} uJ",
                  "interface": "interface board" if place.board.interface else "its own serial line"}
    return _measurement(artifact, place, started, runtime=board.session.runtime, conditions=conditions,
                        energy=median_energy(energies))


def inputs_of(artifact: Artifact) -> list[bytes]:
    """What the runner sends in five windows: of the test vectors, or zeros where there are none."""
    port = artifact.manifest.inputs["c"][0]
    codes = artifact.vectors.get(f"input/{port.name}", np.zeros((1, *port.shape[1:]), port.dtype))
    return [sent_bytes(artifact.manifest, sample.astype(port.dtype)) for sample in codes[:WINDOWS]]


def write_energy_firmware(artifact: Artifact, folder: Path, device: str | None) -> Path:
    """The image for energy mode, beside the artefact; made where it is not there yet.

    Raises DoesNotFit, Unsupported for a target whose sources are not known, DeviceUnavailable where the
    compiler is missing.
    """
    path, profile = folder / ENERGY_FILE, own_profile(artifact)
    if not path.exists():
        known = msgspec.structs.replace(profile, folder=_sources(profile, device))
        with replacing(path) as unfinished:
            unfinished.write_bytes(energy_firmware(artifact, known))
    return path


def _sources(profile: TargetProfile, device: str | None) -> str:
    """The folder of a target, which a manifest does not tell: the board's entry may, or its name."""
    if board := load_boards().boards.get(device or ""):
        return load_target(board.target).folder
    try:
        return profile.folder or load_target(profile.name).folder
    except Unsupported:
        raise Unsupported(f"energy firmware is made from {profile.name}'s folder, which the artefact does "
                          f"not tell; name a board with --device: its entry in boards.toml does") from None


def _sent(artifact: Artifact, exam: Exam) -> Iterator[bytes]:
    name = artifact.manifest.inputs["c"][0].name
    for feeds in sample_feeds(artifact, "c", exam.samples, 32):
        yield from (sent_bytes(artifact.manifest, codes) for codes in feeds[name])


def _told(found: Performance, own_emulator: bool) -> dict[str, str | int | float]:
    """Of the windows: throughput and times; of an emulated board that there is none. The instructions of our
    own emulator follow from its virtual time, to within four: a microsecond has so many. What the firmware
    takes to say the first lap is among them.
    """
    if found.throughput is not None:
        return {"inferences_per_s": found.throughput, "note": found.label,
                "windows_us": " ".join(str(window.microseconds) for window in found.windows)}
    told = {"note": found.label, "time": "emulated: none", "energy": "emulated: none"}
    if not own_emulator:
        return told
    counts = [round(window.microseconds * 1000 / 2**ICOUNT_SHIFT) for window in found.windows]
    return {**told, "windows_instructions": " ".join(map(str, counts))}


def _measurement(artifact: Artifact, place: Place, started: datetime, **figures) -> Measurement:
    return Measurement(artifact=artifact.manifest.name, artifact_digest=artifact.digest,
                       target=artifact.manifest.target, device=place.name, emulated=place.emulated,
                       runner=FIRMWARE, started_at=started.isoformat(timespec="seconds"), **figures)
