"""MLPerf Tiny's networks as generated C on every emulated core, beside TensorFlow Lite Micro: instructions
(exact counts: an emulator has no time and no energy), RAM, flash, bit-identity
(docs/microcontroller-benchmark.md).

Reads the kit's .tflite files ($EDGE_KIT). Exits with 3 where a bound of microcontroller_report.py is missed.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
import time
import tomllib
from unittest.mock import patch

from benchmark_peers import say
from kit_data import KIT, ROOT
from microcontroller_report import BOUNDS, CORES, PATCHED, WHOLE, Figures, page, shortcomings
import msgspec
import numpy as np
import typer

from toolchain.artifact import Artifact
from toolchain.device.firmware import Firmware, build_firmware
from toolchain.device.qemu import open_device
from toolchain.diagnose.host_c import run_c
from toolchain.errors import DoesNotFit
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower import lower
from toolchain.lower.c import emit
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import Machine
from toolchain.profile import TargetProfile, load_target
from toolchain.runtime.tflm import run_tflm
from toolchain.vectors import vectors_of

NETWORKS = {"kws": "kws_ref_model", "ic": "pretrainedResnet_quant", "vww": "vww_96_int8",
            "ad": "ad01_int8"}
ON_HOST, ON_CORE = 100, 10
"""Seeded inputs whose outputs are compared bit by bit."""
FOLDER = ROOT / "build" / "benchmark" / "microcontroller"
PAGE = ROOT / "docs" / "microcontroller-benchmark.md"
BASELINE = Path(__file__).with_name("tflm_baseline.toml")


def codes(count: int, seed: int) -> np.ndarray:
    """`count` int8 of a linear congruential generator (Numerical Recipes' constants): its uppermost bytes."""
    found, state = np.empty(count, np.uint8), seed
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        found[i] = state >> 24
    return found.view(np.int8)


@cache
def network(name: str) -> tuple[Graph, np.ndarray, np.ndarray]:
    """The graph, inputs (n, ...) and what TFLite Micro makes of them."""
    model = (KIT / "models" / f"{NETWORKS[name]}.tflite").read_bytes()
    graph = canonical(load(str(KIT / "models" / f"{NETWORKS[name]}.tflite")))
    x = graph.tensors[graph.inputs[0]]
    feeds = np.stack([codes(x.size, seed).reshape(x.shape[1:]) for seed in range(1, ON_HOST + 1)])
    answers = run_tflm(model, [{x.name: sample[None]} for sample in feeds])
    return graph, feeds, np.concatenate([next(iter(answer.values())) for answer in answers])


def on_host(name: str) -> str:
    """Whether the portable kernels, compiled for this machine, answer what TFLite Micro does."""
    graph, feeds, expected = network(name)
    got = run_c(graph, {graph.inputs[0]: feeds})[graph.outputs[0]]
    same = int((got == expected.reshape(got.shape)).reshape(len(got), -1).all(axis=1).sum())
    return f"{same} of {len(got)}"


def generating(name: str, profile: TargetProfile) -> tuple[float, bool]:
    """CPU seconds of writing the C, and whether a second time gives the same bytes."""
    graph, machine = network(name)[0], Machine(profile.isa, ram_bytes=profile.ram_bytes)
    started = time.process_time()
    files = write_c(graph, machine=machine).files
    seconds = time.process_time() - started
    return seconds, files == write_c(graph, machine=machine).files


def measured(name: str, profile: TargetProfile, ram_bytes: int | None = None) -> Figures:
    """One network on one core. Raises DoesNotFit.

    ram_bytes: another limit than the board's own, for execution in patches
    """
    graph, feeds, expected = network(name)
    tight = msgspec.structs.replace(profile, ram_bytes=ram_bytes) if ram_bytes else profile
    artifact = lower(graph, tight, vectors_of(graph, None, 0))
    firmware = build_firmware(artifact, profile)
    seconds, same = generating(name, profile)
    return _run(artifact, firmware, profile, feeds[:ON_CORE], expected[:ON_CORE], seconds, same)


def _run(artifact: Artifact, firmware: Firmware, profile: TargetProfile, feeds: np.ndarray,
         expected: np.ndarray, seconds: float, same: bool) -> Figures:
    with open_device(artifact, profile) as device:
        port = device.inputs[0].name
        got = next(iter(device.run({port: feeds}).values()))
        bench = device.count([feeds[0].tobytes()])
    return Figures(
        instructions=bench.instructions, arena=firmware.arena_bytes, static=firmware.static_bytes,
        stack=bench.stack_bytes, code=firmware.code_flash_bytes,
        weights=firmware.flash_bytes - firmware.code_flash_bytes,
        wrong=int((got != expected.reshape(got.shape)).sum()), outputs=got.size, inputs=len(feeds),
        seconds=seconds, same_bytes=same)


def compare(names: Sequence[str], cores: Sequence[str]) -> dict[str, dict[str, Figures | str]]:
    """Core -> network -> its figures, or why it does not fit."""
    found: dict[str, dict[str, Figures | str]] = {core: {} for core in cores}
    for core in cores:
        profile = load_target(CORES[core].target)
        for name in names:
            say(f"{name} on {profile.name}")
            try:
                found[core][name] = measured(name, profile)
            except DoesNotFit as error:
                found[core][name] = str(error)
    return found


def in_other_ways() -> dict[str, Figures]:
    """vww on the Cortex-M4, its first layers in patches; with the channels that nothing depends on."""
    profile = load_target(CORES["m4"].target)
    with patch.object(emit, "without_dead_channels", lambda graph: graph):
        whole = measured("vww", profile)
    return {PATCHED: measured("vww", profile, BOUNDS.patched_ram), WHOLE: whole}


def main(only: str = typer.Option("", help="networks, with commas between them"),
         cores: str = typer.Option("", help="cores, with commas between them")) -> None:
    """Measure; print the tables."""
    names, chosen = only.split(",") if only else [*NETWORKS], cores.split(",") if cores else [*CORES]
    baseline = tomllib.loads(BASELINE.read_text(encoding="utf-8"))
    found = compare(names, chosen)
    others = in_other_ways() if "vww" in names and "m4" in chosen else {}
    host = {name: on_host(name) for name in names}
    text = page(found, others, host, baseline)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "microcontroller.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    (FOLDER / "microcontroller.md").write_text(text, encoding="utf-8")
    if not (only or cores):
        PAGE.write_text(text, encoding="utf-8")
    print(text, end="")
    if lines := shortcomings(found, others, host, baseline):
        say("\n".join(lines))
        raise typer.Exit(3)


if __name__ == "__main__":
    typer.run(main)
