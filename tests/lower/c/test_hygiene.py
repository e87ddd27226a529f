"""What everybody's compiler and sanitizer says of the generated C, of every kind of core's kernels."""

from collections.abc import Mapping
from pathlib import Path
import re
import subprocess

import pytest

from tests.chains import handing_on
from tests.lower.c.nets import residual_net, two_ended_net
from tests.lower.c.test_emit import choosing_net, copying_net, vectors
from tests.many_ops import drawn, merged
from tests.op_cases_int16 import CASES
from tests.op_cases_int16 import drawn as drawn_int16
from tests.slices import sliced
from toolchain.lower.c.chain import write_chain
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.lower.c.pages import ROOM
from toolchain.profile import load_target

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef",
            "-Wstrict-prototypes", "-Wvla", "-Werror")
SANITIZED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CORES = ("", *{rooms: isa for isa, rooms in ROOMS.items()}.values())
"""One of each set of kernels."""
TARGET = {"armv6-m": "cortex_m0_qemu", "armv7-m": "cortex_m3_qemu", "armv7e-m": "cortex_m4_qemu",
          "armv8-m.main+dsp": "cortex_m33_qemu", "armv8.1-m.main+mve": "cortex_m55_qemu",
          "rv32imac": "riscv32_qemu"}
"""ISA -> a target that has it."""
COMPILERS_OWN = ("__aeabi_", "__gnu_", "__div", "__udiv", "__mul", "__clz", "__ashl", "__lshr", "__ashr",
                 "__riscv_save_", "__riscv_restore_")
"""Beginnings of functions in libgcc: divisions, what a core has no instruction for, -msave-restore's."""
LIBC = {"memcpy", "memset", "memmove"}
NETS = (residual_net, two_ended_net, copying_net, choosing_net)
OPS = 450


def sources(isa: str) -> dict[str, bytes]:
    """Files of nets, hundreds of int8 ops, every kind of int16 op, a chain, slices; kernels once, each model
    in a folder."""
    ops = [merged([drawn(i) for i in range(start, start + 50)], f"ops{start}")[0]
           for start in range(0, OPS, 50)]
    wide = [drawn_int16(kind)[0][0] for kind in CASES]
    chains = {"chain": handing_on(), "slices": sliced(((4, 8, 8), (16, 32, 24)), "slices")}
    files = {name if name.startswith("tk_") else f"{folder}/{name}": data for folder, chain in chains.items()
             for name, data in write_chain(chain, machine=Machine(isa, "speed")).files.items()}
    for number, graph in enumerate([*(net() for net in NETS), *ops, *wide]):
        made = write_c(graph, f"m{number}", machine=Machine(isa, "speed")).files
        files |= {name if name.startswith("tk_") else f"m{number}/{name}": data
                  for name, data in made.items()}
    return files


def every_kernel() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((ROOM / "kernels").rglob("tk_*.[ch]"))}


def write(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """Write them; the units to compile."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return [name for name in files if name.endswith(".c")]


def run(command: list[str], folder: Path) -> str:
    """What it says. Fails where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (done.stderr or done.stdout)[:4000]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("isa", CORES)
def test_no_warning(isa, compiler, tmp_path):
    units = write(sources(isa), tmp_path)
    models = [unit for unit in units if unit.endswith("/model.c")]
    run([compiler, *WARNINGS, "-I.", "-fsyntax-only", *models], tmp_path)
    run([compiler, *WARNINGS, "-I.", "-O2", "-c", *(unit for unit in units if unit not in models)], tmp_path)


@pytest.mark.parametrize("isa", CORES)
def test_selftests_under_sanitizers(isa, tmp_path):
    """Every net's test vectors in one program, each in an arena of its size."""
    names, units = [], []
    for net in NETS:
        graph = net()
        files = write_c(graph, vectors=vectors(graph), machine=Machine(isa, "speed")).files
        names.append(graph.name)
        units += write({name if name.startswith("tk_") else f"{graph.name}/{name}": data
                        for name, data in files.items()}, tmp_path)
    (tmp_path / "main.c").write_text(_main(names))
    run(["gcc", *WARNINGS, *SANITIZED, "-I.", "-o", "all", "main.c", *dict.fromkeys(units)], tmp_path)
    assert run(["./all"], tmp_path) == "".join(f"{name} 0\n" for name in names)


def _main(names: list[str]) -> str:
    lines = [f'#include "{name}/model.h"' for name in names] + ["#include <stdio.h>", "int main(void) {"]
    for name in names:
        lines += [f"    static uint8_t {name}[{name.upper()}_ARENA_BYTES] __attribute__((aligned(16)));",
                  f'    printf("{name} %u\\n", (unsigned){name}_selftest({name}));']
    return "\n".join([*lines, "    return 0;", "}", ""])


@pytest.mark.emulated
@pytest.mark.parametrize("isa", TARGET)
def test_kernels_need_no_library_no_heap_and_a_stack_of_known_size(isa, tmp_path):
    """By the cross compiler's objects: symbols, stack use and call graph of all that a core can get."""
    profile, room = load_target(TARGET[isa]), set(ROOMS[isa])
    units = [unit for unit in write(every_kernel(), tmp_path)
             if (found := {"dsp", "mve", "scalar"} & set(Path(unit).stem.split("_"))) <= room or not found]
    run([profile.compiler, *profile.cflags, *WARNINGS[1:], "-I.", "-c", "-fstack-usage", "-fcallgraph-info",
         *units], tmp_path)
    objects = [f"{Path(unit).stem}.o" for unit in units]
    symbols = run([profile.compiler.replace("gcc", "nm"), *objects], tmp_path)
    foreign = re.findall(r"^ +U (\w+)", symbols, re.MULTILINE)
    assert {name for name in foreign if not name.startswith(("tk_", *COMPILERS_OWN))} <= LIBC
    usage = "".join(path.read_text() for path in tmp_path.glob("*.su"))
    assert usage and not [line for line in usage.splitlines() if not line.endswith("\tstatic")]
    assert not cycle(calls(tmp_path))


def calls(folder: Path) -> dict[str, set[str]]:
    """Function -> those that it calls, by gcc's call graphs."""
    graph: dict[str, set[str]] = {}
    for path in folder.glob("*.ci"):
        for edge in re.finditer(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', path.read_text()):
            graph.setdefault(edge[1], set()).add(edge[2])
    return graph


def cycle(graph: Mapping[str, set[str]]) -> set[str]:
    """Functions on a way that leads back: what is left when those that call nothing have gone, one by one."""
    left = {name: set(called) for name, called in graph.items()}
    while ended := [name for name, called in left.items() if not called & left.keys()]:
        for name in ended:
            del left[name]
    return set(left)


def test_a_cycle_is_found():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}}) == {"a", "b", "c"}
    assert not cycle({"a": {"b", "c"}, "b": {"c"}})


NOT_MEANT = ("shiftTooManyBitsSigned", "shiftNegativeLHS", "ctuuninitvar")
"""Right shifts of negative numbers: C99 leaves them to compilers; gcc, clang and armclang copy the sign.
ctuuninitvar: a struct that is filled member by member counts as not initialised where it is handed in.
"""


def test_cppcheck_finds_nothing(tmp_path):
    units = write(every_kernel(), tmp_path) + write(write_c(residual_net()).files, tmp_path)
    run(["cppcheck", "--enable=warning,portability", "--std=c99", "--error-exitcode=1", "--quiet",
         *(f"--suppress={check}" for check in NOT_MEANT),
         *dict.fromkeys(unit for unit in units if unit.endswith(".c"))], tmp_path)
