"""Artefacts are written whole or not at all, and every byte that is read back is checked."""

import json

import msgspec
import numpy as np
import pytest

from toolchain.artifact import MANIFEST, VECTORS, Artifact, Manifest, read_artifact, read_manifest
from toolchain.errors import BadInput
from toolchain.port import Port, convert
from toolchain.profile import load_target, target_names

PORT = Port("x", (1, 2), "int8", 0.5, 3)
PORTS = {"tflite": (PORT,), "graph": (PORT,)}


def made(model=b"model"):
    manifest = Manifest(name="net", target="host", formats=("tflite",), inputs=PORTS, outputs=PORTS)
    codes = np.arange(6, dtype=np.int8).reshape(3, 2)
    return Artifact(manifest, {"model.tflite": model}, {"input/x": codes, "output/x": codes})


def test_what_is_written_is_read_back(tmp_path):
    folder = made().write(tmp_path / "out")
    again = read_artifact(folder)
    assert again.model("tflite") == b"model" and again.digest == made().digest
    assert again.manifest.inputs == PORTS
    np.testing.assert_array_equal(again.vectors["input/x"], made().vectors["input/x"])


def test_the_same_artefact_gives_the_same_bytes(tmp_path):
    first, second = made().write(tmp_path / "a"), made().write(tmp_path / "b")
    for name in ("model.tflite", VECTORS, MANIFEST):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_rebuild_replaces_the_old_artefact_and_leaves_nothing_else(tmp_path):
    made(b"old").write(tmp_path / "out")
    made(b"new").write(tmp_path / "out")
    assert read_artifact(tmp_path / "out").model("tflite") == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_somebody_elses_folder_is_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="not empty and not an artefact"):
        made().write(tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_is_followed_and_an_interrupted_swap_is_no_obstacle(tmp_path):
    made(b"old").write(tmp_path / "out")
    made(b"older").write(tmp_path / ".out.old")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    made(b"new").write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and read_artifact(tmp_path / "out").model("tflite") == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "out"]


def edited(folder, key, value):
    """One key of the manifest with another value."""
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, key: value}))


@pytest.mark.parametrize("damage, message", [
    (lambda f: (f / "model.tflite").write_bytes(b"modeI"),
     r"model\.tflite: sha256 differs from the manifest's"),
    (lambda f: (f / "model.tflite").unlink(), r"model\.tflite is missing"),
    (lambda f: (f / MANIFEST).unlink(), r"no manifest\.json; not an artefact"),
    (lambda f: (f / MANIFEST).write_text("{"), r"manifest\.json: Input data was truncated"),
    (lambda f: edited(f, "inputs", {}), r"manifest\.json: inputs or outputs: 'tflite' is missing"),
    (lambda f: edited(f, "formats", []), r"manifest\.json: formats: at least one is missing"),
    (lambda f: edited(f, "files", {}), r"manifest\.json: files: 'model\.tflite' is missing"),
])
def test_damage_is_found(tmp_path, damage, message):
    folder = made().write(tmp_path / "out")
    damage(folder)
    with pytest.raises(BadInput, match=message):
        read_artifact(folder)


def test_a_manifest_cannot_point_outside_its_folder(tmp_path):
    folder = made().write(tmp_path / "out")
    (tmp_path / "secret").write_bytes(b"model")
    text = (folder / MANIFEST).read_text().replace('"test_vectors.npz"', '"../secret"')
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BadInput, match="points outside the folder"):
        read_artifact(folder)


@pytest.mark.parametrize("fmt", ["tflite", "graph"])
@pytest.mark.parametrize("direction", ["inputs", "outputs"])
@pytest.mark.parametrize(("key", "value"), [
    ("shape", [1, -1]), ("shape", [1, 0]), ("shape", [10**12, 2]), ("shape", [2**20, 2**20]), ("shape", []),
    ("dtype", "object"), ("dtype", "S8"), ("scale", 0.0), ("scale", -1.0), ("scale", None), ("scale", 1e300),
    ("zero_point", 2**40), ("permutation", [5, 6]), ("permutation", [0, 0]), ("permutation", [0])])
def test_a_port_that_is_none_is_refused(tmp_path, direction, fmt, key, value):
    folder = made().write(tmp_path / "out")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest[direction][fmt][0][key] = value
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="manifest.json: .*; build it again"):
        read_artifact(folder)


@pytest.mark.parametrize(("array", "values"), [
    ("output/x", None), ("input/x", np.zeros((3, 3), np.int8)), ("input/x", np.zeros((3, 2))),
    ("output/x", np.zeros((2, 2), np.int8)), ("more", np.int8(1)),
    ("input/x", np.zeros((0, 2), np.int8))])
def test_vectors_that_are_not_the_graphs_are_refused(tmp_path, array, values):
    vectors = {**made().vectors, array: values}
    there = {name: found for name, found in vectors.items() if found is not None}
    folder = Artifact(made().manifest, made().files, there).write(tmp_path / "out")
    with pytest.raises(BadInput, match="test_vectors.npz: .*; build it again"):
        read_artifact(folder)


def test_a_manifest_tells_the_artefacts_digest(tmp_path):
    assert read_manifest(made().write(tmp_path / "out")).digest == made().digest != made(b"new").digest


def test_ports_convert_layout_and_codes():
    """int8 codes of a channels-last graph as an NCHW float file takes them, and back."""
    inner = Port("x", (1, 2, 2, 3), "int8", 0.25, -5, (0, 3, 1, 2))
    file = Port("x", (1, 3, 2, 2), "float32")
    codes = np.random.default_rng(0).integers(-128, 128, (4, 2, 2, 3), np.int8)
    real = convert(codes, inner, file)
    np.testing.assert_array_equal(real, (0.25 * (codes.astype(np.float32) + 5)).transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(convert(real, file, inner), codes)
    shifted = convert(codes, inner, Port("x", (1, 2, 2, 3), "uint8", 0.25, 123, (0, 3, 1, 2)))
    np.testing.assert_array_equal(shifted, (codes.astype(int) + 128).astype(np.uint8))


def with_compiler(folder, compiler: str, *cflags: str):
    profile = msgspec.to_builtins(load_target("cortex_m4_qemu"))
    edited(folder, "profile", {**profile, "formats": ["tflite"], "compiler": compiler, "cflags": cflags})


@pytest.mark.parametrize(("compiler", "flag"), [
    ("/bin/sh", ""), ("sh", ""), ("../gcc", ""), ("gcc", "-fplugin=./x.so"), ("gcc", "-specs=/tmp/x.specs"),
    ("gcc", "-B/tmp"), ("gcc", "-wrapper"), ("gcc", "@options"), ("gcc", "-Wl,-plugin,x.so"), ("gcc", "x.c"),
    ("clang", "-load=x.so")])
def test_an_artefact_names_no_program_to_run(tmp_path, compiler, flag):
    folder = made().write(tmp_path / "out")
    with_compiler(folder, compiler, *filter(None, [flag]))
    with pytest.raises(BadInput, match="may run other programs than a C compiler"):
        read_artifact(folder)


@pytest.mark.parametrize("target", target_names())
def test_what_targets_compile_with_is_taken(tmp_path, target):
    profile, folder = load_target(target), made().write(tmp_path / "out")
    with_compiler(folder, profile.compiler, *profile.cflags, "-Iinclude/board", "-DBOARD_MHZ=80", "-lm")
    assert read_manifest(folder).profile.cflags[:1] == (profile.cflags or ("-Iinclude/board",))[:1]
