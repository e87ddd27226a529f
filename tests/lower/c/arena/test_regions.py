"""Several memories: what is used most lies in the fastest, within its bytes, and the codes are the same."""

import subprocess

import numpy as np
import pytest

from tests.c_host import SANITIZED, compile_c, compile_graphs
from tests.lower.c.arena.test_patches import wide_net
from tests.lower.c.nets import residual_net
from tests.lower.c.test_emit import random_feeds, vectors
from toolchain.lower.c.arena.packing import Pieces
from toolchain.lower.c.arena.regions import Region, spread
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import Machine
from toolchain.runtime import reference

TWO = Machine("armv7e-m", regions=(("tcm", 300), ("sram", 2000)))


def test_what_is_used_most_comes_first():
    """Four pieces that meet; the hottest does not fit the fast memory, the caller's may not go there."""
    sizes = [100, 40, 60, 50]
    apart = {(a, b): [(-sizes[b], sizes[a])] for b in range(4) for a in range(b)}
    pieces = Pieces(sizes, [(0, 0)] * 4, apart, 8)
    starts, regions = spread(pieces, [9, 5, 7, 6], {3}, [("fast", 99), ("slow", 39)], 0)
    assert regions == (Region("arena", 0, 194), Region("fast", 208, 60))
    assert starts[2] == 208 and sorted((starts[0], starts[1], starts[3]))[0] == 0


def test_pieces_that_never_meet_share_a_fast_memory():
    pieces = Pieces([64, 64, 64], [(0, 0), (1, 1), (0, 1)], {(0, 2): [(-64, 64)], (1, 2): [(-64, 64)]}, 8)
    starts, regions = spread(pieces, [2, 2, 1], set(), [("fast", 64)], 0)
    assert starts == [64, 64, 0] and regions == (Region("arena", 0, 64), Region("fast", 64, 64))


@pytest.mark.parametrize("net", [residual_net, wide_net])
def test_codes_are_the_references(net, tmp_path):
    graph = net()
    model, = compile_graphs([graph], tmp_path, machine=TWO)
    whole, plan = write_c(graph, machine=Machine("armv7e-m")).arena_bytes, model.source.plan
    used = {region.name: region.bytes for region in plan.regions}
    assert used["arena"] < whole and 0 < used["tcm"] <= 300 and used.get("sram", 0) <= 2000
    feeds, output = random_feeds(graph), graph.outputs[0]
    expected = reference.run(graph, feeds)[output]
    assert np.array_equal(model.run(feeds)[output], expected)
    assert np.array_equal(model.in_arena().run(feeds)[output], expected)


def test_inputs_and_outputs_stay_in_the_arena():
    plan = write_c(residual_net(), machine=TWO).plan
    assert all(plan.place_of(name)[0] == 0 for name in ("x", "probability"))


def test_selftest_and_macros(tmp_path):
    graph = residual_net()
    source = write_c(graph, machine=TWO, vectors=vectors(graph))
    for name, data in source.files.items():
        (tmp_path / name).write_bytes(data)
    header = source.files["model.h"].decode()
    assert "void *const arenas[]);" in header and "#define RESIDUAL_ARENA_1_BYTES" in header
    compile_c(sorted(tmp_path.glob("*.c")), tmp_path / "selftest",
              ["-O1", "-fsanitize=address", *SANITIZED, "-DRESIDUAL_SELFTEST_MAIN"])

    assert subprocess.run([tmp_path / "selftest"], timeout=60).returncode == 0


def test_one_memory_is_as_ever():
    source = write_c(residual_net())
    assert [region.name for region in source.plan.regions] == ["arena"]
    assert b"void *arena);" in source.files["model.h"] and b"arenas" not in source.files["model.c"]
