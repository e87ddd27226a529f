"""Whole, or its first layers in bands: what kernels a graph calls, and where everything lies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.lower.c.arena.lifetimes import Calls
from toolchain.lower.c.arena.patches import BANDS, choices, runs
from toolchain.lower.c.arena.plan import Plan, directed, least_bytes, plan_arena
from toolchain.lower.c.arena.views import Layout, lay_out
from toolchain.lower.c.call import Call
from toolchain.lower.c.machine import Machine
from toolchain.lower.c.portable.orders import overlapping
from toolchain.lower.c.variants import choose

BESIDES = 2304
"""Bytes of RAM that a firmware takes besides the arena: 2,048 are set aside for the stack."""
MOST_TRIED = 40
"""Ways to cut a network into bands that are planned."""
CallsOf = Callable[[Graph, Layout], Calls]


@dataclass(frozen=True, eq=False)
class Arrangement:
    """calls: op -> its kernel calls, as they are printed;  plan: of `graph`, which may be in bands"""

    graph: Graph
    calls: Calls
    plan: Plan


def arrange(graph: Graph, calls_of: CallsOf, machine: Machine,
            borrowed: Callable[[Call], Call] | None = None) -> Arrangement:
    """As the machine asks: in bands if its RAM would not hold the arena otherwise, those that compute least
    again; where bands do not help, whole.

    calls_of: the portable calls of a graph
    borrowed: as `choose` has it
    Raises Unsupported where bands are asked for by number and the network has no layers to cut.
    """
    planned = partial(_planned, calls_of=calls_of, machine=machine, borrowed=borrowed)
    whole = planned(graph)
    if machine.patches == "auto":
        arena_bytes = None if machine.ram_bytes is None else machine.ram_bytes - BESIDES
        return whole if arena_bytes is None or whole.plan.peak_bytes <= arena_bytes else _fitting(
            whole, arena_bytes, planned, machine)
    if machine.patches < 2:
        return whole
    cut = choices(graph, runs(graph), (machine.patches,))
    if not cut:
        raise Unsupported(f"{graph.name}: [c] patches = {machine.patches}, but its first layers cannot be "
                          f'done in as many bands; take fewer, 0 for none, or "auto"')
    return min(map(planned, cut), key=lambda each: each.plan.peak_bytes)


def _planned(graph: Graph, calls_of: CallsOf, machine: Machine,
             borrowed: Callable[[Call], Call] | None) -> Arrangement:
    layout = lay_out(graph)
    chosen = choose(calls_of(graph, layout), machine, borrowed)
    calls = {op: [*map(overlapping, made)] for op, made in chosen.items()}
    plan = plan_arena(graph, calls, layout, machine.regions)
    return Arrangement(graph, directed(graph, calls, plan), plan)


def _fitting(whole: Arrangement, arena_bytes: int, planned: Callable[[Graph], Arrangement],
             machine: Machine) -> Arrangement:
    """The first that fits, of those with fewest multiply-accumulates first; else the whole."""
    in_all = arena_bytes + sum(size for _, size in machine.regions)
    cut = (graph for graph in choices(whole.graph, _worth_cutting(whole, arena_bytes), BANDS)
           if least_bytes(graph) <= in_all)
    tried = map(planned, islice(cut, MOST_TRIED))
    return next((each for each in tried if each.plan.peak_bytes <= arena_bytes), whole)


def _worth_cutting(whole: Arrangement, arena_bytes: int) -> Iterator[int]:
    """Runs of first ops after which the rest fits, and needs less than after a shorter run."""
    least = None
    for count in runs(whole.graph):
        rest = max(whole.plan.needed[count:])
        if rest <= arena_bytes and (least is None or rest < least):
            least = rest
            yield count

