"""Who costs the output most, why, and what to try."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
import json
import math

from toolchain.diagnose.findings import Layer, Remedy, Suspect
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph
from toolchain.quantize.rules import SAME, rule_of
from toolchain.quantize.sensitivity import CODES, INPUT, WEIGHTS, Sensitivity, only_quantized
from toolchain.recipe import Recipe

MOST = 5
"""Suspects that are named, at most."""
HARMLESS_DB = 40.0
"""An op that alone leaves more than this of the output's signal (noise 1/10,000 of its power) is none."""
LEAST = 0.01
"""Share of all noise at the output below which an op is not blamed."""
NEAR_DB = 6.0
OUTLIER = 8.0
"""Times the median channel's range: the others are left 5 of 8 bits."""
TAIL = 12.0
"""Standard deviations; of 10 million normal values the outermost lies at 5.3."""
CLIPPED = 1e-4
"""Share of saturated values that is worth a word."""
SPARSE = 0.25
"""Share of the codes in use below which a range is too wide."""


@dataclass(frozen=True)
class Case:
    """What is known when a layer is judged.

    island: what ops on this target compute in where 8 bits are too coarse
    """

    graph: Graph
    layer: Layer
    weights_db: float | None
    codes_db: float
    recipe: Recipe
    island: str = "float32"

    @property
    def weights_matter(self) -> bool:
        """Whether weights alone cost the output a quarter of what codes alone do, or more."""
        return self.weights_db is not None and self.weights_db <= self.codes_db + NEAR_DB

    @property
    def codes_matter(self) -> bool:
        """The other way round."""
        return self.weights_db is None or self.codes_db <= self.weights_db + NEAR_DB

    @property
    def handed_on(self) -> str:
        """The tensor whose scale the op's kind must take over, "" where its range is its own."""
        op = self.graph.producers.get(self.layer.name)
        rule = None if op is None else rule_of(self.graph, op)
        return op.inputs[0] if rule is not None and rule.output == SAME else ""

    @property
    def outlier(self) -> bool:
        return self.layer.spread >= OUTLIER


def suspects(float_graph: Graph, quantized: Graph, layers: Sequence[Layer], ranking: Sequence[Sensitivity],
             cost: Callable[[Graph], float], recipe: Recipe, island: str = "float32") -> tuple[Suspect, ...]:
    """The ops that cost the output most, the worst first; none where INT8 costs next to nothing.

    ranking: as `sensitivity` gives it;  cost: tells how far another graph's output is, in dB (`costing`)
    """
    powers = {row.name: 10 ** (-row.sqnr_db / 10) if math.isfinite(row.sqnr_db) else math.inf
              for row in ranking}
    total = sum(power for power in powers.values() if math.isfinite(power))
    by_name = {layer.name: layer for layer in layers}
    found = []
    for row in ranking[:MOST]:
        share = powers[row.name] / total if math.isfinite(powers[row.name]) else 1.0
        if row.sqnr_db > HARMLESS_DB or share < LEAST:
            break
        weights_db, codes_db = (cost(only_quantized(float_graph, quantized, {row.name}, (part,)))
                                for part in (WEIGHTS, CODES))
        weights_db = weights_db if row.kind in WEIGHTED else None
        case = Case(float_graph, by_name[row.name], weights_db, codes_db, recipe, island)
        found.append(Suspect(name=row.name, kind=row.kind, output_db=row.sqnr_db, share=share,
                             weights_db=weights_db, codes_db=codes_db, causes=tuple(causes(case)),
                             remedies=tuple(remedies(case))))
    return tuple(found)


def causes(case: Case) -> Iterator[str]:
    """In words, with the figures that say so; the likeliest first."""
    found = [rule(case) for rule in CAUSES]
    words = [text for text in found if text]
    yield from words or [f"its {'weights' if case.weights_matter else 'values'} need more than 8 bits here: "
                         f"the layers behind it are sensitive to its rounding"]


def _not_finite(case: Case) -> str:
    layer = case.layer
    if math.isfinite(case.layer.sqnr_db) and math.isfinite(layer.low + layer.high):
        return ""
    return f"NaN or Inf: float values reach {layer.low:.3g}..{layer.high:.3g}"


def _clipped(case: Case) -> str:
    layer = case.layer
    if layer.saturated < CLIPPED or not case.codes_matter:
        return ""
    return (f"{100 * layer.saturated:.2g} % of its values are clipped: they reach {layer.low:.3g}.."
            f"{layer.high:.3g}, the codes {layer.code_low:.3g}..{layer.code_high:.3g}")


def _outlier(case: Case) -> str:
    layer = case.layer
    if not (case.outlier and case.codes_matter):
        return ""
    left = f"; {100 * layer.starved:.0f} % of the {layer.channels} channels get fewer than 16 codes"
    return (f"channel {layer.widest} is {layer.spread:.3g} times as wide as the median one and takes the "
            f"range{left if layer.starved else ''}")


def _tail(case: Case) -> str:
    if case.layer.tail < TAIL or case.outlier or not case.codes_matter:
        return ""
    return (f"a long tail: its outermost value lies {case.layer.tail:.3g} standard deviations out, and the "
            f"range follows it")


def _sparse(case: Case) -> str:
    layer = case.layer
    if layer.codes_used >= SPARSE or case.outlier or not case.codes_matter:
        return ""
    if case.handed_on:
        return (f"it has to keep the scale of {short(case.handed_on)}, of whose codes its values reach only "
                f"{100 * layer.codes_used:.0f} %")
    return (f"only {100 * layer.codes_used:.0f} % of its codes occur, over {100 * layer.range_used:.0f} % of "
            f"their reach")


def _weights(case: Case) -> str:
    layer = case.layer
    if not case.weights_matter or layer.weight_db is None:
        return ""
    return (f"its weights: quantized they keep {layer.weight_db:.3g} dB, output channel {layer.worst_weight} "
            f"the least")


def _bias(case: Case) -> str:
    if not case.layer.repaired:
        return ""
    return (f"{case.layer.repaired} output channels had weights made coarser because their bias would have "
            f"overflowed 32 bits: almost dead channels with a large bias")


def _dead(case: Case) -> str:
    if not case.layer.dead:
        return ""
    return f"{case.layer.dead} of {case.layer.channels} channels never change on these samples"


CAUSES: tuple[Callable[[Case], str], ...] = (
    _not_finite, _outlier, _clipped, _weights, _tail, _sparse, _bias, _dead)


def remedies(case: Case) -> Iterator[Remedy]:
    """What to try, the cheapest on the target first; what the recipe has already is left out."""
    for applies, remedy in REMEDIES:
        if applies(case):
            yield remedy
    if case.layer.kind != INPUT:
        yield Remedy(f"leave it out of INT8: {case.island}, at some cost in speed",
                     f"[quantize.islands]\n{json.dumps(_pattern(case))} = \"{case.island}\"")


def short(name: str) -> str:
    """The first of the names that TFLite's converter strings together for an op that it fused."""
    first = name.split(";", 1)[0]
    return name if first == name else f"{first};..."


def _pattern(case: Case) -> str:
    """The op's name as `islands` takes it; of a long one its beginning, where that names no other op."""
    pattern = case.layer.name.split(";", 1)[0] + ";*"
    plain = not set("*?[") & set(case.layer.name)
    alone = plain and sum(op.name.startswith(pattern[:-1]) for op in case.graph.ops) == 1
    return pattern if alone else case.layer.name


def _may_equalise(case: Case) -> bool:
    """Whether channels can be rescaled between this op and those that read it."""
    op = case.graph.producers.get(case.layer.name)
    readers = case.graph.consumers[case.layer.name]
    return (case.outlier and op is not None and op.kind in WEIGHTED and not case.recipe.quantize.equalise
            and op.attrs.get("activation") in (None, "relu") and bool(readers)
            and all(reader.kind in WEIGHTED for reader in readers))


def _narrower_may_help(case: Case) -> bool:
    wide = case.layer.tail >= TAIL or case.layer.codes_used < SPARSE
    own = case.codes_matter and not (case.outlier or case.handed_on)
    return wide and own and case.recipe.calibrate.observer in ("minmax", "moving_average")


def _was_cut(case: Case) -> bool:
    clipped = case.layer.saturated >= CLIPPED and case.codes_matter
    return clipped and case.recipe.calibrate.observer != "minmax"


def _saw_too_little(case: Case) -> bool:
    clipped = case.layer.saturated >= CLIPPED and case.codes_matter
    return clipped and case.recipe.calibrate.observer == "minmax"


REMEDIES: tuple[tuple[Callable[[Case], bool], Remedy], ...] = (
    (_may_equalise, Remedy("equalise: share the range out between its channels; it costs the target nothing",
                           "[quantize]\nequalise = true")),
    (_narrower_may_help, Remedy("an observer that gives up the outermost values for finer codes",
                                '[calibrate]\nobserver = "mse"')),
    (_was_cut, Remedy("an observer that keeps all values in range", '[calibrate]\nobserver = "minmax"')),
    (_saw_too_little, Remedy("calibrate with samples more like these, which hold values that it never saw")),
    (lambda case: case.weights_matter and case.recipe.quantize.rounding == "nearest",
     Remedy("round its weights by what they do to the output", '[quantize]\nrounding = "gptq"')),
    (lambda case: case.weights_matter and case.recipe.quantize.bias_correction == "none",
     Remedy("take the mean error of rounded weights out of the biases",
            '[quantize]\nbias_correction = "empirical"')),
)
"""(whether it may help, what to try)."""
