"""The ONNX door: an .onnx file, node by node, literally."""

from collections import ChainMap
from collections.abc import Mapping
import math
from pathlib import Path

import numpy as np

from toolchain.errors import BadGraph, BadModel, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph, Shape, Source
from toolchain.load.metadata import with_onnx_metadata
from toolchain.load.onnx_call import Call, Grid, Value
from toolchain.load.onnx_file import Node, OnnxFile, read_onnx
from toolchain.load.onnx_fold import FOLD, fold
from toolchain.load.onnx_ops import HINTS, RULES
from toolchain.load.onnx_patterns import fused
from toolchain.load.onnx_qdq import expanded, input_grids, signed

MALFORMED = (BadGraph, ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError)
"""What rules raise where shapes and attributes do not go together."""
LIMIT = 1 << 31
"""Most values of an activation: a few bytes of a damaged file must not ask for more."""
ONE_RESULT = frozenset({"MaxPool", "Dropout", "BatchNormalization", "LayerNormalization"})
"""Operators that have more outputs than rows give."""


def load_onnx(model: bytes, name: str, folder: Path | None = None,
              shapes: Mapping[str, Shape] | None = None) -> Graph:
    """The graph of a model, in the source's layout: channel ops stand between explicit transposes.

    folder: of the model, where its external data lie;  shapes: of inputs whose sizes it leaves open
    Raises BadModel for bytes that are no valid model or a shape that is not fixed, Unsupported listing every
    node that has no row.
    """
    return graph_of(read_onnx(model, name, folder, shapes))


def graph_of(file: OnnxFile) -> Graph:
    """The graph of a file that has been read. Raises as `load_onnx`."""
    return _Door(file).graph()


class _Door:
    """Walks the nodes once; what has no row is collected and raised at the end."""

    def __init__(self, file: OnnxFile):
        self.file = file
        self.build = Builder(file.name)
        self.values: dict[str, Value] = dict(file.constants)
        self.shared: dict[tuple[str, str], str] = {}
        self.grids: dict[str, Grid] = {}
        self.rows: dict[str, tuple[str, ...]] = {}
        self.problems: list[str] = []
        self.unknown: set[str] = set()
        self.used = {value for node in file.nodes for value in node.inputs} | set(file.outputs)
        meant = input_grids(file)
        for name, (shape, dtype) in file.inputs.items():
            self.values[name] = self.build.input(name, shape, dtype, meant.get(name))
            if dtype == "uint8":
                self.values[name] = self.build.op("quantize", [name], f"{name}:codes", dtype="int8",
                                                  quant=signed(meant[name]))

    def graph(self) -> Graph:
        with np.errstate(all="ignore"):  # `ir.check` names a constant that becomes NaN or Inf
            for node in fused(self.file):
                for part in self.expanded(node):
                    self.visit(part)
        outputs = [self.output(name) for name in self.file.outputs]
        if self.problems:
            raise Unsupported.listing(self.file.name, self.problems)
        graph = self.build.graph(*outputs, source=Source("onnx", notes=self.file.notes))
        return with_onnx_metadata(graph, {entry.key: entry.value for entry in self.file.proto.metadata_props})

    def expanded(self, node: Node) -> list[Node]:
        """A node on codes as those around a real one."""
        more: dict[str, np.ndarray] = {}
        try:
            return expanded(node, ChainMap(more, self.file.constants))
        except Unsupported:
            return [node]
        except MALFORMED as error:
            raise self.broken(node, error) from error
        finally:
            self.values.update(more)

    def visit(self, node: Node) -> None:
        if node.op in RULES and self.unknown.intersection(node.inputs):
            return self.stand_in(node)
        try:
            self.values.update(zip(node.outputs, self.convert(node)))
        except Unsupported as error:
            hint = f" ({HINTS[node.op]})" if node.op in HINTS else ""
            self.problems.append(f"{node.op} at {node.name}: {error}{hint}")
            self.stand_in(node)
        except MALFORMED as error:
            if self.problems:  # what stands in for an unsupported node may not fit
                return self.stand_in(node)
            raise self.broken(node, error) from error

    def broken(self, node: Node, error: Exception) -> BadModel:
        return BadModel(f"{self.file.name}: {node.op} at {node.name}: {error}; the model breaks the "
                        f"ONNX specification or is damaged: export it again")

    def convert(self, node: Node) -> tuple[Value, ...]:
        inputs = tuple(self.values[name] if name else None for name in node.inputs)
        require(not node.domain, f"is of the domain {node.domain}; only ONNX's own operators have rows")
        if node.op in ONE_RESULT or node.op not in RULES:
            require(not self.used.intersection(filter(None, node.outputs[1:])),
                    "more than its first output is used, which has no row")
        if node.op in FOLD and not any(isinstance(value, str) for value in inputs):
            return (fold(node.op, list(inputs), node.attrs),)
        require(node.op in RULES, "no row in the op table")
        return self.apply(node, inputs)

    def apply(self, node: Node, inputs: tuple[Value | None, ...]) -> tuple[Value, ...]:
        call = Call(node.op, node.outputs, tuple(map(single, inputs)), node.inputs, node.attrs,
                    self.file.opset, self.build, self.shared, self.grids, self.rows)
        made = RULES[node.op](call)
        results = made if isinstance(made, tuple) else (made,)
        for result in results:
            if isinstance(result, str) and math.prod(shape := call.shape(result)) > LIMIT:
                raise ValueError(f"{shape} is beyond {LIMIT:,} values")
        return results

    def stand_in(self, node: Node) -> None:
        """Tensors for what an unsupported node gives, so that the walk can go on; unknown if the shape is."""
        self.unknown |= set(node.outputs) - set(self.file.told)
        for name in node.outputs:
            self.values[name] = self.build.tensor(name, self.file.told.get(name, (1,)))

    def output(self, name: str) -> str:
        """The tensor of an output under its own name; where it has another, a reshape to the same shape."""
        value = self.values[name]
        if not isinstance(value, str):
            self.problems.append(f"output {name}: does not depend on the input")
        elif (shape := self.build.tensors[value].shape)[:1] != (1,):
            self.problems.append(f"output {name}: has shape {shape}; the first axis must be the batch")
        elif value != name:
            return self.build.op("reshape", [value], name, shape=self.build.tensors[value].shape)
        return name


def single(value: Value | None) -> Value | None:
    """A constant of double precision meets activations in float32."""
    double = isinstance(value, np.ndarray) and value.dtype == np.float64
    return value.astype(np.float32) if double else value


def require(holds: bool, why: str) -> None:
    if not holds:
        raise Unsupported(why)
