"""Objects that are compiled once: which are kept, what shapes them, and what is said of bad source."""

from pathlib import Path
import shutil

import pytest

from toolchain.device import objects
from toolchain.device.objects import compile_units

GCC = shutil.which("gcc") or "gcc"
FLAGS = ("-Wall", "-O1")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "src").mkdir()
    write(tmp_path / "src", **{"kernel.h": "#define FACTOR 2\n", "own.h": "#define N 3\n",
                               "kernel.c": '#include <stdint.h>\n# include "kernel.h"\n'
                                           "int scaled(int32_t x) { return FACTOR * x; }\n",
                               "model.c": '#include "own.h"\nint count(void) { return N; }\n',
                               "board.c": "int bytes(void) { return ARENA_BYTES; }\n"})
    return tmp_path / "src"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def compiled(folder: Path, flags=FLAGS, definitions=("-DARENA_BYTES=8", "-DOTHER=1"), units=None) -> str:
    for path in folder.glob("*.o"):
        path.unlink()
    units = units or ["board.c", "kernel.c", "model.c"]
    return compile_units(GCC, flags, definitions, units, folder, own=["own.h"])


def kept(folder: Path) -> int:
    return len([*(folder.parent / "cache/objects").glob("[!.]*")])


def test_what_no_network_shapes_is_compiled_once(folder, monkeypatch):
    assert compiled(folder) == "" and kept(folder) == 1
    first = {path.name: path.read_bytes() for path in folder.glob("*.o")}
    assert first.keys() == {"board.o", "kernel.o", "model.o"}
    seen, run = [], objects.run
    monkeypatch.setattr(objects, "run", lambda *given: seen.append([*given[1]]) or run(*given))
    assert compiled(folder) == ""
    assert seen == [[*FLAGS, "-DARENA_BYTES=8", "-c", "board.c"], [*FLAGS, "-c", "model.c"]]
    assert {path.name: path.read_bytes() for path in folder.glob("*.o")} == first


def test_a_header_and_a_flag_make_another_object(folder):
    compiled(folder)
    two = (folder / "kernel.o").read_bytes()
    write(folder, **{"kernel.h": "#define FACTOR 5\n"})
    compiled(folder)
    assert kept(folder) == 2 and (folder / "kernel.o").read_bytes() != two
    compiled(folder, flags=(*FLAGS, "-funroll-loops"))
    assert kept(folder) == 3


def test_a_definition_goes_to_what_names_it_directly_or_in_what_it_includes(folder):
    write(folder, **{"kernel.h": "#ifdef OTHER\n#define FACTOR 7\n#else\n#define FACTOR 2\n#endif\n"})
    with_it = compiled(folder) or (folder / "kernel.o").read_bytes()
    without = compiled(folder, definitions=("-DARENA_BYTES=8",)) or (folder / "kernel.o").read_bytes()
    assert with_it != without and kept(folder) == 1


def test_nothing_is_kept_where_headers_may_come_from_elsewhere(folder, tmp_path, monkeypatch):
    (tmp_path / "bsp").mkdir()
    write(folder, **{"kernel.c": '#include "far.h"\nint scaled(int x) { return FACTOR * x; }\n'})
    by_flag = *FLAGS, f"-I{tmp_path / 'bsp'}"
    for flags in (by_flag, FLAGS):
        made = set()
        for factor in (3, 5):
            write(tmp_path / "bsp", **{"far.h": f"#define FACTOR {factor}\n"})
            made.add(compiled(folder, flags) or (folder / "kernel.o").read_bytes())
        assert len(made) == 2 and not kept(folder)
        monkeypatch.setenv("CPATH", str(tmp_path / "bsp"))


@pytest.mark.parametrize("source", [
    '#define H "kernel.h"\n#include H\nint scaled(int x) { return FACTOR * x; }\n',
    '#include "stdint.h"\n#include "kernel.h"\nint scaled(int x) { return FACTOR * x; }\n'])
def test_what_is_read_and_not_seen_is_not_kept(folder, source):
    write(folder, **{"kernel.c": source})
    first = compiled(folder) or (folder / "kernel.o").read_bytes()
    write(folder, **{"kernel.h": "#define FACTOR 9\n"})
    assert (compiled(folder) or (folder / "kernel.o").read_bytes()) != first and not kept(folder)


def test_names_that_are_put_together_are_given_every_definition(folder):
    write(folder, **{"kernel.c": "#define CAT(a, b) a##b\nint scaled(void) { return CAT(ARENA_, BYTES); }\n"})
    assert compiled(folder) == "" and not kept(folder)


def test_a_header_that_includes_itself(folder):
    write(folder, **{"kernel.h": '#ifndef H\n#define H\n#include "kernel.h"\n#define FACTOR 2\n#endif\n'})
    assert compiled(folder) == "" and kept(folder) == 1


def test_without_a_cache_that_can_be_written_it_is_compiled_anew(folder, monkeypatch):
    monkeypatch.setenv("EDGE_CACHE", "/proc/nothing")
    assert compiled(folder) == "" and (folder / "kernel.o").is_file()


@pytest.mark.parametrize("unit", ["kernel.c", "model.c"])
def test_what_the_compiler_refuses_is_told_and_not_kept(folder, unit):
    write(folder, **{unit: f'#include "{unit.replace("model.c", "own.h").replace(".c", ".h")}"\nint x = ;\n'})
    assert f"{unit}:2:9: error: expected expression" in compiled(folder)
    assert kept(folder) == (unit == "model.c")
