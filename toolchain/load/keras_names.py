"""Names for what TFLiteConverter wrote: the Keras model's inputs, layers and outputs.

The converter calls a tensor after every node that was fused into it ("layer4/Relu;layer3/add;layer2/conv"),
in no fixed order, and adds a number where two tensors share that name. What it holds is what the last of
those nodes computes.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from os.path import commonprefix
from string import digits

from ai_edge_litert import schema_py_generated as schema

from toolchain.ir.graph import unique_name
from toolchain.load.tflite_schema import packed

WEIGHTED = {schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D,
            schema.BuiltinOperator.FULLY_CONNECTED}
ROLES = ("kernel", "bias")
"""What Keras calls the operands after the first of such an operator."""


@dataclass(frozen=True)
class Trace:
    """What TensorFlow's side knows of a network.

    inputs, outputs: names, in the .tflite file's order
    nodes:           of the graph that was converted, each after those that it reads
    layers:          first part of a node's name -> the layer's path; empty where the model has scopes only
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[str, ...]
    layers: Mapping[str, str]


def with_layer_names(model: bytes, trace: Trace) -> bytes:
    """The file with its tensors renamed.

    A layer's last tensor is called as the layer, others in it "<layer>/<node>", its weights "<layer>/kernel"
    and "<layer>/bias". Without layers, the name scope that a node stands in is taken for its layer.
    """
    file = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    graph = file.subgraphs[0]
    ports = (*zip(map(int, graph.inputs), trace.inputs), *zip(map(int, graph.outputs), trace.outputs))
    wanted = (*ports, *_inner_names(file, _places(graph, trace), {name for _, name in ports}),
              *((index, tensor.name.decode()) for index, tensor in enumerate(graph.tensors)))
    names: dict[int, str] = {}
    taken: set[str] = set()
    for index, name in wanted:
        if index not in names:
            names[index] = unique_name(name, taken)
            taken.add(names[index])
    for index, tensor in enumerate(graph.tensors):
        tensor.name = names[index]
    return packed(file)


Place = tuple[str, str]
"""Layer, and node within it."""


def _places(graph: schema.SubGraphT, trace: Trace) -> dict[int, Place]:
    """Where the tensors come from that are called after nodes."""
    order = {node: index for index, node in enumerate(trace.nodes)}
    last = {}
    for index, tensor in enumerate(graph.tensors):
        parts = tensor.name.decode().split(";")
        if nodes := [node for part in parts for node in (part, part.rstrip(digits)) if node in order]:
            last[index] = max(nodes, key=order.get)
    if trace.layers:
        cut = {index: node.partition("/") for index, node in last.items()}
        return {index: (trace.layers[scope], node) for index, (scope, _, node) in cut.items()
                if scope in trace.layers}
    made = {int(index) for op in graph.operators for index in op.outputs} - set(map(int, graph.outputs))
    return _scopes({index: _uncalled(node) for index, node in last.items()}, made)


def _uncalled(node: str) -> tuple[str, ...]:
    """A node's name scopes and its own name, without the function calls around it."""
    scopes, _, own = node.rpartition("/")
    return *(scope for scope in scopes.split("/") if scope and "PartitionedCall" not in scope), own


def _scopes(nodes: Mapping[int, tuple[str, ...]], made: Collection[int]) -> dict[int, Place]:
    """The scope of each node for its layer, without the scopes that are around all of `made`."""
    around = commonprefix([nodes[index][:-1] for index in made if index in nodes])
    found = {}
    for index, node in nodes.items():
        inner = node[len(around):] if node[:len(around)] == tuple(around) else node
        found[index] = "/".join(inner[:-1]) or inner[-1], inner[-1]
    return found


def _inner_names(file: schema.ModelT, places: Mapping[int, Place],
                 ports: Collection[str]) -> Iterator[tuple[int, str]]:
    """(Tensor index, name wanted): what ops make first, then the weights, then other constants."""
    operators = file.subgraphs[0].operators
    made = [int(index) for op in operators for index in op.outputs if int(index) in places]
    last = {places[index][0]: index for index in made}
    for index in made:
        layer, node = places[index]
        yield index, layer if last[layer] == index and layer not in ports else f"{layer}/{node}"
    for op in operators:
        if file.operatorCodes[op.opcodeIndex].builtinCode in WEIGHTED:
            place = places.get(int(op.inputs[1])) or places.get(int(op.outputs[0]))
            yield from ((int(index), f"{place[0]}/{role}") for index, role in zip(op.inputs[1:], ROLES)
                        if place and index >= 0)
    yield from ((index, f"{layer}/{node}") for index, (layer, node) in places.items())
