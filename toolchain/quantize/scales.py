"""Scale and zero point of every activation, from the rules and the statistics."""

from collections.abc import Iterator, Mapping
import math

from toolchain.errors import BadSamples
from toolchain.ir.graph import Graph, Tensor
from toolchain.ir.quant import RANGE, QuantParams, activation_params
from toolchain.quantize.hidden import masked_ranges
from toolchain.quantize.islands import Numbers, numbers_of
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.rules import SAME, at_width, data_inputs, observed, rule_of

Range = tuple[float, float]


def activation_scales(graph: Graph, stats: Mapping[str, TensorStats],
                      pinned: Mapping[str, QuantParams] | None = None,
                      dtype: str = "int8", numbers: Numbers | None = None) -> dict[str, QuantParams]:
    """QuantParams of every activation that is held in codes, and of every constant that is read as one.

    pinned:  tensors whose parameters are known beforehand; those per channel, of weights, are passed over
    dtype:   of the codes, "int8" or "int16"
    numbers: of a network with islands; what they hold in reals has no parameters
    Tensors that a SAME rule ties together share the union of their ranges, if they are held in the same
    numbers. An output whose parameters are fixed, and a pinned tensor, keeps them; where others are tied to
    it, its codes have to be requantized for their op. Raises BadSamples where a range that is needed was not
    observed.
    """
    numbers = numbers or numbers_of(graph, dtype, {})
    outputs = {op.name: rule_of(graph, op).output for op in graph.ops}
    fixed = {name: at_width(params, dtype) for name, params in outputs.items()
             if isinstance(params, QuantParams)}
    fixed |= {name: params for name, params in (pinned or {}).items()
              if params.dtype == dtype and params.axis is None}
    groups = same_scale_groups(graph, numbers)
    ranges = _with_handed(_handed(graph, numbers), groups, fixed, _own_ranges(graph, stats, dtype))
    return {name: fixed.get(name, shared) for group in groups
            for shared in [_shared(group, fixed, ranges, dtype)] for name in group}


def in_codes(graph: Graph, numbers: Numbers) -> list[str]:
    """Reals that are held in codes: inputs and outputs of the graph, and what an op on codes reads or makes.

    What only ops on reals hand to each other stays in float.
    """
    names = {name: None for name in (*graph.inputs, *graph.outputs)}
    for op in graph.ops:
        if numbers.on_codes(op):
            names |= dict.fromkeys((*(t.name for t in data_inputs(graph, op)), op.name))
    return [name for name in names if graph.tensors[name].dtype == "float32"
            and numbers.held.get(name) != "float32"]


def same_scale_groups(graph: Graph, numbers: Numbers) -> list[list[str]]:
    """Activations and constants in their place, parted into sets that the SAME rules tie together."""
    group = {name: [name] for name in in_codes(graph, numbers)}
    for tensor, output in _ties(graph, numbers):
        if tensor.is_constant or numbers.held[tensor.name] == numbers.held[output]:
            _unite(group, tensor.name, output)
    return list({id(members): members for members in group.values()}.values())


def _ties(graph: Graph, numbers: Numbers) -> Iterator[tuple[Tensor, str]]:
    """(input, output) of each op that hands codes on."""
    for op in graph.ops:
        if rule_of(graph, op).output == SAME and numbers.on_codes(op):
            yield from ((tensor, op.name) for tensor in data_inputs(graph, op))


def _handed(graph: Graph, numbers: Numbers) -> list[tuple[str, str]]:
    """The ties from a tensor to one that is held in other numbers: its values come, its scale does not."""
    return [(tensor.name, output) for tensor, output in _ties(graph, numbers)
            if not tensor.is_constant and numbers.held[tensor.name] != numbers.held[output]]


def _with_handed(ties: list[tuple[str, str]], groups: list[list[str]], fixed: Mapping[str, QuantParams],
                 ranges: dict[str, Range]) -> dict[str, Range]:
    """Ranges that hold what comes through these ties too, along chains of them."""
    group = {name: members for members in groups for name in members}
    for _ in ties:
        for source, output in ties:
            reach = [*_reaches(group[source], fixed, ranges), *_reaches([output], {}, ranges)]
            ranges[output] = min(low for low, _ in reach), max(high for _, high in reach)
    return ranges


def _unite(group: dict[str, list[str]], a: str, b: str) -> None:
    if group[a] is not group[b]:
        group[a] += group[b]
        group.update(dict.fromkeys(group[b], group[a]))


def _own_ranges(graph: Graph, stats: Mapping[str, TensorStats], dtype: str) -> dict[str, Range]:
    """Of inputs and FREE outputs what was observed, of constants what they hold; SAME outputs have none but
    for the value that a pad writes."""
    needed = observed(graph)
    if missing := [name for name in needed if name not in stats]:
        raise BadSamples(f"{graph.name}: no statistics of {', '.join(missing)}; calibrate this very graph")
    pads = {op.name: (op.attrs["value"],) * 2 for op in graph.ops if op.kind == "pad" and op.attrs["value"]}
    own = pads | dict(_constant_ranges(graph)) | {name: stats[name].range_for(dtype) for name in needed}
    return own | masked_ranges(graph, own)


def _constant_ranges(graph: Graph) -> Iterator[tuple[str, Range]]:
    """What constants hold. A bound of minimum (maximum) ops alone widens no range upwards (downwards): beyond
    the other operand it bounds nothing, and no more does the outermost code, to which it is clamped."""
    for tensor in graph.constants:
        if tensor.dtype == "float32":
            low, high = float(tensor.data.min()), float(tensor.data.max())
            readers = {op.kind for op in graph.consumers[tensor.name]}
            yield tensor.name, (math.inf if readers == {"maximum"} else low,
                                -math.inf if readers == {"minimum"} else high)


def _shared(group: list[str], fixed: Mapping[str, QuantParams], ranges: Mapping[str, Range],
            dtype: str) -> QuantParams:
    """The fixed parameters where the group holds nothing else, or those of the union of all ranges."""
    pinned = [fixed[name] for name in group if name in fixed]
    own = [ranges[name] for name in group if name in ranges and name not in fixed and any(ranges[name])]
    if pinned and not own and all(params.same_as(pinned[0]) for params in pinned):
        return pinned[0]
    lows, highs = zip(*_reaches(group, fixed, ranges))
    return activation_params(min(lows), max(highs), dtype)


def _reaches(group: list[str], fixed: Mapping[str, QuantParams], ranges: Mapping[str, Range]) -> list[Range]:
    """Of each member that has one, the reals that it holds."""
    return [_reals(fixed[name]) if name in fixed else ranges[name]
            for name in group if name in fixed or name in ranges]


def _reals(params: QuantParams) -> Range:
    low, high = ((code - int(params.zero_point)) * float(params.scale) for code in RANGE[params.dtype])
    return low, high
