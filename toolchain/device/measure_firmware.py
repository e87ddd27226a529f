"""Figures of generated C in firmware: on an emulated board instructions, on a real one time."""

from contextlib import AbstractContextManager, nullcontext
from statistics import median

from toolchain.artifact import Artifact
from toolchain.device.board import BoardSession, open_board
from toolchain.device.board_meter import bench_energy, open_meter
from toolchain.device.boards import Board, load_boards
from toolchain.device.breakdown import function_instructions, layer_instructions
from toolchain.device.firmware import build_firmware, model_facts
from toolchain.device.flash import flash_parts
from toolchain.device.latency.figures import latency_figures
from toolchain.device.metering import NO_METER
from toolchain.device.meters.meter import Meter
from toolchain.device.parity import parity
from toolchain.device.place import Place
from toolchain.device.qemu import open_device
from toolchain.errors import DeviceUnavailable, DoesNotFit, InvalidMeasurement, Unsupported
from toolchain.measurement import Energy
from toolchain.profile import TargetProfile

EMULATED = {"energy": "emulated: none", "time": "emulated: none"}


def board_figures(artifact: Artifact, place: Place, seconds: float) -> dict:
    """Of a board on a serial line, that keeps time unless it is emulated.

    Raises DeviceUnavailable and its kinds, BadReply.
    """
    board = place.board
    with (_metered(board) as meter,
          open_board(artifact, place.profile, baud=board.baud if board else None) as session):
        checked, problems = parity(artifact, "c", session)
        samples_us, stack_bytes = session.time(seconds)
        energy, missing = _energy(session, meter, samples_us, seconds)
        conditions = {**session.conditions, "samples": len(samples_us)}
    figures = {"runtime": session.runtime, "stack_bytes": stack_bytes, "parity": checked,
               **linked_sizes(artifact)}
    if place.emulated:
        return {**figures, "conditions": {**conditions, **EMULATED}, "problems": problems}
    latency_us, unsteady = latency_figures(samples_us)
    if meter is None:
        conditions["energy"] = NO_METER
    return {**figures, "latency_us": latency_us, "latency_samples_us": samples_us, "energy": energy,
            "conditions": conditions, "problems": (*problems, *unsteady, *missing)}


def _metered(board: Board | None) -> AbstractContextManager[Meter | None]:
    """The board's first meter, open."""
    if board is None or not board.meters:
        return nullcontext()
    return open_meter(board, load_boards().meters[board.meters[0]])


def _energy(session: BoardSession, meter: Meter | None, samples_us: list[float],
            seconds: float) -> tuple[Energy | None, tuple[str, ...]]:
    """And why there is none though there is a meter."""
    if meter is None:
        return None, ()
    try:
        return bench_energy(session, meter, median(samples_us), seconds), ()
    except InvalidMeasurement as error:
        return None, (str(error),)


def linked_sizes(artifact: Artifact) -> dict[str, int]:
    """What the linker took of flash and RAM."""
    static = artifact.manifest.static_bytes
    return {f"{key}_bytes": static[key] for key in ("arena", "static", "flash", "code_flash")}


def emulator_figures(artifact: Artifact, profile: TargetProfile, brief: bool) -> dict:
    """Of an emulated board, that counts instructions. Raises DeviceUnavailable, InvalidMeasurement.

    brief: layers and functions are not counted
    """
    elf = artifact.files.get("firmware.elf") or build_firmware(artifact, profile).elf
    with open_device(artifact, profile) as device:
        checked, problems = parity(artifact, "c", device)
        bench, inputs = device.bench(), device.bench_inputs()
    static = artifact.manifest.static_bytes
    parts = flash_parts(elf, model_facts(artifact.files).symbol, static["flash"])
    conditions = {"machine": profile.machine, "cflags": " ".join(profile.cflags), **EMULATED}
    counted = {} if brief else _broken_down(artifact, elf, profile, inputs, bench.instructions, conditions)
    return {"problems": problems, "runtime": device.runtime, "instructions": bench.instructions,
            "stack_bytes": bench.stack_bytes, "parity": checked, "flash_parts": parts, **counted,
            "conditions": conditions,
            **linked_sizes(artifact)}


def _broken_down(artifact: Artifact, elf: bytes, profile: TargetProfile, inputs: list[bytes],
                 instructions: int, conditions: dict) -> dict:
    """Layers and functions; why one is missing is noted in the conditions."""
    found = {}
    for name, count in (("layers", lambda: layer_instructions(artifact, profile, inputs, instructions)),
                        ("functions", lambda: function_instructions(elf, profile, inputs))):
        try:
            found[name] = count()
        except (DoesNotFit, DeviceUnavailable, Unsupported) as error:
            conditions[name] = f"not counted: {error}"
    return found
