"""Scale and zero point of every activation, from the rules and the statistics."""

from collections.abc import Mapping

from toolchain.errors import BadSamples
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import RANGE, QuantParams, activation_params
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.rules import RULES, SAME, observed

Range = tuple[float, float]


def activation_scales(graph: Graph, stats: Mapping[str, TensorStats],
                      pinned: Mapping[str, QuantParams] | None = None) -> dict[str, QuantParams]:
    """QuantParams of every activation, and of every constant that is read as one.

    pinned: inputs whose parameters are known beforehand
    Tensors that a SAME rule ties together share the union of their ranges. An output whose parameters are
    fixed, and a pinned input, keeps them; where others are tied to it, its codes have to be requantized for
    their op. Raises BadSamples where a range that is needed was not observed.
    """
    outputs = {op.name: RULES[op.kind].output for op in graph.ops}
    fixed = {name: params for name, params in outputs.items() if isinstance(params, QuantParams)}
    fixed |= pinned or {}
    ranges = _own_ranges(graph, stats)
    return {name: fixed.get(name, shared) for group in same_scale_groups(graph)
            for shared in [_shared(group, fixed, ranges)] for name in group}


def data_inputs(op: Op) -> tuple[str, ...]:
    """The inputs that are activations, or constants in their place: all but weight and bias."""
    return op.inputs[:1] if op.kind in WEIGHTED else op.inputs


def same_scale_groups(graph: Graph) -> list[list[str]]:
    """Activations and constants in their place, parted into sets that the SAME rules tie together."""
    names = [*graph.inputs, *(name for op in graph.ops for name in (*data_inputs(op), op.name))]
    group = {name: [name] for name in names}
    for op in graph.ops:
        if RULES[op.kind].output == SAME:
            for name in op.inputs:
                _unite(group, name, op.name)
    return list({id(members): members for members in group.values()}.values())


def _unite(group: dict[str, list[str]], a: str, b: str) -> None:
    if group[a] is not group[b]:
        group[a] += group[b]
        group.update(dict.fromkeys(group[b], group[a]))


def _own_ranges(graph: Graph, stats: Mapping[str, TensorStats]) -> dict[str, Range]:
    """Of inputs and FREE outputs what was observed, of constants what they hold; SAME outputs have none."""
    needed = observed(graph)
    if missing := [name for name in needed if name not in stats]:
        raise BadSamples(f"{graph.name}: no statistics of {', '.join(missing)}; calibrate this very graph")
    constants = {t.name: (float(t.data.min()), float(t.data.max())) for t in graph.constants}
    return constants | {name: stats[name].range for name in needed}


def _shared(group: list[str], fixed: Mapping[str, QuantParams], ranges: Mapping[str, Range]) -> QuantParams:
    """The fixed parameters where the group holds nothing else, or those of the union of all ranges."""
    pinned = [fixed[name] for name in group if name in fixed]
    own = [ranges[name] for name in group if name in ranges and name not in fixed]
    if pinned and not own and all(params.same_as(pinned[0]) for params in pinned):
        return pinned[0]
    lows, highs = zip(*own, *map(_reals, pinned))
    return activation_params(min(lows), max(highs))


def _reals(params: QuantParams) -> Range:
    low, high = ((code - int(params.zero_point)) * float(params.scale) for code in RANGE[params.dtype])
    return low, high
