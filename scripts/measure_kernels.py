"""Measures what generated C's kernels cost on every emulated core; writes toolchain/lower/c/costs.toml.

Instructions: ops of many shapes, each by every kernel that could do it, counted exactly on QEMU and fitted to
the units of work that the kernels' calls state (least squares of relative errors, no negative price).
Flash: the code of each source file, compiled with the core's own flags. Run it after a kernel has changed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
import subprocess
import tempfile
from typing import NamedTuple
from unittest.mock import patch

from benchmark_peers import say
from kernel_shapes import graphs
import numpy as np
import tomli_w

from tests.device.trials import Trial, images, run_trials, trial
from toolchain.atomic import replacing
from toolchain.ir.graph import Graph
from toolchain.lower.c import costs, variants
from toolchain.lower.c.call import Call
from toolchain.lower.c.machine import Machine
from toolchain.profile import TargetProfile, load_target
from toolchain.runtime import reference

BOARDS = ("cortex_m0_qemu", "cortex_m3_qemu", "cortex_m4_qemu", "cortex_m33_qemu", "cortex_m55_qemu",
          "riscv32_qemu")
"""One of each instruction set."""
MOST_KERNELS = 4
"""That one call has: of two rooms, one with two, and the portable one."""


class Counted(NamedTuple):
    """A kernel's call and what it took."""

    call: Call
    instructions: int


def emitted(graph: Graph, profile: TargetProfile, rank: int, number: int) -> tuple[Call, Trial] | None:
    """The graph's op by its rank-th candidate; None where it has fewer."""
    seen: list[Call | None] = []

    def pick(call: Call, machine: Machine) -> list[Call]:
        found = variants_of(call, machine)
        seen.append(found[rank] if rank < len(found) else None)
        return [seen[-1] or call]

    variants_of = variants.candidates
    rng = np.random.default_rng(number)
    feeds = {name: rng.integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
             for name in graph.inputs}
    with patch.object(variants, "candidates", pick):
        made = trial(graph, feeds, reference.run(graph, feeds), profile, number)
    return (seen[0], made) if len(seen) == 1 and seen[0] and seen[0].work else None


def counts(profile: TargetProfile) -> Iterator[Counted]:
    """Every shape by every kernel."""
    calls, trials = [], []
    for graph, rank in product(graphs(profile.ram_bytes), range(MOST_KERNELS)):
        if made := emitted(graph, profile, rank, len(trials)):
            calls.append(made[0])
            trials.append(made[1])
    for image in images(trials, profile.flash_bytes // 2):
        outcome = run_trials(image, profile)
        assert not outcome.wrong, f"{profile.name}: {calls[outcome.wrong[0][0]].kernel} gives wrong codes"
        yield from (Counted(calls[number], taken) for number, taken in outcome.instructions.items())


def prices(found: Sequence[Counted]) -> dict[str, float]:
    """Unit -> instructions each, none below 0."""
    units = sorted({unit for each in found for unit in each.call.work})
    taken = np.array([each.instructions for each in found], float)
    while units:
        work = np.array([[each.call.work.get(unit, 0) for unit in units] for each in found], float)
        price, *_ = np.linalg.lstsq(work / taken[:, None], np.ones(len(taken)), rcond=None)
        if (price >= 0).all():
            return {unit: round(float(each), 3) for unit, each in zip(units, price)}
        units = [unit for unit, each in zip(units, price) if each > price.min()]
    return {}


def worst(found: Sequence[Counted], price: Mapping[str, float]) -> float:
    """Largest relative error of the fit."""
    return max(abs(sum(price[u] * n for u, n in each.call.work.items() if u in price) / each.instructions - 1)
               for each in found)


def fitted(profile: TargetProfile) -> dict[str, dict[str, float]]:
    """Kernel -> its prices."""
    by_kernel = defaultdict(list)
    for each in counts(profile):
        by_kernel[each.call.kernel].append(each)
    table = {kernel: prices(found) for kernel, found in sorted(by_kernel.items())}
    for kernel, found in sorted(by_kernel.items()):
        say(f"{profile.name}: {kernel}: {len(found)} calls, off by {worst(found, table[kernel]):.0%} at most")
    return table


def code_sizes(profile: TargetProfile) -> dict[str, int]:
    """Source file -> bytes of code, of the kernels that the core can have."""
    kernels = Path(variants.__file__).parent / "kernels"
    rooms = [kernels, *(kernels / room for room in Machine(profile.isa).rooms)]
    headers = [f"-I{folder}" for folder in (kernels, *(path for path in kernels.iterdir() if path.is_dir()))]
    with tempfile.TemporaryDirectory() as folder:
        done = {path.name: _text_size(path, profile, headers, Path(folder))
                for room in rooms for path in sorted(room.glob("tk_*.[cS]"))}
    return {name: size for name, size in done.items() if size}


def _text_size(path: Path, profile: TargetProfile, headers: Sequence[str], folder: Path) -> int:
    out = folder / f"{path.stem}.o"
    subprocess.run([profile.compiler, *profile.cflags, *headers, "-c", path, "-o", out], check=True)
    said = subprocess.run([profile.compiler.replace("gcc", "size"), out], check=True, capture_output=True,
                          text=True).stdout
    return int(said.splitlines()[1].split()[0])


def main() -> None:
    """Measure and write."""
    found: dict[str, dict] = {"instructions": {}, "flash": {}}
    for profile in map(load_target, BOARDS):
        found["instructions"][profile.isa] = fitted(profile)
        found["flash"][profile.isa] = code_sizes(profile)
    text = f"# Written by scripts/measure_kernels.py.\n{tomli_w.dumps(found)}"
    with replacing(costs.FILE) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
