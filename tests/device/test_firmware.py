"""Building firmware: sizes, the same bytes every time, and one clear message where it cannot be built."""

from pathlib import Path
import re
import shutil
import subprocess

import msgspec
import pytest

from tests.lower.c.nets import residual_net
from toolchain.artifact import Artifact, Manifest
from toolchain.device.firmware import build_firmware, model_facts, source_folders
from toolchain.device.mlperf import program_flags
from toolchain.errors import BadConfig, BadInput, DeviceUnavailable, DoesNotFit, Unsupported
from toolchain.lower.borders import ports
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.pages import ROOM
from toolchain.port import Port
from toolchain.profile import load_target, target_names

PROFILE = load_target("cortex_m4_qemu")
MICROCONTROLLERS = [name for name in target_names() if load_target(name).family == "microcontroller"]


@pytest.fixture(scope="module")
def built() -> Artifact:
    graph = residual_net()
    inputs, outputs = ({"c": ports(graph, names)} for names in (graph.inputs, graph.outputs))
    manifest = Manifest(name="residual", target=PROFILE.name, formats=("c",), inputs=inputs, outputs=outputs)
    return Artifact(manifest, write_c(graph).files)


def smaller(**sizes):
    return msgspec.structs.replace(PROFILE, **sizes)


def test_sizes_add_up_and_bytes_repeat(built):
    firmware, facts = build_firmware(built, PROFILE), model_facts(built.files)
    assert firmware.elf == build_firmware(built, PROFILE).elf
    assert firmware.flash_bytes - firmware.code_flash_bytes == facts.weight_bytes
    assert 4_000 < firmware.code_flash_bytes < 12_000
    assert firmware.arena_bytes == facts.arena_bytes and firmware.stack_bytes == 2048
    assert firmware.ram_bytes == firmware.static_bytes + firmware.arena_bytes + firmware.stack_bytes
    assert firmware.static_bytes < 200


def test_weights_larger_than_flash_do_not_fit(built):
    weights = model_facts(built.files).weight_bytes
    message = (f"residual needs {weights:,} bytes of flash for its weights alone but cortex_m4_qemu has "
               f"1,000 ({weights - 1000:,} short)")
    with pytest.raises(DoesNotFit, match=re.escape(message)):
        build_firmware(built, smaller(flash_bytes=1000))


@pytest.mark.parametrize("short", [1, 100, 5000])
def test_the_shortfall_is_exact(built, short):
    """One byte less than what fits is refused for one byte; that much more fits."""
    whole, facts = build_firmware(built, PROFILE), model_facts(built.files)
    small = smaller(flash_bytes=whole.flash_bytes - short, ram_bytes=whole.ram_bytes - min(short, 1000))
    with pytest.raises(DoesNotFit) as caught:
        build_firmware(built, small)
    flash, ram = (int(n.replace(",", "")) for n in re.findall(r"\(([\d,]+) short\)", str(caught.value)))
    assert (flash, ram) == (short, min(short, 1000)) and caught.value.sizes == whole.sizes
    fits = smaller(flash_bytes=small.flash_bytes + flash, ram_bytes=small.ram_bytes + ram)
    assert build_firmware(built, fits).sizes == whole.sizes
    assert str(caught.value) == (
        f"residual needs {whole.flash_bytes:,} bytes of flash but cortex_m4_qemu has {small.flash_bytes:,} "
        f"({flash:,} short): {facts.weight_bytes:,} weights, {whole.code_flash_bytes:,} code and "
        f"{whole.ram_bytes:,} bytes of RAM but cortex_m4_qemu has {small.ram_bytes:,} ({ram:,} short): "
        f"{whole.arena_bytes:,} arena, {whole.static_bytes:,} static, {whole.stack_bytes:,} stack; "
        f"the arena is fullest at {facts.peak}")


def test_missing_compiler(built, monkeypatch):
    monkeypatch.setattr("toolchain.device.firmware.shutil.which", lambda name: None)
    message = ("arm-none-eabi-gcc, the compiler of cortex_m4_qemu, is not installed; "
               "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    with pytest.raises(DeviceUnavailable, match=message):
        build_firmware(built, PROFILE)


def test_a_compiler_that_refuses(built):
    message = "cannot build the firmware of residual .*cortex-m99.*check compiler and cflags"
    with pytest.raises(BadConfig, match=message):
        build_firmware(built, smaller(cflags=("-mcpu=cortex-m99",)))


def test_files_that_are_no_model():
    manifest = Manifest(name="x", target="cortex_m4_qemu", formats=("c",), inputs={}, outputs={})
    with pytest.raises(BadInput, match="no model.h that this toolchain wrote"):
        build_firmware(Artifact(manifest, {"model.c": b""}), PROFILE)


def test_a_target_without_firmware(built):
    message = "targets/nowhere/firmware: no link.ld; a target with format 'c' needs"
    with pytest.raises(Unsupported, match=message):
        build_firmware(built, smaller(folder="targets/nowhere"))


def test_a_target_without_its_functions(built, tmp_path):
    own = tmp_path / "mine" / "firmware"
    shutil.copytree(Path(PROFILE.folder, "firmware"), own)
    (own / "board.c").write_text('#include "board.h"\nvoid board_init(void) {}\n')
    with pytest.raises(BadConfig, match="mine/firmware/board.c: no board_.*needs the functions of targets/"):
        build_firmware(built, smaller(folder=str(own.parent)))
    (own / "board.c").unlink()
    with pytest.raises(BadConfig, match="mine/firmware/board.c: no such file; a target with"):
        build_firmware(built, smaller(folder=str(own.parent)))


AUTOENCODER = Manifest(name="x", target="", formats=("c",),
                       inputs={"c": (Port("x", (1, 640), "int8", 0.4, 89),)},
                       outputs={"c": (Port("y", (1, 640), "int8", 0.3, -96),)})
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-fsyntax-only",
          "-DTK_MODEL=residual_model", "-DTK_LAYER_NAMES=residual_layers", "-DTK_ARENA_BYTES=1152u",
          *program_flags(AUTOENCODER, PROFILE))


def complaints(profile, folders, *headers) -> str:
    """Of the target's compiler, about all C in the folders."""
    units = sorted(str(path) for folder in folders for path in folder.glob("*.c"))
    assert len(units) > 3
    includes = [f"-I{folder}" for folder in (*folders, *headers)]
    return subprocess.run([profile.compiler, *profile.cflags, *STRICT, *includes, *units],
                          capture_output=True, text=True).stderr


def test_all_kernels_compile_without_a_warning(built, tmp_path):
    for name in ("model.c", "model.h"):
        (tmp_path / name).write_bytes(built.files[name])
    assert complaints(PROFILE, [ROOM / "kernels", tmp_path]) == ""


@pytest.mark.parametrize("target", MICROCONTROLLERS)
@pytest.mark.parametrize("options", [(), ("-DTK_ENERGY", "-DTK_LAYERS")], ids=str)
def test_a_boards_c_compiles_without_a_warning(target, options):
    profile = load_target(target)
    profile = msgspec.structs.replace(profile, cflags=(*profile.cflags, *options))
    assert complaints(profile, source_folders(profile), ROOM / "kernels") == ""


def test_a_targets_own_file_takes_a_shared_ones_place(built, tmp_path):
    folder = tmp_path / PROFILE.name
    shutil.copytree(Path(PROFILE.folder), folder)
    own = folder / "firmware/main.c"
    own.write_text("#error mine\n")
    with pytest.raises(BadConfig, match="error: #error mine"):
        build_firmware(built, load_target(str(folder)))
    own.unlink()
    whole = build_firmware(built, load_target(str(folder)))
    assert whole.elf == build_firmware(built, PROFILE).elf
