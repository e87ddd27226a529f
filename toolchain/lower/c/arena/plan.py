"""The static arena: which activation lies where, and when. Planned here; the device allocates nothing.

Graph inputs and outputs have places in the arena too: a caller writes an input to its place, or hands in a
buffer of its own. An op's output may lie over an operand that is not read afterwards, where its kernel's
order allows: over an input's place too, but never over a buffer that the caller handed in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from toolchain.ir.graph import Graph, Op
from toolchain.lower.c.arena.lifetimes import Calls, Pair, Span, directions, distances, operand_rules, spans
from toolchain.lower.c.arena.packing import Interval, Pieces
from toolchain.lower.c.arena.regions import Region, heat_of, spread
from toolchain.lower.c.arena.views import Layout, lay_out
from toolchain.lower.c.call import Call

ALIGNMENT = 8
"""Of everything in the arena but views: what words, int64 and a 64-bit bus like. The arena itself: 16."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Where everything lies.

    offsets:      activation or "<op>.scratch" -> bytes from the start of the arena; beyond its end: from the
                  start of a region, counted on
    layout:       which activations are views of others
    spans:        what lies there when, for a picture: offsets within the arena
    regions:      the arena, and what is used of other memories
    needed:       of each op, and after the last: bytes that are alive at once, less what its output may share
                  with its operands
    peak_op:      the op that needs most
    live_at_peak: (name, bytes) of what is alive there, largest first
    """

    offsets: Mapping[str, int]
    layout: Layout
    spans: tuple[Span, ...]
    regions: tuple[Region, ...]
    needed: tuple[int, ...]
    peak_op: str
    live_at_peak: tuple[tuple[str, int], ...]

    @property
    def peak_bytes(self) -> int:
        """Size of the arena, in the main memory."""
        return self.regions[0].bytes

    def place_of(self, name: str) -> tuple[int, int]:
        """Number of the region that holds an activation or scratch, and where it begins there."""
        offset = self.offsets[name]
        number = max(i for i, region in enumerate(self.regions) if region.start <= offset)
        return number, offset - self.regions[number].start

    @property
    def floor_bytes(self) -> int:
        """No plan needs less, in all memories together."""
        return max(self.needed)

    @property
    def peak(self) -> str:
        """The worst op and what is alive there, in words."""
        shared = sum(size for _, size in self.live_at_peak) - self.floor_bytes
        live = ", ".join(f"{name} {size:,}" for name, size in self.live_at_peak)
        return f"{self.peak_op} ({live}{f'; {shared:,} of it shared' if shared else ''})"


def plan_arena(graph: Graph, calls: Calls | None = None, layout: Layout | None = None,
               memories: Sequence[tuple[str, int]] = ()) -> Plan:
    """Place the activations of any graph, and its kernels' scratch.

    calls, layout: of generated C; without them, of a runtime that overlaps nothing and renames reshapes only
    memories:      (name, bytes) of those beside the main one, fastest first
    """
    calls, layout = calls or {}, layout or lay_out(graph, ("reshape",))
    alive = spans(graph, layout, {op: _scratch_bytes(made) for op, made in calls.items()})
    live = [_live(s for s in alive if s.first <= moment <= s.last) for moment in range(len(graph.ops) + 1)]
    shared = [*(_most_shared(graph, op, alive, calls) for op in graph.ops), 0]
    needed = tuple(sum(now.values()) - less for now, less in zip(live, shared, strict=True))
    worst, names = needed.index(max(needed)), [op.name for op in graph.ops] or [graph.name]
    starts, regions = _packed(graph, alive, distances(graph, alive, calls), memories, max(needed))
    placed = tuple(Span(s.name, s.piece, starts[s.piece] + s.offset, s.bytes, s.first, s.last) for s in alive)
    return Plan({s.name: s.offset for s in placed}, layout, placed, regions, needed,
                (*names, names[-1])[worst],
                tuple(sorted(live[worst].items(), key=lambda item: (-item[1], item[0]))))


def least_bytes(graph: Graph) -> int:
    """No plan of its C needs less, whatever kernels are called: as if outputs could lie over all operands
    that are not read afterwards, and there were no scratch. Much faster than a plan."""
    layout = lay_out(graph)
    held = {span.name: span for span in spans(graph, layout, {})}
    shared = [sum(min(held[name].bytes, held[op.name].bytes) for name in {*op.inputs} & held.keys()
                  if held[name].last == number and op.name not in layout.views)
              for number, op in enumerate(graph.ops)]
    live = (_live(s for s in held.values() if s.first <= moment <= s.last) for moment in range(len(shared)))
    return max((sum(now.values()) - less for now, less in zip(live, shared, strict=True)), default=0)


def _scratch_bytes(calls: Sequence[Call]) -> int:
    """Of an op: that of its hungriest call, in either direction; what it fetches among it."""
    return max((each.memory_bytes for call in calls for each in (call, call.backwards) if each), default=0)


def _packed(graph: Graph, alive: Sequence[Span], rules: Mapping[Pair, list[Interval]],
            memories: Sequence[tuple[str, int]], floor: int) -> tuple[dict[str, int], tuple[Region, ...]]:
    """Piece -> its start. What a caller writes and reads is in the arena."""
    pieces: dict[str, list[Span]] = {}
    for span in alive:
        pieces.setdefault(span.piece, []).append(span)
    number = {name: i for i, name in enumerate(pieces)}
    forbidden: dict[tuple[int, int], list[Interval]] = {}
    for (a, b), intervals in rules.items():
        turned = intervals if number[a] < number[b] else [(-high, -low) for low, high in intervals]
        forbidden.setdefault(tuple(sorted((number[a], number[b]))), []).extend(turned)
    packed = Pieces([max(s.offset + s.bytes for s in held) for held in pieces.values()],
                    [(min(s.first for s in held), max(s.last for s in held)) for held in pieces.values()],
                    forbidden, ALIGNMENT)
    ports = {*graph.inputs, *graph.outputs}
    kept = {number[span.piece] for span in alive if span.name in ports}
    starts, regions = spread(packed, heat_of(graph, [*pieces.values()]), kept, memories, floor)
    return dict(zip(pieces, starts, strict=True)), regions


def _live(alive: Iterable[Span]) -> dict[str, int]:
    """Piece -> how many of its bytes hold something."""
    live, end = {}, {}
    for span in sorted(alive, key=lambda s: s.offset):
        top = max(span.offset, end.get(span.piece, 0))
        end[span.piece] = max(top, span.offset + span.bytes)
        live[span.piece] = live.get(span.piece, 0) + end[span.piece] - top
    return live


def _most_shared(graph: Graph, op: Op, alive: Sequence[Span], calls: Calls) -> int:
    """Bytes that the op's output can share with its operands at most."""
    rules = operand_rules(graph, op, calls.get(op.name, ()))
    held = {span.name: span for span in alive}
    return sum(max(_common(held[name].bytes, held[op.name].bytes, distance) for distance in _ends(rule))
               for name, rule in rules.items() if held[name].last == held[op.name].first)


def _ends(rule: Sequence[Interval]) -> list[int]:
    return [end for interval in rule for end in interval
            if not any(low < end < high for low, high in rule)] or [0]


def _common(bytes_x: int, bytes_out: int, distance: int) -> int:
    """Bytes that two pieces share, of which the second starts `distance` after the first."""
    return max(0, min(bytes_x, distance + bytes_out) - max(0, distance))


def directed(graph: Graph, calls: Calls, plan: Plan) -> dict[str, list[Call]]:
    """Each op's calls, backwards where the plan needs that."""
    return {op.name: [_directed(graph, op, call, plan) for call in calls[op.name]] for op in graph.ops}


def _directed(graph: Graph, op: Op, call: Call, plan: Plan) -> Call:
    """The first direction whose distances to its operands the plan keeps; of several calls nothing
    overlaps."""
    ways = directions(graph, call)
    return next(way for way in ways if len(ways) == 1 or _keeps(graph, op, way, plan))


def _keeps(graph: Graph, op: Op, way: Call, plan: Plan) -> bool:
    rules = operand_rules(graph, op, [replace(way, backwards=None)])
    distance = {name: plan.offsets[op.name] - plan.offsets[name] for name in rules}
    return not any(low < distance[name] < high for name, rule in rules.items() for low, high in rule)
