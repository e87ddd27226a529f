"""Firmware: a model's C files and the target's own (start-up, clocks, serial line) linked; true sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import io
from pathlib import Path
import re
import shutil
import subprocess
import tempfile

from toolchain.artifact import Artifact, Manifest
from toolchain.device.mlperf import program_flags
from toolchain.errors import BadConfig, BadInput, DeviceUnavailable, DoesNotFit, Unsupported
from toolchain.profile import TARGETS, TargetProfile

PACKAGES = {"arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
            "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"}
"""Compiler -> Debian packages that bring it."""
FLAGS = ("-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections", "-nostartfiles", "-Wl,--gc-sections",
         "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", "-Tlink.ld")
SHARED = TARGETS / "firmware"
SOURCES = (".c", ".h", ".S", ".ld")
REMEDY = "Prune harder ([prune] ratio), shrink the input, or pick a larger target"


@dataclass(frozen=True)
class Firmware:
    """A linked image.

    flash_bytes:      code, constants and initial values
    code_flash_bytes: the same without the model's constants
    static_bytes:     .data + .bss, without the arena
    stack_bytes:      set aside for the stack
    """

    elf: bytes
    flash_bytes: int
    code_flash_bytes: int
    static_bytes: int
    arena_bytes: int
    stack_bytes: int

    @property
    def ram_bytes(self) -> int:
        """All that the image claims."""
        return self.static_bytes + self.arena_bytes + self.stack_bytes


@dataclass(frozen=True)
class ModelFacts:
    """What model.h says of itself.

    symbol: what its public names begin with
    peak:   where most of the arena is in use, in words
    """

    symbol: str
    arena_bytes: int
    weight_bytes: int
    peak: str


def build_firmware(artifact: Artifact, profile: TargetProfile) -> Firmware:
    """Compile and link in a temporary folder; the same files give the same bytes.

    Raises DoesNotFit with need, room and shortfall, DeviceUnavailable where the compiler is missing.
    """
    name, facts = artifact.manifest.name, model_facts(artifact.files)
    _require_room(name, facts, profile)
    compiler = _find_compiler(profile)
    model = {file: data for file, data in artifact.files.items()
             if file.endswith((".c", ".h")) and file not in ("selftest.c", "usage.c")}
    board = _board_files(profile)
    with tempfile.TemporaryDirectory(prefix="edge-firmware-") as folder:
        for file, data in {**board, **model}.items():
            Path(folder, file).write_bytes(data)
        small = sorted(file for file in board.keys() - model.keys() if file.endswith(".c"))
        _compile(compiler, Path(folder), small, artifact.manifest, facts, profile)
        elf = Path(folder, "firmware.elf").read_bytes()
    return _sized(elf, facts)


def model_facts(files: Mapping[str, bytes]) -> ModelFacts:
    """Read model.h. Raises BadInput where there is none of ours."""
    header = files.get("model.h", b"").decode("ascii", "replace")
    symbol = re.search(r"extern const tk_model (\w+)_model;", header)
    numbers = dict(re.findall(r"#define \w+_(ARENA|WEIGHT)_BYTES (\d+)u", header))
    peak = re.search(r'#define \w+_PEAK "(.*)"', header)
    if not (symbol and peak and len(numbers) == 2):
        raise BadInput("the artefact has no model.h that this toolchain wrote; build it again for a target "
                       "with format 'c'")
    return ModelFacts(symbol[1], int(numbers["ARENA"]), int(numbers["WEIGHT"]), peak[1])


def _require_room(name: str, facts: ModelFacts, profile: TargetProfile) -> None:
    """Before compiling: the weights alone against flash, the arena alone against RAM."""
    short = []
    if facts.weight_bytes > profile.flash_bytes:
        short.append(_shortfall(facts.weight_bytes, "flash for its weights", profile.flash_bytes, profile))
    if facts.arena_bytes > profile.ram_bytes:
        arena = _shortfall(facts.arena_bytes, "RAM for its arena", profile.ram_bytes, profile)
        short.append(f"{arena}, most of it at {facts.peak}")
    if short:
        raise DoesNotFit(f"{name} needs {' and '.join(short)}. {REMEDY}")


def _shortfall(needed: int, what: str, room: int, profile: TargetProfile) -> str:
    return f"{needed:,} bytes of {what} but {profile.name} has {room:,} ({needed - room:,} short)"


def _find_compiler(profile: TargetProfile) -> str:
    if found := shutil.which(profile.compiler):
        return found
    packages = PACKAGES.get(profile.compiler)
    remedy = f"apt-get install {packages}" if packages else "install it or change the profile's compiler"
    raise DeviceUnavailable(f"{profile.compiler}, the compiler of {profile.name}, is not installed; {remedy}")


def _board_files(profile: TargetProfile) -> dict[str, bytes]:
    """Name -> source; a target's own file takes the place of a shared one of its name.

    Raises Unsupported where link.ld is missing.
    """
    *shared, own = source_folders(profile)
    if not (own / "link.ld").is_file():
        raise Unsupported(f"{own}: no link.ld; a target with format 'c' needs board.c and a linker script "
                          f"there, as targets/cortex_m4_qemu/firmware has")
    return {path.name: path.read_bytes() for folder in (*shared, own) for path in sorted(folder.glob("*"))
            if path.suffix in SOURCES}


def source_folders(profile: TargetProfile) -> tuple[Path, Path, Path]:
    """Where firmware comes from: what all targets share, what the architecture's do, the target's own."""
    architecture = "riscv" if profile.isa.startswith("rv") else "cortex_m"
    return SHARED, SHARED / architecture, Path(profile.folder, "firmware")


def _compile(compiler: str, folder: Path, small: Sequence[str], manifest: Manifest, facts: ModelFacts,
             profile: TargetProfile) -> None:
    """Objects of all .c files, those in `small` for size whatever the profile says, and then the image.

    Raises DoesNotFit where the linker finds no room, BadConfig where a step fails otherwise.
    """
    given = [f"-DTK_MODEL={facts.symbol}_model", f"-DTK_LAYER_NAMES={facts.symbol}_layers",
             f"-DTK_ARENA_BYTES={facts.arena_bytes}u", *program_flags(manifest, profile)]
    rooms = [f"-Wl,--defsym=FLASH_BYTES={profile.flash_bytes}", f"-Wl,--defsym=RAM_BYTES={profile.ram_bytes}"]
    others = sorted(path.name for path in folder.glob("*.[cS]") if path.name not in small)
    for step in (["-Os", "-c", *small], ["-c", *others], ["-o", "firmware.elf", *rooms]):
        objects = sorted(path.name for path in folder.glob("*.o")) if "-c" not in step else []
        done = subprocess.run([compiler, *profile.cflags, *FLAGS, *given, *step, *objects], cwd=folder,
                              capture_output=True, text=True)
        if overflows := dict(re.findall(r"region `(FLASH|RAM)' overflowed by (\d+) bytes", done.stderr)):
            raise DoesNotFit(_overflow_message(manifest.name, overflows, facts, profile))
        if done.returncode:
            raise BadConfig(_failure_message(done.stderr, manifest.name, profile))


def _failure_message(said: str, name: str, profile: TargetProfile) -> str:
    errors = re.findall(r".*(?:error|undefined reference).*", said) or [said.strip()[:200]]
    return (f"{profile.compiler} cannot build the firmware of {name} for {profile.name}: {errors[0]}; check "
            f"compiler and cflags in its profile.toml")


def _overflow_message(name: str, overflows: Mapping[str, str], facts: ModelFacts,
                      profile: TargetProfile) -> str:
    short = []
    if excess := int(overflows.get("FLASH", 0)):
        short.append(_shortfall(profile.flash_bytes + excess, "flash", profile.flash_bytes, profile))
    if excess := int(overflows.get("RAM", 0)):
        short.append(_shortfall(profile.ram_bytes + excess, "RAM", profile.ram_bytes, profile)
                     + f"; its arena takes {facts.arena_bytes:,}, most of it at {facts.peak}")
    return f"{name} needs {' and '.join(short)}. {REMEDY}"


def _sized(elf: bytes, facts: ModelFacts) -> Firmware:
    """Sizes as the ELF file's sections have them."""
    from elftools.elf.elffile import ELFFile

    size = {section.name: section["sh_size"] for section in ELFFile(io.BytesIO(elf)).iter_sections()}
    flash = size[".text"] + size.get(".data", 0)
    return Firmware(elf, flash_bytes=flash, code_flash_bytes=flash - facts.weight_bytes,
                    static_bytes=size.get(".data", 0) + size.get(".bss", 0), arena_bytes=size[".arena"],
                    stack_bytes=size[".stack"])
