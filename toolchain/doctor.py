"""What is installed and what is missing, with the command that gets it."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
import shutil

import msgspec

SYSTEM = {
    "gcc": ("gcc", "compiles the C of a network for this host in tests, and the plugin that counts "
                   "instructions by address"),
    "clang": ("clang", "compiles the C of a network a second time in tests"),
    "cppcheck": ("cppcheck", "reads the C of a network in tests"),
    "arm-none-eabi-gcc": ("gcc-arm-none-eabi libnewlib-arm-none-eabi",
                          "builds firmware for Cortex-M targets"),
    "riscv64-unknown-elf-gcc": ("gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
                                "builds firmware for RISC-V targets"),
    "qemu-system-arm": ("qemu-system-arm", "runs Cortex-M firmware without a board"),
    "qemu-system-riscv32": ("qemu-system-misc", "runs RISC-V firmware without a board"),
    "qemu-system-aarch64": ("qemu-system-arm", "runs pi-virt and android-virt, the emulated devices"),
    "qemu-img": ("qemu-utils", "keeps the state from which the emulated devices start"),
    "mke2fs": ("e2fsprogs", "makes the emulated devices' disk"),
    "debugfs": ("e2fsprogs", "makes the emulated devices' disk"),
    "ssh-keygen": ("openssh-client", "makes the emulated devices' keys"),
    "aarch64-linux-gnu-gcc": ("gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
                              "builds the runner for 64-bit Arm Linux and Android"),
    "arm-linux-gnueabihf-gcc": ("gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
                                "builds the runner for 32-bit Arm Linux and Android"),
    "adb": ("adb", "reaches Android devices"),
}
ADMINISTRATORS = "/usr/sbin:/sbin"
"""Not on a plain user's PATH."""
PACKAGES = {
    "ai-edge-litert": (True, "runs .tflite files"),
    "onnxruntime": (True, "runs .onnx files and calibrates"),
    "onnx": (True, "reads and writes .onnx files"),
    "torch": (False, "reads PyTorch models, prunes and fine-tunes"),
    "tflite-micro": (False, "an oracle of the tests"),
}


class Finding(msgspec.Struct, frozen=True):
    """One tool or package."""

    name: str
    ok: bool
    required: bool
    detail: str


def findings() -> list[Finding]:
    """Everything that the toolchain can use, present or not."""
    return [*map(_tool, SYSTEM), *map(_package, PACKAGES), _counting(), _tensorflow(), _labgrid(),
            _machines(), *_android_targets(), *_phones()]


def _counting() -> Finding:
    """The C that calibration counts values with."""
    from toolchain.quantize.counting import compiled

    remedy = "counts values in calibration, which takes numpy ten times as long; get it with: make setup"
    return Finding("counting.c", compiled() is not None, False, str(compiled() or remedy))


def _tensorflow() -> Finding:
    """The environment of its own that reads Keras models."""
    from toolchain.load.keras import INSTALL, PYTHON

    found = PYTHON.is_file()
    return Finding("tensorflow", found, False, str(PYTHON) if found else f"reads Keras models; {INSTALL}")


def _labgrid() -> Finding:
    """The environment of its own that speaks to the coordinator of a lab."""
    from toolchain.device.labgrid import INSTALL, PYTHON

    found = PYTHON.is_file()
    return Finding("labgrid", found, False, str(PYTHON) if found else f"shares boards of a lab; {INSTALL}")


def _machines() -> Finding:
    """The image that the emulated devices start from."""
    from toolchain.device.machines.image import find_image

    found = find_image()
    remedy = "pi-virt and android-virt start from it; made at their first start, or by: make setup-devices"
    return Finding("emulated devices", found is not None, False, str(found.folder) if found else remedy)


def _android_targets() -> Iterator[Finding]:
    """The ways in which models would run on any phone of a kind, as far as this computer goes."""
    from toolchain.device.android import ISA_ABI, NDK_LEVEL, AndroidFacts
    from toolchain.device.boards import Board
    from toolchain.profile import load_target, target_names

    for profile in map(load_target, target_names()):
        if profile.family == "android":
            any_phone = AndroidFacts((ISA_ABI[profile.isa],), NDK_LEVEL, "", False)
            board = Board(target=profile.name, transport="adb")
            yield from _routes(profile.name, any_phone, board, profile.isa)


def _phones() -> Iterator[Finding]:
    """The ways that the phones have which adb lists; by the board's name or the maker's, not by serial."""
    from toolchain.device.boards import Board, load_boards
    from toolchain.device.transports.adb import STATES, devices
    from toolchain.errors import BadConfig, DeviceUnavailable

    try:
        boards = {board.address: board for board in load_boards().boards.values() if board.transport == "adb"}
        found = devices()
    except BadConfig as error:
        yield Finding("boards.toml", False, False, str(error))
        return
    except DeviceUnavailable:
        return  # adb itself is among the tools
    for device in found:
        board = boards.get(device.serial, Board(target="", transport="adb"))
        name = board.name or (device.facts.model if device.facts else "") or "a phone"
        if device.facts is None or device.facts.isa is None:
            remedy = STATES[device.state][1] if device.state in STATES else "it answers as no Android does"
            yield Finding(name, False, False, remedy)
        else:
            yield from _routes(name, device.facts, board, device.facts.isa)


def _routes(name: str, facts, board, isa: str) -> Iterator[Finding]:
    """One for each way, the preferred first."""
    from toolchain.device.android import routes

    for route in routes(facts, board, isa):
        yield Finding(name, route.applies, False,
                      f"{route.way.fmt} by {route.name}: {route.obstacle or route.way.note}")


def _tool(name: str) -> Finding:
    packages, purpose = SYSTEM[name]
    path = shutil.which(name) or shutil.which(name, path=ADMINISTRATORS)
    remedy = f"{purpose}; get it with: apt-get install {packages}"
    return Finding(name, path is not None, False, path or remedy)


def _package(name: str) -> Finding:
    required, purpose = PACKAGES[name]
    try:
        return Finding(name, True, required, version(name))
    except PackageNotFoundError:
        return Finding(name, False, required, f"{purpose}; get it with: make setup")
