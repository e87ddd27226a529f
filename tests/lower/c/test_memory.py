"""The arena: what is alive together never overlaps, and no plan is smaller than what is alive at once."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from tests.lower.c.nets import residual_net, two_ended_net
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.lower.c.memory import ALIGNMENT, Buffer, buffer_owners, lifetimes, plan_arena


@st.composite
def graphs(draw) -> Graph:
    """Chains that branch, join and rename: relu, reshape, and add of tensors of one size."""
    build, sizes = Builder("random"), [16, 40, 256]
    names = [build.input(f"x{i}", (1, size)) for i, size in enumerate(sizes)]
    for i in range(draw(st.integers(1, 14))):
        x = draw(st.sampled_from(names))
        shape = build.tensors[x].shape
        same = [name for name in names if build.tensors[name].shape == shape]
        kind = draw(st.sampled_from(["relu", "reshape", "add"]))
        operands = (x, draw(st.sampled_from(same))) if kind == "add" else (x,)
        other = (1, shape[1] * shape[2]) if len(shape) == 3 else (1, 2, shape[1] // 2)
        names.append(build.op(kind, operands, f"t{i}", **({"shape": other} if kind == "reshape" else {})))
    outputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return build.graph(*outputs)


def values_alive(graph: Graph, number: int) -> set[str]:
    """Activations that exist while op `number` runs, told from the graph alone."""
    last = len(graph.ops) - 1
    first = {name: 0 for name in graph.inputs} | {op.name: i for i, op in enumerate(graph.ops)}
    until = {name: start for name, start in first.items()}
    until |= {name: i for i, op in enumerate(graph.ops) for name in op.inputs if name in first}
    until |= {name: last for name in graph.outputs}
    return {name for name in first if first[name] <= number <= until[name]}


def overlap(plan, graph: Graph, a: str, b: str) -> bool:
    start = {name: plan.offsets[name] for name in (a, b)}
    end = {name: start[name] + graph.tensors[name].size * 4 for name in (a, b)}
    return start[a] < end[b] and start[b] < end[a]


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_nothing_alive_overlaps(graph):
    plan, owners = plan_arena(graph), buffer_owners(graph)
    for number in range(len(graph.ops)):
        alive = sorted(values_alive(graph, number))
        for i, a in enumerate(alive):
            for b in alive[i + 1:]:
                assert owners[a] == owners[b] or not overlap(plan, graph, a, b), (number, a, b)


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), scratch=st.integers(0, 3000))
def test_bounds(graph, scratch):
    plan = plan_arena(graph, {op.name: scratch for op in graph.ops[:2]})
    buffers = lifetimes(graph, buffer_owners(graph))
    ends = [plan.offsets[b.name] + b.bytes for b in buffers]
    assert plan.floor_bytes <= plan.peak_bytes
    assert plan.peak_bytes >= max(ends)
    assert plan.floor_bytes == sum(size for _, size in plan.live_at_peak)
    assert all(offset % ALIGNMENT == 0 for offset in plan.offsets.values())


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_a_buffer_serves_one_graph_input_or_output(graph):
    owners = buffer_owners(graph)
    outside = [owners[name] for name in dict.fromkeys((*graph.inputs, *graph.outputs))]
    assert len(outside) == len(set(outside))


def test_residual_net_needs_no_more_than_its_floor():
    plan = plan_arena(residual_net())
    assert plan.peak_bytes == plan.floor_bytes == 3 * 384
    assert plan.peak == "sum (dw 384, stem 384, sum 384)"
    assert plan.offsets["flat"] == plan.offsets["pooled"]


def test_scratch_counts_while_its_op_runs():
    plan = plan_arena(residual_net(), {"dw": 1000})
    assert plan.peak_op == "dw" and plan.live_at_peak[0] == ("dw.scratch", 1000)
    assert plan.floor_bytes == 1768 <= plan.peak_bytes < 1768 + 16


def test_an_output_that_renames_an_input_has_bytes_of_its_own():
    graph = two_ended_net()
    assert buffer_owners(graph)["flat"] == "flat"
    assert buffer_owners(residual_net())["flat"] == "pooled"


def test_float_graphs_count_four_bytes():
    build = Builder("float")
    y = build.op("relu", (build.input("x", (1, 100)),), "y")
    assert plan_arena(build.graph(y)).peak_bytes == 400 + 400


@pytest.mark.parametrize("a, b, meets", [((0, 2), (2, 3), True), ((0, 1), (2, 3), False),
                                         ((1, 1), (0, 5), True)])
def test_meeting(a, b, meets):
    one, other = Buffer("one", 1, *a), Buffer("other", 1, *b)
    assert one.meets(other) == other.meets(one) == meets


def test_graph_without_ops():
    build = Builder("nothing")
    x = build.input("x", (1, 8), "int8")
    plan = plan_arena(build.graph(x))
    assert plan.peak_bytes == 8 and plan.peak_op == "nothing" and dict(plan.offsets) == {"x": 0}
