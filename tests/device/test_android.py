from pathlib import Path
import zipfile

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.device.android import (
    LIBRARY,
    NDK_LEVEL,
    NDK_TRIPLE,
    NOTES,
    AndroidFacts,
    benchmark_program,
    ndk_compiler,
    own_library,
    properties,
    read_facts,
    routes,
)
from toolchain.device.boards import Board
from toolchain.device.glibc import LIBRARIES, LOADER, glibc_files, through_loader
from toolchain.device.runner import native
from toolchain.device.runner.native import build_runner
from toolchain.device.transports.transport import Finished, safe_words
from toolchain.errors import BadInput, BadReply, DeviceUnavailable, Unsupported

PHONE = AndroidFacts(("arm64-v8a", "armeabi-v7a", "armeabi"), 35, "Phone", True)
ARM64 = b"\x7fELF\2\1\1" + bytes(9) + b"\3\0\xb7\0" + bytes(40)
ARM = b"\x7fELF\1\1\1" + bytes(9) + b"\3\0\x28\0" + bytes(40)
GETPROP = b"""[ro.build.version.sdk]: [34]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
[persist.vendor.text]: [one
two [x]: y]
[ro.product.model]: [Pixel 8]
[ro.serialno]: [0A1B2C]
"""


@pytest.fixture(autouse=True)
def nothing_of_the_users(monkeypatch):
    for name in ("EDGE_BENCHMARK_MODEL", "EDGE_LITERT_AAR", "ANDROID_NDK_HOME"):
        monkeypatch.delenv(name, raising=False)


def board(**fields) -> Board:
    return Board(target="android_arm64", transport="adb", name="phone", **fields)


def answering(answers: dict[str, Finished]):
    return lambda argv: answers.get(argv[0], Finished(127, b"", b"not found"))


def test_facts_of_a_phone():
    heat = Finished(0, b"IsStatusOverride: false\nThermalEventListeners:\nThermal Status: 0\n", b"")
    found = read_facts(answering({"getprop": Finished(0, GETPROP, b""), "dumpsys": heat}))
    assert found == AndroidFacts(("arm64-v8a", "armeabi-v7a"), 34, "Pixel 8", True)
    assert found.isa == "aarch64"
    assert "0A1B2C" not in repr(found)


def test_an_old_phone_has_one_abi_and_no_thermal_service():
    old = b"[ro.product.cpu.abi]: [armeabi-v7a]\r\n[ro.build.version.sdk]: [19]\r\n"
    refused = Finished(20, b"Can't find service: thermalservice\n", b"")
    assert read_facts(answering({"getprop": Finished(0, old, b""), "dumpsys": refused})) == AndroidFacts(
        ("armeabi-v7a",), 19, "", False)


@pytest.mark.parametrize("text", [b"", b"sh: getprop: not found\n", b"[ro.build.version.sdk]: [34]\n",
                                  GETPROP.replace(b"[34]", b"[many]")])
def test_what_is_no_android(text):
    with pytest.raises(BadReply, match="is this Android?"):
        read_facts(answering({"getprop": Finished(0, text, b"")}))


@given(st.binary(max_size=500))
def test_getprop_may_print_anything(text):
    assert all(name and "]" not in name for name in properties(text))


@given(st.dictionaries(st.from_regex(r"[a-z0-9._]{1,30}", fullmatch=True),
                       st.from_regex(r"[ -~]{0,60}", fullmatch=True), max_size=8))
def test_getprop_is_read_back(told):
    text = "".join(f"[{name}]: [{value}]\n" for name, value in told.items())
    assert properties(text.encode()) == told


def obstacles(facts: AndroidFacts, of: Board, isa: str) -> dict[str, str]:
    return {route.name: route.obstacle for route in routes(facts, of, isa)}


def test_every_route_says_why_it_does_not_apply_or_does():
    found = obstacles(PHONE, board(), "aarch64")
    assert list(found) == ["benchmark_model", "own library", "generated C", "glibc loader"]
    assert "EDGE_BENCHMARK_MODEL" in found["benchmark_model"] and "EDGE_LITERT_AAR" in found["own library"]
    assert found["generated C"] == found["glibc loader"] == ""


def test_a_32_bit_phone_has_no_litert_for_glibc():
    found = obstacles(AndroidFacts(("armeabi-v7a",), 28, "", False), board(), "armv7-a")
    assert found["generated C"] == ""
    assert found["glibc loader"] == "no library of LiteRT is published for armv7-a, so none is loaded there"


def test_a_phone_that_is_another_target():
    found = obstacles(AndroidFacts(("armeabi-v7a",), 28, "", False), board(), "aarch64")
    assert set(found.values()) == {
        "the device runs armeabi-v7a, not aarch64; build for the target that it is"}


def test_what_is_missing_here_is_named(monkeypatch):
    monkeypatch.setattr(native, "MACHINES", {})
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("toolchain.device.glibc.FOLDERS", {"aarch64": ()})
    found = obstacles(PHONE, board(), "aarch64")
    assert "apt install gcc-aarch64-linux-gnu" in found["generated C"]
    assert "apt install libc6-arm64-cross" in found["glibc loader"]


def test_every_route_says_that_no_phone_ran_it():
    assert all(route.way.note == NOTES[route.name] and "never" in route.way.note and "phone" in route.way.note
               for route in routes(PHONE, board(), "aarch64"))


@pytest.mark.parametrize("program", [ARM64, b"#!/system/bin/sh\n"])
def test_a_benchmark_model_of_the_users(tmp_path, monkeypatch, program):
    path = tmp_path / "benchmark_model"
    path.write_bytes(program)
    assert benchmark_program(board(benchmark_model=str(path)), "aarch64") == program
    monkeypatch.setenv("EDGE_BENCHMARK_MODEL", str(path))
    assert obstacles(PHONE, board(), "aarch64")["benchmark_model"] == ""


@pytest.mark.parametrize("program, words", [(ARM, "for machine 40; for aarch64 it is ELF with machine 183"),
                                            (b"PK\3\4", "no program"), (b"", "no program")])
def test_a_benchmark_model_that_cannot_run(tmp_path, program, words):
    path = tmp_path / "benchmark_model"
    path.write_bytes(program)
    with pytest.raises(BadInput, match=f"{path}: {words}"):
        benchmark_program(board(benchmark_model=str(path)), "aarch64")


def test_a_benchmark_model_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        benchmark_program(board(benchmark_model=str(tmp_path / "none")), "aarch64")


def aar(folder: Path, *names: str) -> str:
    with zipfile.ZipFile(folder / "litert.aar", "w") as archive:
        for name in names:
            archive.writestr(name, ARM64)
    return str(folder / "litert.aar")


def test_the_library_of_an_aar(tmp_path):
    path = aar(tmp_path, "classes.jar", f"jni/arm64-v8a/{LIBRARY}")
    assert own_library(board(aar=path), "aarch64") == (LIBRARY, ARM64)
    with pytest.raises(BadInput, match=f"no jni/armeabi-v7a/{LIBRARY} in it, but jni/arm64-v8a/{LIBRARY}"):
        own_library(board(aar=path), "armv7-a")


def test_a_library_itself(tmp_path):
    (tmp_path / LIBRARY).write_bytes(ARM64)
    assert own_library(board(aar=str(tmp_path / LIBRARY)), "aarch64")[1] == ARM64
    with pytest.raises(BadInput, match="for machine 183; for armv7-a it is"):
        own_library(board(aar=str(tmp_path / LIBRARY)), "armv7-a")


def test_an_aar_of_tensorflow_lite(tmp_path):
    path = aar(tmp_path, "jni/arm64-v8a/libtensorflowlite_jni.so")
    with pytest.raises(BadInput, match="functions for Java only; use an AAR of com.google.ai.edge.litert"):
        own_library(board(aar=path), "aarch64")


@given(st.integers(0, 200))
def test_half_an_aar(tmp_path_factory, size):
    path = Path(aar(tmp_path_factory.mktemp("aar"), f"jni/arm64-v8a/{LIBRARY}"))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadInput, match="not an AAR"):
        own_library(board(aar=str(path)), "aarch64")


def ndk(folder: Path, isa: str, script: str = "#!/bin/sh\n") -> Path:
    compiler = folder / f"toolchains/llvm/prebuilt/linux-x86_64/bin/{NDK_TRIPLE[isa]}{NDK_LEVEL}-clang"
    compiler.parent.mkdir(parents=True)
    compiler.write_text(script)
    compiler.chmod(0o755)
    return compiler


def test_the_ndk(tmp_path, monkeypatch):
    with pytest.raises(DeviceUnavailable, match="ANDROID_NDK_HOME does not say"):
        ndk_compiler("aarch64", 35)
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    with pytest.raises(DeviceUnavailable, match=f"no aarch64-linux-android{NDK_LEVEL}-clang in"):
        ndk_compiler("aarch64", 35)
    compiler = ndk(tmp_path, "aarch64")
    assert ndk_compiler("aarch64", 35) == str(compiler)


def test_a_runner_by_the_ndks_compiler(tmp_path, monkeypatch):
    """Debian's in its place; the NDK itself is not here."""
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    ndk(tmp_path, "armv7-a", '#!/bin/sh\nexec arm-linux-gnueabihf-gcc "$@"\n')
    with pytest.raises(Unsupported, match="no native runner for litert on armv7-a"):
        build_runner("armv7-a", "litert")
    assert build_runner("armv7-a", "litert", compiler=ndk_compiler("armv7-a", 35))[18] == 40


def test_a_pushed_c_library(tmp_path):
    files = glibc_files("aarch64")
    assert set(files) == {LOADER["aarch64"], *LIBRARIES}
    assert all(content[:4] == b"\x7fELF" and content[18] == 183 for content in files.values())
    paths = {name: f"/data/local/tmp/edge/files/{number}/{name}" for number, name in enumerate(files)}
    words = safe_words(through_loader("aarch64", paths, "/data/local/tmp/edge/files/x/libLiteRt.so"))
    assert words[:2] == [paths[LOADER["aarch64"]], "--library-path"]
    assert words[2].split(":")[-1] == "/data/local/tmp/edge/files/x" and len(words[2].split(":")) == 9
