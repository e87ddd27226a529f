"""One set of weights in several widths, trained together.

Every step computes all widths (the sandwich rule); the widest learns from labels and teacher, the others from
what the widest says (in-place distillation; Yu & Huang 2019, "Universally Slimmable Networks"). Batch norms
and biases are each width's own (Yu et al. 2019, "Slimmable Neural Networks"); where a weight has no batch
norm behind it, each width has a factor per output channel instead, which is what a folded batch norm leaves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
import hashlib

import numpy as np
import torch
from torch import nn

from toolchain.data import Samples
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph
from toolchain.ir.unrolling import unrolled
from toolchain.prune.nested import Narrow
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule, steps_of, trained_constants
from toolchain.train.answers import Answer, answers_of
from toolchain.train.fit import fit, reestimate_batch_norm
from toolchain.train.loop import Progress
from toolchain.training_sections import TrainConfig

SETTLED = 512
"""Samples at most by which statistics are settled."""
LEAST = 1e-3
"""Of what scales a channel, as a share of the mean of all: it never vanishes nor turns its sign, so that all
widths can have the same codes."""


def fit_widths(graph: Graph, config: TrainConfig, samples: Samples, teacher: Graph | None, seed: int,
               metric: str, progress: Progress | None, *, others: Sequence[Narrow],
               additions: Sequence[Addition] = (), **asked) -> tuple[Graph, ...]:
    """As `fit`, of the network and its others: the trained graphs, the widest first, which alone is judged.

    Running statistics of the others' batch norms are those of the samples as they are, once weights stay
    (Yu & Huang 2019, section 3.3).
    """
    made: list[WidthsModule] = []

    def module_of(student: Graph) -> WidthsModule:
        made.append(WidthsModule(student, others))
        return made[-1]

    sandwich = Sandwich(answers_of(graph, graph, metric), config.temperature)
    widest = fit(graph, config, samples, teacher, seed, metric, progress, additions=[*additions, sandwich],
                 module_of=module_of, **asked)
    narrow = (replace(each, outputs=graph.outputs) for each in made[-1].narrow_graphs())
    return (widest, *(reestimate_batch_norm(each, samples.take(SETTLED), seed) for each in narrow))


class WidthsModule(GraphModule):
    """Computes the widest network; in train mode the others too, which `narrow` then holds.

    said, narrow: the last answers, and those of each of the others, as forward gives them
    """

    def __init__(self, graph: Graph, others: Sequence[Narrow]):
        super().__init__(graph)
        self.others = [replace(each, graph=replace(each.graph, outputs=graph.outputs)) for each in others]
        self.flats = [unrolled(each.graph).graph for each in self.others]
        self.shared = weights_of(graph)
        self.own: list[dict[str, str]] = []
        self.at: int | None = None
        self.said: dict[str, torch.Tensor] = {}
        self.narrow: list[dict[str, torch.Tensor]] = []
        for number, each in enumerate(self.others):
            self.own.append(dict(self._own(number, each.graph)))

    def _own(self, number: int, graph: Graph) -> Iterator[tuple[str, str]]:
        """Constants of a width alone -> their keys; and factors of weights, by the weights' names."""
        trained, scaled = trained_constants(graph), self.shared
        for index, tensor in enumerate(graph.constants):
            key = f"width{number}_{index}"
            if tensor.name not in self.shared:
                value = torch.tensor(np.asarray(tensor.data))
                if tensor.name in trained:
                    self.register_parameter(key, nn.Parameter(value))
                else:
                    self.register_buffer(key, value)
                yield tensor.name, key
            elif (axis := scaled[tensor.name]) is not None:
                self.register_parameter(key, nn.Parameter(torch.ones(tensor.shape[axis])))
                yield tensor.name, key

    def constant(self, name: str) -> torch.Tensor:
        """Of the width that is computed."""
        if self.at is None:
            return super().constant(name)
        own = self.own[self.at].get(name)
        if name not in self.shared:
            return getattr(self, own)
        value, axis = super().constant(name), self.shared[name]
        for dimension in range(value.ndim):
            stays = self.others[self.at].kept.get((name, dimension))
            if stays is not None:
                value = value.index_select(dimension, torch.from_numpy(np.flatnonzero(stays)))
        if axis is None:
            return value
        return value * getattr(self, own).reshape([-1 if d == axis else 1 for d in range(value.ndim)])

    def forward(self, *inputs) -> dict[str, torch.Tensor]:
        """As GraphModule's, of the widest."""
        self.said = super().forward(*inputs)
        if self.training:
            self.narrow = [self._at(number, inputs) for number in range(len(self.others))]
        return self.said

    def _at(self, number: int, inputs: tuple) -> dict[str, torch.Tensor]:
        named = isinstance(inputs[0], Mapping)
        values = dict(inputs[0]) if named else dict(zip(self.graph.inputs, inputs, strict=True))
        self.at = number
        try:
            for op, last in steps_of(self.flats[number]):
                self.compute(values, (op,))
                for name in last:
                    del values[name]
        finally:
            self.at = None
        return {name: values[name] for name in self.graph.outputs}

    def key(self) -> str:
        """Of what each width keeps."""
        kept = (part for each in self.others for (name, axis), stays in sorted(each.kept.items())
                for part in (name.encode(), bytes([axis]), np.packbits(stays).tobytes()))
        return hashlib.sha256(b"|".join(kept)).hexdigest()

    @torch.no_grad()
    def narrow_graphs(self) -> list[Graph]:
        """Of the others, with the constants as they are now."""
        found = []
        for number, each in enumerate(self.others):
            self.at = number
            values = [(tensor, self.constant(tensor.name).numpy().copy()) for tensor in each.graph.constants]
            self.at = None
            found.append(each.graph.with_tensors(*(replace(tensor, data=value) for tensor, value in values)))
        return found

    def scales(self) -> Iterator[tuple[nn.Parameter, torch.Tensor]]:
        """What multiplies channels, of batch norms in each width and factors; what has the sign it keeps."""
        gammas = {op.inputs[1] for op in self.graph.ops if op.kind == "batch_norm"}
        for name in gammas & trained_constants(self.graph):
            whole = GraphModule.constant(self, name)
            yield whole, whole
            for own, each in zip(self.own, self.others, strict=True):
                stays = each.kept.get((name, 0), np.ones(len(whole), bool))
                yield getattr(self, own[name]), whole[torch.from_numpy(stays)]
        for own in self.own:
            for name in own.keys() & self.shared.keys():
                yield getattr(self, own[name]), getattr(self, own[name])


def weights_of(graph: Graph) -> dict[str, int | None]:
    """Weights of which all widths have the same -> their output axis where a width scales them by factors;
    None where a batch norm does."""
    found: dict[str, int | None] = {}
    for op in graph.ops:
        if op.kind in WEIGHTED and graph.tensors[op.inputs[1]].is_constant:
            normed = any(after.kind == "batch_norm" for after in graph.consumers.get(op.name, ()))
            found[op.inputs[1]] = None if normed else WEIGHTED[op.kind]
    return found


class Sandwich(Addition):
    """What the others lose to the widest, summed; and signs that stay."""

    def __init__(self, answers: Sequence[Answer], temperature: float):
        self.answers, self.temperature = answers, temperature
        self.scales: list[tuple[nn.Parameter, torch.Tensor]] = []

    def key(self) -> str:
        return f"sandwich at {self.temperature:g}"

    def begin(self, module: WidthsModule, steps: int) -> tuple[()]:
        self.scales = [(scale, torch.where(like.detach() < 0, -1.0, 1.0)) for scale, like in module.scales()]
        return ()

    def penalty(self, module: WidthsModule) -> torch.Tensor:
        """By what the widest said of the same batch."""
        return sum(answer.loss(said[answer.student], module.said[answer.student].detach(), self.temperature)
                   for said in module.narrow for answer in self.answers)

    @torch.no_grad()
    def after_step(self, module: WidthsModule, step: int) -> None:
        for scale, sign in self.scales:
            scale.copy_(sign * (sign * scale).clamp(min=LEAST * float(scale.abs().mean())))
