"""Walks an exported program once, call by call; what has no row is collected and raised at the end."""

from dataclasses import replace
import operator

import numpy as np
import torch
from torch.fx.node import map_arg

from toolchain.errors import BadGraph, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.check import PLAIN
from toolchain.ir.graph import Graph, Source
from toolchain.load.aten import BROADCASTING, COPIES, HINTS, IDENTITY, OF_SHAPE, RULES
from toolchain.load.aten_call import Call, Constant
from toolchain.load.fx_gelu import written_gelus
from toolchain.load.fx_names import TensorNames, is_aten, op_name
from toolchain.load.torch_program import Program, dtype_for_bytes, dtype_name, is_fixed

Value = str | torch.Tensor | None
"""What an ATen node gives: the name of a tensor of the graph, a constant, or nothing."""


def graph_of(program: Program, name: str, module: torch.nn.Module | None, source: Source) -> Graph:
    """The program as a literal Graph, its tensors named after the modules that they come from.

    module: to know its layers; None where only the program is left of it
    Raises Unsupported listing every call that has no row.
    """
    return _Walk(program, name, module).graph(source)


class _Walk:
    def __init__(self, program: Program, name: str, module: torch.nn.Module | None):
        self.name, self.program = name, program
        self.build = Builder(name)
        self.values: dict[torch.fx.Node, Value | tuple[Value, ...]] = {}
        self.storage: dict[torch.fx.Node, torch.fx.Node] = {}
        self.constants: dict[torch.fx.Node, Constant] = {}
        self.shared: dict[tuple[str, str], str] = {}
        self.made: dict[str, Call] = {}
        self.rows: dict[str, tuple[str, ...]] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.names = TensorNames(program.graph, module)
        self.gelus = written_gelus(program.graph)
        self.skipped = {node for gelu in self.gelus.values() for node in gelu.insides}
        self.order = {node: index for index, node in enumerate(program.graph.nodes)}

    def graph(self, source: Source) -> Graph:
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.add_placeholder(node)
            elif node.op != "output" and not is_fixed(node):
                self.problems.append(f"{node.target} at {self.names.where(node)}: gives a shape that depends "
                                     f"on values; pick by fixed positions, or do it after the network")
                break
            elif node.op != "output" and node not in self.skipped:
                self.visit(node)
        names, outputs = self.outputs() if not self.problems else ([], [])
        if self.problems:
            raise Unsupported.listing(self.name, self.problems)
        notes = (*source.notes, *self.program.notes, *self.notes)
        return _called(self.build.graph(*outputs, source=replace(source, notes=notes)), names)

    # Inputs and outputs

    def add_placeholder(self, node: torch.fx.Node) -> None:
        self.storage[node] = node
        name = node.target
        if name in self.program.held:
            path, tensor = self.program.held[name]
            self.values[node] = tensor
            self.constants[node] = Constant(path, tensor.numpy())
        elif name in self.program.inputs:
            dtype = dtype_name(node.meta["val"])
            if dtype == "uint8":
                dtype = dtype_for_bytes(node)
                self.notes.append(f"input {name} is {dtype} and takes the values of uint8")
            self.values[node] = self.build.input(name, node.meta["val"].shape, dtype)
        else:
            self.values[node] = None

    def outputs(self) -> tuple[list[str], list[str]]:
        """(names that the module gives its results, tensors). What is handed out twice, or is an input, gets
        a copy."""
        names, outputs = [], []
        for name, node in self.program.results:
            value = self.values[node]
            if not isinstance(value, str):
                self.problems.append(f"output {name or node.name}: it does not depend on the input")
                continue
            if value in self.build.inputs or value in outputs:
                shape = self.build.tensors[value].shape
                value = self.build.op("reshape", [value], f"{value}.copy", shape=shape)
            names.append(name)
            outputs.append(value)
        if not outputs and not self.problems:
            self.problems.append("the module gives no tensor; return one")
        return names, outputs

    # One node

    def visit(self, node: torch.fx.Node) -> None:
        try:
            self.values[node] = self.convert(node)
        except Unsupported as error:
            op, _ = op_name(node)
            hint = f" ({HINTS[op]})" if op in HINTS else ""
            self.problems.append(f"{node.target} at {self.names.where(node)}: {error}{hint}")
            self.values[node] = self.placeholder(node)
        self.track_storage(node)

    def placeholder(self, node: torch.fx.Node) -> Value | tuple[Value, ...]:
        """Stands in for what an unsupported call gives, so that the walk can go on."""
        value = node.meta.get("val")
        if isinstance(value, tuple | list):
            return tuple(self.build.tensor(node.name, getattr(part, "shape", ()), _plain(part))
                         for part in value)
        return self.build.tensor(node.name, getattr(value, "shape", ()), _plain(value))

    def convert(self, node: torch.fx.Node) -> Value | tuple[Value, ...]:
        if node.target is operator.getitem:
            return self.item(node)
        if not is_aten(node):
            raise Unsupported("only ATen calls have rows")
        if not node.target._schema.returns:
            return None
        if op_name(node)[1] and isinstance(self.values[self.storage[node.args[0]]], torch.Tensor):
            if self.storage[node.args[0]].op == "placeholder":
                raise Unsupported("changes a parameter or buffer; keep no state between inferences")
        if node in self.gelus:
            return self.gelu(node, self.values[self.gelus[node].x])
        if self.is_foldable(node):
            return self.fold(node)
        return self.apply(node)

    def gelu(self, node: torch.fx.Node, x: str | torch.Tensor) -> str | torch.Tensor:
        known = isinstance(x, torch.Tensor)
        return torch.nn.functional.gelu(x) if known else self.build.op("gelu", [x], self.names[node])

    def item(self, node: torch.fx.Node) -> Value:
        source, index = node.args
        value = self.values[source][index]
        if value is None and node.users:
            raise Unsupported(f"result {index} of {source.target} has no row; use its result 0")
        return value

    def is_foldable(self, node: torch.fx.Node) -> bool:
        """Whether only constants go in, or only shapes matter, and the same comes out each time."""
        values = [self.values[n] for n in node.all_input_nodes]
        random = torch.Tag.nondeterministic_seeded in node.target.tags
        of_shape = op_name(node)[0] in OF_SHAPE
        return not random and (of_shape or all(isinstance(value, torch.Tensor) for value in values))

    def fold(self, node: torch.fx.Node) -> torch.Tensor:
        def value(n: torch.fx.Node) -> torch.Tensor:
            known, like = self.values[n], n.meta["val"]
            return torch.zeros(like.shape, dtype=like.dtype) if isinstance(known, str) else known

        try:
            return node.target(*map_arg(node.args, value), **map_arg(node.kwargs, value))
        except Exception as error:
            line = (str(error).strip().splitlines() or [""])[0]
            raise Unsupported(f"fails on its constants: {type(error).__name__}: {line}") from error

    def apply(self, node: torch.fx.Node) -> Value | tuple[Value, ...]:
        op, in_place = op_name(node)
        if op not in RULES and op not in IDENTITY:
            raise Unsupported("no row in the op table")
        if in_place:
            self.check_views(node)
        call = self.call(node, op)
        if op in IDENTITY and self.changes_nothing(call):
            return call.get("self", "input")
        if op not in RULES:
            raise Unsupported(f"makes {call.dtype} {call.result}; it can only be dropped where it changes "
                              f"nothing")
        result = RULES[op](call)
        self.check_result(node, call, result)
        if isinstance(result, str):
            self.made[result] = call
        return result

    def call(self, node: torch.fx.Node, op: str) -> Call:
        value = node.meta["val"]
        several = isinstance(value, tuple | list)
        first = value[0] if several else value
        shape = tuple(tuple(part.shape) for part in value) if several else tuple(value.shape)
        if dtype_name(first) not in PLAIN:
            raise Unsupported(f"makes {first.dtype}; only {', '.join(sorted(PLAIN))} have a row")
        spread = op.startswith(("expand", "broadcast_to")) and self.is_spread(node)
        return Call(op, self.names[node], self.arguments(node), shape, self.build, dtype_name(first),
                    self.shared, self.made, self.rows, spread)

    def changes_nothing(self, call: Call) -> bool:
        x = call.get("self", "input")
        return not call.get("train") and (call.dtype_of(x), call.shape(x)) == (call.dtype, call.result)

    def check_result(self, node: torch.fx.Node, call: Call, result: str | tuple[str | None, ...]) -> None:
        """The rule gave what torch gives, and the batch is still an axis: another may come first, or hold it,
        as attention and its windows do."""
        pairs = [(result, call.result)] if isinstance(result, str) else zip(result, call.result)
        inputs = [self.values[n] for n in node.all_input_nodes]
        whole = all(call.shape(x)[:1] == (1,) for x in inputs if isinstance(x, str))
        for made, shape in pairs:
            if made is None or call.spread_by_readers:
                continue
            if call.shape(made) != shape:
                raise BadGraph(f"{call.name}: {node.target} gives {shape} but its row {call.shape(made)}; "
                               f"this is a bug in the door")
            if whole and len(shape) < 2 and shape != (1,):
                raise Unsupported(f"gives {shape}, without the batch; keep it as the first axis")

    def is_spread(self, node: torch.fx.Node) -> bool:
        """Whether each reader of an expanded tensor broadcasts it to the same result by itself."""
        x = self.values[node.args[0]]
        return isinstance(x, str) and bool(node.users) and all(
            self.broadcasts(user, node, self.build.tensors[x].shape) for user in node.users)

    def broadcasts(self, user: torch.fx.Node, node: torch.fx.Node, shape: tuple[int, ...]) -> bool:
        if op_name(user)[0] not in BROADCASTING or op_name(user)[1]:
            return False
        operands = [shape if n is node else self.known_shape(n) for n in user.all_input_nodes]
        try:
            return np.broadcast_shapes(*operands) == tuple(user.meta["val"].shape)
        except ValueError:
            return False

    def known_shape(self, node: torch.fx.Node) -> tuple[int, ...]:
        """Of what stands for the node in the graph; of one that comes later, its own."""
        value = self.values.get(node, node.meta["val"])
        return self.build.tensors[value].shape if isinstance(value, str) else tuple(value.shape)

    def arguments(self, node: torch.fx.Node) -> dict[str, object]:
        """Every argument of the schema by name, defaults included."""
        schema = node.target._schema.arguments
        given = {argument.name: value for argument, value in zip(schema, node.args)} | dict(node.kwargs)
        return {a.name: map_arg(given.get(a.name, a.default_value), self.operand) for a in schema}

    def operand(self, node: torch.fx.Node) -> str | Constant:
        value = self.values[node]
        if not isinstance(value, torch.Tensor):
            return value
        if node not in self.constants:
            self.constants[node] = Constant("", value.numpy().copy())
        return self.constants[node]

    # Memory

    def track_storage(self, node: torch.fx.Node) -> None:
        """Which node's memory a result lives in; an in-place call rewrites what every alias of it reads."""
        op, in_place = op_name(node)
        source = node.args[0] if node.args and isinstance(node.args[0], torch.fx.Node) else None
        shares = node.target is operator.getitem or is_aten(node) and any(
            r.alias_info for r in node.target._schema.returns) or op in IDENTITY - COPIES
        self.storage[node] = self.storage[source] if source is not None and shares else node
        if in_place and source is not None and isinstance(self.values[source], str):
            old = self.values[source]
            for alias in self.aliases(node):
                if self.values[alias] == old:
                    self.values[alias] = self.values[node]

    def aliases(self, node: torch.fx.Node) -> list[torch.fx.Node]:
        root = self.storage[node.args[0]]
        return [other for other, r in self.storage.items() if r is root]

    def check_views(self, node: torch.fx.Node) -> None:
        """An in-place call on memory that is read later in another shape would have to change that too."""
        changed, now = node.args[0], self.order[node]
        value = self.values[changed]
        for alias in self.aliases(node):
            if self.values[alias] == value or _apart(alias, changed):
                continue
            if any(self.order[user] > now for user in alias.users):
                raise Unsupported(f"changes {changed.name} in place while {alias.name} views it; "
                                  f"use the call that makes a new tensor")


def _apart(a: torch.fx.Node, b: torch.fx.Node) -> bool:
    """Whether both are parts of one split, or one of them is the split itself, which nobody reads whole."""
    def split(node: torch.fx.Node) -> torch.fx.Node:
        return node.args[0] if node.target is operator.getitem else node

    return operator.getitem in (a.target, b.target) and split(a) is split(b)


def _plain(value) -> str:
    dtype = dtype_name(value) if isinstance(value, torch.Tensor) else "float32"
    return dtype if dtype in PLAIN else "float32"


def _called(graph: Graph, names: list[str]) -> Graph:
    """The graph with its outputs called by `names`, "" for as they are."""
    wanted = {old: new for old, new in zip(graph.outputs, names) if new and new != old}
    displaced = {new: f"{new}.inner" for new in wanted.values() if new in graph.tensors and new not in wanted}
    outputs = tuple(wanted.get(name, displaced.get(name, name)) for name in graph.outputs)
    inputs = tuple(displaced.get(name, name) for name in graph.inputs)
    return replace(graph.renamed({**displaced, **wanted}), outputs=outputs, inputs=inputs)
