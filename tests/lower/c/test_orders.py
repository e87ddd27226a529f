"""Overlaps that kernels declare, in every room: as far over an operand as they say, the codes stay the same.

Each kernel runs with its output at the outermost distances from each operand that it declares, in each order.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests import op_cases_int16
from tests.c_host import compile_graphs
from tests.many_ops import drawn
from tests.op_maker import Case
from toolchain.lower.c import arrange, emit
from toolchain.lower.c.call import Call, Overlap
from toolchain.lower.c.lifetimes import Span, operand_rules, orders
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.lower.c.memory import Plan
from toolchain.lower.c.orders import in_steps, overlapping
from toolchain.lower.c.regions import Region
from toolchain.lower.c.variants import candidates
from toolchain.lower.c.views import byte_size, lay_out
from toolchain.runtime import reference

CORES = ("", *{rooms: isa for isa, rooms in ROOMS.items()}.values())
CASES = 90
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
            for order in orders(case.graph, overlapping(call)):
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


def plan_of(trial: Trial) -> Plan:
    """The operand, its output, then all else, apart."""
    case, call, operand, distance = trial
    graph, op = case.graph, case.graph.ops[0]
    start = max(0, -distance)
    spans = [_span(graph, operand, start), _span(graph, op.name, start + distance)]
    end = max(s.offset + s.bytes for s in spans)
    for name in graph.inputs:
        if name != operand:
            spans.append(_span(graph, name, end))
            end += byte_size(graph.tensors[name])
        end += end % 2
    scratch = -(-end // 16) * 16
    spans.append(Span(f"{op.name}.scratch", "", scratch, call.scratch_bytes, 0, 0))
    return Plan({s.name: s.offset for s in spans}, lay_out(graph), tuple(spans),
                (Region("arena", 0, scratch + call.scratch_bytes),), (0,), "", ())


def _span(graph, name: str, offset: int) -> Span:
    return Span(name, name, offset, byte_size(graph.tensors[name]), 0, 0)


@pytest.mark.parametrize("isa", CORES)
def test_codes_stay_the_same_at_the_outermost_distances(isa, tmp_path, monkeypatch):
    tried = [*trials(Machine(isa))]
    assert len(tried) > 100
    waiting = iter(tried)

    def forced(graph, calls, layout, rooms):
        forced.trial = next(waiting)
        return plan_of(forced.trial)

    monkeypatch.setattr(arrange, "plan_arena", forced)
    monkeypatch.setattr(arrange, "in_order", lambda graph, calls, plan: {"y": [forced.trial[1]]})
    models = compile_graphs([case.graph for case, *_ in tried], tmp_path,
                            ("-O0", "-fsanitize=alignment", "-fno-sanitize-recover=all"), Machine(isa))
    wrong = [(case.name, call.kernel, operand, distance)
             for (case, call, operand, distance), model in zip(tried, models, strict=True)
             if not np.array_equal(model.in_arena().run(case.feeds)["y"],
                                   reference.run(case.graph, case.feeds)["y"])]
    assert wrong == []


def test_steps():
    """Rows of 3 bytes become 5: each is read before the output reaches it, if it is read at once."""
    reads = 3 * np.arange(4)
    assert in_steps(reads, 5, at_once=False).before == 20 - 9
    assert in_steps(reads, 5).before == 15 - 9
    assert in_steps(reads[:1], 5).before < -100
    assert in_steps(reads, 3) == Overlap(before=0, exact=True)
