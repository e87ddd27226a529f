"""Readable names for the values of an ONNX graph: the path of the module that made them, where it is told.

torch.onnx.export(dynamo=True) writes the modules into each node's metadata, the older exporter into the
node's name: "/layer1/layer1.0/conv1/Conv". Inputs and outputs keep their names; so do values of other
exporters, but for ':', which is scaffolding in this toolchain.
"""

from collections import defaultdict
from collections.abc import Iterator
import re

SCOPES = "pkg.torch.onnx.name_scopes"
ROLES = ("input", "weight", "bias", "mean", "variance")
ANONYMOUS = re.compile(r"onnx::|^(val_)?\d+$")


def rename(proto) -> None:
    """Rename in place every value that a node makes, and initializers that an exporter only numbered."""
    graph = proto.graph
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    names |= {tensor.name: tensor.name for tensor in graph.initializer if not ANONYMOUS.search(tensor.name)}
    taken = set(names)

    def call(value: str, name: str) -> None:
        if value and value not in names:
            names[value] = _unique(name, taken)

    for node, wanted in zip(graph.node, _wanted(graph.node)):
        for value in node.output:
            if wanted or not ANONYMOUS.search(value):
                call(value, wanted or _plain(value))
    for node in graph.node:
        if node.output and node.output[0] in names:
            for role, value in zip(ROLES, node.input):
                call(value, f"{names[node.output[0]]}.{role}")
    for node in graph.node:
        for value in (*node.input, *node.output):
            call(value, _plain(value))
    _apply(graph, names)


def _apply(graph, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(value, value) for value in node.input]
        node.output[:] = [names.get(value, value) for value in node.output]
    for value in (*graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)


def _wanted(nodes) -> Iterator[str]:
    """The path alone for a module that makes one thing, `path.op` for steps of one that makes more; or ""."""
    paths = [_path(node) for node in nodes]
    ops: dict[str | None, set[str]] = defaultdict(set)
    for node, path in zip(nodes, paths):
        ops[path].add(node.op_type)
    last = {path: index for index, path in enumerate(paths)}
    containers = {path[:dot] for path in ops if path for dot in _dots(path)}
    for index, (node, path) in enumerate(zip(nodes, paths)):
        whole = path and path not in containers and (len(ops[path]) == 1 or last[path] == index)
        if path is None:
            yield ""
        else:
            yield path if whole else ".".join(filter(None, (path, node.op_type.lower())))


def _dots(path: str) -> list[int]:
    return [index for index, char in enumerate(path) if char == "."]


def _path(node) -> str | None:
    """Dotted path of the node's module, "" for the network itself, None where nothing tells."""
    for entry in node.metadata_props:
        if entry.key == SCOPES:
            return _scope(entry.value)
    if not node.name.startswith("/"):
        return None
    parts: list[str] = []
    for part in node.name.split("/")[1:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        parts.append(part)
    return ".".join(parts)


def _scope(text: str) -> str | None:
    """The last module in "['', 'layer1', 'layer1.0', 'relu_1']", whose last entry is the call."""
    scopes = re.findall("'([^']*)'", text)
    return scopes[-2] if len(scopes) > 1 else None


def _plain(value: str) -> str:
    return value.removesuffix(":0").replace(":", "_")


def _unique(name: str, taken: set[str]) -> str:
    candidate, count = name, 0
    while candidate in taken:
        count += 1
        candidate = f"{name}.{count}"
    taken.add(candidate)
    return candidate
