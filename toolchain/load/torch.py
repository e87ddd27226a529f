"""The PyTorch door: torch.export's ATen graph, call by call, named after its modules (decision 0001)."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
import operator
import warnings

import numpy as np
import torch
from torch.export.graph_signature import InputKind
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from toolchain.errors import BadGraph, BadInput, BadModel, Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph, Source
from toolchain.load.aten import COPIES, HINTS, IDENTITY, RULES
from toolchain.load.aten_call import Call, Constant
from toolchain.load.fx_names import TensorNames, is_aten, op_name
from toolchain.load.python_file import call_function
from toolchain.load.selfcheck import Arrays, Oracle

Value = str | torch.Tensor | None
"""What an ATen node gives: the name of a tensor of the graph, a constant, or nothing."""


def load_module(spec: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """Call `function` of "file.py:function", which gives (module, example): a tensor or a tuple of them.

    Runs the user's own file. Raises BadInput for anything else than that.
    """
    built = call_function(spec)
    if not (isinstance(built, tuple) and len(built) == 2 and isinstance(built[0], torch.nn.Module)):
        raise BadInput(f"{spec}: the function gave {type(built).__name__}; it must return (module, example), "
                       f"a torch.nn.Module and its example input")
    module, example = built
    return module, tuple(example) if isinstance(example, list | tuple) else (example,)


def load_torch(module: torch.nn.Module, example: tuple[torch.Tensor, ...], name: str) -> Graph:
    """Take `module` as it computes in eval mode on `example`; its modes are put back.

    example: float32 tensors, batch first; a batch other than 1 is bound to 1, which a note says
    Raises BadInput where the example does not go through, BadModel for a parameter with NaN or Inf,
    Unsupported listing every call that has no row.
    """
    example, notes = _one_sample(example, name)
    _check_parameters(module, name)
    with evaluating(module):
        _try(module, example, name)
        program = _export(module, example, name)
    door = _Door(name, program, module)
    return door.graph(Source("torch", notes=notes))


def module_oracle(module: torch.nn.Module, graph: Graph) -> Oracle:
    """The module as a source runtime; of the inner tensors it knows those called after a submodule."""

    def run(feeds: Arrays, keep: Collection[str]) -> Arrays:
        seen: dict[str, np.ndarray] = {}
        inputs = [torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in graph.inputs]
        kept = {path: layer for path, layer in module.named_modules() if path in keep}
        hooks = [layer.register_forward_hook(_keeper(seen, path)) for path, layer in kept.items()]
        try:
            with evaluating(module):
                result = module(*inputs)
        finally:
            for hook in hooks:
                hook.remove()
        leaves = [leaf.numpy() for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        return {**seen, **dict(zip(graph.outputs, leaves))}

    return run


def _keeper(seen: dict[str, np.ndarray], path: str) -> Callable:
    """A hook that copies a submodule's first output: a later call may write into it."""
    def hook(module, args, output):
        if isinstance(output, torch.Tensor):
            seen.setdefault(path, output.detach().clone().numpy())

    return hook


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """`module` in eval mode and without gradients; the mode of every submodule is put back."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, training in modes.items():
            m.training = training


def _one_sample(example: tuple, name: str) -> tuple[tuple[torch.Tensor, ...], tuple[str, ...]]:
    for index, value in enumerate(example):
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float32 or value.ndim < 2:
            tensor = isinstance(value, torch.Tensor)
            got = f"{value.dtype} {tuple(value.shape)}" if tensor else type(value).__name__
            raise BadInput(f"{name}: example input {index} is {got}; it must be a float32 tensor with a "
                           f"batch axis")
    batches = {len(value) for value in example}
    if len(batches) > 1 or 0 in batches:
        raise BadInput(f"{name}: the example inputs have batches of {sorted(batches)}; make them the same")
    notes = () if batches <= {1} else (f"batch bound to 1 (the example has {batches.pop()})",)
    return tuple(value[:1] for value in example), notes


def _check_parameters(module: torch.nn.Module, name: str) -> None:
    for path, value in (*module.named_parameters(), *module.named_buffers()):
        if value.is_meta:
            raise BadModel(f"{name}: parameter {path} has no values (device 'meta'); load a checkpoint")
        if value.is_floating_point() and value.dtype != torch.float32:
            raise BadInput(f"{name}: parameter {path} is {value.dtype}; call module.float() first")
        if value.is_floating_point() and not torch.isfinite(value).all():
            where = torch.nonzero(~torch.isfinite(value))[0].tolist()
            raise BadModel(f"{name}: parameter {path} holds {value[tuple(where)].item()} at {where}; "
                           f"train it again or load a good checkpoint")


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _try(module: torch.nn.Module, example: tuple, name: str) -> None:
    try:
        module(*example)
    except Exception as error:
        shapes = ", ".join(str(tuple(value.shape)) for value in example)
        raise BadInput(f"{name}: the module fails on the example {shapes}: {_one_line(error)}") from error


def _export(module: torch.nn.Module, example: tuple, name: str) -> torch.export.ExportedProgram:
    """The program before functionalization and decomposition: fewest, highest-level calls."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own code
            return torch.export.export(module, example)
    except Exception as error:
        raise Unsupported(f"{name}: torch.export cannot trace it: {_one_line(error)}. Take out control flow "
                          f"that depends on values, or go through ONNX") from error


class _Door:
    """Walks the exported program once; what has no row is collected and raised at the end."""

    def __init__(self, name: str, program: torch.export.ExportedProgram, module: torch.nn.Module):
        self.name, self.program, self.module = name, program, module
        self.held = {**program.state_dict, **program.constants}
        self.build = Builder(name)
        self.values: dict[torch.fx.Node, Value | tuple[Value, ...]] = {}
        self.storage: dict[torch.fx.Node, torch.fx.Node] = {}
        self.constants: dict[torch.fx.Node, Constant] = {}
        self.shared: dict[tuple[str, str], str] = {}
        self.problems: list[str] = []
        self.names = TensorNames(program.graph, module)
        self.order = {node: index for index, node in enumerate(program.graph.nodes)}

    def graph(self, source: Source) -> Graph:
        self.add_placeholders()
        for node in self.program.graph.nodes:
            if node.op not in ("placeholder", "output"):
                self.visit(node)
        results = self.program.graph.output_node().args[0]
        outputs = [self.output(node) for node in results if isinstance(node, torch.fx.Node)]
        if not outputs:
            self.problems.append("the module gives no tensor; return one")
        twice = sorted({str(name) for name in outputs if outputs.count(name) > 1})
        self.problems += [f"output {name}: is given twice; return it once" for name in twice]
        if self.problems:
            raise Unsupported.listing(self.name, self.problems)
        return self.build.graph(*outputs, source=source)

    def add_placeholders(self) -> None:
        nodes = {node.name: node for node in self.program.graph.nodes if node.op == "placeholder"}
        for spec in self.program.graph_signature.input_specs:
            node = nodes[spec.arg.name]
            self.storage[node] = node
            if spec.kind == InputKind.USER_INPUT:
                self.values[node] = self.build.input(node.name, node.meta["val"].shape)
            else:
                self.values[node] = self.held[spec.target].detach()
                self.constants[node] = Constant(spec.target, self.values[node].numpy())

    def output(self, node: torch.fx.Node) -> str | None:
        value = self.values[node]
        if not isinstance(value, str) or value in self.build.inputs:
            self.problems.append(f"output {node.name}: it does not depend on the input, or is the input")
        return value

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
            return tuple(self.build.tensor(node.name, getattr(part, "shape", ())) for part in value)
        return self.build.tensor(node.name, getattr(value, "shape", ()))

    def convert(self, node: torch.fx.Node) -> Value | tuple[Value, ...]:
        if node.target is operator.getitem:
            return self.values[node.args[0]][node.args[1]]
        if not is_aten(node):
            raise Unsupported("only ATen calls have rows")
        if not node.target._schema.returns:
            return None
        if op_name(node)[1] and isinstance(self.values[self.storage[node.args[0]]], torch.Tensor):
            if self.storage[node.args[0]].op == "placeholder":
                raise Unsupported("changes a parameter or buffer; keep no state between inferences")
        if self.is_foldable(node):
            return self.fold(node)
        return self.apply(node)

    def is_foldable(self, node: torch.fx.Node) -> bool:
        """Whether only constants go in, and the same comes out each time."""
        values = [self.values[n] for n in node.all_input_nodes]
        random = torch.Tag.nondeterministic_seeded in node.target.tags
        return not random and all(isinstance(value, torch.Tensor) for value in values)

    def fold(self, node: torch.fx.Node) -> torch.Tensor:
        return node.target(*map_arg(node.args, self.values.get), **node.kwargs)

    def apply(self, node: torch.fx.Node) -> Value:
        op, in_place = op_name(node)
        if op not in RULES and op not in IDENTITY:
            raise Unsupported("no row in the op table")
        if in_place:
            self.check_views(node)
        shape = tuple(node.meta["val"].shape)
        call = Call(op, self.names[node], self.arguments(node), shape, self.build, self.shared)
        if op in IDENTITY:
            return self.hand_through(node, call)
        result = RULES[op](call)
        if call.shape(result) != shape:
            raise BadGraph(f"{call.name}: {node.target} gives {shape} but its row {call.shape(result)}; this "
                           f"is a bug in the door")
        inputs = [self.values[n] for n in node.all_input_nodes]
        whole = all(call.shape(x)[:1] == (1,) for x in inputs if isinstance(x, str))
        if whole and shape[:1] != (1,):
            raise Unsupported(f"gives {shape}; the first axis must stay the batch")
        return result

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
            self.constants[node] = Constant("", value.numpy())
        return self.constants[node]

    def hand_through(self, node: torch.fx.Node, call: Call) -> str:
        x = call.get("self", "input")
        if call.get("train") or node.meta["val"].dtype != torch.float32 or call.shape(x) != call.result:
            raise Unsupported(f"makes {node.meta['val'].dtype} {call.result} of {call.shape(x)}; it can only "
                              f"be dropped where it changes nothing")
        return x

    def track_storage(self, node: torch.fx.Node) -> None:
        """Which node's memory a result lives in; an in-place call rewrites what every alias of it reads."""
        op, in_place = op_name(node)
        source = node.args[0] if node.args and isinstance(node.args[0], torch.fx.Node) else None
        shares = is_aten(node) and any(
            r.alias_info for r in node.target._schema.returns) or (op in IDENTITY - COPIES)
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
        value, now = self.values[node.args[0]], self.order[node]
        for alias in self.aliases(node):
            if self.values[alias] != value and any(self.order[user] > now for user in alias.users):
                raise Unsupported(f"changes {node.args[0].name} in place while {alias.name} views it; "
                                  f"use the call that makes a new tensor")
