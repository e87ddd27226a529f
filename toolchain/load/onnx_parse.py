"""The ModelProto of an .onnx file as the door reads it: whole, checked, without local functions, its reals in
float32. Nothing in it is run."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from toolchain.errors import BadModel, Unsupported
from toolchain.load.onnx_external import bring_in
from toolchain.load.onnx_floats import in_float32

OLDEST_OPSET = 9
ONNX_DOMAINS = ("", "ai.onnx")
UNKNOWN = ("No Op registered for", "is deprecated in domain_version")
"""What the checker says of operators that it does not judge: they are listed with all that has no row."""
MOST_NODES = 100_000
"""That a file's local functions may expand to: a few bytes must not ask for more."""


def parse(model: bytes, name: str, folder: Path | None = None) -> tuple[object, tuple[str, ...]]:
    """(the ModelProto, notes on what was changed).

    folder: where the model's external data lie, None: nowhere
    Raises BadModel for bytes that are no valid model, Unsupported for an opset that is too old or too new,
    and for data in other files that are not to be opened.
    """
    proto = _decoded(model, name)
    _require_opset(proto, name)
    bring_in(proto, name, folder)
    if proto.graph.sparse_initializer:
        raise Unsupported(f"{name}: has sparse initializers; store them densely")
    _sort(proto)
    _check(proto, name)
    proto = _inlined(proto, name)
    _name_parts(proto)
    return proto, in_float32(proto, name)


def opset_of(proto) -> int | None:
    return next((entry.version for entry in proto.opset_import if entry.domain in ONNX_DOMAINS), None)


def _decoded(model: bytes, name: str):
    from google.protobuf.message import DecodeError
    import onnx

    try:
        proto = onnx.load_from_string(model)
    except DecodeError as error:
        raise BadModel(f"{name}: {len(model):,} bytes that are no ONNX model: truncated, or another format "
                       f"({error}); export it again") from None
    if not proto.graph.node:
        raise BadModel(f"{name}: {len(model):,} bytes hold no ONNX graph; export it again")
    if (text := next((text for text in _texts(proto) if isinstance(text, bytes)), None)) is not None:
        raise BadModel(f"{name}: the name {text[:40]} is not UTF-8; the model is damaged: export it again")
    return proto


def _texts(message) -> Iterator[str | bytes]:
    """Every text in a protobuf message; protobuf gives one that is not UTF-8 as bytes."""
    for field, value in message.ListFields():
        parts = value if field.is_repeated else [value]
        if field.type == field.TYPE_STRING:
            yield from parts
        elif field.type == field.TYPE_MESSAGE:
            for part in parts:
                yield from _texts(part)


def _require_opset(proto, name: str) -> None:
    from onnx.defs import onnx_opset_version

    opset, newest = opset_of(proto), onnx_opset_version()
    if opset is None:
        raise BadModel(f"{name}: names no ONNX opset; export it again")
    if not OLDEST_OPSET <= opset <= newest:
        raise Unsupported(f"{name}: opset {opset}; export it with opset {OLDEST_OPSET} or later"
                          f"{f', up to {newest}' if opset > newest else ''}")


def _sort(proto) -> None:
    """Put nodes behind those whose values they read. Float16 converters append casts at the end, and runtimes
    take that; a circle is left to the checker."""
    nodes = list(proto.graph.node)
    maker = {value: at for at, node in enumerate(nodes) for value in node.output if value}
    reads = {at: {maker[value] for value in node.input if value in maker} for at, node in enumerate(nodes)}
    if all(max(before, default=-1) < at for at, before in reads.items()):
        return
    try:
        order = [nodes[at] for at in TopologicalSorter(reads).static_order()]
    except CycleError:
        return
    del proto.graph.node[:]
    proto.graph.node.extend(order)


def _check(proto, name: str) -> None:
    """ONNX's own checker: fields, order of nodes, attributes by the operator's schema."""
    from onnx import checker

    for output in proto.graph.output:
        output.type.tensor_type.shape.SetInParent()  # the checker wants it, runtimes and this door do not
    try:
        checker.check_model(proto)
    except (checker.ValidationError, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        if not any(unknown in message for unknown in UNKNOWN):
            raise BadModel(f"{name}: ONNX's checker: {message[:300]}; export it again") from None


def _inlined(proto, name: str):
    """Local functions replaced by their nodes."""
    if not proto.functions:
        return proto
    from onnx import inliner

    if (count := _expanded(proto, name)) > MOST_NODES:
        raise Unsupported(f"{name}: its functions expand to {count:,} nodes; {MOST_NODES:,} are read")
    return inliner.inline_local_functions(proto)


def _name_parts(proto) -> None:
    """Parts of a Split that nobody reads get names: without one onnxruntime (1.31) crashes."""
    for number, node in enumerate(proto.graph.node):
        if node.op_type == "Split":
            node.output[:] = [value or f"split{number}.{part}" for part, value in enumerate(node.output)]


def _expanded(proto, name: str) -> int:
    """How many nodes the graph has once its functions are written out. Raises BadModel where one calls
    itself."""
    functions = {(f.domain, f.name): f for f in proto.functions}
    counts: dict[tuple[str, str], int | None] = {}

    def count(nodes) -> int:
        return sum(of((node.domain, node.op_type)) for node in nodes)

    def of(key: tuple[str, str]) -> int:
        if key not in functions:
            return 1
        if key not in counts:
            if len(counts) > 200:
                raise Unsupported(f"{name}: more than 200 local functions; inline them before the export")
            counts[key] = None
            counts[key] = count(functions[key].node)
        if counts[key] is None:
            raise BadModel(f"{name}: function {key[1]} calls itself; export it again")
        return counts[key]

    return count(proto.graph.node)
