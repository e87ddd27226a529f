"""measure(artifact, profile) -> Measurement: what an artefact does on the device that its target names."""

from datetime import UTC, datetime
import platform

import numpy as np

from toolchain.artifact import Artifact, convert
from toolchain.device.board import open_board
from toolchain.device.breakdown import function_instructions, layer_instructions
from toolchain.device.firmware import build_firmware, model_facts
from toolchain.device.flash import flash_parts
from toolchain.device.local import open_session, time_model
from toolchain.device.qemu import open_device
from toolchain.errors import DeviceUnavailable, DoesNotFit, InvalidMeasurement, Unsupported
from toolchain.measurement import Latency, Measurement, Parity
from toolchain.profile import Format, TargetProfile

ENERGY_NOTE = "no meter"


def measure(artifact: Artifact, profile: TargetProfile, fmt: Format, *, threads: int = 1,
            seconds: float = 1.0) -> Measurement:
    """Deploy the artefact's file of one format, check its test vectors there, and measure.

    Raises DeviceUnavailable, InvalidMeasurement.
    """
    started = datetime.now(UTC)
    run = {"qemu": _on_emulator, "serial": _on_board}.get(profile.transport, _on_host)
    figures = run(artifact, profile, fmt, threads, seconds)
    return Measurement(artifact=artifact.manifest.name, artifact_digest=artifact.digest, target=profile.name,
                       emulated=profile.emulated, started_at=started.isoformat(timespec="seconds"), **figures)


def _on_host(artifact: Artifact, profile: TargetProfile, fmt: Format, threads: int, seconds: float) -> dict:
    model = artifact.model(fmt)
    timing = time_model(fmt, model, threads=threads, seconds=seconds)
    conditions = {"cpu": cpu_name(), "threads": threads, "samples": len(timing["samples_us"]),
                  "load_us": timing["load_us"], "first_us": timing["first_us"], "energy": ENERGY_NOTE}
    if profile.transport == "none":
        conditions["note"] = f"built for {profile.name}, run on this host: not a figure of that device"
    return {"device": "host", "runtime": timing["runtime"], "conditions": conditions,
            "latency_us": latency(timing["samples_us"]), "latency_samples_us": timing["samples_us"],
            "peak_rss_bytes": timing["peak_rss_bytes"], "flash_bytes": len(model),
            "parity": parity(artifact, fmt, open_session(fmt, model, threads))}


def _on_board(artifact: Artifact, profile: TargetProfile, fmt: Format, threads: int, seconds: float) -> dict:
    with open_board(artifact, profile) as board:
        checked = parity(artifact, fmt, board)
        samples_us, stack_bytes = board.time(seconds)
    return {"device": profile.name, "runtime": board.runtime, "stack_bytes": stack_bytes, "parity": checked,
            "latency_us": latency(samples_us), "latency_samples_us": samples_us,
            "conditions": {**board.conditions, "samples": len(samples_us), "energy": ENERGY_NOTE},
            **_linked_sizes(artifact)}


def _linked_sizes(artifact: Artifact) -> dict[str, int]:
    static = artifact.manifest.static_bytes
    return {f"{key}_bytes": static[key] for key in ("arena", "static", "flash", "code_flash")}


def _on_emulator(artifact: Artifact, profile: TargetProfile, fmt: Format, *_) -> dict:
    elf = artifact.files.get("firmware.elf") or build_firmware(artifact, profile).elf
    with open_device(artifact, profile) as device:
        checked = parity(artifact, fmt, device)
        bench, inputs = device.bench(), device.bench_inputs()
    static = artifact.manifest.static_bytes
    parts = flash_parts(elf, model_facts(artifact.files).symbol, static["flash"])
    conditions = {"machine": profile.machine, "cflags": " ".join(profile.cflags), "energy": "emulated: none",
                  "time": "emulated: none"}
    return {"device": profile.name, "runtime": device.runtime, "instructions": bench.instructions,
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


def latency(samples_us: list[float]) -> Latency:
    """Median, p90 and p99 of hot single inferences. Raises InvalidMeasurement for none."""
    if not samples_us:
        raise InvalidMeasurement("no latency samples were taken")
    return Latency(*(float(q) for q in np.percentile(samples_us, (50, 90, 99))))


def parity(artifact: Artifact, fmt: Format, session) -> Parity | None:
    """Run the test vectors; compare in the reference's own codes. None where the artefact has none."""
    if not artifact.vectors:
        return None
    graph_in, graph_out = artifact.manifest.inputs["graph"], artifact.manifest.outputs["graph"]
    file_in, file_out = artifact.manifest.inputs[fmt], artifact.manifest.outputs[fmt]
    feeds = {want.name: convert(artifact.vectors[f"input/{have.name}"], have, want)
             for have, want in zip(graph_in, file_in)}
    got = session.run(feeds)
    off = [convert(got[have.name], have, want).astype(np.float64) - artifact.vectors[f"output/{want.name}"]
           for have, want in zip(file_out, graph_out)]
    differences = np.abs(np.concatenate([o.ravel() for o in off]))
    wrong = differences > (0 if graph_out[0].scale is not None else 1e-5)
    return Parity(checked=differences.size, mismatched=int(wrong.sum()), worst=float(differences.max()))


def cpu_name() -> str:
    """The host's processor as the kernel names it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
