"""The snippets beside an artefact do what they show: Python is run, C compiled and, for C artefacts, run.

The C snippet of a .tflite is compiled against the declarations it uses, because no package has LiteRT's C
library; Kotlin is only read: names, shapes, sizes and numbers are the file's.
"""

from dataclasses import replace
from pathlib import Path
import re
import subprocess
import sys

import msgspec
import numpy as np
from PIL import Image
import pytest

from tests.c_host import FLAGS, compile_c
from tests.quantize.nets import Net
from tests.test_preprocess import CLASSES, network, pixels, recipe
from toolchain.artifact import Artifact
from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize, quantize
from toolchain.lower import Asked, lower
from toolchain.pipeline import build, prepare
from toolchain.profile import load_target
from toolchain.recipe import Recipe
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

RNG = np.random.default_rng(5)
PHOTO = RNG.integers(0, 256, (8, 8, 3), np.uint8)
C_API = """
#include <stddef.h>
typedef struct TfLiteModel TfLiteModel; typedef struct TfLiteInterpreter TfLiteInterpreter;
typedef struct TfLiteTensor TfLiteTensor; typedef struct TfLiteInterpreterOptions TfLiteInterpreterOptions;
typedef enum { kTfLiteOk = 0 } TfLiteStatus;
TfLiteModel *TfLiteModelCreateFromFile(const char *path);
TfLiteInterpreter *TfLiteInterpreterCreate(const TfLiteModel *m, const TfLiteInterpreterOptions *o);
TfLiteStatus TfLiteInterpreterAllocateTensors(TfLiteInterpreter *i);
TfLiteStatus TfLiteInterpreterInvoke(TfLiteInterpreter *i);
TfLiteTensor *TfLiteInterpreterGetInputTensor(const TfLiteInterpreter *i, int n);
const TfLiteTensor *TfLiteInterpreterGetOutputTensor(const TfLiteInterpreter *i, int n);
TfLiteStatus TfLiteTensorCopyFromBuffer(TfLiteTensor *t, const void *data, size_t size);
TfLiteStatus TfLiteTensorCopyToBuffer(const TfLiteTensor *t, void *data, size_t size);
"""
"""What tensorflow/lite/c/c_api.h declares, as far as the snippet calls it."""


def artifact(folder: Path, wanted: Recipe, graph: Graph | None = None,
             samples: Samples | None = None) -> Artifact:
    """Built for the host, written to `folder`; labels are the samples' classes."""
    samples = samples or replace(pixels(), classes=CLASSES)
    prepared = prepare(graph or network(), wanted, samples)
    made = build(prepared, load_target("host"), samples)
    made.write(folder)
    return made


def python(folder: Path, snippet: str, *arguments: Path) -> list[str]:
    """What the snippet prints, a line each."""
    done = subprocess.run([sys.executable, folder / snippet, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def ranked(scores: np.ndarray) -> list[str]:
    return [CLASSES[i] for i in scores[0].argsort()[::-1][:3]]


@pytest.mark.parametrize("keys, scheme", [
    ({"mean": 127, "std": 128}, "static_wi8_ai8"),
    ({"mean": 127, "std": 128, "dtype": "int8"}, "static_wi8_ai8"),
    ({"mean": 127, "std": 128, "dtype": "float32"}, "static_wi8_ai8"),
    ({"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), "colour": "bgr"}, "static_wi8_ai8"),
    ({"mean": 127, "std": 128, "layout": "channels_first"}, "static_wi8_ai8"),
    ({"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}, "float32")])
@pytest.mark.parametrize("snippet, fmt", [("usage.py", "tflite"), ("usage_onnx.py", "onnx")])
def test_python_names_what_is_in_a_photo(tmp_path, keys, scheme, snippet, fmt):
    made = artifact(tmp_path / "out", recipe(scheme, **keys))
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    lines = python(tmp_path / "out", snippet, tmp_path / "photo.png")
    port, = made.manifest.inputs[fmt]
    frame = PHOTO[..., ::-1] if keys.get("colour") == "bgr" else PHOTO
    frame = frame.transpose(2, 0, 1) if port.shape[1] == 3 else frame
    frame = (frame.astype(np.int16) - 128 * (port.dtype == "int8")).astype(port.dtype)[None]
    session = (LiteRT if fmt == "tflite" else OnnxRuntime)(made.model(fmt))
    scores = session.run({"x": np.ascontiguousarray(frame)})["classes"]
    assert [line.rsplit(" ", 1)[0] for line in lines] == ranked(scores)
    if (out := made.manifest.outputs[fmt][0]).scale is not None:
        scores = dequantize(scores, out.quant)
    assert np.allclose(float(lines[0].rsplit(" ", 1)[1]), scores.max(), rtol=1e-4)


def test_python_takes_real_numbers_where_there_are_no_frames(tmp_path):
    x = RNG.normal(0, 1, (16, 8, 8, 3)).astype(np.float32)
    samples = replace(pixels(x), classes=CLASSES)
    made = artifact(tmp_path / "out", recipe(), samples=samples)
    np.save(tmp_path / "x.npy", x[0])
    port, = made.manifest.inputs["tflite"]
    expected = LiteRT(made.model("tflite")).run({"x": quantize(x[:1], port.quant)})["classes"]
    for snippet in ("usage.py", "usage_onnx.py"):
        lines = python(tmp_path / "out", snippet, tmp_path / "x.npy")
        assert [line.rsplit(" ", 1)[0] for line in lines] == ranked(expected)


def test_python_normalizes_for_a_network_that_says_what_it_wants(tmp_path):
    """Metadata of a source, no [input]: the file takes normalized values, the snippet makes them."""
    graph = prepare(network(), recipe("float32", mean=0, std=1), None).graph
    frames = {"x": replace(graph.metadata.frames["x"], mean=(100.0,), std=(50.0, 60.0, 70.0))}
    graph = replace(network(), metadata=replace(graph.metadata, frames=frames))
    made = artifact(tmp_path / "out", recipe("float32"), graph)
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    real = ((PHOTO.astype(np.float32) - 100) / (50, 60, 70))[None].astype(np.float32)
    expected = LiteRT(made.model("tflite")).run({"x": real})["classes"]
    lines = python(tmp_path / "out", "usage.py", tmp_path / "photo.png")
    assert [line.rsplit(" ", 1)[0] for line in lines] == ranked(expected)


def two_inputs() -> Graph:
    net = Net("two")
    a, b = net.input("a", (1, 4)), net.input("b", (1, 4))
    return canonical(net.graph(net.op("add", [a, b], "y")))


def test_python_takes_a_file_for_each_input(tmp_path):
    x = {name: RNG.normal(size=(8, 4)).astype(np.float32) for name in "ab"}
    samples = Samples("two", x, None, None, np.arange(8))
    artifact(tmp_path / "out", recipe("float32"), two_inputs(), samples)
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", x[name][0])
    for snippet in ("usage.py", "usage_onnx.py"):
        lines = python(tmp_path / "out", snippet, tmp_path / "a.npy", tmp_path / "b.npy")
        printed = np.array(re.findall(r"-?[\d.]+(?:e-?\d+)?", " ".join(lines)), float)
        assert np.allclose(printed, x["a"][0] + x["b"][0], atol=1e-5)


# C --------------------------------------------------------------------------------------------------------

def written_for_c(folder: Path, wanted: Recipe, samples: Samples) -> Graph:
    """The graph whose artefact for C, without firmware, is now in `folder`."""
    prepared = prepare(network(), wanted, samples)
    profile = msgspec.structs.replace(load_target("cortex_m4_qemu"), flash_bytes=1 << 30, ram_bytes=1 << 30)
    made = lower(prepared.graph, profile, {}, Asked(wanted.input_dtype))
    for name, data in made.files.items():
        (folder / name).write_bytes(data)
    return prepared.graph


@pytest.mark.parametrize("keys", [{"mean": 127, "std": 128}, {"mean": 127, "std": 128, "dtype": "int8"},
                                  {"mean": (120, 110, 100), "std": 64}, {}], ids=str)
def test_c_gives_each_class_its_score(tmp_path, keys):
    real = RNG.normal(0, 1, (16, 8, 8, 3)).astype(np.float32)
    samples = replace(pixels() if keys else pixels(real), classes=CLASSES)
    graph = written_for_c(tmp_path, recipe(**keys), samples)
    units = [path for path in tmp_path.glob("*.c") if path.name != "selftest.c"]
    compile_c(units, tmp_path / "usage", ["-Wl,--no-as-needed", "-lm"], [tmp_path])
    sent = PHOTO.tobytes() if keys else real[0].tobytes()
    done = subprocess.run([tmp_path / "usage"], input=sent, capture_output=True, check=True)
    codes = quantize(real[0], graph.tensors["x"].quant)
    if keys:
        codes = (PHOTO.astype(np.int16) - 128).astype(np.int8)
    expected = reference.run(graph, {"x": codes[None]})["classes"]
    printed = [line.rsplit(" ", 1) for line in done.stdout.decode().splitlines()]
    assert [name for name, _ in printed] == list(CLASSES)
    assert np.allclose([float(score) for _, score in printed],
                       dequantize(expected, graph.tensors["classes"].quant)[0], rtol=1e-4)
    short = subprocess.run([tmp_path / "usage"], input=sent[:-1], capture_output=True)
    assert short.returncode == 1


@pytest.mark.parametrize("keys, scheme", [({"mean": 127, "std": 128}, "static_wi8_ai8"),
                                          ({}, "static_wi8_ai8"),
                                          ({"mean": 127, "std": 128, "dtype": "int8"}, "static_wi8_ai8"),
                                          ({"mean": 127, "std": 128}, "float32"), ({}, "float32")])
def test_c_for_a_tflite_file_compiles(tmp_path, keys, scheme):
    out, header = tmp_path / "out", tmp_path / "tensorflow/lite/c/c_api.h"
    artifact(out, recipe(scheme, **keys))
    header.parent.mkdir(parents=True)
    header.write_text(C_API)
    flags = [flag for flag in FLAGS if flag != "-Wconversion"]
    done = subprocess.run(["gcc", *flags, "-fsyntax-only", f"-I{tmp_path}", out / "usage.c"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_c_of_an_arena_in_two_memories_compiles(tmp_path):
    from tests.package.artifacts import in_two_memories

    for name, data in in_two_memories().files.items():
        (tmp_path / name).write_bytes(data)
    units = [path for path in tmp_path.glob("*.c") if path.name != "selftest.c"]
    compile_c(units, tmp_path / "usage", ["-Wl,--no-as-needed", "-lm"], [tmp_path])
    reals = np.zeros((8, 8, 3), np.float32).tobytes()
    done = subprocess.run([tmp_path / "usage"], input=reals, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 5


# Kotlin ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("keys, scheme, shown", [
    ({"mean": 127, "std": 128}, "static_wi8_ai8",
     ["fun run(frame: Bitmap)", "allocateDirect(192)", "IntArray(64)", "0, 8, 0, 0, 8, 8)",
      "intArrayOf(16, 8, 0)", "x.put(((p shr shift and 0xFF)).toByte())", "real = 0.0078125 * (code - 127)"]),
    ({"mean": 127, "std": 128, "dtype": "int8", "colour": "bgr"}, "static_wi8_ai8",
     ["intArrayOf(0, 8, 16)", "and 0xFF) - 128).toByte()"]),
    ({"mean": 127, "std": 128}, "float32",
     ["allocateDirect(768)", "x.putFloat(((p shr shift and 0xFF)).toFloat())", "y.getFloat(it * 4)"]),
    ({}, "static_wi8_ai8",
     ["fun run(values: FloatArray)", ".roundToInt() + (", "coerceIn(-128, 127).toByte()"])])
def test_kotlin_has_the_files_names_sizes_and_numbers(tmp_path, keys, scheme, shown):
    made = artifact(tmp_path / "out", recipe(scheme, **keys))
    text = made.files["Usage.kt"].decode()
    for part in (*shown, "class Net(context: Context)", "labels.txt", "FloatArray(4)"):
        assert part in text
    out, = made.manifest.outputs["tflite"]
    if out.scale is not None:
        assert f"{out.scale:.9g}f * (y.get(it) - ({out.zero_point}))" in text
    assert all(text.count(a) == text.count(b) for a, b in ("()", "{}", "[]"))


# All ------------------------------------------------------------------------------------------------------

def test_snippets_are_short_and_carry_no_foreign_text(tmp_path):
    graph = network()
    renamed = replace(graph, name='x"); import os #*/\n${evil}')
    made = artifact(tmp_path / "out", recipe(mean=127, std=128), renamed)
    for name in ("usage.py", "usage.c", "Usage.kt", "usage_onnx.py"):
        text = made.files[name].decode("ascii")
        assert "import os #" not in text and "*/\n$" not in text and "${evil}" not in text
        lines = [line.strip() for line in text.splitlines()]
        assert len([line for line in lines if line and not line.startswith(("#", "/", "*"))]) <= 30


def test_the_same_build_gives_the_same_snippets(tmp_path):
    first, second = (artifact(tmp_path / name, recipe(mean=127, std=128)) for name in "ab")
    assert first.files == second.files
