"""A program that torch.export made, as the walk over it needs it: calls, held tensors, results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
import json
import math
import operator

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from toolchain.errors import BadInput, Unsupported
from toolchain.ir.graph import Graph
from toolchain.load.fx_names import TensorNames, op_name
from toolchain.load.selfcheck import Arrays, Oracle

LARGEST = 1 << 27
"""A tensor with more values than that is a mistake."""
ASSERTS = frozenset({"_assert_scalar", "_assert_tensor_metadata", "_assert_async", "sym_constrain_range",
                     "sym_constrain_range_for_size"})
"""Calls that only check; a batch of 1 may break what they ask of a dynamic one."""

Size = int | str
"""Of an axis: a number, or the symbol of one that the program leaves open."""


@dataclass(frozen=True, eq=False)
class Program:
    """graph:   placeholders, known by their targets, ATen calls with the shape they give in meta["val"], and
             one output node
    held:    placeholder -> (path in the module, its tensor): parameters, buffers, constants
    inputs:  placeholder that the user feeds -> (sizes, dtype)
    results: (name that the module's own containers give, or ""; what gives it), in order
    notes:   what was bound to make the program of one sample
    """

    graph: torch.fx.Graph
    held: Mapping[str, tuple[str, torch.Tensor]]
    inputs: Mapping[str, tuple[tuple[Size, ...], torch.dtype]]
    results: tuple[tuple[str, torch.fx.Node], ...]
    notes: tuple[str, ...] = ()


def program_of(exported: torch.export.ExportedProgram) -> Program:
    """The program before functionalization and decomposition, or after it, as it is."""
    tensors = {**exported.state_dict, **exported.constants}
    specs = exported.graph_signature.input_specs
    held = {spec.arg.name: (spec.target, tensors[spec.target].detach()) for spec in specs
            if spec.kind != InputKind.USER_INPUT and isinstance(tensors.get(spec.target), torch.Tensor)}
    values = {node.target: node.meta.get("val") for node in exported.graph.nodes if node.op == "placeholder"}
    inputs = {spec.arg.name: (_sizes(values[spec.arg.name]), values[spec.arg.name].dtype) for spec in specs
              if spec.kind == InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)}
    wanted = [node for node, spec in zip(exported.graph.output_node().args[0],
                                         exported.graph_signature.output_specs)
              if spec.kind == OutputKind.USER_OUTPUT]
    names = _leaf_names(exported.call_spec.out_spec, len(wanted))
    results = tuple((name, node) for name, node in zip(names, wanted) if isinstance(node, torch.fx.Node))
    return Program(exported.graph, held, inputs, results)


def _sizes(value: torch.Tensor) -> tuple[Size, ...]:
    return tuple(n if isinstance(n, int) else str(n) for n in value.shape)


def _leaf_names(spec: pytree.TreeSpec, count: int) -> list[str]:
    """What the keys of dicts call the outputs; "" for each without a key, or in a user's own container."""
    try:
        return leaf_names(json.loads(pytree.treespec_dumps(spec))[1])
    except NotImplementedError:
        return [""] * count


def leaf_names(spec: Mapping, path: tuple[str, ...] = (), keyed: bool = False) -> list[str]:
    """Of a tree as torch writes it in JSON: "logits", or "boxes.0" for a tuple under a key."""
    if spec.get("type") is None:
        return [".".join(path) if keyed else ""]
    children = spec["children_spec"]
    keys = [str(number) for number in range(len(children))]
    if is_dict := spec["type"].endswith("dict"):
        context = json.loads(spec["context"]) if isinstance(spec["context"], str) else spec["context"]
        keys = [str(key) for key in context][-len(children):] if children else []
    return [name for key, child in zip(keys, children)
            for name in leaf_names(child, (*path, key), keyed or is_dict)]


def is_fixed(node: torch.fx.Node) -> bool:
    """Whether the shapes of what the node gives are known before it runs."""
    value = node.meta.get("val")
    parts = value if isinstance(value, tuple | list) else (value,)
    return all(isinstance(n, int) for part in parts if isinstance(part, torch.Tensor) for n in part.shape)


def dtype_name(value: torch.Tensor) -> str:
    """numpy's name."""
    return str(value.dtype).removeprefix("torch.")


def dtype_for_bytes(node: torch.fx.Node) -> str:
    """What stands for a uint8 input: float32 where all that read it make floats of it, else int32."""
    made = [user.meta["val"] for user in node.users if user.meta.get("val") is not None]
    return "float32" if made and all(value.dtype == torch.float32 for value in made) else "int32"


# Running it -------------------------------------------------------------------------------------------------

Steps = Iterator[tuple[torch.fx.Node, object]]


def evaluated(graph: torch.fx.Graph, given: Mapping[str, torch.Tensor]) -> Steps:
    """Each node with what it gives, one call after the other. given: placeholder -> its value."""
    values: dict[torch.fx.Node, object] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = given.get(node.target)
        elif node.op == "call_function" and op_name(node)[0] not in ASSERTS:
            args, kwargs = map_arg(node.args, values.get), map_arg(node.kwargs, values.get)
            values[node] = node.target(*args, **kwargs)
        yield node, values.get(node)


def of_one_sample(program: Program, name: str) -> Program:
    """The program with a batch of 1, and what it computes of sizes alone put in as numbers.

    Raises Unsupported for sizes other than the batch's that are open, BadInput where one sample does not go
    through.
    """
    shapes = {key: _bound(name, key, sizes) for key, (sizes, _) in program.inputs.items()}
    graph, copies, numbers = torch.fx.Graph(), {}, {}
    for node, value in _sketched(program, shapes, name):
        if node.op == "output" or op_name(node)[0] in ASSERTS:
            continue
        if isinstance(value, int | float):
            numbers[node] = value
            continue
        copies[node] = graph.node_copy(node, lambda n: numbers[n] if n in numbers else copies[n])
        copies[node].meta["val"] = value
    results = tuple((key, copies[node]) for key, node in program.results if node in copies)
    graph.output(tuple(node for _, node in results))
    inputs = {key: (shapes[key], dtype) for key, (_, dtype) in program.inputs.items()}
    changed = [key for key, (sizes, _) in program.inputs.items() if sizes != shapes[key]]
    notes = (f"batch of {', '.join(changed)} bound to 1",) if changed else ()
    return replace(program, graph=graph, inputs=inputs, results=results, notes=(*program.notes, *notes))


def _bound(name: str, key: str, sizes: tuple[Size, ...]) -> tuple[int, ...]:
    if not sizes:
        raise BadInput(f"{name}: input {key} is a single number; it must have a batch axis")
    if dynamic := [axis for axis, n in enumerate(sizes) if axis > 0 and not isinstance(n, int)]:
        raise Unsupported(f"{name}: input {key} leaves axes {dynamic} open; export it with fixed sizes, only "
                          f"the batch may be dynamic")
    return (1, *sizes[1:])


def _sketched(program: Program, shapes: Mapping[str, tuple[int, ...]], name: str) -> Steps:
    """Each node with the shape and dtype of what it gives; nothing is computed."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        held = {key: mode.from_tensor(tensor) for key, (_, tensor) in program.held.items()}
        fed = {key: torch.empty(shapes[key], dtype=dtype) for key, (_, dtype) in program.inputs.items()}
        steps = evaluated(program.graph, {**held, **fed})
        while True:
            try:
                node, value = next(steps)
            except StopIteration:
                return
            except Exception as error:
                line = (str(error).strip().splitlines() or [""])[0]
                raise BadInput(f"{name}: the program does not take one sample: {type(error).__name__}: "
                               f"{line}. Export it with a batch of 1, or a dynamic one") from error
            _require_reasonable(name, node, value)
            yield node, value


def _require_reasonable(name: str, node: torch.fx.Node, value: object) -> None:
    large = isinstance(value, torch.Tensor) and math.prod(value.shape) > LARGEST
    if large or (isinstance(value, int) and abs(value) >= 1 << 63):
        size = tuple(value.shape) if large else value
        raise BadInput(f"{name}: {node.name} ({node.target}) is {size}, too large to be meant")


def program_oracle(program: Program, graph: Graph) -> Oracle:
    """PyTorch itself, call by call; of the inner tensors it knows each by its name."""
    names = TensorNames(program.graph, None)

    def run(feeds: Arrays, keep) -> Arrays:
        fed = {key: tensor_of(feeds[name], dtype)
               for name, (key, (_, dtype)) in zip(graph.inputs, program.inputs.items())}
        held = {key: tensor for key, (_, tensor) in program.held.items()}
        seen, wanted, outputs = {}, set(keep), {}
        with torch.no_grad():
            for node, value in evaluated(program.graph, {**held, **fed}):
                if isinstance(value, torch.Tensor):
                    outputs[node] = value
                    if node.target is not operator.getitem and node in names and names[node] in wanted:
                        seen.setdefault(names[node], value.clone().numpy())
        given = [outputs[node].numpy() for _, node in program.results]
        return {**seen, **dict(zip(graph.outputs, given))}

    return run


def tensor_of(value: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    """A feed as the program takes it: bytes are fed as whole numbers, or as the floats that they become."""
    tensor = torch.tensor(np.ascontiguousarray(value))
    return tensor if tensor.dtype == torch.float32 else tensor.to(dtype)
