"""Overlaps that kernels declare, in every room: as far over an operand as they say, the codes stay the same.

Each kernel runs with its output at the outermost distances from each operand that it declares, in each order.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests import op_cases_int16
from tests.c_host import compile_graphs
from tests.many_ops import drawn, merged
from tests.op_maker import Case
from toolchain.lower.c import emit
from toolchain.lower.c.arena.lifetimes import Span, directions, operand_rules
from toolchain.lower.c.arena.plan import Plan
from toolchain.lower.c.arena.regions import Region
from toolchain.lower.c.arena.views import byte_size, lay_out
from toolchain.lower.c.arrange import Arrangement
from toolchain.lower.c.call import Call, Overlap
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.lower.c.portable.orders import in_steps, overlapping
from toolchain.lower.c.variants import candidates
from toolchain.runtime import reference

CORES = ("", *{rooms: isa for isa, rooms in ROOMS.items()}.values())
CASES = 90
TOGETHER = 40
"""Trials in one graph."""
Trial = tuple[Case, Call, str, int]
"""A case, the call that does it, an operand, start of the output - start of that operand."""


def cases() -> Iterator[Case]:
    yield from map(drawn, range(CASES))
    for kind in op_cases_int16.CASES:
        for number, (graph, feeds) in enumerate(op_cases_int16.drawn(kind)[:3]):
            yield Case(kind, "int16", number, graph, feeds)


def trials(machine: Machine) -> Iterator[Trial]:
    for case in cases():
        op, = case.graph.ops
        made = emit.CALLS[op.kind](case.graph, op)
        for call in candidates(made, machine) if isinstance(made, Call) else ():
            for order in directions(case.graph, overlapping(call)):
                for name, distance in outermost(case, replace(order, backwards=None)):
                    yield case, order, name, distance


def outermost(case: Case, order: Call) -> Iterator[tuple[str, int]]:
    """Operand, distance: the ends of what is forbidden, where output and operand share bytes."""
    graph, op = case.graph, case.graph.ops[0]
    step = 2 if case.dtype == "int16" else 1
    for name, rule in operand_rules(graph, op, [order]).items():
        size, out = byte_size(graph.tensors[name]), byte_size(graph.tensors[op.name])
        ends = {end for low, high in rule for end in (low // step * step, -(-high // step) * step)}
        for distance in sorted(ends or {0, (size - out) // step * step}):
            if -out < distance < size:
                yield name, distance


def side_by_side(tried: list[Trial]) -> tuple[Arrangement, dict[str, np.ndarray]]:
    """One graph of all, each with its operand and output at their distance and all else apart; its feeds."""
    graph, feeds = merged([case for case, *_ in tried], "trials")
    spans, calls, end = [], {}, 0
    for i, (case, call, operand, distance) in enumerate(tried):
        placed, end = places(case, call, operand, distance, -(-end // 16) * 16)
        spans += [Span(f"{i}.{name}", f"{i}.{name}", start, size, 0, 0) for name, start, size in placed]
        names = tuple(f"{i}.{name}" for name in call.operands)
        calls[f"{i}.y"] = [replace(call, operands=names)]
    offsets = {span.name: span.offset for span in spans}
    plan = Plan(offsets, lay_out(graph), tuple(spans), (Region("arena", 0, end),), (0,), "", ())
    return Arrangement(graph, calls, plan), feeds


def places(case: Case, call: Call, operand: str, distance: int,
           base: int) -> tuple[list[tuple[str, int, int]], int]:
    """(name, start, bytes) of one trial's tensors and scratch, from `base` on; the end."""
    size = {name: byte_size(case.graph.tensors[name]) for name in (*case.graph.inputs, "y")}
    start = base + max(0, -distance)
    placed = [(operand, start, size[operand]), ("y", start + distance, size["y"])]
    end = max(start + count for _, start, count in placed)
    for name in case.graph.inputs:
        if name != operand:
            end += end % 2
            placed.append((name, end, size[name]))
            end += size[name]
    scratch = -(-end // 16) * 16
    return [*placed, ("y.scratch", scratch, call.scratch_bytes)], scratch + call.scratch_bytes


@pytest.mark.parametrize("isa", CORES)
def test_codes_stay_the_same_at_the_outermost_distances(isa, tmp_path, monkeypatch):
    tried = [*trials(Machine(isa))]
    assert len(tried) > 100
    groups = [tried[first:first + TOGETHER] for first in range(0, len(tried), TOGETHER)]
    made = [side_by_side(group) for group in groups]
    waiting = iter(made)
    monkeypatch.setattr(emit, "arrange", lambda *_: next(waiting)[0])
    models = compile_graphs([arranged.graph for arranged, _ in made], tmp_path, machine=Machine(isa))
    wrong = []
    for group, (_, feeds), model in zip(groups, made, models, strict=True):
        codes = model.in_arena().run(feeds)
        wrong += [(case.name, call.kernel, operand, distance)
                  for i, (case, call, operand, distance) in enumerate(group)
                  if not np.array_equal(codes[f"{i}.y"], reference.run(case.graph, case.feeds)["y"])]
    assert wrong == []


def test_steps():
    """Rows of 3 bytes become 5: each is read before the output reaches it, if it is read at once."""
    reads = 3 * np.arange(4)
    assert in_steps(reads, 5, at_once=False).before == 20 - 9
    assert in_steps(reads, 5).before == 15 - 9
    assert in_steps(reads[:1], 5).before < -100
    assert in_steps(reads, 3) == Overlap(before=0, exact=True)
