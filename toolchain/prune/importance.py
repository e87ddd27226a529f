"""How much each channel of a group matters: larger = more important.

A criterion stands in a module by what it looks at: `importance_weight`, `importance_activation`,
`importance_gradient`, `importance_hessian`; `perturbation` measures what all of them estimate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

import numpy as np

from toolchain.errors import BadConfig, BadInput, BadSamples
from toolchain.ir.graph import Graph
from toolchain.prune import importance_weight as weight
from toolchain.prune.evidence import Evidence
from toolchain.prune.groups import Group

Score = Callable[[Graph, Sequence[Group], Evidence | None, int], list[np.ndarray]]
"""(graph, groups, evidence, seed) -> per group (channels,) float64."""
Tells = Literal["channels", "loss", "increase"]
"""What scores are. "channels" = they tell channels of one group apart; "loss" = they are about the loss: they
rank channels of different groups as they are, and may be held against what each channel costs; "increase" =
what the loss grows by without the channel: their sums may besides be held against such of other things."""


@dataclass(frozen=True)
class Criterion:
    """needs: what it looks at; all but "weights" need evidence, "gradients" such that has some
    tells: what its scores are
    """

    score: Score
    needs: Literal["weights", "activations", "gradients", "curvature", "losses"]
    tells: Tells


def _in_torch(module: str, name: str) -> Score:
    """A function of a module that loads torch, imported when it is called."""
    return lambda *given: getattr(import_module(f"toolchain.prune.{module}"), name)(*given)


IMPORTANCE: Mapping[str, Criterion] = {
    "l1": Criterion(weight.l1, "weights", "channels"),
    "l2": Criterion(weight.l2, "weights", "channels"),
    "batch_norm": Criterion(weight.batch_norm, "weights", "channels"),
    "geometric_median": Criterion(weight.geometric_median, "weights", "channels"),
    "lamp": Criterion(weight.lamp, "weights", "channels"),
    "random": Criterion(weight.random, "weights", "channels"),
    "activation": Criterion(_in_torch("importance_activation", "activation"), "activations", "channels"),
    "apoz": Criterion(_in_torch("importance_activation", "apoz"), "activations", "channels"),
    "gradient": Criterion(_in_torch("importance_gradient", "gradient"), "gradients", "loss"),
    "taylor": Criterion(_in_torch("importance_gradient", "taylor"), "gradients", "loss"),
    "fisher": Criterion(_in_torch("importance_gradient", "fisher"), "gradients", "increase"),
    "hessian": Criterion(_in_torch("importance_hessian", "hessian"), "curvature", "increase"),
    "perturbation": Criterion(_in_torch("perturbation", "perturbation"), "losses", "increase"),
}


def importance(graph: Graph, groups: Sequence[Group], measure: str, evidence: Evidence | None = None,
               seed: int = 0) -> list[np.ndarray]:
    """Per group (channels,) float64, to be ranked over all groups; what is comparable only within a group
    comes with mean 1.

    measure: a key of IMPORTANCE; seed: of what is drawn at random
    Raises BadConfig for another measure, BadSamples where it needs samples or gradients and there are none,
    BadInput where a score is not finite.
    """
    if measure not in IMPORTANCE:
        raise BadConfig(f'importance "{measure}" is unknown; there are {", ".join(IMPORTANCE)}')
    criterion = IMPORTANCE[measure]
    if criterion.needs != "weights" and (evidence is None or not len(evidence.samples)):
        raise BadSamples(f'{graph.name}: importance "{measure}" looks at {criterion.needs}, and there are no '
                         f'samples; give them with --data, or take one that looks at weights alone: '
                         f'{_that_need("weights")}')
    if criterion.needs == "gradients" and not evidence.has_gradient:
        raise BadSamples(f'{graph.name}: importance "{measure}" looks at gradients, and those of numbers are '
                         f'0: without labels, or with a metric of sets, they are held against the network '
                         f'itself. Give labelled samples and a metric such as "mse", or '
                         f'take one that looks at something else: {_that_need("curvature", "losses")}, '
                         f'{_that_need("activations", "weights")}')
    scores = criterion.score(graph, groups, evidence, seed) if groups else []
    for group, values in zip(groups, scores):
        if not np.isfinite(values).all():
            raise BadInput(f'{graph.name}: importance "{measure}" of {group.name} is not finite; are all of '
                           f'its weights, and the loss on these samples?')
    if criterion.tells != "channels":
        return scores
    return [values / (values.mean() or 1.0) for values in scores]


def _that_need(*needs: str) -> str:
    return ", ".join(name for name, criterion in IMPORTANCE.items() if criterion.needs in needs)
