"""What a target is: facts about a kind of hardware.

Read from targets/<name>/profile.toml, checked once, frozen.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from toolchain.errors import BadConfig, Unsupported
from toolchain.tomlfile import decode_toml

TARGETS = Path(__file__).resolve().parent.parent / "targets"
Format = Literal["tflite", "onnx", "c"]
Positive = Annotated[int, msgspec.Meta(gt=0)]
MOST_REGIONS = 2
"""Memories beside the main one that targets/firmware/arenas.c has places for."""


class TargetProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A kind of hardware.

    description:      one line for people
    family:           which `make` family it belongs to
    formats:          what it runs, best first: "tflite", "onnx", "c"
    also:             formats written beside those where the network has a form in them, else left out and
                      noted: ["c"] for a device that runs programs, where C is integer only
    core, isa:        "cortex-a72", "aarch64"
    flash_bytes:      room for code and weights; on Linux and Android devices, what an app may reasonably take
    ram_bytes:        room for the arena, buffers and stack
    regions:          memories beside ram_bytes, name -> bytes, fastest first (a TCM, for example): parts of
                      the arena lie in them, in sections .arena_<name> that link.ld places
    clock_hz:         of the core at its usual top speed
    io:               dtype of the artefact's inputs and outputs
    integer_only:     in .tflite, compute on reals only where LiteRT has no integer kernel, for an accelerator
                      that computes in integers; else also where reals are faster on the processor
    onnx_activations: "uint8" (U8S8, x86) or "int8" (S8S8, Arm)
    channel_multiple: op kind -> what its kernel likes the channels to be a multiple of; pruning rounds to it
    ops:              kinds that it can run; empty = all of the op table
    transport:        how it is reached: "local", "qemu", "serial"; "none" = built here, run on the host
    machine:          QEMU's machine name
    port:             the serial line of a board that is always plugged in there; --device says another
    compiler, cflags: for format "c"
    name, folder:     of its folder; not written by the user
    """

    description: str
    family: Literal["host", "android", "raspberry-pi", "microcontroller"]
    formats: Annotated[tuple[Format, ...], msgspec.Meta(min_length=1)]
    core: str
    isa: str
    flash_bytes: Positive
    ram_bytes: Positive
    clock_hz: Positive
    also: tuple[Format, ...] = ()
    regions: dict[str, Positive] = {}
    io: Literal["int8", "uint8", "float32"] = "int8"
    integer_only: bool = False
    onnx_activations: Literal["uint8", "int8"] = "int8"
    channel_multiple: dict[str, Positive] = {}
    ops: tuple[str, ...] = ()
    transport: Literal["local", "qemu", "serial", "none"] = "none"
    machine: str = ""
    port: str = ""
    compiler: str = ""
    cflags: tuple[str, ...] = ()
    name: str = ""
    folder: str = ""

    @property
    def emulated(self) -> bool:
        """Whether the device counts instructions and has no time or energy."""
        return self.transport == "qemu"

    @property
    def has_firmware(self) -> bool:
        """Whether artefacts run there in firmware of ours, at the other end of a serial line."""
        return self.transport in ("qemu", "serial")


def load_profile(path: Path) -> TargetProfile:
    """Read one profile.toml. Raises BadConfig."""
    profile = decode_toml(path, TargetProfile)
    if "c" in profile.formats and not profile.compiler:
        raise BadConfig(f"{path}: format 'c' needs a compiler; add compiler = \"arm-none-eabi-gcc\"")
    if profile.transport == "qemu" and not profile.machine:
        raise BadConfig(f"{path}: transport 'qemu' needs a machine; add machine = \"mps2-an386\"")
    if len(profile.regions) > MOST_REGIONS or not all(map(str.isidentifier, profile.regions)):
        raise BadConfig(f"{path}: regions has {', '.join(profile.regions)}; it takes up to {MOST_REGIONS}, "
                        f"named as C names things")
    if twice := set(profile.formats) & set(profile.also):
        raise BadConfig(f"{path}: format '{twice.pop()}' stands in formats and in also; once is enough")
    if profile.name or profile.folder:
        raise BadConfig(f"{path}: name and folder are the folder's own; leave them out")
    folder = path.parent.resolve()
    return msgspec.structs.replace(profile, name=folder.name, folder=str(folder))


def target_names(root: Path = TARGETS) -> list[str]:
    """The targets that have a profile, sorted."""
    return sorted(path.parent.name for path in root.glob("*/profile.toml"))


def load_target(name: str, root: Path = TARGETS) -> TargetProfile:
    """The profile of a target, by name or by its folder's path. Raises Unsupported for an unknown one."""
    for folder in (root / name, Path(name)):
        if (folder / "profile.toml").is_file():
            return load_profile(folder / "profile.toml")
    raise Unsupported(f"unknown target '{name}'; known targets: {', '.join(target_names(root))}. "
                      f"A target of your own is a folder with a profile.toml: see docs/own-target.md")
