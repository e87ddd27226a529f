"""Firmware: a model's C files and the target's own (start-up, clocks, serial line) linked; true sizes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
import io
from pathlib import Path
import re
import shutil
import tempfile
from typing import NoReturn

from toolchain.artifact import Artifact, Manifest
from toolchain.device.mlperf import program_flags
from toolchain.device.objects import compile_units, run
from toolchain.errors import BadConfig, BadInput, DeviceUnavailable, DoesNotFit, Unsupported
from toolchain.names import with_short_names
from toolchain.profile import TARGETS, TargetProfile

PACKAGES = {"arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
            "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"}
"""Compiler -> Debian packages that bring it."""
COMPILED = ("-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections")
LINKED = (*COMPILED, "-nostartfiles", "-Wl,--gc-sections", "-Wl,--build-id=none",
          "-Wl,--no-warn-rwx-segments", "-Tlink.ld")
SMALL = ("-Os", "-fno-tree-loop-distribute-patterns")
"""For the firmware's own sources, whatever the profile says; loops stay loops, no call of libc's memcpy."""
SHARED = TARGETS / "firmware"
SOURCES = (".c", ".h", ".ld")
KERNEL = "tk_"
"""What sources that many networks have are called; others of an artefact are one network's."""


@dataclass(frozen=True)
class Firmware:
    """A linked image.

    flash_bytes:      code, constants and initial values
    code_flash_bytes: the same without the model's constants
    static_bytes:     .data + .bss, without the arena
    stack_bytes:      set aside for the stack
    region_bytes:     of arenas in other memories
    """

    elf: bytes
    flash_bytes: int
    code_flash_bytes: int
    static_bytes: int
    arena_bytes: int
    stack_bytes: int
    region_bytes: int = 0

    @property
    def ram_bytes(self) -> int:
        """All that the image claims of the profile's ram_bytes."""
        return self.static_bytes + self.arena_bytes + self.stack_bytes

    @property
    def sizes(self) -> dict[str, int]:
        """Kind -> bytes."""
        kinds = ("flash", "code_flash", "static", "stack", "arena", "ram")
        return {kind: getattr(self, f"{kind}_bytes") for kind in kinds}


@dataclass(frozen=True)
class ModelFacts:
    """What model.h says of itself.

    symbol:  what its public names begin with
    peak:    where most of the arena is in use, in words
    regions: bytes of arenas in other memories, by their names
    """

    symbol: str
    arena_bytes: int
    weight_bytes: int
    peak: str
    regions: Mapping[str, int] = field(default_factory=dict)


def build_firmware(artifact: Artifact, profile: TargetProfile) -> Firmware:
    """Compile and link in a temporary folder; the same files give the same bytes.

    Raises DoesNotFit with need, room and shortfall, DeviceUnavailable where the compiler is missing.
    """
    facts = model_facts(artifact.files)
    _require_flash(artifact.manifest.name, facts, profile)
    compiler = _find_compiler(profile)
    model = {file: data for file, data in artifact.files.items()
             if file.endswith((".c", ".h")) and file not in ("selftest.c", "usage.c")}
    board = _board_files(profile)
    with tempfile.TemporaryDirectory(prefix="edge-firmware-") as folder:
        for file, data in {**board, **model}.items():
            Path(folder, file).write_bytes(data)
        small = sorted(file for file in board.keys() - model.keys() if file.endswith(".c"))
        build = _Build(compiler, Path(folder), artifact.manifest, facts, profile)
        build.compile(small, own_files(model))
        return build.image()


def model_facts(files: Mapping[str, bytes]) -> ModelFacts:
    """Read model.h. Raises BadInput where there is none of ours."""
    header = files.get("model.h", b"").decode("ascii", "replace")
    symbol = re.search(r"extern const tk_model (\w+)_model;", header)
    numbers = dict(re.findall(r"#define \w+_(ARENA|WEIGHT)_BYTES (\d+)u", header))
    peak = re.search(r'#define \w+_PEAK "(.*)"', header)
    if not (symbol and peak and len(numbers) == 2):
        raise BadInput("the artefact has no model.h that this toolchain wrote; build it again for a target "
                       "with format 'c'")
    regions = re.findall(r"/\* arenas\[\d\], in (\w+);.*\n#define \w+_BYTES (\d+)u", header)
    return ModelFacts(symbol[1], int(numbers["ARENA"]), int(numbers["WEIGHT"]), peak[1],
                      {name: int(size) for name, size in regions})


def own_files(model: Iterable[str]) -> list[str]:
    """Of an artefact's sources those that no other network has."""
    return [file for file in model if not file.startswith(KERNEL)]


def _require_flash(name: str, facts: ModelFacts, profile: TargetProfile) -> None:
    """Before compiling, which takes long with large weights: those alone."""
    if facts.weight_bytes > profile.flash_bytes:
        short = _shortfall(facts.weight_bytes, "flash for its weights alone", profile.flash_bytes, profile)
        raise DoesNotFit(f"{name} needs {short}")


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


@dataclass(frozen=True)
class _Build:
    """One image in the making. folder: holds all sources, and what comes of them."""

    compiler: str
    folder: Path
    manifest: Manifest
    facts: ModelFacts
    profile: TargetProfile

    def compile(self, small: Sequence[str], own: Sequence[str]) -> None:
        """Objects of all sources, those in `small` for size whatever the profile says. Raises BadConfig.

        own: files that no other network has
        """
        symbol = self.facts.symbol
        arenas = [flag for i, (name, size) in enumerate(self.facts.regions.items(), start=1)
                  for flag in (f"-DTK_ARENA_{i}_BYTES={size}u", f'-DTK_ARENA_{i}_SECTION=".arena_{name}"')]
        definitions = [f"-DTK_MODEL={symbol}_model", f"-DTK_LAYER_NAMES={symbol}_layers", *arenas,
                       f"-DTK_ARENA_BYTES={self.facts.arena_bytes}u",
                       *program_flags(self.manifest, self.profile)]
        others = sorted(path.name for path in self.folder.glob("*.[cS]") if path.name not in small)
        for level, units in ((SMALL, small), ((), others)):
            flags = [*self.profile.cflags, *COMPILED, *level]
            if failure := compile_units(self.compiler, flags, definitions, units, self.folder, own):
                self._refuse(failure)

    def image(self) -> Firmware:
        """Linked, or DoesNotFit with what linking it into larger regions tells. Raises BadConfig too."""
        rooms = {"FLASH": self.profile.flash_bytes, "RAM": self.profile.ram_bytes}
        failure = self._link(rooms)
        excess = dict(re.findall(r"region `(FLASH|RAM)' overflowed by (\d+) bytes?", failure))
        if excess and not self._link({kind: room + int(excess.get(kind, 0)) for kind, room in rooms.items()}):
            self._refuse_size(self._sized())
        if failure:
            self._refuse(failure)
        return self._sized()

    def _link(self, rooms: Mapping[str, int]) -> str:
        objects = sorted(path.name for path in self.folder.glob("*.o"))
        regions = [f"-Wl,--defsym={kind}_BYTES={room}" for kind, room in rooms.items()]
        options = [*self.profile.cflags, *LINKED, "-o", "firmware.elf", *regions, *objects]
        return run(self.compiler, options, self.folder)

    def _refuse(self, failure: str) -> NoReturn:
        errors = re.findall(r".*(?:error|undefined reference).*", failure) or [failure[:200]]
        if missing := re.search(r"undefined reference to `(board_\w+)'", failure):
            board = source_folders(self.profile)[-1] / "board.c"
            raise BadConfig(f"{board}: {'no ' + missing[1] if board.is_file() else 'no such file'}; a target "
                            f"with format 'c' needs the functions of targets/firmware/board.h there")
        raise BadConfig(f"{self.profile.compiler} cannot build the firmware of {self.manifest.name} for "
                        f"{self.profile.name}: {errors[0]}; check compiler and cflags in its profile.toml")

    def _refuse_size(self, firmware: Firmware) -> NoReturn:
        profile, short = self.profile, []
        if firmware.flash_bytes > profile.flash_bytes:
            flash = _shortfall(firmware.flash_bytes, "flash", profile.flash_bytes, profile)
            short.append(f"{flash}: {self.facts.weight_bytes:,} weights, {firmware.code_flash_bytes:,} code")
        if firmware.ram_bytes > profile.ram_bytes:
            ram = _shortfall(firmware.ram_bytes, "RAM", profile.ram_bytes, profile)
            short.append(f"{ram}: {firmware.arena_bytes:,} arena, {firmware.static_bytes:,} static, "
                         f"{firmware.stack_bytes:,} stack; the arena is fullest at "
                         f"{with_short_names(self.facts.peak)}")
        raise DoesNotFit(f"{self.manifest.name} needs {' and '.join(short)}", firmware.sizes)

    def _sized(self) -> Firmware:
        """Sizes by where sections.ld puts what, gaps of alignment included."""
        from elftools.elf.elffile import ELFFile

        elf = (self.folder / "firmware.elf").read_bytes()
        file = ELFFile(io.BytesIO(elf))
        size = {section.name: section["sh_size"] for section in file.iter_sections()}
        symbols = file.get_section_by_name(".symtab").iter_symbols()
        at = {symbol.name: symbol["st_value"] for symbol in symbols}
        for section in file.iter_sections():
            self._require_place(section, at)
        flash = at["link_data_load"] - at["link_flash_start"] + at["link_data_end"] - at["link_data_start"]
        ram, fixed = at["link_stack_top"] - at["link_data_start"], size[".arena"] + size[".stack"]
        return Firmware(elf, flash_bytes=flash, code_flash_bytes=flash - self.facts.weight_bytes,
                        static_bytes=ram - fixed, arena_bytes=size[".arena"], stack_bytes=size[".stack"],
                        region_bytes=sum(self.facts.regions.values()))

    def _require_place(self, section, at: Mapping[str, int]) -> None:
        """Raises BadConfig where a region's arena lies in RAM, as it does if the linker finds no place."""
        in_ram = at["link_data_start"] <= section["sh_addr"] < at["link_free_end"]
        if section.name.startswith(".arena_") and in_ram:
            raise BadConfig(f"{self.profile.name}: link.ld has no place for {section.name}; add the region "
                            f"to MEMORY and the section to SECTIONS, or take it from regions in profile.toml")
