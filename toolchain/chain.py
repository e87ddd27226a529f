"""Chain: graphs of which not all run for every input (stages.py), and what the reference makes of them."""

from dataclasses import dataclass, replace
from functools import partial
import hashlib
from itertools import accumulate

import msgspec
import numpy as np

from toolchain.errors import BadInput, Unsupported
from toolchain.ir.graph import Graph, Tensor, unique_name
from toolchain.ir.ops import graph_macs
from toolchain.ir.quant import QuantParams
from toolchain.levels import Levels
from toolchain.policy import MOST_CLASSES, Policy
from toolchain.runtime import reference
from toolchain.stages import MULTIPLIER, Arrays, Looked, followed, may_run, on_grid


@dataclass(frozen=True, eq=False)
class Chain:
    """Stages and their policies.

    stages:   graphs of one level. Inputs that no earlier stage gives are the chain's; the first output is the
              stage's logits (1, classes), the others are what later stages take, by name
    policies: of each stage but the last; () where stages are apart
    apart:    each is a network of its own, of which one runs
    measured: what it can be held to, with what that was seen to cost; without, costs are MACs
    Raises Unsupported, BadInput where stages do not go together.
    """

    name: str
    stages: tuple[Graph, ...]
    policies: tuple[Policy, ...]
    apart: bool = False
    measured: Levels | None = None

    def __post_init__(self):
        asked = 0 if self.apart else len(self.stages) - 1
        if len(self.policies) != asked:
            raise ValueError(f"{len(self.stages)} stages take {asked} policies")
        if len(self.levels.costs) != len(self.stages):
            raise ValueError(f"{len(self.stages)} stages have {len(self.levels.costs)} costs")
        for graph in self.stages:
            _require_logits(graph)
        if len({graph.tensors[graph.outputs[0]].shape for graph in self.stages}) > 1:
            told = ", ".join(f"{g.name}: {g.tensors[g.outputs[0]].shape[1]}" for g in self.stages)
            raise BadInput(f"{self.name}: stages tell different classes apart ({told}); take networks of "
                           "one task")
        _require_same_values(self)
        if min(self.multipliers) < 1:
            raise Unsupported(f"{self.name}: scales of its stages' logits are more than {2 * MULTIPLIER} "
                              "times apart; calibrate on samples of the task")

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Of the chain, as the stage that reads them first has them."""
        made, found = set(), {}
        for graph in self.stages:
            found |= {name: graph.tensors[name] for name in graph.inputs if name not in made | found.keys()}
            made |= set(graph.outputs)
        return tuple(found.values())

    @property
    def logits(self) -> Tensor:
        """Of the chain: reals, or int16 codes on a grid of all stages' logits. Exact but for the rounding of
        one multiplier a stage: which of them is the largest never changes."""
        last = self.stages[-1].tensors[self.stages[-1].outputs[0]]
        if last.quant is None:
            return last
        scale = max(self._scales) / MULTIPLIER
        return Tensor(last.name, last.shape, "int16", None, QuantParams(scale, 0, dtype="int16"))

    @property
    def path(self) -> Tensor:
        """Of the chain: the number of the stage that answered."""
        return Tensor(unique_name("path", {self.logits.name}), (1,), "int32")

    @property
    def ends(self) -> Graph:
        """What goes in and comes out, without ops."""
        first, last = self.stages[0], self.stages[-1]
        tensors = {tensor.name: tensor for tensor in (*self.inputs, self.logits, self.path)}
        permutations = {name: perm for graph in self.stages for name, perm in graph.permutations.items()
                        if name in tensors}
        return Graph(self.name, tensors, (), tuple(tensor.name for tensor in self.inputs),
                     (self.logits.name, self.path.name), permutations, source=last.source,
                     metadata=replace(last.metadata, frames=first.metadata.frames))

    @property
    def multipliers(self) -> tuple[int, ...]:
        """Of each stage, as StageRecord has them."""
        if not self._scales:
            return (1,) * len(self.stages)
        return tuple(round(MULTIPLIER * scale / max(self._scales)) for scale in self._scales)

    @property
    def _scales(self) -> list[float]:
        """Of the stages' logits; [] where these are reals."""
        logits = [graph.tensors[graph.outputs[0]] for graph in self.stages]
        return [float(tensor.quant.scale) for tensor in logits if tensor.quant is not None]

    @property
    def levels(self) -> Levels:
        """What it can be held to: each stage as the last that may run, or the only one."""
        macs = [*map(graph_macs, self.stages)]
        return self.measured or Levels(tuple(macs if self.apart else accumulate(macs)), "MACs")

    @property
    def macs(self) -> int:
        """Of the worst case: where none but the last stage answers, or the largest of networks apart runs."""
        return (max if self.apart else sum)(map(graph_macs, self.stages))

    @property
    def digest(self) -> str:
        """sha256 of its stages', of its policies and of what its levels cost."""
        decided = msgspec.json.encode((self.policies, self.apart, self.levels), order="deterministic")
        parts = (self.name, *(graph.digest for graph in self.stages), decided.decode())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _require_same_values(chain: Chain) -> None:
    """Raise BadInput where a stage takes a value in other codes, or of another shape, than it has."""
    known: dict[str, Tensor] = {}
    for graph in chain.stages:
        for name in graph.inputs:
            mine, given = graph.tensors[name], known.setdefault(name, graph.tensors[name])
            same = given.quant is mine.quant is None or (mine.quant and mine.quant.same_as(given.quant))
            if (given.shape, given.dtype) != (mine.shape, mine.dtype) or not same:
                raise BadInput(f"{chain.name}: {graph.name} takes {name} as {mine.dtype} "
                               f"{list(mine.shape)}, which is {given.dtype} {list(given.shape)}, or its "
                               "codes are others")
        known |= {name: graph.tensors[name] for name in graph.outputs}


def _require_logits(graph: Graph) -> None:
    """Raise Unsupported where the first output is none that a policy can look at."""
    logits = graph.tensors[graph.outputs[0]]
    if len(logits.shape) != 2 or not 1 < logits.shape[1] <= MOST_CLASSES:
        raise Unsupported(f"{graph.name}: output {logits.name} {list(logits.shape)} is no logits of 2 to "
                          f"{MOST_CLASSES:,} classes, from which a policy could tell how sure the network is")
    if logits.dtype not in ("int8", "float32"):
        raise Unsupported(f"{graph.name}: output {logits.name} is {logits.dtype}; a policy takes logits in "
                          "int8 or float32: build with a scheme that gives such, as static_wi8_ai8")


def run_chain(chain: Chain, feeds: Arrays, level: int | None = None) -> dict[str, np.ndarray]:
    """The chain's outputs for (n, ...) of each input, by the reference: what devices must reproduce.

    level: that it is held to; None is the last
    """
    stages = [partial(_run_stage, graph, multiplier)
              for graph, multiplier in zip(chain.stages, chain.multipliers, strict=True)]
    logits, path = followed(stages, chain.policies, feeds,
                            may_run(len(chain.stages), chain.apart, level))
    return {chain.logits.name: logits, chain.path.name: path}


def _run_stage(graph: Graph, multiplier: int, known: Arrays) -> Looked:
    made = reference.run(graph, {name: known[name] for name in graph.inputs})
    quant = graph.tensors[graph.outputs[0]].quant
    seen = made[graph.outputs[0]]
    return Looked(seen, on_grid(seen, None if quant is None else int(quant.zero_point), multiplier), made)


def every_logits(chain: Chain, feeds: Arrays) -> list[np.ndarray]:
    """Each stage's logits (n, classes) in its own codes, whatever the policies say."""
    known, found = dict(feeds), []
    for graph in chain.stages:
        made = reference.run(graph, {name: known[name] for name in graph.inputs})
        found.append(made[graph.outputs[0]])
        known |= made
    return found
