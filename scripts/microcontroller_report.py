"""The tables of benchmark_microcontroller.py, in Markdown, and what is expected of their figures."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from math import inf, prod
import shutil
import subprocess
from typing import NamedTuple

import msgspec
from peers_report import table


class Core(NamedTuple):
    """A core and what it is compared with: `baseline` names the core of tflm_baseline.toml's counts."""

    target: str
    title: str
    baseline: str
    kernels: str
    mean: float
    most: float


CORES = {
    "m4": Core("cortex_m4_qemu", "Cortex-M4", "m4", "cmsis_nn", 0.65, 0.80),
    "m7": Core("cortex_m7_qemu", "Cortex-M7", "m7", "cmsis_nn", 0.65, 0.80),
    "m33": Core("cortex_m33_qemu", "Cortex-M33", "m33", "cmsis_nn", 0.65, 0.80),
    "m55": Core("cortex_m55_qemu", "Cortex-M55", "m55", "cmsis_nn", 0.55, 0.70),
    "f405": Core("netduinoplus2", "STM32F405 (Cortex-M4)", "m4", "cmsis_nn", 0.65, 0.80),
    "m3": Core("cortex_m3_qemu", "Cortex-M3", "m4", "reference", 0.40, 0.40),
    "m0": Core("cortex_m0_qemu", "Cortex-M0", "m4", "reference", 0.40, 0.40),
    "rv32": Core("riscv32_qemu", "RISC-V RV32IMAC", "m4", "reference", inf, inf),
}
"""mean, most: what the geometric mean of the instructions' ratios, and each of them, may be."""
KERNELS = {"cmsis_nn": "CMSIS-NN", "reference": "its reference kernels"}
BORROWED = ("m3", "m0", "rv32")
"""Cores on which TFLite Micro was not counted: its reference kernels' counts on the Cortex-M4 stand in."""


class Bounds(NamedTuple):
    """RAM against TFLite Micro's (geometric mean, and each), flash of code, patches, generating."""

    ram_mean: float = 0.60
    ram_most: float = 0.80
    code: int = 10_240
    patched_ram: int = 36_000
    patched_share: float = 0.40
    patched_cost: float = 1.15
    seconds: float = 2.0


BOUNDS = Bounds()
PATCHED, WHOLE = "in patches", "with every channel"
"""How vww is done on the Cortex-M4 besides."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One network on one core; sizes in bytes.

    code:   flash of the whole firmware without the network's constants
    wrong:  of `outputs` output codes of `inputs` inputs, those that differ from TFLite Micro's
    seconds, same_bytes: CPU time of writing the C; whether writing it again gives the same bytes
    """

    instructions: int
    arena: int
    static: int
    stack: int
    code: int
    weights: int
    wrong: int
    outputs: int
    inputs: int
    seconds: float
    same_bytes: bool

    @property
    def ram(self) -> int:
        return self.arena + self.static + self.stack


Found = Mapping[str, Mapping[str, Figures | str]]
Baseline = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]


def beside(name: str, core: Core, baseline: Baseline) -> Mapping[str, int]:
    """What TFLite Micro took."""
    return baseline[name][core.baseline][core.kernels]


def their_ram(figures: Mapping[str, int]) -> int:
    return figures["arena"] + figures["static"] + figures["stack"]


def geometric_mean(ratios: list[float]) -> float:
    return prod(ratios) ** (1 / len(ratios))


def ratios(rows: Mapping[str, Figures | str], core: Core,
           baseline: Baseline) -> Iterator[tuple[float, float]]:
    """(instructions, RAM) over TFLite Micro's, of what fits."""
    for name, figures in rows.items():
        if isinstance(figures, Figures):
            theirs = beside(name, core, baseline)
            yield figures.instructions / theirs["instructions"], figures.ram / their_ram(theirs)


def page(found: Found, others: Mapping[str, Figures], host: Mapping[str, str], baseline: Baseline) -> str:
    """Everything, in Markdown. others: how vww was done instead -> its figures on the Cortex-M4"""
    parts = [f"# Generated C on microcontrollers, beside TensorFlow Lite Micro\n\n{conditions()}"]
    parts += [core_table(CORES[name], name in BORROWED, rows, baseline) for name, rows in found.items()]
    if others:
        parts.append(others_table({"as above": found["m4"]["vww"], **others}, baseline))
    parts.append(host_table(host))
    return "\n\n".join(parts) + "\n"


def conditions() -> str:
    """What the figures stand for."""
    compiler, qemu = (subprocess.run([tool, "--version"], check=True, capture_output=True,
                                     text=True).stdout.splitlines()[0]
                      for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if shutil.which(tool))
    return (f"`make benchmark-microcontroller`, {datetime.now(UTC):%Y-%m-%d}: {compiler}, -O2; {qemu}. Every "
            f"device is emulated: counts of instructions are exact and repeat; there is no time, no energy. "
            f"TFLite Micro: 2026-08 with CMSIS-NN of 2026-07, the same compiler, flags and boards "
            f"(`scripts/tflm_baseline.toml`). RAM is arena + static data + stack (high-water mark), code the "
            f"whole firmware's flash without the network's constants. Outputs are compared with the "
            f"`tflite-micro` package {version('tflite-micro')}, bit by bit.")


def core_table(core: Core, borrowed: bool, rows: Mapping[str, Figures | str], baseline: Baseline) -> str:
    head = ["network", "instructions", "TFLite Micro's", "ratio", "arena", "static + stack", "RAM ratio",
            "code", "code, TFLite Micro's", "outputs that differ"]
    lines = [_row(name, figures, beside(name, core, baseline)) for name, figures in rows.items()
             if isinstance(figures, Figures)]
    refused = [f"{name}: {figures}" for name, figures in rows.items() if isinstance(figures, str)]
    found = [*ratios(rows, core, baseline)]
    if found:
        instructions, ram = (geometric_mean([*side]) for side in zip(*found))
        means = f"**{instructions:.3f}**", "", "", f"**{ram:.3f}**"
        lines.append(["geometric mean", "", "", *means, "", "", ""])
    against = f"against TFLite Micro with {KERNELS[core.kernels]}" + (
        ", whose counts on a Cortex-M4 stand in for this core's" if borrowed else "")
    return "\n\n".join([f"## {core.title} ({core.target}), {against}", table(head, lines),
                        *(f"Refused: {line}" for line in refused)])


def _row(name: str, ours: Figures, theirs: Mapping[str, int]) -> list[str]:
    return [name, f"{ours.instructions:,}", f"{theirs['instructions']:,}",
            f"**{ours.instructions / theirs['instructions']:.3f}**", f"{ours.arena:,}",
            f"{ours.static:,} + {ours.stack:,}", f"**{ours.ram / their_ram(theirs):.3f}**", f"{ours.code:,}",
            f"{theirs['code']:,}", f"{ours.wrong:,} of {ours.outputs:,}"]


def others_table(figures: Mapping[str, Figures], baseline: Baseline) -> str:
    theirs, plain = beside("vww", CORES["m4"], baseline), figures["as above"]
    rows = [[title, f"{f.instructions:,}", f"{f.instructions / plain.instructions:.3f}",
             f"{f.instructions / theirs['instructions']:.3f}", f"{f.ram:,}",
             f"{f.ram / their_ram(theirs):.3f}", f"{f.code:,}", f"{f.wrong:,} of {f.outputs:,}"]
            for title, f in figures.items()]
    head = ["vww on a Cortex-M4", "instructions", "over those above", "over TFLite Micro's", "RAM",
            "RAM over TFLite Micro's", "code", "outputs that differ"]
    return ("## In patches, and with every channel\n\nIn patches: the first layers, on a board with "
            f"{BOUNDS.patched_ram:,} bytes of RAM. With every channel: elsewhere on this page, channels that "
            f"no output depends on are left out, bit for bit the same outputs; of these networks vww has "
            f"such.\n\n{table(head, rows)}")


def host_table(host: Mapping[str, str]) -> str:
    rows = [[name, same] for name, same in host.items()]
    return ("## On the host\n\nThe portable kernels, inputs whose outputs equal TFLite Micro's.\n\n"
            + table(["network", "inputs"], rows))


def shortcomings(found: Found, others: Mapping[str, Figures], host: Mapping[str, str],
                 baseline: Baseline) -> list[str]:
    """What is not as BOUNDS and CORES ask, in words."""
    lines = [line for core, rows in found.items() for line in _missed(CORES[core], rows, baseline)]
    lines += [f"{name} on the host: {same} inputs answered as TFLite Micro does"
              for name, same in host.items() if len(set(same.split(" of "))) > 1]
    if others:
        theirs = beside("vww", CORES["m4"], baseline)
        lines += _missed_in_patches(others[PATCHED], found["m4"]["vww"], theirs)
    return lines


def _missed(core: Core, rows: Mapping[str, Figures | str], baseline: Baseline) -> Iterator[str]:
    found = [*ratios(rows, core, baseline)]
    if found:
        instructions, ram = zip(*found)
        for what, each, mean, most in (("instructions", instructions, core.mean, core.most),
                                       ("RAM", ram, BOUNDS.ram_mean, BOUNDS.ram_most)):
            if geometric_mean([*each]) > mean or max(each) > most:
                yield (f"{core.target}: {what}: geometric mean {geometric_mean([*each]):.3f} (at most "
                       f"{mean}), worst {max(each):.3f} (at most {most})")
    for name, figures in rows.items():
        if isinstance(figures, Figures):
            yield from _missed_by(f"{name} on {core.target}", figures)


def _missed_by(where: str, figures: Figures) -> Iterator[str]:
    if figures.wrong:
        yield f"{where}: {figures.wrong} of {figures.outputs} codes differ from TFLite Micro's"
    if figures.code > BOUNDS.code:
        yield f"{where}: {figures.code:,} bytes of code (at most {BOUNDS.code:,})"
    if figures.seconds > BOUNDS.seconds or not figures.same_bytes:
        yield (f"{where}: writing took {figures.seconds:.2f} s of CPU time (at most {BOUNDS.seconds}), "
               f"{'the same' if figures.same_bytes else 'other'} bytes the second time")


def _missed_in_patches(patched: Figures, plain: Figures, theirs: Mapping[str, int]) -> Iterator[str]:
    yield from _missed_by("vww in patches", patched)
    share, cost = patched.ram / their_ram(theirs), patched.instructions / plain.instructions
    if share > BOUNDS.patched_share or cost > BOUNDS.patched_cost:
        yield (f"vww in patches: {share:.3f} of TFLite Micro's RAM (at most {BOUNDS.patched_share}) at "
               f"{cost:.3f}x instructions (at most {BOUNDS.patched_cost})")
