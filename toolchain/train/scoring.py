"""How good a network is on selection samples while it is trained."""

from dataclasses import dataclass

import numpy as np
import torch

from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.metric import METRIC, score
from toolchain.runtime.torch_module import GraphModule
from toolchain.train.distill import BATCH, Teacher, tensors

SMALLER_IS_BETTER = frozenset({"mse"})
"""Keys of METRIC; of the others more is better."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores by `metric` what the output of that name is for the samples, against what is expected."""

    metric: str
    output: str
    samples: Samples
    expected: np.ndarray

    @classmethod
    def of(cls, metric: str, output: str, samples: Samples, teacher: Teacher | None) -> "Judge":
        """Against labels where the metric takes them; else against the teacher: its winner, or its numbers.

        Raises BadSamples where there is neither.
        """
        labels = metric == "top1" or (metric == "mse" and samples.y is not None)
        if labels and samples.y is not None:
            return cls(metric, output, samples, samples.y)
        if teacher is None:
            raise BadSamples(f"{samples.name}: neither labels nor a teacher to score by {metric}; give "
                             f"labelled selection samples")
        name = "agreement" if metric == "top1" else metric
        parts = [teacher.outputs(tensors(feeds))[0].numpy() for feeds in samples.batches(BATCH)]
        return cls(name, output, samples, np.concatenate(parts))

    @torch.no_grad()
    def score(self, module: GraphModule) -> float:
        """Of the module as it is, in eval mode meanwhile. Raises BadSamples where labels do not fit."""
        module.eval()
        parts = [module(tensors(feeds))[self.output].numpy() for feeds in self.samples.batches(BATCH)]
        module.train()
        outputs = np.concatenate(parts)
        if METRIC[self.metric].expected == "outputs":
            return score(self.metric, outputs, self.expected.reshape(outputs.shape)).value
        return score(self.metric, outputs, self.expected).value

    def is_better(self, value: float, best: float | None) -> bool:
        """Whether `value` beats the best so far; NaN never does."""
        if best is None:
            return not np.isnan(value)
        return value < best if self.metric in SMALLER_IS_BETTER else value > best
