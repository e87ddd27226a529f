"""What the doors out decide by themselves is told in the manifest."""

import msgspec

from tests.lower.c.nets import residual_net
from toolchain.lower import Asked, lower
from toolchain.profile import load_target
from toolchain.recipe import CConfig

PROFILE = load_target("cortex_m4_qemu")


def notes(isa: str = PROFILE.isa, patches: int = 0) -> tuple[str, ...]:
    profile = msgspec.structs.replace(PROFILE, isa=isa)
    return lower(residual_net(), profile, {}, Asked(c=CConfig(patches=patches))).manifest.notes


def test_nothing_to_tell():
    assert notes() == ()


def test_a_core_without_kernels_of_its_own():
    note, = notes(isa="armv7em")
    assert note.startswith("isa 'armv7em' has no kernels of its own, so that C is portable and slower; those "
                           "that have some: armv6-m, armv7-m, armv7e-m, ")


def test_bands():
    assert [note[:29] for note in notes(patches=2)] == ["its first layers run in bands"]


PHONE = load_target("android_arm64")


def test_c_beside_the_other_formats_where_the_network_is_integer():
    artifact = lower(residual_net(), PHONE, {})
    assert artifact.manifest.formats == ("tflite", "onnx", "c")
    assert {"model.c", "model.h", "model.tflite"} <= artifact.files.keys()
    assert artifact.manifest.inputs["c"][0].dtype == "int8"


def test_c_left_out_and_told_so_where_it_is_not():
    artifact = lower(residual_net(), PHONE, {}, Asked(input_dtype="float32"))
    assert artifact.manifest.formats == ("tflite", "onnx") and "model.c" not in artifact.files
    assert artifact.manifest.notes[0].startswith("model.c is left out: ")
