"""Ops become two thinner ones each, where that pays.

Ranks are chosen for the whole network: what is kept of the variance of each op's outputs, as a product over
all ops, is to be large for what the network may cost (Zhang et al. 2016, "Accelerating Very Deep
Convolutional Networks for Classification and Detection", section 2.4). A knapsack of several choices for each
op, filled greedily (`ranks.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np

from toolchain.data import Samples
from toolchain.errors import BadInput
from toolchain.ir.check import WEIGHTED, check, level_of
from toolchain.ir.graph import Graph, Op, Tensor, constant, unique_name
from toolchain.ir.ops import output_shape
from toolchain.ir.passes import batch_norm_affine, canonical
from toolchain.prune.cost import Cost, Limit
from toolchain.prune.factors import FORMS, product
from toolchain.prune.in_two import Prices, in_two
from toolchain.prune.ranks import Choice, Option, choose
from toolchain.prune.seen import Seen, seen_by
from toolchain.prune.sparsify import kept_by, require_matches
from toolchain.shape_sections import LowRankConfig

LEAST_RANK = 0.1
"""Share of its full rank that an op has in any case."""
PAYS = 0.95
"""What both ops may take at most of what the one takes: tables are a few percent off."""
NOTHING = 1e-9
"""Share of the variance that counts as none."""
DIGITS = 9
"""Of a loss; what differs beyond is rounding."""
LEFT = {"depthwise_conv2d": "each output of a depthwise convolution reads one input alone",
        "transpose_conv2d": "a transposed convolution stays as it is"}


@dataclass(frozen=True)
class ThinLine:
    """An op with weights and what became of it.

    form:   a key of FORMS; "" where it stays as it is
    rank:   of `full`
    kept:   share of the variance of its outputs
    cost:   before and after
    reason: why it stays; "" where it does not
    """

    name: str
    cost: tuple[float, float]
    form: str = ""
    rank: int = 0
    full: int = 0
    kept: float = 1.0
    reason: str = ""


@dataclass(frozen=True, eq=False)
class LowRank:
    """graph: with two ops for one;  lines: every op with weights, in their order;  unit: of what they cost"""

    graph: Graph
    lines: tuple[ThinLine, ...]
    unit: str

    @property
    def summary(self) -> str:
        """One line for people."""
        thin = "; ".join(f"{line.name}: {line.form}, rank {line.rank} of {line.full} keeps {line.kept:.1%}, "
                         f"{line.cost[0]:,.0f} -> {line.cost[1]:,.0f} {self.unit}"
                         for line in self.lines if line.form)
        whole = "; ".join(f"{line.name}: {line.reason}" for line in self.lines if line.reason)
        return f"in two thinner ops: {thin or 'none'}; left as they are: {whole or 'none'}"


def low_rank(graph: Graph, config: LowRankConfig, limit: Limit, samples: Samples | None = None,
             table: Cost | None = None, seed: int = 0) -> LowRank:
    """The graph with two ops for one until it costs what it may; one that does already stays as it is.

    graph: FLOAT;  samples: fit to it, by which outputs are judged; without, weights are
    table: of the target, by which two ops have to pay as well
    Raises BadInput for a quantized graph and where the limit cannot be reached, BadConfig where `keep` has a
    pattern that matches nothing.
    """
    if level_of(graph) != "FLOAT":
        raise BadInput(f"{graph.name}: only a float graph becomes thinner ops; do so before quantizing")
    whole = _left(graph, config)
    ops = [op for op in graph.ops if op.kind in WEIGHTED and op.name not in whole]
    prices = Prices.of(graph, (limit.cost, *([table] if table and table.unit != limit.cost.unit else [])))
    choices = [_choice(graph, op, seen, config, prices)
               for op, seen in zip(ops, seen_by(graph, ops, samples, seed))]
    whole |= {choice.op.name: _why_none(choice, prices) for choice in choices if not choice.options}
    taken = choose(choices, limit.cost.of(canonical(graph)) - limit.most)
    if taken is None:
        raise _out_of_reach(graph, limit, choices, whole)
    pairs = [(choice, taken[choice.op.name]) for choice in choices if choice.op.name in taken]
    lines = _lines(graph, choices, taken, whole, prices)
    return LowRank(thinned(graph, pairs), tuple(lines), limit.cost.unit)


def _left(graph: Graph, config: LowRankConfig) -> dict[str, str]:
    """Ops with weights that stay as they are -> why."""
    ops = [op for op in graph.ops if op.kind in WEIGHTED]
    require_matches(graph, config, ops)
    return {op.name: why for op in ops if (why := _stays(graph, op, config))}


def _stays(graph: Graph, op: Op, config: LowRankConfig) -> str:
    x, weight, bias = graph.of(op)
    if kept_by(config, op):
        return "[low_rank] keep"
    if op.kind in LEFT:
        return LEFT[op.kind]
    if not (weight.is_constant and bias.is_constant):
        return "its weight is computed"
    if any(graph.consumers[t.name] != (op,) or t.name in graph.outputs for t in (weight, bias)):
        return "it shares its weight or bias"
    if weight.shape[-1] != x.shape[-1]:
        return f"a convolution in {x.shape[-1] // weight.shape[-1]} groups stays as it is"
    if not _forms(op, weight, config):
        return 'its kernel has not the two sides that form = "spatial" parts'
    return ""


def _forms(op: Op, weight: Tensor, config: LowRankConfig) -> list[str]:
    """That the op can take."""
    window = op.kind == "conv2d" and min(weight.shape[1:3]) > 1
    return [form for form in FORMS if config.form in ("auto", form) and (form == "channel" or window)]


# What an op may become --------------------------------------------------------------------------------------

def _choice(graph: Graph, op: Op, seen: Seen, config: LowRankConfig, prices: Prices) -> Choice:
    weight, scale, whole = graph.of(op)[1], _reading_scale(graph, op), prices.whole(op)
    factors = {form: FORMS[form](_as_kernel(weight.data), scale, seen)
               for form in _forms(op, weight, config)}
    options = []
    for form, parts in factors.items():
        for rank in range(ceil(LEAST_RANK * parts.rank), parts.rank + 1):
            costs = prices.thin(op, form, rank)
            if all(cost <= PAYS * most for cost, most in zip(costs, whole)):
                loss = -log(max(parts.kept[rank - 1], NOTHING))
                options.append(Option(form, rank, costs[0], round(loss, DIGITS)))
    return Choice(op, whole[0], factors, seen.mean, tuple(options))


def _as_kernel(weight: np.ndarray) -> np.ndarray:
    """(O, kh, kw, I); of a fully connected op (O, 1, 1, I)."""
    return weight if weight.ndim == 4 else weight[:, None, None, :]


def _reading_scale(graph: Graph, op: Op) -> np.ndarray:
    """(O,) what a batch norm behind the op multiplies each channel by, else 1."""
    readers = graph.consumers[op.name]
    normed = len(readers) == 1 and readers[0].kind == "batch_norm" and op.attrs["activation"] is None
    return batch_norm_affine(graph, readers[0])[0] if normed else np.ones(len(graph.of(op)[1].data))


def _why_none(choice: Choice, prices: Prices) -> str:
    """With the forms at their least ranks, by the cost that speaks most against each."""
    found = []
    for form, parts in choice.factors.items():
        rank = ceil(LEAST_RANK * parts.rank)
        pairs = zip(prices.thin(choice.op, form, rank), prices.whole(choice.op), prices.costs)
        worst = max(pairs, key=lambda pair: pair[0] / max(pair[1], 1))
        found.append(f"{form} of rank {rank} takes {worst[0]:,.0f} {worst[2].unit} for {worst[1]:,.0f}")
    return f"no rank pays: {', '.join(found)}"


def _out_of_reach(graph: Graph, limit: Limit, choices: Sequence[Choice],
                  whole: Mapping[str, str]) -> BadInput:
    saved = sum(choice.cost - min(option.cost for option in choice.options)
                for choice in choices if choice.options)
    least = limit.cost.of(canonical(graph)) - saved
    reasons = "; ".join(f"{name}: {why}" for name, why in whole.items()) or "nothing"
    return BadInput(f"{graph.name}: [low_rank]: {limit.most:,.0f} {limit.cost.unit} cannot be reached; the "
                    f"least is {least:,.0f}. Raise the limit, or prune first; left as they are: {reasons}")


# What becomes of it -----------------------------------------------------------------------------------------

def thinned(graph: Graph, taken: Sequence[tuple[Choice, Option]]) -> Graph:
    """The graph with two ops for each of these. The second one has the names of the op and of its constants;
    the first one is called after the op."""
    tensors: dict[str, Tensor] = {}
    pairs: dict[str, tuple[Op, Op]] = {}
    for choice, option in taken:
        pairs[choice.op.name], made = _pair(graph, choice, option)
        tensors |= {tensor.name: tensor for tensor in made}
    ops = [part for op in graph.ops for part in pairs.get(op.name, (op,))]
    return check(graph.with_tensors(*tensors.values()).with_ops(ops), "FLOAT")


def _pair(graph: Graph, choice: Choice, option: Option) -> tuple[tuple[Op, Op], list[Tensor]]:
    """Both ops, and the tensors that are new or have other values."""
    op, (x, weight, bias) = choice.op, graph.of(choice.op)
    first, second = choice.factors[option.form].cut(option.rank)
    missing = _as_kernel(weight.data) - product(first, second)
    shifted = bias.data + missing.reshape(len(missing), -1) @ choice.mean
    thin = unique_name(f"{op.name}.thin", graph.tensors)
    names = (thin, f"{thin}.weight", f"{thin}.bias")
    ops = in_two(op, option.form, names, (weight.name, bias.name))
    zeros = np.zeros(option.rank, np.float32)
    made = [constant(names[1], _as_stored(first, weight)), constant(names[2], zeros),
            constant(weight.name, _as_stored(second, weight)),
            constant(bias.name, shifted.astype(np.float32))]
    shape = output_shape(ops[0], [x.shape, made[0].shape, made[1].shape])
    return ops, [Tensor(thin, shape), *made]


def _as_stored(kernel: np.ndarray, weight: Tensor) -> np.ndarray:
    """float32 in the layout of the op's own weight."""
    return kernel.reshape(len(kernel), *kernel.shape[1:][-(len(weight.shape) - 1):]).astype(np.float32)


def _lines(graph: Graph, choices: Sequence[Choice], taken: Mapping[str, Option], whole: Mapping[str, str],
           prices: Prices) -> list[ThinLine]:
    """In the order of the ops."""
    found = {choice.op.name: choice for choice in choices}
    lines = []
    for op in (op for op in graph.ops if op.kind in WEIGHTED):
        cost = prices.whole(op)[0]
        if op.name not in taken:
            why = whole.get(op.name, "the budget is kept without it")
            lines.append(ThinLine(op.name, (cost, cost), reason=why))
            continue
        option, parts = taken[op.name], found[op.name].factors[taken[op.name].form]
        lines.append(ThinLine(op.name, (cost, option.cost), option.form, option.rank, parts.rank,
                              float(parts.kept[option.rank - 1])))
    return lines
