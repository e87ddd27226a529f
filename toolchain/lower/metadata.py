"""Labels and preprocessing in files: TFLite Metadata, labels.txt behind the model, ONNX metadata_props."""

from collections.abc import Mapping
import io
import json
import zipfile

from toolchain.ir.graph import Frames, Graph, Metadata, Tensor
from toolchain.load import metadata_schema as schema
from toolchain.load.metadata import FRAMES, LABELS
from toolchain.load.metadata_schema import LABELS_FILE

PARSER = "1.0.0"
"""Oldest metadata parser that knows every field written here."""


def tflite_metadata(graph: Graph) -> dict[str, bytes]:
    """Metadata entries of a .tflite file, by name; none where nothing is known."""
    if graph.metadata == Metadata():
        return {}
    subgraph = {
        "input_tensor_metadata": [_input(graph, graph.tensors[name]) for name in graph.inputs],
        "output_tensor_metadata": [_output(graph, name) for name in graph.outputs]}
    model = {"name": graph.name, "subgraph_metadata": [subgraph], "min_parser_version": PARSER}
    return {schema.ENTRY: schema.packed(model)}


def _input(graph: Graph, x: Tensor) -> dict[str, object]:
    """TensorMetadata: an image where the input's frames are known."""
    frames = graph.metadata.frames.get(x.name)
    if frames is None:
        return {"name": x.name}
    ends = [[(pixel - mean) / std for mean, std in zip(*_alike(frames))] for pixel in (255, 0)]
    found = {"name": x.name, "description": f"{frames}; real value = (pixel - mean) / std",
             "process_units": [{"options_type": schema.NORMALIZATION,
                                "options": {"mean": frames.mean, "std": frames.std}}],
             "stats": dict(zip(("max", "min"), ends))}
    if len(x.shape) == 4:
        height, width = x.shape[1:3] if x.shape[3] in (1, 3) else x.shape[2:4]
        image = {"color_space": schema.COLOUR_SPACE[frames.colour],
                 "default_size": {"width": width, "height": height}}
        found["content"] = {"content_properties_type": schema.IMAGE, "content_properties": image}
    return found


def _alike(frames: Frames) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """mean and std, each as long as the longer one."""
    count = max(len(frames.mean), len(frames.std))
    return tuple(values * count if len(values) == 1 else values for values in (frames.mean, frames.std))


def _output(graph: Graph, name: str) -> dict[str, object]:
    found: dict[str, object] = {"name": name}
    if graph.metadata.labels and name == graph.outputs[0]:
        found["associated_files"] = [{"name": LABELS_FILE, "description": "names of the classes, one a line",
                                      "type": schema.TENSOR_AXIS_LABELS}]
    return found


def labels_text(labels: tuple[str, ...]) -> bytes:
    """A labels file: UTF-8, a name on each line."""
    return "".join(f"{label}\n" for label in labels).encode()


def with_labels_file(model: bytes, labels: tuple[str, ...]) -> bytes:
    """The model with a zip archive of labels.txt behind it, as TFLite Metadata keeps associated files.

    Stored, with a fixed date, as if made on Unix: the same labels give the same bytes everywhere.
    """
    if not labels:
        return model
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a") as archive:
        entry = zipfile.ZipInfo(LABELS_FILE)
        entry.create_system, entry.external_attr = 3, 0o644 << 16
        archive.writestr(entry, labels_text(labels))
    return buffer.getvalue()


def onnx_metadata(graph: Graph) -> Mapping[str, str]:
    """metadata_props of an .onnx file: JSON of labels, and of each input's mean, std and colour order."""
    found = {}
    if graph.metadata.labels:
        found[LABELS] = json.dumps(graph.metadata.labels)
    if graph.metadata.frames:
        frames = {name: vars(frames) for name, frames in graph.metadata.frames.items()}
        found[FRAMES] = json.dumps(frames, sort_keys=True)
    return found
