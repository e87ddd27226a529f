"""Inputs and outputs, as a graph has them and as a file of it does."""

import msgspec

from toolchain.ir.graph import Graph
from toolchain.port import Port
from toolchain.profile import Format

Ports = tuple[Port, ...]


def ports(graph: Graph, names: tuple[str, ...]) -> Ports:
    """The graph's own inputs or outputs: inner layout, its dtypes and codes."""
    return tuple(_port(graph, name) for name in names)


def _port(graph: Graph, name: str) -> Port:
    tensor, perm = graph.tensors[name], graph.permutations.get(name)
    if tensor.quant is None:
        return Port(name, tensor.shape, tensor.dtype, permutation=perm)
    scale, zero_point = float(tensor.quant.scale), int(tensor.quant.zero_point)
    return Port(name, tensor.shape, tensor.dtype, scale, zero_point, perm)


CODES_AS = {"tflite": "int8", "onnx": "float32", "c": "int8"}
"""Format -> dtype of an input or output that is int8 in the graph, where nothing else is asked."""


def file_ports(graph: Graph, names: tuple[str, ...], fmt: Format, io: str | None = None) -> Ports:
    """Inputs or outputs as a file of format `fmt` has them. io: dtype asked for int8 ones"""
    given = (_with_io(port, io or CODES_AS[fmt]) for port in ports(graph, names))
    settle = {"onnx": _in_source_layout, "c": _in_32_bits}.get(fmt)
    return tuple(map(settle, given) if settle else given)


def _with_io(port: Port, io: str) -> Port:
    """The port of a file that was asked for another dtype at its borders. int16 has no unsigned twin."""
    if port.scale is not None and io == "float32":
        return Port(port.name, port.shape, "float32", permutation=port.permutation)
    if port.dtype != "int8" or io == "int8":
        return port
    return Port(port.name, port.shape, "uint8", port.scale, port.zero_point + 128, port.permutation)


def _in_32_bits(port: Port) -> Port:
    """C has int32 for whole numbers."""
    return msgspec.structs.replace(port, dtype="int32") if port.dtype == "int64" else port


def _in_source_layout(port: Port) -> Port:
    perm = port.permutation or range(len(port.shape))
    shape = tuple(port.shape[axis] for axis in perm)
    return Port(port.name, shape, port.dtype, port.scale, port.zero_point)
