"""Labels and normalization in .tflite, .onnx and C, as others read them and as our doors do."""

from dataclasses import replace
import io
import json
import subprocess
import zipfile

from ai_edge_litert import schema_py_generated as tflite_schema
import flatbuffers
from flatbuffers import number_types
from flatbuffers.table import Table
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.c_host import compile_c
from tests.test_preprocess import network, pixels, recipe
from toolchain.ir.graph import Frames, Graph, Metadata
from toolchain.load import load
from toolchain.load import metadata_schema as schema
from toolchain.load.metadata import with_tflite_metadata
from toolchain.load.tflite import load_tflite
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.names import literal
from toolchain.lower.metadata import with_labels_file
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.pipeline import prepare
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

LABELS = ("cat", "crème brûlée", 'the "best" \\ dog??/', "owl")
FRAMES = Frames((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "bgr")


def named(frames: Frames = FRAMES) -> Graph:
    return replace(network(), metadata=Metadata(LABELS, {"x": frames}))


def entry(model: bytes) -> bytes:
    """The TFLITE_METADATA buffer."""
    root = tflite_schema.Model.GetRootAs(model, 0)
    found = {root.Metadata(i).Name(): root.Metadata(i).Buffer() for i in range(root.MetadataLength())}
    return root.Buffers(found[b"TFLITE_METADATA"]).DataAsNumpy().tobytes()


def field(table: Table, slot: int) -> int:
    """Where the table's field lies, by FlatBuffers' own reader."""
    return table.Pos + table.Offset(4 + 2 * slot)


def inner(table: Table, slot: int, index: int | None = None) -> Table:
    at = field(table, slot)
    if index is not None:
        at = table.Vector(at - table.Pos) + 4 * index
    return Table(table.Bytes, table.Indirect(at))


def text(table: Table, slot: int) -> str:
    return table.String(field(table, slot)).decode()


def floats(table: Table, slot: int) -> np.ndarray:
    return table.GetVectorAsNumpy(number_types.Float32Flags, field(table, slot) - table.Pos)


def test_slots_are_those_of_the_schema():
    """Read by slot numbers counted in metadata_schema.fbs, with FlatBuffers' own Table."""
    data = entry(write_tflite(named()))
    assert data[4:8] == b"M001"
    model = Table(bytearray(data), flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0))
    assert (text(model, 0), text(model, 7)) == ("net", "1.0.0")
    subgraph = inner(model, 3, 0)
    x, y = inner(subgraph, 2, 0), inner(subgraph, 3, 0)
    assert (text(x, 0), text(y, 0)) == ("x", "classes") and text(x, 1).startswith("bgr pixels 0..255")
    content, unit, stats = inner(x, 3), inner(x, 4, 0), inner(x, 5)
    assert content.Get(number_types.Uint8Flags, field(content, 0)) == 2  # ImageProperties
    size = inner(inner(content, 1), 1)
    assert [size.Get(number_types.Uint32Flags, field(size, slot)) for slot in (0, 1)] == [8, 8]
    assert unit.Get(number_types.Uint8Flags, field(unit, 0)) == 1  # NormalizationOptions
    options = inner(unit, 1)
    assert np.array_equal(floats(options, 0), np.float32(FRAMES.mean))
    assert np.array_equal(floats(options, 1), np.float32(FRAMES.std))
    assert np.allclose(floats(stats, 0), (255 - np.array(FRAMES.mean)) / FRAMES.std)
    labels = inner(y, 6, 0)
    assert text(labels, 0) == "labels.txt"
    assert labels.Get(number_types.Int8Flags, field(labels, 2)) == 2  # TENSOR_AXIS_LABELS


def test_labels_ride_behind_the_model_as_a_zip_archive():
    model = write_tflite(named())
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().splitlines() == list(LABELS)
        assert archive.getinfo("labels.txt").date_time == (1980, 1, 1, 0, 0, 0)
    assert write_tflite(named()) == model
    x = np.zeros((1, 8, 8, 3), np.float32)
    bare = write_tflite(network())
    assert np.array_equal(LiteRT(model).run({"x": x})["classes"], LiteRT(bare).run({"x": x})["classes"])
    assert b"TFLITE_METADATA" not in bare and not zipfile.is_zipfile(io.BytesIO(bare))


@pytest.mark.parametrize("suffix, write", [(".tflite", write_tflite), (".onnx", write_onnx)])
@pytest.mark.parametrize("frames", [FRAMES, Frames((127.0,), (128.0,), "rgb"), Frames()], ids=str)
def test_what_is_written_is_read_back(tmp_path, suffix, write, frames):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(write(named(frames)))
    loaded = load(path)
    assert loaded.metadata.labels == LABELS and loaded.source.notes == ()
    found = loaded.metadata.frames["x"]
    assert found.colour == frames.colour
    assert np.allclose((found.mean, found.std), (frames.mean, frames.std))
    path.write_bytes(write(loaded))
    assert load(path).metadata == loaded.metadata


def test_metadata_is_not_part_of_the_digest():
    assert named().digest == network().digest


def test_onnx_says_it_in_metadata_props():
    import onnx

    props = {p.key: p.value for p in onnx.load_from_string(write_onnx(named())).metadata_props}
    assert json.loads(props["edge.labels"]) == list(LABELS)
    assert json.loads(props["edge.frames"]) == {"x": {"mean": list(FRAMES.mean), "std": list(FRAMES.std),
                                                      "colour": "bgr"}}


# Codes as pixels ------------------------------------------------------------------------------------------

def test_uint8_pixels_go_into_every_file_as_they_are():
    """One uint8 tensor for LiteRT, for ONNX Runtime as U8S8 and as S8S8: what the int8 graph makes of it."""
    wanted = recipe(mean=127, std=128)
    graph = prepare(network(), wanted, pixels()).graph
    x = pixels().x["x"]
    codes = (x.astype(np.int16) - 128).astype(np.int8)
    expected = LiteRT(write_tflite(graph), reference_kernels=True).run({"x": codes})["classes"]
    file = LiteRT(write_tflite(graph, input_io="uint8"), reference_kernels=True)
    assert (file.inputs[0].dtype, file.inputs[0].scale, file.inputs[0].zero_point) == ("uint8", 1 / 128, 127)
    assert np.array_equal(file.run({"x": x})["classes"], expected)
    y = graph.tensors["classes"].quant
    for activations in ("uint8", "int8"):
        as_floats = OnnxRuntime(write_onnx(graph, activations=activations))
        real = (x.astype(np.float32) - 127) / 128
        for io_dtype, fed in (("uint8", x), ("int8", codes)):
            file = OnnxRuntime(write_onnx(graph, activations=activations, input_io=io_dtype))
            assert file.inputs[0].dtype == io_dtype
            got = file.run({"x": fed})["classes"]
            assert np.array_equal(got, as_floats.run({"x": real})["classes"])
            assert np.abs(got / y.scale + y.zero_point - expected).max() <= 1.001


# Damage ---------------------------------------------------------------------------------------------------

FILE = write_tflite(named())
BUFFER = entry(FILE)


def test_the_reader_reads_what_the_writer_wrote():
    found = schema.unpacked(BUFFER)
    assert schema.packed(found) == BUFFER
    assert found["subgraph_metadata"][0]["output_tensor_metadata"][0]["associated_files"][0]["type"] == 2


@given(at=st.integers(0, len(BUFFER) - 1), byte=st.integers(0, 255), length=st.integers(0, len(BUFFER)))
def test_damaged_metadata_is_read_or_refused(at, byte, length):
    damaged = bytearray(BUFFER)
    damaged[at] = byte
    for data in (damaged, BUFFER[:length]):
        try:
            schema.unpacked(bytes(data))
        except ValueError:
            pass


@given(at=st.integers(0, len(BUFFER) - 1), byte=st.integers(0, 255))
def test_a_model_with_damaged_metadata_is_a_model_with_a_note_at_most(at, byte):
    start = FILE.index(BUFFER)
    model = FILE[:start + at] + bytes([byte]) + FILE[start + at + 1:]
    graph = with_tflite_metadata(load_tflite(model, "net"), model)
    for frames in graph.metadata.frames.values():
        assert len(frames.mean) in (1, 3) and min(frames.std) > 0
    assert graph.metadata.labels in ((), LABELS)


def test_what_does_not_fit_is_left_out_and_said():
    odd = replace(network(), metadata=Metadata(("one",), {"x": Frames((1.0, 2.0), (1.0,))}))
    model = write_tflite(odd)
    graph = with_tflite_metadata(load_tflite(model, "net"), model)
    assert graph.metadata == Metadata()
    assert graph.source.notes == (
        "its 1 labels do not fit the output classes (1, 4) and are left out",
        "the normalization of x makes no sense and is left out")


def test_an_endless_labels_file_is_not_read(monkeypatch):
    monkeypatch.setattr("toolchain.load.metadata.MAX_LABELS_BYTES", 10)
    graph = with_tflite_metadata(load_tflite(FILE, "net"), FILE)
    assert graph.metadata.labels == () and "labels.txt is" in graph.source.notes[0]


def test_without_labels_the_model_stays_as_it_is():
    assert with_labels_file(b"model", ()) == b"model"


# C --------------------------------------------------------------------------------------------------------

def test_a_c_program_prints_the_labels(tmp_path):
    graph = replace(prepare(network(), recipe(mean=127, std=128), pixels()).graph,
                    metadata=Metadata(LABELS, {"x": Frames((127.0,), (128.0,), "rgb")}))
    for name, data in write_c(graph).files.items():
        (tmp_path / name).write_bytes(data)
    assert b"rgb pixels 0..255, mean 127, std 128" in (tmp_path / "model.h").read_bytes()
    main = tmp_path / "main.c"
    main.write_text('#include "model.h"\n#include <stdio.h>\nint main(void) {'
                    " for (unsigned i = 0; i < NET_LABEL_COUNT; i++) puts(net_labels[i]); }\n")
    compile_c(sorted(tmp_path.glob("*.c")), tmp_path / "labels", include=[tmp_path])
    printed = subprocess.run([tmp_path / "labels"], capture_output=True, check=True).stdout
    assert printed.decode().splitlines() == list(LABELS)


@given(st.text())
def test_any_text_is_a_plain_c_literal(label):
    written = literal(label)
    assert written.isascii() and written.isprintable() and '"' not in written[1:-1] and "?" not in written
    octal = written[1:-1].encode().decode("unicode_escape").encode("latin1")
    assert octal == label.encode(errors="surrogatepass")
