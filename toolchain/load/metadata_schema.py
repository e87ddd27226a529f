"""TFLite Metadata: the tables of its flatbuffer, written and read; what the doors in and out share.

Source: tflite-support's metadata_schema.fbs, schema version 1.1.0 (file identifier "M001"). No light package
carries its generated code, so the slots are listed here, in the order of the schema's fields; a union takes
two: its type, then its value. Nothing that is read is trusted.
"""

from collections.abc import Mapping
import struct

import flatbuffers

ENTRY = "TFLITE_METADATA"
"""Name of the model's metadata entry whose buffer this is."""
IDENTIFIER = b"M001"
LABELS_FILE = "labels.txt"
TENSOR_AXIS_LABELS = 2
COLOUR_SPACE = {"": 0, "bgr": 0, "rgb": 1, "gray": 2}
"""ColorSpaceType: 0 is UNKNOWN; the schema has no BGR."""

TABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ModelMetadata": (
        ("name", "text"), ("description", "text"), ("version", "text"),
        ("subgraph_metadata", "[SubGraphMetadata]"), ("author", "text"), ("license", "text"),
        ("associated_files", "[AssociatedFile]"), ("min_parser_version", "text")),
    "SubGraphMetadata": (
        ("name", "text"), ("description", "text"), ("input_tensor_metadata", "[TensorMetadata]"),
        ("output_tensor_metadata", "[TensorMetadata]"), ("associated_files", "[AssociatedFile]")),
    "TensorMetadata": (
        ("name", "text"), ("description", "text"), ("dimension_names", "[text]"), ("content", "Content"),
        ("process_units", "[ProcessUnit]"), ("stats", "Stats"), ("associated_files", "[AssociatedFile]")),
    "Content": (("content_properties_type", "byte"), ("content_properties", "ImageProperties")),
    "ImageProperties": (("color_space", "byte"), ("default_size", "ImageSize")),
    "ImageSize": (("width", "uint"), ("height", "uint")),
    "ProcessUnit": (("options_type", "byte"), ("options", "NormalizationOptions")),
    "NormalizationOptions": (("mean", "[float]"), ("std", "[float]")),
    "Stats": (("max", "[float]"), ("min", "[float]")),
    "AssociatedFile": (("name", "text"), ("description", "text"), ("type", "byte"), ("locale", "text")),
}
"""Table -> (field, type) in slot order. Of the unions only the member used here is listed."""
IMAGE, NORMALIZATION = 2, 1
"""Members of ContentProperties and ProcessUnitOptions."""
UNIONS = {"content_properties": IMAGE, "options": NORMALIZATION}


def packed(metadata: Mapping[str, object]) -> bytes:
    """The flatbuffer of a ModelMetadata: tables as dicts of the fields that they have."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, "ModelMetadata", metadata), IDENTIFIER)
    return bytes(builder.Output())


def _table(builder: flatbuffers.Builder, kind: str, values: Mapping[str, object]) -> int:
    fields = TABLES[kind]
    inner = {name: _value(builder, of, values[name]) for name, of in fields if name in values}
    builder.StartObject(len(fields))
    for slot, (name, of) in enumerate(fields):
        if name in inner and of == "byte":
            builder.PrependInt8Slot(slot, inner[name], 0)
        elif name in inner and of == "uint":
            builder.PrependUint32Slot(slot, inner[name], 0)
        elif name in inner:
            builder.PrependUOffsetTRelativeSlot(slot, inner[name], 0)
    return builder.EndObject()


def _value(builder: flatbuffers.Builder, of: str, value):
    """A scalar as it is; of anything else its place in the buffer."""
    if of in ("byte", "uint"):
        return value
    if of == "text":
        return builder.CreateString(value)
    if not of.startswith("["):
        return _table(builder, of, value)
    if of == "[float]":
        return _vector(builder, builder.PrependFloat32, value)
    return _vector(builder, builder.PrependUOffsetTRelative, [_value(builder, of[1:-1], v) for v in value])


def _vector(builder: flatbuffers.Builder, prepend, values) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        prepend(value)
    return builder.EndVector()


def unpacked(data: bytes) -> dict[str, object]:
    """The ModelMetadata of a buffer, as `packed` takes it; a union's value only where it is listed.

    Raises ValueError where the bytes are none or are damaged. Vectors may overlap, so a small hostile buffer
    can describe endless tables: no more is read than a proper one could hold.
    """
    if data[4:8] != IDENTIFIER:
        raise ValueError(f"bytes 4 to 8 are {bytes(data[4:8])!r}, not {IDENTIFIER!r}")
    try:
        return _Reader(bytes(data)).table("ModelMetadata", struct.unpack_from("<I", data)[0])
    except (struct.error, RecursionError) as error:
        raise ValueError(f"truncated or damaged: {error}") from None


class _Reader:
    """left: tables, numbers and letters that may still be read."""

    def __init__(self, data: bytes):
        self.data, self.left = data, 4 * len(data)

    def spend(self, amount: int) -> int:
        self.left -= amount
        if self.left < 0:
            raise ValueError(f"its tables describe more than its {len(self.data):,} bytes can hold")
        return amount

    def read(self, code: str, at: int) -> int:
        if at < 0:
            raise ValueError(f"an offset leads to byte {at}")
        return struct.unpack_from(f"<{code}", self.data, at)[0]

    def table(self, kind: str, at: int) -> dict[str, object]:
        """Source: FlatBuffers Internals: a table begins with the distance back to its vtable."""
        self.spend(1)
        vtable = at - self.read("i", at)
        slots = (self.read("H", vtable) - 4) // 2
        found: dict[str, object] = {}
        for slot, (name, of) in enumerate(TABLES[kind][:max(slots, 0)]):
            offset = self.read("H", vtable + 4 + 2 * slot)
            if offset and found.get(f"{name}_type", UNIONS.get(name)) == UNIONS.get(name):
                found[name] = self.value(of, at + offset)
        return found

    def value(self, of: str, at: int):
        if of == "byte":
            return self.read("b", at)
        if of == "uint":
            return self.read("I", at)
        if of == "float":
            return self.read("f", at)
        at += self.read("I", at)
        if of == "text":
            return self.text(at)
        if not of.startswith("["):
            return self.table(of, at)
        count = self.spend(self.read("I", at))
        return [self.value(of[1:-1], at + 4 + 4 * i) for i in range(count)]

    def text(self, at: int) -> str:
        size = self.spend(self.read("I", at))
        return self.data[at + 4:at + 4 + size].decode(errors="replace")
