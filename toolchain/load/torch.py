"""The PyTorch door: torch.export's ATen graph, call by call, named after its modules (decision 0001)."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
import warnings

import numpy as np
import torch
from torch.utils import _pytree as pytree

from toolchain.errors import BadInput, BadModel, Unsupported
from toolchain.ir.graph import Graph, Source
from toolchain.load.python_file import call_function
from toolchain.load.selfcheck import Arrays, Oracle
from toolchain.load.torch_graph import graph_of
from toolchain.load.torch_program import program_of


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
    return graph_of(program_of(program), name, module, Source("torch", notes=notes))


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
