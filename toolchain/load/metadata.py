"""Labels and normalization that a model file carries: TFLite Metadata, ONNX metadata_props.

They change no number, so what is damaged or does not fit the network is left out, and a note says so.
"""

from collections.abc import Mapping
from dataclasses import replace
import io
import math
import struct
import zipfile
import zlib

import msgspec

from toolchain.ir.graph import Frames, Graph, Metadata
from toolchain.load import metadata_schema as schema

LABELS, FRAMES = "edge.labels", "edge.frames"
"""metadata_props of an .onnx file: JSON of Metadata.labels and Metadata.frames."""
MAX_LABELS_BYTES = 1 << 22
"""Of a labels file; a small archive can hold an endless one."""
MAX_ENTRIES = 64
UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, struct.error,
              zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError)
COLOUR = {1: "rgb", 2: "gray"}


def with_tflite_metadata(graph: Graph, model: bytes) -> Graph:
    """The graph with what the file's TFLite Metadata says of its inputs and classes."""
    try:
        data = _entry(model)
        return graph if data is None else _with(graph, *_tflite(graph, schema.unpacked(data), model))
    except UNREADABLE as error:
        return _noted(graph, f"its TFLite Metadata cannot be read and is left out: {error}")


def _entry(model: bytes) -> bytes | None:
    """The buffer of the metadata entry, None where there is none."""
    from ai_edge_litert import schema_py_generated

    root = schema_py_generated.Model.GetRootAs(model, 0)
    for i in range(min(root.MetadataLength(), MAX_ENTRIES)):
        entry = root.Metadata(i)
        if entry.Name() == schema.ENTRY.encode() and entry.Buffer() < root.BuffersLength():
            return root.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    return None


def _tflite(graph: Graph, metadata: Mapping, model: bytes) -> tuple[tuple[str, ...], dict[str, Frames]]:
    subgraph = next(iter(metadata.get("subgraph_metadata", ())), {})
    frames = {}
    for name, tensor in zip(graph.inputs, subgraph.get("input_tensor_metadata", ())):
        options = [unit["options"] for unit in tensor.get("process_units", ()) if "options" in unit]
        if options:
            mean, std = (tuple(options[0].get(key, ())) for key in ("mean", "std"))
            frames[name] = Frames(mean, std, _colour(tensor))
    outputs = subgraph.get("output_tensor_metadata", ())
    files = [file["name"] for output in outputs[:1] for file in output.get("associated_files", ())
             if file.get("type") == schema.TENSOR_AXIS_LABELS]
    return (_labels_file(model, files[0]) if files else ()), frames


def _colour(tensor: Mapping) -> str:
    """The schema has no BGR: it stands in the description."""
    image = tensor.get("content", {}).get("content_properties", {})
    if tensor.get("description", "").startswith("bgr "):
        return "bgr"
    return COLOUR.get(image.get("color_space", 0), "")


def _labels_file(model: bytes, name: str) -> tuple[str, ...]:
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        if (size := archive.getinfo(name).file_size) > MAX_LABELS_BYTES:
            raise ValueError(f"{name} is {size:,} bytes long")
        with archive.open(name) as file:
            return tuple(file.read(MAX_LABELS_BYTES).decode("utf-8").rstrip("\n").splitlines())


def with_onnx_metadata(graph: Graph, props: Mapping[str, str]) -> Graph:
    """The graph with what metadata_props of ours say of its inputs and classes."""
    try:
        labels = msgspec.json.decode(props.get(LABELS, "[]"), type=tuple[str, ...])
        frames = msgspec.json.decode(props.get(FRAMES, "{}"), type=dict[str, Frames])
    except (msgspec.DecodeError, UnicodeError) as error:
        return _noted(graph, f"its labels and frames in metadata_props cannot be read and are left out: "
                             f"{error}")
    return _with(graph, labels, frames)


def _with(graph: Graph, labels: tuple[str, ...], frames: Mapping[str, Frames]) -> Graph:
    """The graph with those that fit it, and notes on those that do not."""
    classes = graph.tensors[graph.outputs[0]].shape[-1:]
    if labels and classes != (len(labels),):
        graph = _noted(graph, f"its {len(labels)} labels do not fit the output {graph.outputs[0]} "
                              f"{graph.tensors[graph.outputs[0]].shape} and are left out")
        labels = ()
    if wrong := [name for name, frame in frames.items() if not _fits(graph, name, frame)]:
        graph = _noted(graph, f"the normalization of {', '.join(wrong)} makes no sense and is left out")
    kept = {name: frame for name, frame in frames.items() if name not in wrong}
    return replace(graph, metadata=Metadata(labels, kept))


def _fits(graph: Graph, name: str, frame: Frames) -> bool:
    if name not in graph.inputs:
        return False
    sizes = {1, *graph.tensors[name].shape}
    finite = all(map(math.isfinite, (*frame.mean, *frame.std)))
    return finite and len(frame.mean) in sizes and len(frame.std) in sizes and min(frame.std, default=0) > 0


def _noted(graph: Graph, note: str) -> Graph:
    return replace(graph, source=replace(graph.source, notes=(*graph.source.notes, note)))
