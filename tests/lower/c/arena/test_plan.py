"""The arena: what is alive together shares no byte but where a kernel's order allows it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.lower.c.nets import Net, residual_net, two_ended_net
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph, Op
from toolchain.lower.c.arena.lifetimes import Span, over, spans
from toolchain.lower.c.arena.plan import ALIGNMENT, Plan, directed, least_bytes, plan_arena
from toolchain.lower.c.arena.views import byte_size, lay_out
from toolchain.lower.c.call import Call, Overlap

ROWS = 8
"""Steps that the made-up kernels work in: a step reads its share of each operand, then writes its own."""


@st.composite
def graphs(draw) -> Graph:
    """int8 chains that branch, join, rename, widen, narrow, cut and concatenate."""
    build = Builder("random")
    names = [build.input(f"x{i}", (1, ROWS, size), "int8") for i, size in enumerate((2, 5, 32))]
    for i in range(draw(st.integers(1, 14))):
        x = draw(st.sampled_from(names))
        shape = build.tensors[x].shape
        same = [name for name in names if build.tensors[name].shape == shape]
        kind = draw(st.sampled_from(["relu", "relu", "reshape", "add", "tile", "sum", "concat", "slice"]))
        operands = (x, draw(st.sampled_from(same))) if kind in ("add", "concat") else (x,)
        names.append(build.op(kind, operands, f"t{i}", **attributes(kind, shape, draw)))
    outputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return build.graph(*outputs)


def attributes(kind: str, shape: tuple[int, ...], draw) -> dict[str, object]:
    cut = draw(st.integers(1, shape[1] - 1)) if kind == "slice" and shape[1] > 1 else 0
    return {
        "reshape": {"shape": (1, shape[2], shape[1])}, "tile": {"multiples": (1, 1, 2)},
        "sum": {"axes": (2,), "keepdims": True}, "concat": {"axis": 1},
        "slice": {"begin": (0, cut, 0), "end": shape, "strides": (1, 1, 1)}}.get(kind, {})


def steps(bytes_all: int, backwards: bool = False) -> list[range]:
    """The bytes of each step."""
    ends = [i * bytes_all // ROWS for i in range(ROWS + 1)]
    parts = [range(*pair) for pair in zip(ends, ends[1:])]
    return parts[::-1] if backwards else parts


def stepwise_overlap(number: int, bytes_x: int, bytes_out: int, backwards: bool = False) -> Overlap:
    """Told by trying every distance."""
    read, written = steps(bytes_x, backwards), steps(bytes_out, backwards)

    def harmless(distance: int) -> bool:
        return not any(later.start < now.stop + distance and now.start + distance < later.stop
                       for k, now in enumerate(written) for later in read[k + 1:])

    good = [distance for distance in range(-bytes_out, bytes_x + 1) if harmless(distance)]
    low = next(d for d in range(-bytes_out, bytes_x + 2) if d not in good) - 1
    high = next(d for d in range(bytes_x, -bytes_out - 2, -1) if d not in good) + 1
    if low >= bytes_x:
        low, high = bytes_x, -bytes_out
    return Overlap(number, -low, high + bytes_out - bytes_x, 0 in good)


def stepwise_call(graph: Graph, op: Op, way: str) -> Call:
    """way: whether the kernel goes forwards, backwards, either way, or declares nothing."""
    def call(backwards: bool) -> Call:
        sizes = [byte_size(x) for x in graph.of(op)]
        overlaps = tuple(stepwise_overlap(i, size, byte_size(graph.tensors[op.name]), backwards)
                         for i, size in enumerate(sizes))
        return Call("backwards" if backwards else "forwards", op.inputs, {}, overlaps=overlaps)

    if way == "nothing":
        return Call("forwards", op.inputs, {})
    return call(way == "backwards") if way != "either" else replace(call(False), backwards=call(True))


def made_up_calls(graph: Graph, ways: list[str]) -> dict[str, list[Call]]:
    layout = lay_out(graph)
    return {op.name: [] if op.name in layout.views else concat_calls(graph, op, layout)
            if op.kind == "concat" else [stepwise_call(graph, op, ways[i % len(ways)])]
            for i, op in enumerate(graph.ops)}


def concat_calls(graph: Graph, op: Op, layout) -> list[Call]:
    sizes = [byte_size(x) for x in graph.of(op)]
    return [Call("part", (name,), {"offset": sum(sizes[:i])})
            for i, (name, there) in enumerate(zip(op.inputs, layout.in_place(graph, op))) if not there]


class Memory:
    """Runs a plan on labels: each byte of the arena says which byte of which tensor it holds."""

    def __init__(self, graph: Graph, plan: Plan):
        self.graph, self.plan = graph, plan
        self.bytes: list[object] = [None] * plan.peak_bytes

    def label(self, name: str, byte: int) -> object:
        place = self.plan.layout.places[name]
        return place.owner, place.offset + byte

    def write(self, name: str, part: range) -> None:
        for byte in part:
            self.bytes[self.plan.offsets[name] + byte] = self.label(name, byte)

    def expect(self, name: str, part: range) -> None:
        for byte in part:
            assert self.bytes[self.plan.offsets[name] + byte] == self.label(name, byte), (name, byte)

    def whole(self, name: str) -> range:
        return range(byte_size(self.graph.tensors[name]))

    def use_scratch(self, op: Op, call: Call) -> None:
        start = self.plan.offsets.get(f"{op.name}.scratch", 0)
        self.bytes[start:start + call.scratch_bytes] = [None] * call.scratch_bytes

    def run(self, op: Op, call: Call) -> None:
        if call.kernel == "part":
            self.expect(call.operands[0], self.whole(call.operands[0]))
            offset = call.params["offset"]
            self.write(op.name, range(offset, offset + len(self.whole(call.operands[0]))))
            return
        backwards, names = call.kernel == "backwards", (*call.operands, op.name)
        for *read, written in zip(*(steps(len(self.whole(name)), backwards) for name in names)):
            self.use_scratch(op, call)
            for name, part in zip(call.operands, read):
                self.expect(name, part)
            self.write(op.name, written)


@settings(max_examples=150, deadline=None)
@given(graph=graphs(), scratch=st.integers(0, 300),
       ways=st.lists(st.sampled_from(["forwards", "backwards", "either", "nothing"]), min_size=1, max_size=5))
def test_every_kernel_reads_what_was_written(graph, scratch, ways):
    calls = made_up_calls(graph, ways)
    for op in graph.ops[:2]:
        calls[op.name] = [replace(call, scratch_bytes=scratch) for call in calls[op.name]]
    plan = plan_arena(graph, calls, lay_out(graph))
    memory, ordered = Memory(graph, plan), directed(graph, calls, plan)
    for name in graph.inputs:
        memory.write(name, memory.whole(name))
    for op in graph.ops:
        for call in ordered[op.name]:
            memory.run(op, call)
    for name in graph.outputs:
        memory.expect(name, memory.whole(name))
    assert least_bytes(graph) <= plan.floor_bytes <= plan.peak_bytes


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), scratch=st.integers(0, 3000))
def test_bounds(graph, scratch):
    calls = {op.name: [Call("k", op.inputs, {}, scratch_bytes=scratch)] for op in graph.ops[:2]}
    plan = plan_arena(graph, calls)
    assert plan.floor_bytes <= plan.peak_bytes == max(s.offset + s.bytes for s in plan.spans)
    assert plan.floor_bytes == sum(size for _, size in plan.live_at_peak)
    assert all(span.offset % ALIGNMENT == 0 for span in plan.spans)


def test_what_no_plan_undercuts():
    """Of three activations of 384 bytes the first is read again after the second is there."""
    assert least_bytes(residual_net()) == 2 * 384


def test_residual_net_needs_no_more_than_its_floor():
    plan = plan_arena(residual_net())
    assert plan.peak_bytes == plan.floor_bytes == 3 * 384
    assert plan.peak == "sum (dw 384, stem 384, sum 384)"
    assert plan.offsets["flat"] == plan.offsets["pooled"]


def with_overlaps(graph: Graph, name: str, *overlaps: Overlap, **others) -> dict[str, list[Call]]:
    op = graph.producers[name]
    return {name: [Call("k", op.inputs, {}, overlaps=overlaps, **others)]}


def test_in_place():
    graph = residual_net()
    plan = plan_arena(graph, with_overlaps(graph, "sum", Overlap(0, 0), Overlap(1, 0)))
    assert plan.offsets["sum"] in (plan.offsets["dw"], plan.offsets["stem"])
    assert plan.peak_bytes == plan.floor_bytes == 2 * 384


def test_the_peak_says_what_is_shared():
    graph = residual_net()
    calls = with_overlaps(graph, "sum", Overlap(0, exact=True), scratch_bytes=500)
    peak = "sum (sum.scratch 500, dw 384, stem 384, sum 384; 384 of it shared)"
    assert plan_arena(graph, calls).peak == peak


def test_an_operand_that_is_read_later_stays():
    """stem is read by dw and by sum: dw may not lie on it."""
    graph = residual_net()
    plan = plan_arena(graph, with_overlaps(graph, "dw", Overlap(0, exact=True)))
    assert abs(plan.offsets["dw"] - plan.offsets["stem"]) >= 384


def test_an_operand_twice_keeps_both_rules():
    """x + x where only the first role may lie under the output."""
    net = Net("twice")
    x = net.make("relu", net.codes_in("x", 1, 64), "relu")
    graph = net.finish(net.make("relu", net.make("add", (x, x), "sum"), "y"))
    for overlaps, peak in ((Overlap(0, 0),), 128), ((Overlap(0, 0), Overlap(1, 0)), 64):
        plan = plan_arena(graph, {**with_overlaps(graph, "relu", Overlap(0, 0)),
                                  **with_overlaps(graph, "sum", *overlaps),
                                  **with_overlaps(graph, "y", Overlap(0, 0))})
        assert plan.peak_bytes == peak


def test_outputs_and_constants_are_never_written_over():
    net = Net("kept")
    y = net.make("relu", net.codes_in("x", 1, 64), "y")
    graph = net.finish(y, net.make("relu", y, "z"))
    plan = plan_arena(graph, with_overlaps(graph, "z", Overlap(0, exact=True)))
    assert abs(plan.offsets["z"] - plan.offsets["y"]) >= 64


def test_backwards_is_taken_where_its_distances_are_kept():
    """A kernel that widens may start where its input does if it goes backwards."""
    net = Net("widening")
    x = net.make("relu", net.codes_in("x", 1, 64), "relu")
    wide = net.make("tile", x, "wide", multiples=(1, 2))
    graph = net.finish(net.make("relu", wide, "y"))
    there = Call("there", ("relu",), {}, overlaps=(Overlap(0, after=64),))
    reverse = Call("back", ("relu",), {}, overlaps=(Overlap(0, exact=True),))
    for back, name in (None, "there"), (reverse, "back"):
        first = replace(there, overlaps=() if back else there.overlaps, backwards=back)
        calls = {"relu": [], "y": [], "wide": [first]}
        plan = plan_arena(graph, calls)
        assert abs(plan.offsets["wide"] - plan.offsets["relu"]) < 64
        assert directed(graph, calls, plan)["wide"][0].kernel == name


@pytest.mark.parametrize("overlap, low, high", [
    (Overlap(0), -40, 100), (Overlap(0, 10), -10, 100), (Overlap(0, 90), -40, 100),
    (Overlap(0, None, 5), -40, 65), (Overlap(0, 10, 5), -10, 65), (Overlap(0, None, 99), -40, 100)])
def test_distances_of_an_overlap(overlap, low, high):
    """Of an operand of 100 bytes and an output of 40."""
    assert over([overlap], 100, 40) == [(low, high)]
    assert over([replace(overlap, exact=True)], 100, 40) == [(low, 0), (0, high)]


def test_an_order_that_does_no_harm_anywhere_has_no_rule():
    assert over([Overlap(0, -100)], 100, 40) == [] == over([Overlap(0, -20, -50)], 100, 40)


def test_scratch_counts_while_its_op_runs():
    graph = residual_net()
    plan = plan_arena(graph, with_overlaps(graph, "dw", scratch_bytes=1000))
    assert plan.peak_op == "dw" and plan.live_at_peak[0] == ("dw.scratch", 1000)
    assert plan.floor_bytes == 1768 <= plan.peak_bytes < 1768 + 16


def test_float_graphs_count_four_bytes():
    build = Builder("float")
    y = build.op("relu", (build.input("x", (1, 100)),), "y")
    assert plan_arena(build.graph(y)).peak_bytes == 400 + 400


@pytest.mark.parametrize("a, b, meets", [((0, 2), (2, 3), True), ((0, 1), (2, 3), False),
                                         ((1, 1), (0, 5), True)])
def test_meeting(a, b, meets):
    one, other = Span("one", "one", 0, 1, *a), Span("other", "other", 0, 1, *b)
    assert one.meets(other) == other.meets(one) == meets


def test_outputs_live_on_after_the_last_op():
    graph = two_ended_net()
    last = {span.name: span.last for span in spans(graph, lay_out(graph), {})}
    assert last == {"a": 1, "b": 1, "flat": 3, "product": 3, "mean": 3}


def test_graph_without_ops():
    build = Builder("nothing")
    x = build.input("x", (1, 8), "int8")
    plan = plan_arena(build.graph(x))
    assert plan.peak_bytes == 8 and plan.peak_op == "nothing" and dict(plan.offsets) == {"x": 0}


def test_the_same_plan_every_time():
    graph = residual_net()
    assert dict(plan_arena(graph).offsets) == dict(plan_arena(graph).offsets)
    assert np.max(list(plan_arena(graph).offsets.values())) < 3 * 384
