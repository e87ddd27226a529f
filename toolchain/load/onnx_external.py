"""Tensors whose data lie in files beside the model (ONNX, "External Data"): only plain files in the model's
own folder are opened, and read no further than the tensor says."""

from collections.abc import Iterator
from math import prod
from pathlib import Path, PurePosixPath

from toolchain.errors import BadModel, Unsupported

MOST_BYTES = (1 << 31) - (1 << 20)
"""Of all data together: protobuf holds no more than 2 GiB."""


def bring_in(proto, name: str, folder: Path | None) -> None:
    """Read external data into the tensors, in place.

    folder: of the model; None: it came as bytes alone
    Raises Unsupported where there is no folder or a path leads out of it, BadModel where a file is missing or
    too short.
    """
    outside = list(_outside(proto))
    if outside and folder is None:
        raise Unsupported(f"{name}: {len(outside)} tensors keep their data in other files, the first is "
                          f"'{outside[0].name}'; save it as one file: onnx.save_model(onnx.load(path), path)")
    room = MOST_BYTES
    for tensor in outside:
        where = f"{name}: tensor '{tensor.name}'"
        size = _size(tensor, where)
        if (room := room - size) < 0:
            raise Unsupported(f"{name}: its external data are beyond {MOST_BYTES:,} bytes")
        tensor.raw_data = _read(tensor, size, folder, where)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")


def _outside(proto) -> Iterator:
    """Tensors of the main graph and of functions; a graph inside a node is refused with its node."""
    from onnx import TensorProto

    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    inside = (tensor for node in nodes for a in node.attribute for tensor in (a.t, *a.tensors))
    return (tensor for tensor in (*proto.graph.initializer, *inside)
            if tensor.data_location == TensorProto.EXTERNAL)


def _size(tensor, where: str) -> int:
    """Bytes that the tensor's shape asks for."""
    from onnx import helper

    try:
        width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError):
        raise BadModel(f"{where}: unknown element type {tensor.data_type}; export it again") from None
    if any(n < 0 for n in tensor.dims):
        raise BadModel(f"{where}: shape {tuple(tensor.dims)}; export it again")
    return prod(tensor.dims) * width


def _read(tensor, size: int, folder: Path, where: str) -> bytes:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = _path(entries.get("location", ""), folder, where)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        if offset < 0 or length != size:
            raise ValueError(f"{length} bytes at {offset} for a tensor of {size} bytes")
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
    except (OSError, ValueError, OverflowError) as error:
        raise BadModel(f"{where}: its data in {path.name}: {error}; copy the file beside the model, or "
                       f"export it again") from None
    if len(data) != size:
        raise BadModel(f"{where}: {path.name} holds {len(data):,} of its {size:,} bytes; it is truncated: "
                       f"copy it again")
    return data


def _path(location: str, folder: Path, where: str) -> Path:
    """The file, which must be a plain one inside the folder, links followed."""
    parts = PurePosixPath(location).parts
    plain = parts and not {"..", "/"}.intersection(parts) and not {"\0", "\\"}.intersection(location)
    path = folder / location
    if not plain or not path.resolve().is_relative_to(folder.resolve()):
        raise Unsupported(f"{where}: its data are said to be in '{location}', which is not inside the "
                          f"model's folder; only files beside the model are opened")
    if not path.is_file():
        raise BadModel(f"{where}: its data should be in '{location}' beside the model, where there is no "
                       f"such file; copy it there")
    return path
