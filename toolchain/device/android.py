"""What an Android device is, and in which ways models run on it.

No phone ran any of this: each way says so in its note.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import io
import os
from pathlib import Path
import re
import zipfile

from toolchain.device.boards import Board
from toolchain.device.glibc import glibc_files
from toolchain.device.runner.native import compiler_for
from toolchain.device.transports.transport import MOST_BYTES, Finished
from toolchain.device.ways import BENCHMARK_MODEL, BIONIC, GLIBC, NATIVE, Way
from toolchain.errors import BadInput, BadReply, DeviceUnavailable, ToolchainError

ABI_ISA = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv7-a", "x86_64": "x86_64"}
"""Android's word for an instruction set -> that of target profiles."""
ISA_ABI = {isa: abi for abi, isa in ABI_ISA.items()}
ELF_MACHINE = {"aarch64": 183, "armv7-a": 40, "x86_64": 62}
"""EM_AARCH64, EM_ARM, EM_X86_64 of elf.h."""
NDK_TRIPLE = {"aarch64": "aarch64-linux-android", "armv7-a": "armv7a-linux-androideabi",
              "x86_64": "x86_64-linux-android"}
NDK_LEVEL = 24
"""API level that is built for: Android 7, the oldest whose bionic has all that the runner calls."""
LIBRARY = "libLiteRt.so"
PROPERTY = re.compile(r"\[([A-Za-z0-9._:@-]{1,200})\]: \[(.{0,500})\]")
PROPERTY_LINES = 20_000


@dataclass(frozen=True)
class AndroidFacts:
    """abis:    instruction sets that it runs, the preferred first
    sdk:     API level: 35 is Android 15
    model:   as the maker names it; not its serial number
    thermal: it tells its temperatures by `dumpsys thermalservice`
    """

    abis: tuple[str, ...]
    sdk: int
    model: str
    thermal: bool

    @property
    def isa(self) -> str | None:
        """Of the first ABI that programs are built for here, as target profiles name it."""
        return next((ABI_ISA[abi] for abi in self.abis if abi in ABI_ISA), None)


def read_facts(run: Callable[[Sequence[str]], Finished]) -> AndroidFacts:
    """run: runs a command line on the device. Raises BadReply where it is no Android."""
    found = properties(run(["getprop"]).stdout)
    abis = found.get("ro.product.cpu.abilist") or found.get("ro.product.cpu.abi", "")
    sdk = found.get("ro.build.version.sdk", "")
    if not abis or not re.fullmatch(r"\d{1,3}", sdk):
        raise BadReply("getprop names no ABI or no SDK version: is this Android?")
    heat = run(["dumpsys", "thermalservice"])
    return AndroidFacts(tuple(abis.split(",")), int(sdk), found.get("ro.product.model", ""),
                 heat.code == 0 and b"Thermal Status" in heat.stdout)


def properties(text: bytes) -> dict[str, str]:
    """Of what `getprop` prints: "[name]: [value]" on a line; other lines are parts of longer values."""
    lines = text.decode("utf-8", "replace").splitlines()[:PROPERTY_LINES]
    return {found[1]: found[2] for line in lines if (found := PROPERTY.fullmatch(line))}


@dataclass(frozen=True)
class Route:
    """One of the ways in which a model runs on a device.

    name:     "benchmark_model", "own library", "generated C", "glibc loader"
    obstacle: why it does not apply here, and what would help; "" where it does
    """

    name: str
    way: Way
    obstacle: str

    @property
    def applies(self) -> bool:
        return not self.obstacle


NOTES = {
    "benchmark_model": "the user's own program, on random inputs: no outputs are checked; read as published "
                       "output has it, never tried on a phone",
    "own library": "the user's library, a runner built by the NDK; never run on a phone",
    "generated C": "a static program; run on an emulated Arm processor under Linux, never on a phone",
    "glibc loader": "a library for glibc, started by a pushed loader; run on an emulated Arm processor under "
                    "Linux, never on a phone",
}
"""Route -> what is known of it."""


def routes(facts: AndroidFacts, board: Board, isa: str) -> tuple[Route, ...]:
    """In the order in which they are preferred. isa: of the target's profile."""
    loaded = (lambda: glibc_files(isa), lambda: compiler_for(isa, "litert"))
    needs: tuple[tuple[str, Way, tuple[Callable[[], object], ...]], ...] = (
        ("benchmark_model", Way("tflite", "litert", BENCHMARK_MODEL),
         (lambda: benchmark_program(board, isa),)),
        ("own library", Way("tflite", "litert", NATIVE, BIONIC),
         (lambda: own_library(board, isa), lambda: ndk_compiler(isa, facts.sdk))),
        ("generated C", Way("c", "c", NATIVE), (lambda: compiler_for(isa, "c"),)),
        ("glibc loader", Way("tflite", "litert", NATIVE, GLIBC), loaded),
        ("glibc loader", Way("onnx", "onnxruntime", NATIVE, GLIBC), loaded),
    )
    foreign = _foreign(facts, isa)
    return tuple(Route(name, replace(way, note=NOTES[name]), foreign or _obstacle(parts))
                 for name, way, parts in needs)


def _foreign(facts: AndroidFacts, isa: str) -> str:
    """A device whose system does not run such programs."""
    if isa in {ABI_ISA.get(abi) for abi in facts.abis}:
        return ""
    return f"the device runs {', '.join(facts.abis)}, not {isa}; build for the target that it is"


def _obstacle(parts: Sequence[Callable[[], object]]) -> str:
    """What keeps the first of the parts that is not to be had."""
    try:
        for provide in parts:
            provide()
    except ToolchainError as error:
        return str(error)
    return ""


def benchmark_program(board: Board, isa: str) -> bytes:
    """The user's benchmark_model. Raises DeviceUnavailable where none is named, BadInput."""
    named = board.benchmark_model or os.environ.get("EDGE_BENCHMARK_MODEL", "")
    if not named:
        raise DeviceUnavailable("no benchmark_model is named; give the path of yours as the board's "
                                "`benchmark_model` in boards.toml or as EDGE_BENCHMARK_MODEL")
    program = user_file(named)
    check_machine(named, program, isa)
    return program


def own_library(board: Board, isa: str) -> tuple[str, bytes]:
    """Name and contents of LiteRT's library in the user's AAR, or of the library itself.

    Raises DeviceUnavailable where none is named, BadInput where it holds none that can be used.
    """
    named = board.aar or os.environ.get("EDGE_LITERT_AAR", "")
    if not named:
        raise DeviceUnavailable("no library for Android is named; give the path of LiteRT's AAR as the "
                                "board's `aar` in boards.toml or as EDGE_LITERT_AAR")
    content = user_file(named)
    if named.endswith(".so"):
        check_machine(named, content, isa)
        return LIBRARY, content
    return LIBRARY, _member(named, content, f"jni/{ISA_ABI[isa]}/{LIBRARY}")


def _member(named: str, content: bytes, member: str) -> bytes:
    """Of an AAR, which is a zip file. Raises BadInput."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.endswith(".so")]
            if member in names and archive.getinfo(member).file_size <= MOST_BYTES:
                return archive.read(member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise BadInput(f"{named}: not an AAR: {error}") from None
    if any(name.endswith("libtensorflowlite_jni.so") for name in names):
        raise BadInput(f"{named}: libtensorflowlite_jni.so has functions for Java only; use an AAR of "
                       f"com.google.ai.edge.litert, which has {member}")
    raise BadInput(f"{named}: no {member} in it, but {', '.join(names[:5]) or 'no library at all'}")


def ndk_compiler(isa: str, sdk: int) -> str:
    """The NDK's clang for programs that run on this API level. Raises DeviceUnavailable."""
    home = os.environ.get("ANDROID_NDK_HOME", "")
    if not home:
        raise DeviceUnavailable("ANDROID_NDK_HOME does not say where Android's NDK is")
    level = min(sdk, NDK_LEVEL)
    found = sorted(Path(home).glob(f"toolchains/llvm/prebuilt/*/bin/{NDK_TRIPLE[isa]}{level}-clang"))
    if not found:
        raise DeviceUnavailable(f"ANDROID_NDK_HOME = {home}: no {NDK_TRIPLE[isa]}{level}-clang in "
                                f"toolchains/llvm/prebuilt/*/bin; is it an NDK of version 19 or later?")
    return str(found[0])


def user_file(named: str) -> bytes:
    """Raises BadInput."""
    try:
        path = Path(os.path.expanduser(named))
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{named}: {path.stat().st_size:,} bytes; {MOST_BYTES:,} at most")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{named}: {error.strerror}") from None


def check_machine(named: str, program: bytes, isa: str) -> None:
    """That a program is for this processor: a script, or ELF whose e_machine (bytes 18 and 19) is its.

    Raises BadInput.
    """
    machine = int.from_bytes(program[18:20], "little")
    if program[:2] != b"#!" and (program[:4] != b"\x7fELF" or machine != ELF_MACHINE[isa]):
        what = f"for machine {machine}" if program[:4] == b"\x7fELF" else "no program"
        raise BadInput(f"{named}: {what}; for {isa} it is ELF with machine {ELF_MACHINE[isa]}")
