"""Firmware that tries many small graphs on an emulated board: inputs and expected outputs lie in flash."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
import re
import subprocess
import tempfile

import numpy as np

from toolchain.artifact import Artifact, Manifest
from toolchain.device.firmware import build_firmware
from toolchain.device.qemu import ICOUNT_SHIFT, machine_of
from toolchain.ir.graph import Graph
from toolchain.lower.c.call import array_text
from toolchain.lower.c.emit import CSource, write_c
from toolchain.lower.c.machine import Machine
from toolchain.profile import TargetProfile

MAIN = Path(__file__).with_name("trials_main.c")


@dataclass(frozen=True, eq=False)
class Trial:
    """A graph in C with one sample's inputs and outputs, in the graph's order."""

    source: CSource
    inputs: Sequence[np.ndarray]
    outputs: Sequence[np.ndarray]

    @property
    def flash_bytes(self) -> int:
        return self.source.weight_bytes + sum(array.nbytes for array in (*self.inputs, *self.outputs))


def trial(graph: Graph, feeds: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray],
          profile: TargetProfile, number: int) -> Trial:
    """feeds, answers: name -> (1, ...)"""
    source = write_c(graph, f"g{number}", machine=Machine(profile.isa, "speed"))
    return Trial(source, [_in_32_bits(feeds[name]) for name in graph.inputs],
                 [_in_32_bits(answers[name]) for name in graph.outputs])


def _in_32_bits(array: np.ndarray) -> np.ndarray:
    """C has int32 for whole numbers."""
    return array.astype(np.int32) if array.dtype == np.int64 else array


def images(trials: Sequence[Trial], room: int) -> Iterator[list[tuple[int, Trial]]]:
    """Numbered trials in groups that fit `room` bytes of flash."""
    group, used = [], 0
    for number, one in enumerate(trials):
        if group and used + one.flash_bytes > room:
            yield group
            group, used = [], 0
        group.append((number, one))
        used += one.flash_bytes
    yield group


@dataclass(frozen=True)
class Outcome:
    """wrong: (trial, output) of all that differs from what was expected; instructions: by trial, exact"""

    wrong: list[tuple[int, int]]
    instructions: dict[int, int]


def run_trials(group: Sequence[tuple[int, Trial]], profile: TargetProfile) -> Outcome:
    manifest = Manifest(name="trials", target=profile.name, formats=("c",), inputs={}, outputs={})
    artifact = Artifact(manifest, _files(group))
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "firmware.elf")
        image.write_bytes(build_firmware(artifact, profile).elf)
        said = _listen(image, profile)
    assert f"done {len(group)}" in said, said[-300:]
    wrong, took = ([(group[int(number)][0], int(value)) for number, value in
                    re.findall(rf"{word} (\d+) (\d+)", said)] for word in ("wrong", "took"))
    a_tick = Fraction(10**9, 2**ICOUNT_SHIFT * machine_of(profile).hz)
    return Outcome(wrong, {number: round(ticks * a_tick) for number, ticks in took})


def _listen(image: Path, profile: TargetProfile) -> str:
    """What the board says until it is done."""
    machine = machine_of(profile)
    icount = f"shift={ICOUNT_SHIFT},align=off,sleep=off"
    command = [machine.qemu, "-M", profile.machine, *machine.options, "-display", "none", "-monitor", "none",
               "-serial", "stdio", "-icount", icount, "-kernel", str(image)]
    said = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as board:
        try:
            for line in board.stdout:
                said.append(line)
                if line.startswith(("done", "fault")):
                    break
        finally:
            board.kill()
    return "".join(said)


def _files(group: Sequence[tuple[int, Trial]]) -> dict[str, bytes]:
    """model.h for the firmware's builder, one pair of files a model, the kernels, the table and main.c."""
    files = {"main.c": MAIN.read_bytes(), "trials.c": _table(group), "trials.h": _header(group),
             "model.h": _facts(group)}
    for number, one in group:
        for name, data in one.source.files.items():
            own = name.startswith("model.")
            files[f"g{number}{name[5:]}" if own else name] = (
                data.replace(b'"model.h"', f'"g{number}.h"'.encode()) if own else data)
    return files


def _facts(group: Sequence[tuple[int, Trial]]) -> bytes:
    arena = max(one.source.arena_bytes for _, one in group)
    return (f'#define TRIALS_ARENA_BYTES {max(arena, 16)}u\n#define TRIALS_WEIGHT_BYTES 0u\n'
            f'#define TRIALS_PEAK "trials"\n/* extern const tk_model trials_model; */\n').encode()


def _header(group: Sequence[tuple[int, Trial]]) -> bytes:
    ports = max(max(len(one.inputs), len(one.outputs)) for _, one in group)
    return (f'#include "tk_model.h"\n#define TRIALS {len(group)}u\n#define TRIAL_PORTS {ports}u\n'
            "typedef struct { const tk_model *model; const void *const *inputs; const void *const *outputs; }"
            " trial;\nextern const trial trials[TRIALS];\n").encode()


def _table(group: Sequence[tuple[int, Trial]]) -> bytes:
    parts, rows = ['#include "trials.h"\n'], []
    for number, one in group:
        parts.append(f"extern const tk_model g{number}_model;\n")
        for side, arrays in (("in", one.inputs), ("out", one.outputs)):
            names = [f"g{number}_{side}_{i}" for i in range(len(arrays))]
            parts += [f"static const int8_t {name}[] = {{\n{array_text(array.view(np.int8))}}};\n"
                      for name, array in zip(names, arrays)]
            parts.append(f"static const void *const g{number}_{side}[] = {{{', '.join(names)}}};\n")
        rows.append(f"    {{&g{number}_model, g{number}_in, g{number}_out}},\n")
    return "".join([*parts, "const trial trials[TRIALS] = {\n", *rows, "};\n"]).encode()
