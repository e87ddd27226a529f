"""Single weights become zero where they matter least; shapes stay.

Magnitude: w' = mask * w with mask = |w| >= threshold, which is absolute, or such that a share of the weights
goes. Patterns: two of four neighbours (Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks",
section 3), whole blocks (Narang et al. 2017, "Block-Sparse Recurrent Neural Networks").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from toolchain.errors import BadConfig, BadInput
from toolchain.ir.check import WEIGHTED, level_of
from toolchain.ir.graph import Graph, Op
from toolchain.section import Section
from toolchain.training_sections import TWO_OF_FOUR, SparsifyConfig

Masks = Mapping[str, np.ndarray]
"""Weight -> bool of its shape: False where it is, and stays, zero."""
Kinds = Mapping[str, str]
"""Weight -> kind of the op that reads it."""


@dataclass(frozen=True, eq=False)
class Sparse:
    """graph: with zeros;  whole: op whose weights all stay -> why"""

    graph: Graph
    masks: Masks
    whole: Mapping[str, str]

    @property
    def share(self) -> float:
        """Of the weights in `masks`, those that are zero."""
        masks = self.masks.values()
        return 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.size for mask in masks)

    @property
    def summary(self) -> str:
        """One line for people."""
        whole = "; ".join(f"{name}: {why}" for name, why in self.whole.items())
        return (f"{self.share:.1%} of {sum(mask.size for mask in self.masks.values()):,} weights in "
                f"{len(self.masks)} tensors are zero; kept whole: {whole or 'nothing'}")


def sparsify(graph: Graph, config: SparsifyConfig) -> Sparse:
    """The graph with weights of least magnitude at zero, at once, whatever the schedule.

    graph: FLOAT. Raises BadInput for a quantized one or where no weights are left, BadConfig where `keep` has
    a pattern that matches nothing.
    """
    kinds, whole = sparsified(graph, config)
    masks = masks_for({name: np.abs(graph.tensors[name].data) for name in kinds}, kinds, config)
    return Sparse(with_zeros(graph, masks), masks, whole)


def with_zeros(graph: Graph, masks: Masks) -> Graph:
    """The graph with weights at 0 where their mask is False."""
    tensors = [graph.tensors[name] for name in masks]
    return graph.with_tensors(*(replace(tensor, data=np.where(masks[tensor.name], tensor.data, np.float32(0)))
                                for tensor in tensors))


def sparsified(graph: Graph, config: SparsifyConfig) -> tuple[Kinds, Mapping[str, str]]:
    """Weights that may get zeros; and of the other ops with weights, why theirs do not."""
    if level_of(graph) != "FLOAT":
        raise BadInput(f"{graph.name}: only a float graph can be made sparse; sparsify before quantizing")
    ops = [op for op in graph.ops if op.kind in WEIGHTED]
    require_matches(graph, config, ops)
    whole = {op.name: why for op in ops if (why := _stays(graph, op, config))}
    stay = {op.inputs[1] for op in ops if op.name in whole}
    kinds = {op.inputs[1]: op.kind for op in ops if op.inputs[1] not in stay}
    if not kinds:
        reasons = "; ".join(f"{name}: {why}" for name, why in whole.items()) or "it has no op with weights"
        raise BadInput(f"{graph.name}: no weights to make sparse: {reasons}")
    return kinds, whole


def _stays(graph: Graph, op: Op, config: SparsifyConfig) -> str:
    """Why an op's weights all stay, or ""."""
    if kept_by(config, op):
        return "[sparsify] keep"
    if config.pattern and op.kind == "depthwise_conv2d":
        return f"{op.kind} has no axis of inputs for the pattern {config.pattern}"
    return "" if graph.tensors[op.inputs[1]].is_constant else "its weight is computed"


def kept_by(config: Section, op: Op) -> bool:
    """Whether the section's `keep` names the op."""
    return any(fnmatchcase(op.name, pattern) for pattern in config.keep)


def require_matches(graph: Graph, config: Section, ops: Sequence[Op]) -> None:
    """Raise BadConfig where a pattern of the section's `keep` matches none of these ops."""
    for pattern in config.keep:
        if not any(fnmatchcase(op.name, pattern) for op in ops):
            raise BadConfig(f'{graph.name}: [{config.heading}] keep "{pattern}" matches no op with weights; '
                            f"it has {', '.join(op.name for op in ops[:8])}")


# Which weights ----------------------------------------------------------------------------------------------

def masks_for(scores: Mapping[str, np.ndarray], kinds: Kinds, config: SparsifyConfig,
              share: float | None = None) -> dict[str, np.ndarray]:
    """Masks of the weights with the highest scores; of equal ones, of those that come last.

    scores: of each weight's shape, such as magnitudes
    share:  that goes, instead of the config's
    A block's score is the mean of its weights'; at the edges of a weight blocks are cut.
    """
    if config.threshold is not None:
        return {name: score >= config.threshold for name, score in scores.items()}
    rows = {name: to_rows(kinds[name], score) for name, score in scores.items()}
    if config.pattern == TWO_OF_FOUR:
        kept = {name: two_of_four(score) for name, score in rows.items()}
    else:
        kept = _by_share(rows, config, config.sparsity if share is None else share)
    return {name: from_rows(kinds[name], mask, scores[name].shape) for name, mask in kept.items()}


def to_rows(kind: str, weight: np.ndarray) -> np.ndarray:
    """(output channels, taps of the kernel, input channels) of a weight in its op's layout."""
    if kind == "depthwise_conv2d":
        return weight.reshape(-1, weight.shape[-1]).T[:, :, None]
    return weight.reshape(weight.shape[0], -1, weight.shape[-1])


def from_rows(kind: str, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The weight of that shape whose `to_rows` is `rows`."""
    return np.ascontiguousarray((rows[:, :, 0].T if kind == "depthwise_conv2d" else rows).reshape(shape))


def two_of_four(scores: np.ndarray) -> np.ndarray:
    """Of every four neighbours along the last axis the two highest, the first of equal ones; of the rest,
    where four do not divide the axis, no more than two."""
    size = scores.shape[-1]
    pads = [(0, 0)] * (scores.ndim - 1) + [(0, -size % 4)]
    padded = np.pad(scores.astype(np.float64), pads, constant_values=-np.inf)
    fours = padded.reshape(*scores.shape[:-1], -1, 4)
    highest = np.argsort(-fours, axis=-1, kind="stable")[..., :2]
    kept = np.zeros(fours.shape, bool)
    np.put_along_axis(kept, highest, True, -1)
    return kept.reshape(*scores.shape[:-1], -1)[..., :size]


def _by_share(rows: Mapping[str, np.ndarray], config: SparsifyConfig,
              share: float) -> dict[str, np.ndarray]:
    """Masks of `rows`, in blocks, over all tensors together or one by one."""
    means, sizes = {}, {}
    for name, score in rows.items():
        sizes[name] = in_blocks(np.ones(score.shape), config.block)
        means[name] = in_blocks(score, config.block) / sizes[name]
    together = [list(rows)] if config.scope == "global" else [[name] for name in rows]
    masks = {}
    for names in together:
        kept = _highest(np.concatenate([means[name].ravel() for name in names]),
                        np.concatenate([sizes[name].ravel() for name in names]), share)
        ends = np.cumsum([means[name].size for name in names])
        for name, part in zip(names, np.split(kept, ends[:-1])):
            masks[name] = _spread(part.reshape(means[name].shape), config.block, rows[name].shape)
    return masks


def in_blocks(values: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """Sums over blocks of rows x columns, the first and the last axis of three; float64."""
    sums = np.add.reduceat(values, np.arange(0, values.shape[0], block[0]), axis=0, dtype=np.float64)
    return np.add.reduceat(sums, np.arange(0, values.shape[2], block[1]), axis=2)


def _spread(blocks: np.ndarray, block: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """Every element of `shape` with what its block has."""
    return np.repeat(np.repeat(blocks, block[0], 0)[:shape[0]], block[1], 2)[:, :, :shape[2]]


def _highest(scores: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """(n,) bool: what stays where the lowest scores go, as near to the share of all sizes as they come."""
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(sizes[order])
    going = reached - sizes[order] / 2 <= share * reached[-1]
    kept = np.ones(len(scores), bool)
    kept[order[going]] = False
    return kept


def cubic(progress: float, last: float, first: float = 0.0) -> float:
    """s_t = s_f + (s_i - s_f) (1 - progress)^3 (Zhu & Gupta 2017, "To prune, or not to prune", eq. 1).

    progress: (t - t_0) / (n dt), clipped to 0..1;  last, first: s_f and s_i
    """
    return last + (first - last) * (1 - min(max(progress, 0.0), 1.0))**3
