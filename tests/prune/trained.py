"""A few steps of training with additions, in the order that a run calls their hooks; seeded."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from toolchain.ir.graph import Graph
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule


def trained(graph: Graph, x: np.ndarray, y: np.ndarray, additions: Sequence[Addition], steps: int,
            learning_rate: float = 1e-2, unit: float = 1.0) -> Graph:
    """The graph after steps of Adam on unit * the squared error of its output, on all samples at once."""
    module = GraphModule(graph).train()
    extra = [p for addition in additions for p in addition.begin(module, steps)]
    optimizer = torch.optim.Adam([*module.parameters(), *extra], learning_rate)
    for step in range(steps):
        for addition in additions:
            addition.before_batch(module, step)
        loss = unit * mean_square(module, {graph.inputs[0]: x}, y)
        penalties = [addition.penalty(module) for addition in additions]
        optimizer.zero_grad()
        (loss + sum(p for p in penalties if p is not None)).backward()
        for addition in additions:
            addition.after_backward(module)
        optimizer.step()
        for addition in additions:
            addition.after_step(module, step)
    for addition in additions:
        addition.end(module)
    return module.to_graph()


def mean_square(module: GraphModule, feeds: Mapping[str, np.ndarray], y: np.ndarray) -> torch.Tensor:
    output = module({name: torch.from_numpy(x) for name, x in feeds.items()})[module.graph.outputs[0]]
    return (output - torch.from_numpy(y)).square().mean()
