"""20,000 random ops in generated C on this host, by the kernels of every kind of core, against the reference.

What a kernel does with its core's own instructions is done in C here; the cores themselves are tried in
tests/device/test_many_ops.py. Inputs and outputs lie in the arena, over one another where kernels allow it.
"""

import numpy as np
import pytest

from tests.c_host import SANITIZED, compile_graphs
from tests.many_ops import drawn, merged
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.runtime import reference

CORES = ("", *{rooms: isa for isa, rooms in ROOMS.items()}.values())
"""One of each set of kernels."""
TOGETHER = 50
"""Ops in one graph: with the arena in common."""


def wrong(isa: str, first: int, count: int, folder, flags) -> list[str]:
    """The cases whose codes are not the reference's."""
    groups = [[drawn(n) for n in range(start, start + TOGETHER)]
              for start in range(first, first + count, TOGETHER)]
    merges = [merged(cases, f"ops{i}") for i, cases in enumerate(groups)]
    models = compile_graphs([graph for graph, _ in merges], folder, flags, Machine(isa, "speed"))
    found = []
    for cases, model, (_, feeds) in zip(groups, models, merges, strict=True):
        codes = model.in_arena().run(feeds)
        found += [case.name for i, case in enumerate(cases)
                  if not np.array_equal(codes[f"{i}.y"], reference.run(case.graph, case.feeds)["y"])]
    return found


@pytest.mark.parametrize("isa", CORES)
def test_some_ops_under_the_sanitizers(isa, tmp_path):
    assert not wrong(isa, 0, 400, tmp_path, ("-O0", *SANITIZED))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 20_000, 2_000))
@pytest.mark.parametrize("isa", CORES)
def test_20_000_ops(isa, first, tmp_path):
    assert not wrong(isa, first, 2_000, tmp_path, ("-O1",))
