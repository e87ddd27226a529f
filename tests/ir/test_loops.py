"""Loops: what is legal, in which order they run, and what they mean written out."""

from dataclasses import replace

import numpy as np
import pytest

from tests.loops import STEPS, WIDTH, accumulated, accumulating
from toolchain.errors import BadGraph
from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.graph import Graph, live_ops
from toolchain.ir.loops import Loop, extents, in_pieces, made_first, parts, repeats
from toolchain.ir.ops import graph_macs, make
from toolchain.ir.passes import canonical
from toolchain.ir.unrolling import unrolled
from toolchain.runtime import reference


def samples(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, STEPS, WIDTH)).astype(np.float32)


# What they mean ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_repeats_its_body_for_each_step(reverse):
    x = samples()
    expected = accumulated(x, reverse)
    np.testing.assert_array_equal(reference.run(accumulating(reverse), {"x": x})["y"], expected)
    last = reference.run(accumulating(reverse, "last"), {"x": x})["y"]
    np.testing.assert_array_equal(last, expected[:, 0 if reverse else -1])


def test_state_begins_anew_with_each_sample():
    x = samples(1)
    twice = reference.run(accumulating(), {"x": np.concatenate([x, 3 * x, x])})["y"]
    np.testing.assert_array_equal(twice[0], twice[2])


def test_what_is_repeated_is_shown_step_by_step():
    x = samples()
    kept = reference.run(accumulating(), {"x": x}, keep=["after", "s"])
    np.testing.assert_array_equal(kept["after"], accumulated(x))
    np.testing.assert_array_equal(kept["s"][:, 1:], accumulated(x)[:, :-1])
    np.testing.assert_array_equal(kept["s"][:, 0], np.ones((4, WIDTH), np.float32))


def test_written_out_there_are_the_ops_of_every_step():
    flat = unrolled(accumulating())
    check(flat.graph, "FLOAT")
    assert flat.steps["after"] == tuple(f"after@{t}" for t in range(STEPS))
    assert flat.steps["s"] == ("begin", *flat.steps["after"][:-1])
    assert sum(op.kind == "add" for op in flat.graph.ops) == STEPS
    assert unrolled(flat.graph).graph is flat.graph


def test_two_values_of_the_last_step_leave_under_their_own_names():
    graph = accumulating()
    more = [make("last", ["after"], name, loop="loop") for name in ("one", "two")]
    tensors = [replace(graph.tensors["after"], name=op.name) for op in more]
    both = replace(graph.with_tensors(*tensors), outputs=("one", "two")).with_ops([*graph.ops, *more])
    found = reference.run(check(both, "FLOAT"), {"x": samples()})
    np.testing.assert_array_equal(found["one"], found["two"])


def test_what_a_loop_repeats_counts_as_often():
    build = Builder("dense")
    x = build.input("x", (1, STEPS, WIDTH))
    weight = build.constant("weight", np.ones((2, WIDTH), np.float32))
    bias = build.constant("bias", np.zeros(2, np.float32))
    step = build.op("step", [x], "step", loop="loop", axis=1)
    dense = build.op("fully_connected", [step, weight, bias], "dense")
    graph = build.graph(build.op("sequence", [dense], "y", loop="loop", axis=1, steps=STEPS))
    assert graph_macs(graph) == STEPS * 2 * WIDTH
    assert repeats(graph) == {"step": STEPS, "dense": STEPS}


# Where they stand -------------------------------------------------------------------------------------------

def test_what_makes_a_state_is_needed_by_who_reads_it():
    graph = accumulating()
    assert live_ops(graph.ops, graph.outputs) == graph.ops
    assert [op.name for op in live_ops(graph.ops, ["halved"])] == ["s", "step", "halved", "after"]


def beside(graph: Graph) -> Graph:
    """With ops before and behind that the order of ops mixes with the loop's."""
    doubled = replace(graph.tensors["y"], name="doubled")
    other = replace(graph.tensors["x"], name="other")
    ops = [graph.ops[0], make("abs", ["x"], "other"), *graph.ops[1:], make("add", ["y", "other"], "doubled")]
    return replace(graph.with_tensors(doubled, other), outputs=("doubled",)).with_ops(ops)


def test_a_loop_is_one_piece():
    graph = check(beside(accumulating()), "FLOAT")
    pieces = in_pieces(graph)
    (loop, first, last), = extents(pieces)
    assert {op.name for op in pieces.ops[first:last + 1]} == {"s", "step", "halved", "after", "y"}
    assert [op.name for op in loop.exits] == ["y"] and loop.steps == STEPS
    x = samples()
    np.testing.assert_array_equal(reference.run(pieces, {"x": x})["doubled"], accumulated(x) + abs(x))


def test_ops_are_brought_behind_what_they_read():
    graph = beside(accumulating())
    again = made_first(graph.ops[::-1])
    check(replace(graph, ops=again), "FLOAT")


def test_canonical_form_keeps_loops():
    graph, x = canonical(beside(accumulating())), samples()
    assert isinstance(next(p for p in parts(graph) if isinstance(p, Loop)), Loop)
    np.testing.assert_array_equal(reference.run(graph, {"x": x})["doubled"], accumulated(x) + abs(x))


# What is refused --------------------------------------------------------------------------------------------

def changed(graph: Graph, name: str, **changes) -> Graph:
    return replace(graph, ops=tuple(replace(op, **changes) if op.name == name else op for op in graph.ops))


def attributes(graph: Graph, name: str, **attrs) -> Graph:
    return changed(graph, name, attrs={**graph.producers[name].attrs, **attrs})


@pytest.mark.parametrize("graph, message", [
    (attributes(accumulating(), "y", loop="another"), "y: sequence reads what is repeated by loop;"),
    (attributes(accumulating(), "step", loop="another"), "after: add reads what is repeated by another"),
    (changed(accumulating(), "s", inputs=("begin", "begin")), "s: state .* becomes begin"),
    (replace(accumulating(), outputs=("after",)), "after: output of the graph is repeated by loop loop"),
    (changed(accumulating(), "s", inputs=("halved", "after")), "s: reads halved before anything makes it"),
])
def test_a_loop_that_cannot_be_repeated_is_refused(graph, message):
    with pytest.raises(BadGraph, match=message):
        check(graph, "FLOAT")


def test_sequences_of_a_loop_are_as_long():
    build = Builder("uneven")
    a, b = build.input("a", (1, 4, WIDTH)), build.input("b", (1, 5, WIDTH))
    steps = [build.op("step", [name], f"{name}.step", loop="loop", axis=1) for name in (a, b)]
    graph = build.graph(build.op("last", [build.op("add", steps, "both")], "y", loop="loop"))
    with pytest.raises(BadGraph, match=r"loop loop: has \[4, 5\] steps"):
        check(graph, "FLOAT")


def test_a_loop_inside_of_a_loop_is_refused():
    build = Builder("nested")
    x = build.input("x", (1, 4, 3, 2))
    outer = build.op("step", [x], "outer", loop="outer", axis=1)
    inner = build.op("step", [outer], "inner", loop="inner", axis=1)
    graph = build.graph(build.op("last", [inner], "y", loop="inner"))
    with pytest.raises(BadGraph, match="inner: step begins in loop outer; loops lie side by side"):
        check(graph, "FLOAT")
