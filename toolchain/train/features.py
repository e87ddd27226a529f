"""What a teacher's activations say: a student's own are drawn near them, pair by pair of tensors.

Tensors are channels last, (n, places ..., channels), as everything in a Graph is.
FitNets: Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", equation 3. Attention: Zagoruyko & Komodakis
2017, "Paying More Attention to Attention", section 3.1, of the maps F_sum with p = 2.
"""

from collections.abc import Iterable, Mapping, Sequence
import difflib

import torch
from torch import nn
from torch.nn import functional

from toolchain.errors import BadInput
from toolchain.ir.graph import Graph, Tensor
from toolchain.ir.loops import repeats
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.distill import relative_loss
from toolchain.training_sections import TrainConfig

POOL = {1: functional.adaptive_avg_pool1d, 2: functional.adaptive_avg_pool2d,
        3: functional.adaptive_avg_pool3d}
"""Axes of places -> what averages a map (n, 1, places ...) down to a size."""
RIDGE = 1e-3
"""What keeps a regression on channels that say the same, or nothing, small."""
PLACES = 1 << 14
"""That a regression looks at, about."""


def attention(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Where activations (n, places ..., channels) are large, (n, places): the mean over channels of a^2,
    averaged down to `size` places along each axis, of length 1 for each sample."""
    energy = x.square().mean(-1)
    if energy.shape[1:] != tuple(size):
        energy = POOL[len(size)](energy[:, None], tuple(size))
    return functional.normalize(energy.flatten(1), dim=1)


def attention_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """|map of the student - map of the teacher|^2, mean over the batch, 0 to 2; where one has fewer places
    along an axis, the other's map is averaged down to it."""
    size = [min(sizes) for sizes in zip(student.shape[1:-1], teacher.shape[1:-1])]
    return (attention(student, size) - attention(teacher, size)).square().sum(1).mean()


class Transfer(Addition):
    """Draws the activations of `config.features` near the teacher's.

    student: before or after pruning; teacher: float, of any architecture
    Adapters, from a student's channels to more or fewer of the teacher's, are trained with the weights, and
    gone with this object. Raises BadInput where a tensor is not there, or the shapes of a pair do not go
    together.
    """

    def __init__(self, config: TrainConfig, student: Graph, teacher: Graph):
        self.config, self.pairs, self.channels = config, config.feature_pairs, []
        for name, its in self.pairs:
            own, others = _activation(student, name, "student"), _activation(teacher, its, "teacher")
            _require_match(own, others, config.transfer)
            self.channels.append((own.shape[-1], others.shape[-1]))

    def begin(self, module: GraphModule, steps: int) -> Iterable[nn.Parameter]:
        """Adapters where channels differ; attention has none."""
        adapted, self.adjusted = self.config.transfer == "fitnets", False
        self.adapters = [nn.Linear(own, others) if adapted and own != others else None
                         for own, others in self.channels]
        return [parameter for adapter in self.adapters if adapter for parameter in adapter.parameters()]

    def loss(self, values: Mapping[str, torch.Tensor], taught: Sequence[torch.Tensor]) -> torch.Tensor:
        """beta times the mean over the pairs. values: student's tensor -> (n, ...); taught: the teacher's, in
        the order of the pairs. The first batch of a run adjusts the adapters to the student as it comes."""
        triples = [(adapter, values[name], target)
                   for adapter, (name, _), target in zip(self.adapters, self.pairs, taught, strict=True)]
        if not self.adjusted:
            for adapter, own, target in triples:
                if adapter:
                    adjust(adapter, own, target)
            self.adjusted = True
        return self.config.beta * torch.stack([self._one(*triple) for triple in triples]).mean()

    def _one(self, adapter: nn.Linear | None, own: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self.config.transfer == "attention":
            return attention_loss(own, target)
        return relative_loss(adapter(own) if adapter else own, target)

    def state(self) -> Mapping[str, torch.Tensor]:
        return {"adjusted": torch.tensor(self.adjusted)}

    def resume(self, state: Mapping[str, torch.Tensor]) -> None:
        self.adjusted = bool(state["adjusted"])


@torch.no_grad()
def adjust(adapter: nn.Linear, own: torch.Tensor, target: torch.Tensor) -> None:
    """Set it to the ridge regression of (n, ..., others) on (n, ..., own): weights that are trained already
    would follow random numbers first."""
    step = max(1, own[..., 0].numel() // PLACES)
    x, y = (z.reshape(-1, z.shape[-1])[::step].double() for z in (own, target))
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    moments = x.T @ x
    ridge = RIDGE * moments.diagonal().mean() * torch.eye(len(moments), dtype=x.dtype)
    solved = torch.linalg.solve(moments + ridge, x.T @ y)
    adapter.weight.copy_(solved[:-1].T)
    adapter.bias.copy_(solved[-1])


def _activation(graph: Graph, name: str, whose: str) -> Tensor:
    """What an op of the graph gives under that name. Raises BadInput."""
    repeated = repeats(graph)
    if name in repeated:
        raise BadInput(f"{graph.name}: [train] features names '{name}', which a loop repeats "
                       f"{repeated[name]} times; name what leaves it, such as all steps of its sequence")
    there = [other for other in graph.producers if graph.tensors[other].dtype == "float32"]
    if name in there:
        return graph.tensors[name]
    near = difflib.get_close_matches(name, there, 3, 0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(there[:8])} ..."
    raise BadInput(f"{graph.name}: [train] features names '{name}', which is no activation of the {whose}; "
                   f"{hint}")


def _require_match(own: Tensor, others: Tensor, transfer: str) -> None:
    """Raise BadInput where one cannot be held against the other."""
    told = (f"[train] features: {own.name} {own.shape} of the student, {others.name} {others.shape} of the "
            f'teacher: transfer = "{transfer}" compares')
    places = own.shape[1:-1], others.shape[1:-1]
    if transfer == "attention":
        if len(places[0]) != len(places[1]) or len(places[0]) not in POOL:
            raise BadInput(f"{told} where activations are large, along 1 to {max(POOL)} axes between batch "
                           f'and channels, as many in both; name other tensors, or take "fitnets"')
    elif places[0] != places[1] or len(own.shape) < 2:
        raise BadInput(f"{told} place by place; name tensors of the same size, or take "
                       f'"attention", which brings maps to one size')
