"""A program that torch.export made, as the walk over it needs it: calls, held tensors, results."""

from collections.abc import Mapping
from dataclasses import dataclass
import json

import torch
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument
from torch.utils import _pytree as pytree


@dataclass(frozen=True, eq=False)
class Program:
    """graph:   placeholders, ATen calls with the shape they give in meta["val"], one output node
    held:    placeholder -> (path in the module, its tensor): parameters, buffers, constants
    inputs:  placeholders that the user feeds
    results: (name that the module's own containers give, or ""; what gives it), in order
    notes:   what was bound to make the program of one sample
    """

    graph: torch.fx.Graph
    held: Mapping[str, tuple[str, torch.Tensor]]
    inputs: tuple[str, ...]
    results: tuple[tuple[str, torch.fx.Node], ...]
    notes: tuple[str, ...] = ()


def program_of(exported: torch.export.ExportedProgram) -> Program:
    """The program before functionalization and decomposition, or after it, as it is."""
    tensors = {**exported.state_dict, **exported.constants}
    specs = exported.graph_signature.input_specs
    held = {spec.arg.name: (spec.target, tensors[spec.target].detach()) for spec in specs
            if spec.kind != InputKind.USER_INPUT and isinstance(tensors.get(spec.target), torch.Tensor)}
    inputs = tuple(spec.arg.name for spec in specs
                   if spec.kind == InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument))
    wanted = [node for node, spec in zip(exported.graph.output_node().args[0],
                                         exported.graph_signature.output_specs)
              if spec.kind == OutputKind.USER_OUTPUT]
    names = _leaf_names(exported.call_spec.out_spec, len(wanted))
    results = tuple((name, node) for name, node in zip(names, wanted) if isinstance(node, torch.fx.Node))
    return Program(exported.graph, held, inputs, results)


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
