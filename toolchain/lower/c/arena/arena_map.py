"""What lies where in the arena, and when, as a record that reports draw."""

from toolchain.ir.graph import Graph
from toolchain.lower.c.arena.plan import Plan
from toolchain.measurement import ArenaMap, ArenaSpan

AFTER = "outputs are read"


def arena_map(graph: Graph, plan: Plan) -> ArenaMap:
    """The plan of a graph's C; memories beside the main one are drawn behind it."""
    spans = tuple(ArenaSpan(s.name, s.piece, s.offset, s.bytes, s.first, s.last) for s in plan.spans)
    last = plan.regions[-1]
    return ArenaMap(last.start + last.bytes, (*(op.name for op in graph.ops), AFTER), spans)
