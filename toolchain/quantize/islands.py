"""Mixed precision: activations held in other numbers than the scheme's, and ops that compute in them.

`[quantize] islands` names ops whose output is to be held in wider numbers: int16 codes, or float32. One rule
says the rest, because a value told in fine numbers is only worth it to a reader that takes them:

1. held:     the output of an op of the island is held in the island's numbers. So is what hands its codes on
             (the rule SAME: reshape, pool, concat ...), as far as that goes. All else, the network's inputs
             among it, is held in the scheme's.
2. computes: an op computes in the widest numbers of what it reads and gives: int8 < int16 < float32. What it
             reads in narrower ones is widened first, which loses nothing; what it gives is rounded to the
             numbers that its output is held in.

So one name repairs one damaged activation: the op that makes it writes it in wide numbers, and every op that
reads it computes in them. Names that follow each other make one island, inside which nothing is converted.
Kinds without a 16-bit kernel (WIDE has those with one) stay in 8 bits: they read a rounded copy.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import difflib
from fnmatch import fnmatchcase

from toolchain.errors import BadConfig, Unsupported
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import graph_macs, op_macs
from toolchain.quantize.rules import FLOAT, PLAIN, SAME, data_inputs, rule_of
from toolchain.runtime.kernels_int16 import INTEGER_KINDS as WIDE

WIDTH = {"int8": 0, "int16": 1, "float32": 2}
"""Numbers of activations, the narrowest first."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """base: of the scheme;  held: activation of reals -> what it is held in;  computes: op -> what in

    An op that has no integer form (rule FLOAT) computes in float32 in any case, one that reads and gives no
    reals (PLAIN) in none of these and is not in `computes`.
    """

    base: str
    held: Mapping[str, str]
    computes: Mapping[str, str]

    @property
    def mixed(self) -> bool:
        return set(self.held.values()) != {self.base}

    def on_codes(self, op: Op) -> bool:
        """Whether the op reads codes."""
        return self.computes.get(op.name, "float32") != "float32"


def numbers_of(graph: Graph, base: str, islands: Mapping[str, str]) -> Numbers:
    """What everything in the network is told in. Raises BadConfig, Unsupported.

    islands: op name, or pattern of names (* ? [...]) -> "float32" or "int16"; a name goes before a pattern
    """
    named = _named(graph, islands)
    _require_kernels(graph, named, islands)
    held, before = {t.name: base for t in graph.activations}, {}
    while held != before:  # once more where a state becomes what is held in wider numbers
        before, computes = dict(held), {}
        for op in graph.ops:
            rule = rule_of(graph, op).output
            read = [held[t.name] for t in data_inputs(graph, op) if not t.is_constant]
            wide = [number for number in read if runs_on(op, number)]
            reals = graph.tensors[op.name].dtype == "float32"
            handed = (named.get(op.name, base), *(wide if rule == SAME else ())) if reals else ()
            held[op.name] = _widest((base, *handed))
            if rule != PLAIN:
                computes[op.name] = "float32" if rule == FLOAT else _widest((held[op.name], *wide))
    return Numbers(base, held, computes)


def runs_on(op: Op, number: str) -> bool:
    """Whether the op's kind may compute in these numbers, so that an island of them may name it."""
    return number != "int16" or op.kind in WIDE


def _widest(numbers: Iterable[str]) -> str:
    return max(numbers, key=WIDTH.__getitem__)


def _named(graph: Graph, islands: Mapping[str, str]) -> dict[str, str]:
    """Op -> the numbers that the recipe gives its output; of patterns the widest that match."""
    ops = {op.name: op for op in graph.ops}
    found: dict[str, str] = {}
    for pattern, number in islands.items():
        matching = [name for name in ops if fnmatchcase(name, pattern)]
        if not matching and pattern not in ops:
            raise BadConfig(_matches_nothing(graph, pattern, list(ops)))
        found |= {name: _widest((number, found.get(name, number))) for name in matching
                  if runs_on(ops[name], number)}
    return found | {name: number for name, number in islands.items() if name in ops}


def _matches_nothing(graph: Graph, pattern: str, names: list[str]) -> str:
    near = difflib.get_close_matches(pattern, names, 3, 0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(names[:8])} ..."
    return f'{graph.name}: [quantize.islands] "{pattern}" is the name of no op, and no pattern of one; {hint}'


def _require_kernels(graph: Graph, named: Mapping[str, str], islands: Mapping[str, str]) -> None:
    """An op that is meant by its very name has to have the kernel; patterns pass over those without."""
    without = [f"{op.name}: {op.kind} has no 16-bit kernel" for op in graph.ops
               if op.name in islands and named[op.name] == "int16" and op.kind not in WIDE]
    if without:
        raise Unsupported.listing(f"{graph.name}: [quantize.islands] of int16 (the op that reads it may have "
                                  f'one, or take "float32" where the target has reals)', without)


def notes_of(graph: Graph, numbers: Numbers, on_reals: Sequence[Op], conversions: int) -> tuple[str, ...]:
    """What stands in islands and what that costs.

    on_reals:    the ops that compute in float32
    conversions: quantize and dequantize ops that the network then has
    """
    in_16_bits = [op for op in graph.ops if numbers.computes.get(op.name) == "int16" != numbers.base]
    notes = tuple(f"{op.name} ({op.kind}) computes in 16 bits" for op in in_16_bits)
    notes += tuple(f"{op.name} ({op.kind}) computes in float" for op in on_reals)
    if not numbers.mixed:
        return notes
    widened = [*in_16_bits, *on_reals]
    share = sum(op_macs(graph, op) for op in widened) / max(graph_macs(graph), 1)
    held = sum(number != numbers.base for number in numbers.held.values())
    return *notes, (f"islands: {held} activations in wider numbers; {len(widened)} of {len(graph.ops)} ops "
                    f"compute in them, {100 * share:.3g} % of the multiply-accumulates; {conversions} "
                    f"conversions")
