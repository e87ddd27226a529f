"""Figures of generated C in firmware: on an emulated board instructions, on a real one time."""

from toolchain.artifact import Artifact
from toolchain.device.board import open_board
from toolchain.device.breakdown import function_instructions, layer_instructions
from toolchain.device.firmware import build_firmware, model_facts
from toolchain.device.flash import flash_parts
from toolchain.device.latency.figures import latency_figures
from toolchain.device.metering import NO_METER
from toolchain.device.parity import parity
from toolchain.device.place import Place
from toolchain.device.qemu import open_device
from toolchain.errors import DeviceUnavailable, DoesNotFit, Unsupported
from toolchain.profile import TargetProfile


def board_figures(artifact: Artifact, place: Place, seconds: float) -> dict:
    """Of a board on a serial line, that keeps time unless it is an emulated one. Raises DeviceUnavailable and
    its kinds, BadReply."""
    board = place.board
    with open_board(artifact, place.profile, baud=board.baud if board else None) as session:
        checked, problems = parity(artifact, "c", session)
        samples_us, stack_bytes = session.time(seconds)
        conditions = {**session.conditions, "samples": len(samples_us), "energy": NO_METER}
    if place.emulated:
        samples_us, conditions["time"] = [], "emulated: none"
    latency_us, unsteady = (None, ()) if place.emulated else latency_figures(samples_us)
    return {"runtime": session.runtime, "stack_bytes": stack_bytes, "parity": checked,
            "latency_us": latency_us, "latency_samples_us": samples_us, "conditions": conditions,
            "problems": (*problems, *unsteady), **_linked_sizes(artifact)}


def _linked_sizes(artifact: Artifact) -> dict[str, int]:
    static = artifact.manifest.static_bytes
    return {f"{key}_bytes": static[key] for key in ("arena", "static", "flash", "code_flash")}


def emulator_figures(artifact: Artifact, profile: TargetProfile) -> dict:
    """Of an emulated board, that counts instructions. Raises DeviceUnavailable, InvalidMeasurement."""
    elf = artifact.files.get("firmware.elf") or build_firmware(artifact, profile).elf
    with open_device(artifact, profile) as device:
        checked, problems = parity(artifact, "c", device)
        bench, inputs = device.bench(), device.bench_inputs()
    static = artifact.manifest.static_bytes
    parts = flash_parts(elf, model_facts(artifact.files).symbol, static["flash"])
    conditions = {"machine": profile.machine, "cflags": " ".join(profile.cflags), "energy": "emulated: none",
                  "time": "emulated: none"}
    return {"problems": problems, "runtime": device.runtime, "instructions": bench.instructions,
            "stack_bytes": bench.stack_bytes, "parity": checked, "flash_parts": parts,
            **_broken_down(artifact, elf, profile, inputs, bench.instructions, conditions),
            "conditions": conditions,
            **_linked_sizes(artifact)}


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
