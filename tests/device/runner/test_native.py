"""Building the runners: kept by what went in, small, clean by compilers and sanitisers."""

import ast
from pathlib import Path
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.device.runner.conftest import HERE
from tests.device.runner.running import Runner, random_feeds
from tests.lower.c.nets import residual_net
from tests.random_nets import random_net
from toolchain.device.firmware import model_facts
from toolchain.device.runner import native as building
from toolchain.device.runner.native import (
    FLAGS,
    LIBRARIES,
    PROCESSORS,
    SOURCES,
    build_runner,
    python_runner,
)
from toolchain.errors import BadInput, DeviceUnavailable, Unsupported
from toolchain.lower.c.emit import write_c
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

STRICT = ("-Wpedantic", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror")
UNITS = sorted(path.name for path in SOURCES.glob("*.c"))


@pytest.fixture(scope="module")
def generated() -> dict[str, bytes]:
    return dict(write_c(residual_net()).files)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def elf(data: bytes) -> tuple[int, bool]:
    """Machine (ELF specification, e_machine), and whether it asks for an interpreter."""
    return int.from_bytes(data[18:20], "little"), b"/ld-linux" in data


@pytest.mark.parametrize("isa, runtime, machine, most", [
    ("x86_64", "litert", 62, 50_000), ("x86_64", "c", 62, 900_000), ("aarch64", "onnxruntime", 183, 80_000),
    ("aarch64", "c", 183, 800_000), ("armv7-a", "c", 40, 600_000)])
def test_executables(generated, isa, runtime, machine, most):
    data = build_runner(isa, runtime, generated if runtime == "c" else None)
    assert data[:4] == b"\x7fELF" and len(data) < most
    assert elf(data) == (machine, runtime != "c")


def test_one_executable_is_for_both_runtimes():
    assert build_runner(HERE, "litert") == build_runner(HERE, "onnxruntime")


def test_the_same_is_built_once(cache, generated, monkeypatch):
    first = build_runner(HERE, "c", generated)
    built = list((cache / "runners").glob("[!.]*"))
    monkeypatch.setattr(building, "_build", lambda *_: pytest.fail("built again"))
    assert build_runner(HERE, "c", generated) == first
    assert [path.name for path in built[0].iterdir()] == ["edge-runner"] and len(built) == 1


def test_another_model_or_another_option_is_another_runner(cache, generated, monkeypatch):
    monkeypatch.setattr(building, "_build", lambda *given: (given[-1] / "edge-runner").write_bytes(b""))
    changed = {**generated, "model.c": generated["model.c"] + b"\n/* changed */\n"}
    for files, layers in ((generated, False), (generated, True), (changed, False)):
        build_runner(HERE, "c", files, layers=layers)
    assert len(list((cache / "runners").glob("[!.]*"))) == 3


def test_without_a_compiler(monkeypatch, cache):
    monkeypatch.setattr(building.shutil, "which", lambda _: None)
    said = ("arm-linux-gnueabihf-gcc, which makes programs for armv7-a, is not installed; "
            "apt install gcc-arm-linux-gnueabihf libc6-dev-armhf-cross")
    with pytest.raises(DeviceUnavailable, match=said):
        build_runner("armv7-a", "c", write_c(residual_net()).files)


def test_what_no_compiler_takes(cache, generated):
    with pytest.raises(DeviceUnavailable, match=r"cannot build the runner: model\.c:.*error"):
        headers = {name: data for name, data in generated.items() if name.endswith(".h")}
        build_runner(HERE, "c", {**headers, "model.c": b"int x = ;\n"})
    assert not list((cache / "runners").glob("[!.]*"))


@pytest.mark.parametrize("isa, runtime, said", [
    ("mips", "c", "no runner for 'mips'; there is one for x86_64, aarch64, armv7-a"),
    ("armv7-a", "litert", "no native runner for litert on armv7-a, for which its library is not published; "
                          "there is one for c"),
    ("aarch64", "tflite-runtime", "there is one for c, litert, onnxruntime")])
def test_unsupported(isa, runtime, said):
    with pytest.raises(Unsupported, match=re.escape(said)):
        build_runner(isa, runtime)


def test_no_c():
    with pytest.raises(BadInput, match="no model.h that this toolchain wrote"):
        build_runner(HERE, "c", {"model.tflite": b""})


def test_a_file_of_the_runners_name_is_refused(generated):
    with pytest.raises(BadInput, match=r"files of the runner's names: main\.c"):
        build_runner(HERE, "c", {**generated, "main.c": b""})


def test_processors_are_those_of_targets():
    from toolchain.profile import load_target, target_names

    targets = map(load_target, target_names())
    assert {target.isa for target in targets if target.family != "microcontroller"} <= PROCESSORS.keys()


# --- the archive of Python ----------------------------------------------------------------------------------

def test_the_archive_is_the_same_every_time_and_needs_nothing(tmp_path):
    assert python_runner() == python_runner()
    (tmp_path / "edge_runner.pyz").write_bytes(python_runner())
    words = [sys.executable, "-I", "-S", tmp_path / "edge_runner.pyz", "clock"]
    done = subprocess.run(words, capture_output=True)
    assert done.returncode == 0 and done.stdout.startswith(b"edge-runner 1\nclock ")
    with zipfile.ZipFile(tmp_path / "edge_runner.pyz") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize("path", sorted((SOURCES / "edge_runner").glob("*.py")), ids=lambda path: path.name)
def test_python_3_9_reads_it(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_it_imports_the_standard_library_and_numpy_only():
    names = {name.split(".")[0] for path in (SOURCES / "edge_runner").glob("*.py")
             for name in re.findall(r"^(?:from|import) (\S+)", path.read_text(), re.MULTILINE)}
    assert names - sys.stdlib_module_names == {"edge_runner", "numpy"}


# --- C ------------------------------------------------------------------------------------------------------

def written(folder: Path, generated) -> list[str]:
    """The runner's sources and a model's beside them; flags that tell of the model."""
    for path in SOURCES.glob("*.[ch]"):
        shutil.copy(path, folder)
    for name, data in generated.items():
        (folder / name).write_bytes(data)
    symbol = model_facts(generated).symbol
    return [f"-DTK_MODEL={symbol}_model", "-DTK_LAYERS", f"-DTK_LAYER_NAMES={symbol}_layers",
            f"-DTK_LAYER_COUNT={symbol}_layer_count"]


@pytest.mark.parametrize("compiler", ["gcc", "clang", "aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc"])
def test_compilers_warn_of_nothing(tmp_path, generated, compiler):
    told = written(tmp_path, generated)
    units = [unit for unit in UNITS if not (compiler.startswith("arm-") and unit == "litert.c")]
    for unit in units:
        given = told if unit == "generated.c" else []
        done = subprocess.run([compiler, *FLAGS, *STRICT, *given, "-Os", "-fsyntax-only", unit], cwd=tmp_path,
                              capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_cppcheck_finds_nothing():
    done = subprocess.run(["cppcheck", "--enable=warning,portability", "--std=c99", "--error-exitcode=1",
                           "--quiet", "."], cwd=SOURCES, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.[ch]")), ids=lambda path: path.name)
def test_style(path):
    text = path.read_text(encoding="ascii")
    assert all(len(line) <= 110 and line == line.rstrip() for line in text.split("\n"))
    assert "\t" not in text and text.endswith("\n") and not text.endswith("\n\n")


SANITISERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
QUIET = {"ASAN_OPTIONS": "detect_leaks=0", "PATH": "/usr/bin:/bin"}
"""The process ends without giving memory back, which is no leak."""


@pytest.fixture(scope="module")
def sanitised(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sanitised")
    units = [str(SOURCES / unit) for unit in UNITS if unit != "generated.c"]
    subprocess.run(["gcc", *FLAGS, *SANITISERS, "-o", folder / "edge-runner", *units, "-ldl"], check=True)
    return folder / "edge-runner"


@pytest.mark.oracle
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_sanitisers_find_nothing(sanitised, libraries, tmp_path, monkeypatch, runtime):
    model, ours = {"litert": (write_tflite(random_net(3)), LiteRT),
                   "onnxruntime": (write_onnx(random_net(3)), OnnxRuntime)}[runtime]
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    runner, session = Runner([str(sanitised)], tmp_path, libraries), ours(model)
    feeds = random_feeds(session.inputs, 2)
    _, record = runner.outputs(runtime, model, session.inputs, session.outputs, feeds)
    assert record.inferences == 2
    source, scratch = str(tmp_path / "input"), str(tmp_path / "scratch") if runtime == "onnxruntime" else None
    timed = runner.record(runtime, "time", model, input=source, seconds=0.1, watch_ms=10,
                          watch=["/proc/loadavg"])
    assert timed.watched and timed.inferences > 1
    assert runner.record(runtime, "profile", model, input=source, most=3, scratch=scratch).ops
    assert runner.refusal(runtime, "run", "m", "input=/x" * 50)[0] in (2, 5)


def test_sanitisers_find_nothing_in_generated_c(tmp_path, generated, monkeypatch):
    told = written(tmp_path, generated)
    left_out = {*LIBRARIES, "selftest.c", "usage.c"}
    units = [path.name for path in tmp_path.glob("*.c") if path.name not in left_out]
    subprocess.run(["gcc", *FLAGS, *SANITISERS, *told, "-o", "edge-runner", *units], cwd=tmp_path, check=True)
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    runner = Runner([str(tmp_path / "edge-runner")], tmp_path)
    source = runner.file("input", bytes(range(192)) * 2)
    timed = runner.record("c", "time", "-", input=source, least=3, most=3, output=str(tmp_path / "o"))
    assert timed.inferences == 3
    assert len(runner.record("c", "profile", "-", input=source, most=3).ops) == 7
    assert runner.refusal("c", "time", "-", f"input={source}", "threads=2")[0] == 2
