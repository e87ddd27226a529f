"""What moves the weights: an optimiser, its rate at each step, and an average of where they have been."""

from collections.abc import Mapping, Sequence
import math

import torch

from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS
from toolchain.runtime.torch_module import TRAINED_OPERANDS, GraphModule
from toolchain.training_sections import TrainConfig

SETTLING = 10
"""An average of t steps has a decay of at most (1 + t) / (SETTLING + t): the first weights soon fade."""


def optimizer_of(module: GraphModule, extra: Sequence[torch.nn.Parameter],
                 config: TrainConfig) -> torch.optim.Optimizer:
    """Over the module's parameters, of which weights decay, and over those of additions, which do not.

    Raises BadInput where there is nothing to train.
    """
    names, parameters = weights_of(module.graph), dict(module.named_parameters())
    keys = {module.keys[name] for name in names}
    decayed = [p for key, p in parameters.items() if key in keys and p.requires_grad]
    others = [*(p for key, p in parameters.items() if key not in keys and p.requires_grad), *extra]
    if not decayed and not others:
        raise BadInput(f"{module.graph.name}: has no weights to train; leave out [{config.heading}]")
    groups = [{"params": part, "weight_decay": decay}
              for part, decay in ((decayed, config.weight_decay), (others, 0.0)) if part]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, config.learning_rate, config.momentum, nesterov=config.momentum > 0,
                               fused=True)
    return torch.optim.AdamW(groups, config.learning_rate, fused=True)


def weights_of(graph: Graph) -> set[str]:
    """Constants that some op multiplies its input with: no biases, no parameters of norms."""
    roles = ((op.kind, role, name) for op in graph.ops for role, name in zip(OPS[op.kind].inputs, op.inputs))
    return {name for kind, role, name in roles if graph.tensors[name].is_constant
            and (role == "weight" or (kind, role) in TRAINED_OPERANDS)}


def rate(config: TrainConfig, step: int, steps: int) -> float:
    """The learning rate of a step, from 0: along a line up, then along half a cosine down towards 0.

    Loshchilov & Hutter 2017, "SGDR", equation 5, one period.
    """
    rising = round(config.warm_up * steps)
    if step < rising:
        return config.learning_rate * (step + 1) / (rising + 1)
    done = (step - rising) / max(1, steps - rising)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2


class Average:
    """Exponential moving average of what training changes: parameters, and batch norms' running statistics.

    Polyak & Juditsky 1992. decay: of a long run; early on it is less (SETTLING)
    """

    def __init__(self, module: GraphModule, decay: float):
        self.decay, self.steps = decay, 0
        statistics = {module.constant(name) for op in module.graph.ops if op.kind == "batch_norm"
                      for name in op.inputs[3:]}
        self._values = [*module.parameters(), *(x for x in module.buffers() if x in statistics)]
        self.shadows = [x.detach().clone() for x in self._values]

    @torch.no_grad()
    def update(self) -> None:
        """The weights have moved."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (SETTLING + self.steps))
        torch._foreach_lerp_(self.shadows, [x.detach() for x in self._values], 1 - decay)

    @torch.no_grad()
    def place(self) -> None:
        """The module computes with the average from now on."""
        for value, shadow in zip(self._values, self.shadows):
            value.copy_(shadow)

    def state(self) -> dict[str, object]:
        """For a checkpoint."""
        return {"steps": self.steps, "shadows": self.shadows}

    @torch.no_grad()
    def resume(self, state: Mapping) -> None:
        """As state() gave it."""
        self.steps = state["steps"]
        for shadow, saved in zip(self.shadows, state["shadows"], strict=True):
            shadow.copy_(saved)
