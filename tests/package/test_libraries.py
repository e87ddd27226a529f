"""Packages do what their tools ask: CMake builds and tests them, Arduino's rules hold, Zephyr's too."""

from pathlib import Path
import re
import subprocess

import pytest

from tests.package.artifacts import chained, in_two_memories, many_to_many, one_to_one, slices
from toolchain.artifact import Artifact
from toolchain.errors import BadInput
from toolchain.package import KINDS, MARK, package
from toolchain.package.files import write_package, zipped

ALL = pytest.mark.parametrize("artifact", [one_to_one, many_to_many, in_two_memories, chained, slices])
C_KINDS = ("folder", "cmake", "arduino", "zephyr")


def run(*command: object, folder: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_same_artefact_gives_the_same_bytes():
    for kind in C_KINDS:
        assert zipped(package(one_to_one(), kind)) == zipped(package(one_to_one(), kind))


def test_what_is_there_is_not_written_over(tmp_path):
    made = package(one_to_one(), "folder")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match=r"own: there, and no package of ours"):
        write_package(made, tmp_path / "own")
    for _ in range(2):
        write_package(made, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(made.files)
    assert {path.name for path in tmp_path.iterdir()} == {"own", "new"}


def test_what_cannot_be_packaged_is_told():
    message = "no package is called 'rpm'; give --as folder, cmake, arduino, zephyr, tflite-micro"
    with pytest.raises(BadInput, match=message):
        package(one_to_one(), "rpm")
    with pytest.raises(BadInput, match="residual for cortex_m4_qemu has no .tflite; build it for a target"):
        package(one_to_one(), "tflite-micro")
    for kind in C_KINDS:
        with pytest.raises(BadInput, match="residual for host has no C; build it for a microcontroller"):
            package(one_to_one("host"), kind)


# --- a plain folder -----------------------------------------------------------------------------------------

@ALL
def test_a_folder_compiles_as_its_readme_says(artifact, tmp_path):
    write_package(package(artifact(), "folder"), tmp_path / "net")
    snippet, = re.findall(r"```c\n(.*?)```", (tmp_path / "net" / "README.md").read_text(), re.DOTALL)
    (tmp_path / "main.c").write_text(f"{snippet}\nint main(void) {{\n    run();\n    return 0;\n}}\n")
    units = [path for path in (tmp_path / "net").glob("*.[cS]")]
    run("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-Inet", "main.c", *units, "-o", "main",
        folder=tmp_path)
    run("./main", folder=tmp_path)


# --- CMake --------------------------------------------------------------------------------------------------

PROJECT = """
cmake_minimum_required(VERSION 3.13)
project(empty LANGUAGES C ASM)
add_subdirectory(first)
add_subdirectory(second)
add_library(program STATIC main.c)
target_link_libraries(program PRIVATE residual choosing)
"""
MAIN = """
#include <residual.h>
#include <choosing.h>
int main(void);
int main(void) { return (int)(RESIDUAL_ARENA_BYTES + CHOOSING_ARENA_BYTES) + (residual_model.invoke == 0); }
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@ALL
def test_cmake_library_builds_by_itself_and_passes_its_test(artifact, compiler, tmp_path):
    write_package(package(artifact(), "cmake"), tmp_path / "net")
    run("cmake", "-S", "net", "-B", "build", "-G", "Ninja", f"-DCMAKE_C_COMPILER={compiler}", folder=tmp_path)
    run("cmake", "--build", "build", folder=tmp_path)
    assert "100% tests passed" in run("ctest", "--test-dir", "build", folder=tmp_path)


@pytest.mark.emulated
@pytest.mark.parametrize("layers", ["OFF", "ON"])
def test_two_cmake_libraries_in_an_empty_project_for_the_target(layers, tmp_path):
    for artifact, folder in ((one_to_one(), "first"), (many_to_many(), "second")):
        write_package(package(artifact, "cmake"), tmp_path / folder)
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    (tmp_path / "main.c").write_text(MAIN)
    run("cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-DCMAKE_TOOLCHAIN_FILE=first/toolchain.cmake",
        f"-DRESIDUAL_LAYERS={layers}", folder=tmp_path)
    run("cmake", "--build", "build", folder=tmp_path)
    library = tmp_path / "build" / "first" / "libresidual.a"
    assert "Tag_CPU_arch: v7E-M" in run("arm-none-eabi-readelf", "-A", library, folder=tmp_path)
    assert ("U tk_layer" in run("arm-none-eabi-nm", library, folder=tmp_path)) == (layers == "ON")


# --- Arduino ------------------------------------------------------------------------------------------------

MANDATORY = ("name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url",
             "architectures")
CATEGORIES = ("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing",
              "Data Storage", "Data Processing", "Other")
STUB = """
#include <stdint.h>
struct Stream {
  void begin(unsigned long); void print(const char *); void println(const char *);
  void println(int); void println(unsigned); void println(long); void println(unsigned long);
};
extern Stream Serial;
unsigned long micros(); void delay(unsigned long);
"""


def properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


@ALL
def test_arduino_library_keeps_the_specification(artifact):
    """Revision 2.2: names, fields and folders."""
    made = package(artifact(), "arduino")
    found = properties(made.files["library.properties"].decode())
    assert all(found[key] for key in MANDATORY) and found["category"] in CATEGORIES
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", found["name"]) and made.name == found["name"]
    assert not found["name"].lower().startswith("arduino")
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["version"])
    assert f"src/{found['includes']}" in made.files
    folders = {name.rpartition("/")[0] for name in made.files}
    assert folders == {"", "src", "examples/Inference"}  # sources flat: they include each other by name
    rows = [line.split("\t") for line in made.files["keywords.txt"].decode().splitlines()
            if not line.startswith("#")]
    assert all(len(row) == 2 and row[1] in ("KEYWORD1", "KEYWORD2", "LITERAL1") for row in rows)
    header = made.files[f"src/{found['includes']}"].decode()
    assert all(word in header for word, _ in rows)


def test_a_network_called_arduino_is_renamed():
    artifact = one_to_one()
    files = {name: data.replace(b"residual", b"arduino_net") for name, data in artifact.files.items()}
    made = package(Artifact(artifact.manifest, files, artifact.vectors), "arduino")
    assert made.name == "model_arduino_net" and "src/arduino_net.h" in made.files


@pytest.mark.parametrize("compiler", ["g++", "arm-none-eabi-g++"])
@ALL
def test_arduino_sketch_compiles_as_cpp(artifact, compiler, tmp_path):
    write_package(package(artifact(), "arduino"), tmp_path / "net")
    (tmp_path / "Arduino.h").write_text(STUB)
    run(compiler, "-std=gnu++11", "-Wall", "-Wextra", "-fsyntax-only", "-xc++", "-include", "Arduino.h",
        "-I.", "-Inet/src", "net/examples/Inference/Inference.ino", folder=tmp_path)


def test_arduino_zip_holds_one_folder(tmp_path):
    import zipfile

    made = package(one_to_one(), "arduino")
    with zipfile.ZipFile(write_package(made, tmp_path / "net.zip")) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {f"residual/{name}" for name in made.files}
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


# --- Zephyr -------------------------------------------------------------------------------------------------

ZEPHYR = """
cmake_minimum_required(VERSION 3.20)
project(app LANGUAGES C ASM)
function(zephyr_include_directories)
  include_directories(${ARGV})
endfunction()
macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC "")
endmacro()
function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
function(zephyr_compile_definitions)
  add_compile_definitions(${ARGV})
endfunction()
set(CONFIG_EDGE_RESIDUAL y)
add_subdirectory(net/zephyr)
"""
"""What Zephyr's cmake/modules/extensions.cmake does with these, as far as a library is concerned."""


def test_zephyr_module_builds_with_zephyrs_functions(tmp_path):
    write_package(package(one_to_one(), "zephyr"), tmp_path / "net")
    (tmp_path / "CMakeLists.txt").write_text(ZEPHYR)
    run("cmake", "-S", ".", "-B", "build", "-G", "Ninja", folder=tmp_path)
    run("cmake", "--build", "build", folder=tmp_path)
    assert (tmp_path / "build" / "net" / "zephyr" / "libresidual.a").is_file()


@ALL
def test_zephyr_module_names_files_that_are_there(artifact):
    """module.yml: scalars two levels deep; Kconfig: options, typed, indented by tabs."""
    made = package(artifact(), "zephyr")
    name, kconfig = made.name, made.files["zephyr/Kconfig"].decode()
    assert made.files["zephyr/module.yml"].decode().splitlines() == [
        f"name: {name}", "build:", "  cmake: zephyr", "  kconfig: zephyr/Kconfig"]
    assert {"zephyr/CMakeLists.txt", "zephyr/Kconfig"} <= set(made.files)
    assert re.findall(r"^config (\w+)\n\tbool \"[^\"]+\"$", kconfig, re.MULTILINE) == [
        f"EDGE_{name.upper()}", f"EDGE_{name.upper()}_LAYERS"]
    assert all(line.startswith(("config ", "\t")) or not line for line in kconfig.splitlines())


def test_every_package_says_what_it_was_made_of():
    for kind in set(KINDS) - {"tflite-micro"}:
        text = package(one_to_one(), kind).files[MARK].decode()
        assert f'"kind": "{kind}"' in text and one_to_one().manifest.graph_digest in text
