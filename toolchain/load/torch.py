"""The PyTorch door: torch.export's ATen graph, call by call, named after its modules (decision 0001)."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
import warnings

import numpy as np
import torch
from torch.utils import _pytree as pytree

from toolchain.errors import BadInput, BadModel, Unsupported
from toolchain.ir.graph import Graph, Source
from toolchain.load.selfcheck import Arrays, Oracle
from toolchain.load.torch_graph import graph_of
from toolchain.load.torch_program import (
    Program,
    of_one_sample,
    program_of,
    program_oracle,
    tensor_of,
)
from toolchain.load.torch_weights import fill
from toolchain.python_file import call_function

FED = frozenset({torch.float32, torch.int32, torch.int64, torch.uint8, torch.bool})
"""dtypes of inputs."""


Example = tuple | dict
"""Positional or keyword arguments of a module, nested as it takes them; what is fed are the tensors in it."""


def load_function(spec: str, checkpoint: Path | None = None) -> tuple[Graph, Oracle]:
    """The model of "file.py:function", with the weights of a checkpoint if there is one, and its source
    runtime. Raises as load_module, load_torch and torch_weights.fill do."""
    module, example = load_module(spec)
    if isinstance(module, torch.export.ExportedProgram):
        if checkpoint:
            raise BadInput(f"{spec}: gives an ExportedProgram, which has its weights; leave {checkpoint} out")
        return load_program(program_of(module), spec)
    notes = fill(module, checkpoint) if checkpoint else ()
    graph = load_torch(module, example, spec, notes)
    return graph, module_oracle(module, graph, example)


def load_module(spec: str) -> tuple[torch.nn.Module | torch.export.ExportedProgram, Example]:
    """Call `function` of "file.py:function", which gives (module, example) or an ExportedProgram.

    example: a tensor, a tuple of positional arguments, or a dict of keyword arguments
    Runs the user's own file. Raises BadInput for anything else than that.
    """
    built = call_function(spec)
    module, example = built if isinstance(built, tuple) and len(built) == 2 else (built, None)
    if isinstance(module, torch.export.ExportedProgram):
        return module, ()
    if module is built or not isinstance(module, torch.nn.Module):
        raise BadInput(f"{spec}: the function gave {type(built).__name__}; it must return (module, example), "
                       f"a torch.nn.Module and its example input, or an ExportedProgram")
    if isinstance(example, dict):
        return module, example
    return module, tuple(example) if isinstance(example, list | tuple) else (example,)


def load_torch(module: torch.nn.Module, example: Example, name: str, notes: tuple[str, ...] = ()) -> Graph:
    """Take `module` as it computes in eval mode on `example`; its modes are put back.

    example: its tensors have the batch first; one other than 1 is bound to 1, which a note says
    Raises BadInput where the example does not go through, BadModel for a parameter with NaN or Inf,
    Unsupported listing every call that has no row.
    """
    example, bound = _one_sample(example, name)
    _check_tensors((*module.named_parameters(), *module.named_buffers()), name)
    with evaluating(module):
        _try(module, example, name)
        program = _export(module, example, name)
    return graph_of(program_of(program), name, module, Source("torch", notes=(*notes, *bound)))


def load_program(program: Program, name: str) -> tuple[Graph, Oracle]:
    """Take an exported program as it is, with a batch of 1, and PyTorch as its source runtime."""
    _check_tensors(program.held.values(), name)
    bound = of_one_sample(program, name)
    graph = graph_of(bound, name, None, Source("torch"))
    return graph, program_oracle(bound, graph)


def module_oracle(module: torch.nn.Module, graph: Graph, example: Example | None = None) -> Oracle:
    """The module as a source runtime; of the inner tensors it knows those called after a submodule.

    example: as load_torch got it, where it is more than a tuple of tensors of the graph's dtypes
    """
    plain = tuple(torch.zeros(1, dtype=getattr(torch, graph.tensors[name].dtype)) for name in graph.inputs)
    leaves, tree = pytree.tree_flatten(_arguments(example or plain))

    def run(feeds: Arrays, keep: Collection[str]) -> Arrays:
        seen: dict[str, np.ndarray] = {}
        given = iter(feeds[name] for name in graph.inputs)
        args, kwargs = pytree.tree_unflatten([_fed(leaf, given) for leaf in leaves], tree)
        kept = {path: layer for path, layer in module.named_modules() if path in keep}
        hooks = [layer.register_forward_hook(_keeper(seen, path)) for path, layer in kept.items()]
        try:
            with evaluating(module):
                result = module(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
        outputs = [leaf.numpy() for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        return {**seen, **dict(zip(graph.outputs, outputs))}

    return run


def _arguments(example: Example) -> tuple[tuple, dict]:
    """(positional, keyword) arguments."""
    return ((), example) if isinstance(example, dict) else (example, {})


def _fed(leaf, given: Iterator[np.ndarray]):
    """The next feed in place of a tensor, without tying their memory; what is no tensor stays."""
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return tensor_of(next(given), leaf.dtype)


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


def _one_sample(example: Example, name: str) -> tuple[Example, tuple[str, ...]]:
    """The example's first sample."""
    places, _ = pytree.tree_flatten_with_path(example)
    tensors = {_place(path): leaf for path, leaf in places if not isinstance(leaf, bool | str | None)}
    for place, value in tensors.items():
        if not isinstance(value, torch.Tensor) or _axes(value) < 1 or value.dtype not in FED:
            tensor = isinstance(value, torch.Tensor)
            got = f"{value.dtype} {tuple(value.shape)}" if tensor else type(value).__name__
            raise BadInput(f"{name}: example input {place} is {got}; it must be a float32 tensor with a "
                           f"batch axis, or one of whole numbers, bytes or truth values")
    batches = {len(value) for value in tensors.values()}
    if len(batches) > 1 or 0 in batches:
        raise BadInput(f"{name}: the example inputs have batches of {sorted(batches)}; make them the same")
    notes = () if batches <= {1} else (f"batch bound to 1 (the example has {batches.pop()})",)
    return pytree.tree_map(lambda leaf: leaf[:1] if isinstance(leaf, torch.Tensor) else leaf, example), notes


def _place(path: tuple) -> str:
    """Of an argument: 0, mask, or 0.boxes for one inside it."""
    return ".".join(str(getattr(key, "idx", getattr(key, "key", key))) for key in path)


def _axes(value: torch.Tensor) -> int:
    """How many axes a tensor has, not counting that of its features, which floats must have."""
    return value.ndim - (value.dtype == torch.float32)


def _check_tensors(tensors: Iterable[tuple[str, torch.Tensor]], name: str) -> None:
    for path, value in tensors:
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


def _try(module: torch.nn.Module, example: Example, name: str) -> None:
    args, kwargs = _arguments(example)
    try:
        module(*args, **kwargs)
    except Exception as error:
        leaves = pytree.tree_leaves(example)
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in leaves if isinstance(leaf, torch.Tensor))
        raise BadInput(f"{name}: the module fails on the example {shapes}: {_one_line(error)}") from error


def _export(module: torch.nn.Module, example: Example, name: str) -> torch.export.ExportedProgram:
    """The program before functionalization and decomposition: fewest, highest-level calls."""
    args, kwargs = _arguments(example)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own code
            return torch.export.export(module, args, kwargs)
    except Exception as error:
        raise Unsupported(f"{name}: torch.export cannot trace it: {_one_line(error)}. Take out control flow "
                          f"that depends on values, or go through ONNX") from error
