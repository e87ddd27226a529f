"""A network of the zoo through Torch-Pruning, used as documented. A child of benchmark_pruning_zoo.py.

zoo_torch_pruning.py [--folded] FILE.py:FUNCTION RATIO SEED LAYER...        in .venv-torch-pruning

LAYER: modules whose outputs must stay, such as the classifier ("ignored_layers").
--folded: parametrizations (weight norm) become plain weights first.
Prints one JSON object: "versions"; "stage", what failed ("prune", "run", "compare"), or "done"; "error", its
type and first line; "shapes" of the outputs and "parameters" before and after; "off_by", the largest
difference from the unpruned network whose layers read the removed channels as zeros, as a share of the
output's range.
"""

import copy
from importlib.metadata import version
import json
import sys

from footprint import network
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations
import torch_pruning as tp

WEIGHTED = nn.Linear | nn.modules.conv._ConvNd
TRANSPOSED = nn.modules.conv._ConvTransposeNd


def main(spec: str, ratio: str, seed: str, *layers: str, folded: bool = False) -> None:
    whole, (example,) = network(spec)
    whole.eval().requires_grad_(True)
    if folded:
        fold(whole)
    how = float(ratio), int(seed), layers
    told = {"versions": {name: version(name) for name in ("torch-pruning", "torch")}, "stage": "prune"}
    try:
        pruned = prune(copy.deepcopy(whole), example, *how)
        told["stage"] = "run"
        models = whole, pruned
        told["shapes"] = [[list(value.shape) for value in outputs(model, example)] for model in models]
        told["parameters"] = [sum(p.numel() for p in model.parameters()) for model in models]
        told["stage"] = "compare"
        numbered = prune(columns_numbered(whole), example, *how)
        told["off_by"] = off_by(outputs(pruned, example), outputs(masked(whole, numbered), example))
        told["stage"] = "done"
    except Exception as error:  # whatever it is, it is the result
        told["error"] = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
    print(json.dumps(told))


def fold(model: nn.Module) -> None:
    for layer in model.modules():
        if is_parametrized(layer, "weight"):
            remove_parametrizations(layer, "weight")


def prune(model: nn.Module, example: torch.Tensor, ratio: float, seed: int,
          layers: tuple[str, ...]) -> nn.Module:
    """Random importance, the same ratio in every layer; the seed decides alone."""
    pruner = tp.pruner.BasePruner(model, example, importance=tp.importance.RandomImportance(),
                                  pruning_ratio=ratio, ignored_layers=[*map(model.get_submodule, layers)])
    torch.manual_seed(seed)
    pruner.step()
    return model


def outputs(model: nn.Module, example: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        found = model.eval()(example)
    return tuple(found) if isinstance(found, tuple | list) else (found,)


# What should come out ---------------------------------------------------------------------------------------

def columns(model: nn.Module):
    """(layer, axis of its weight that runs over its inputs, of one group) of all that have weights."""
    for layer in model.modules():
        if isinstance(layer, WEIGHTED) and not is_parametrized(layer):
            yield layer, 0 if isinstance(layer, TRANSPOSED) else 1


def columns_numbered(model: nn.Module) -> nn.Module:
    """A copy whose weights say which input they read: pruned alike, it tells which are left."""
    model = copy.deepcopy(model)
    for layer, axis in columns(model):
        shape = [1] * layer.weight.dim()
        shape[axis] = -1
        number = torch.arange(layer.weight.shape[axis], dtype=torch.float32).reshape(shape)
        layer.weight.data = number.expand_as(layer.weight).clone()
    return model


def masked(model: nn.Module, numbered: nn.Module) -> nn.Module:
    """A copy that reads zeros where `numbered` has lost inputs."""
    model = copy.deepcopy(model)
    for (layer, axis), (left, _) in zip(columns(model), columns(numbered), strict=True):
        gone = torch.ones(layer.weight.shape[axis], dtype=torch.bool)
        gone[left.weight.data.unique().long()] = False
        layer.weight.data.index_fill_(axis, gone.nonzero().flatten(), 0.0)
    return model


def off_by(found: tuple[torch.Tensor, ...], exact: tuple[torch.Tensor, ...]) -> float:
    """Raises RuntimeError where shapes differ."""
    return max(float((a - b).abs().max() / ((b.max() - b.min()) or 1.0)) for a, b in zip(found, exact))


if __name__ == "__main__":
    flags = [argument for argument in sys.argv[1:] if argument == "--folded"]
    main(*sys.argv[1 + len(flags):], folded=bool(flags))
