"""How good a network is on selection samples while it is trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.metric import METRIC, Embed, score
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.distill import BATCH, Teacher, tensors


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores by `metric` what the outputs of those names are for the samples, against what is expected.

    embed: for a distance between sets
    """

    metric: str
    outputs: tuple[str, ...]
    samples: Samples
    expected: np.ndarray
    embed: Embed | None = None

    @classmethod
    def of(cls, metric: str, outputs: Sequence[str], samples: Samples, teacher: Teacher | None,
           embed: Embed | None = None) -> "Judge":
        """outputs: of the network, of which the metric takes as many as it looks at.

        Against labels where the metric takes them; else against the teacher: its winner, or its numbers.

        Raises BadSamples where there is neither.
        """
        if samples.y is not None and metric != "agreement":
            return cls(metric, tuple(outputs[:METRIC[metric].outputs]), samples, samples.y, embed)
        if teacher is None:
            raise BadSamples(f"{samples.name}: neither labels nor a teacher to score by {metric}; give "
                             f"labelled selection samples")
        name = "agreement" if metric == "top1" else metric
        parts = [teacher.outputs(tensors(feeds))[0].numpy() for feeds in samples.batches(BATCH)]
        return cls(name, tuple(outputs[:METRIC[name].outputs]), samples, np.concatenate(parts), embed)

    @torch.no_grad()
    def score(self, module: GraphModule) -> float:
        """Of the module as it is, in eval mode meanwhile. Raises BadSamples where labels do not fit."""
        module.eval()
        shown = [module(tensors(feeds)) for feeds in self.samples.batches(BATCH)]
        module.train()
        outputs = [np.concatenate([values[name].numpy() for values in shown]) for name in self.outputs]
        if METRIC[self.metric].expected == "labels":
            return score(self.metric, outputs, self.expected).value
        expected = self.expected.reshape(len(self.expected), *outputs[0].shape[1:])
        return score(self.metric, outputs, expected, self.embed).value

    def is_better(self, value: float, best: float | None) -> bool:
        """Whether `value` beats the best so far; NaN never does."""
        if best is None:
            return not np.isnan(value)
        return value < best if METRIC[self.metric].smaller_is_better else value > best
