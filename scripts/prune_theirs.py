"""Torch-Pruning's side of benchmark_pruning.py: one network pruned to a share of its MACs by one criterion.
Runs in .venv-torch-pruning (make setup-torch-pruning).

prune_theirs.py NETWORK SAMPLES CRITERION SHARE OUT
    NETWORK   a torch module, saved whole      SAMPLES  .npz: x, y of training samples
    CRITERION a key of CRITERIA                OUT      the smaller module, saved whole

Its use is that of the package's own reproduction of its paper: one global ranking, small steps until the
network is small enough, the layer that makes the logits left alone. Prints JSON: MACs before and after.
"""

from collections.abc import Callable
import json
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional
import torch_pruning as tp

STEPS, ANEW = 400, 8
"""Each removes so small a part of all channels; gradients are pruned with the weights, and made anew after
so many steps."""

Gradients = Callable[[nn.Module, tp.importance.Importance, torch.Tensor, torch.Tensor, int], None]
"""(module, importance, x, y, step): called before each step."""


def no_gradients(module, importance, x, y, step) -> None:
    """Weights say it all."""


def of_batch(module, importance, x, y, step) -> None:
    """The gradient of the mean loss."""
    if step % ANEW == 0:
        module.zero_grad()
        functional.cross_entropy(module(x), y).backward()


def of_each_sample(module, importance, x, y, step) -> None:
    """Squares of each sample's gradient, once."""
    if step > 0:
        return
    for sample, label in zip(x.split(1), y.split(1)):
        module.zero_grad()
        functional.cross_entropy(module(sample), label).backward()
        importance.accumulate_grad(module)


CRITERIA: dict[str, tuple[Callable, Gradients]] = {
    "magnitude": (lambda: tp.importance.GroupMagnitudeImportance(p=2), no_gradients),
    "lamp": (lambda: tp.importance.LAMPImportance(p=2), no_gradients),
    "batch_norm": (tp.importance.BNScaleImportance, no_gradients),
    "taylor": (tp.importance.GroupTaylorImportance, of_batch),
    "hessian": (tp.importance.GroupHessianImportance, of_each_sample),
}


def macs(module: nn.Module, x: torch.Tensor) -> int:
    """Multiply-accumulates of convolutions and linear layers for one sample."""
    found = []

    def count(layer, inputs, output):
        found.append(output[0].numel() * layer.weight[0].numel())

    handles = [layer.register_forward_hook(count) for layer in module.modules()
               if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear)]
    with torch.no_grad():
        module(x)
    for handle in handles:
        handle.remove()
    return sum(found)


def prune(module: nn.Module, criterion: str, share: float, x: torch.Tensor,
          y: torch.Tensor) -> tuple[int, int]:
    """Its MACs before and after."""
    make, gradients = CRITERIA[criterion]
    importance, example = make(), x[:1]
    classes = module(example).shape[1]
    last = [layer for layer in module.modules()
            if isinstance(layer, nn.Linear) and layer.out_features == classes]
    pruner = tp.pruner.BasePruner(module, example, importance, global_pruning=True, pruning_ratio=1.0,
                                  iterative_steps=STEPS, ignored_layers=last)
    whole = left = macs(module, example)
    while left > share * whole and pruner.current_step < STEPS:
        gradients(module, importance, x, y, pruner.current_step)
        pruner.step()
        left = macs(module, example)
    if left > share * whole:
        raise SystemExit(f"{criterion}: {left} MACs of {whole} are left after {STEPS} steps")
    return whole, left


def main(network: str, samples: str, criterion: str, share: str, out: str) -> None:
    torch.set_num_threads(1)
    module = torch.load(network, weights_only=False).eval()
    with np.load(samples) as found:
        x, y = (torch.from_numpy(found[key]) for key in "xy")
    whole, left = prune(module, criterion, float(share), x, y)
    module.zero_grad()
    torch.save(module, out)
    print(json.dumps({"whole": whole, "left": left}))


if __name__ == "__main__":
    main(*sys.argv[1:])
