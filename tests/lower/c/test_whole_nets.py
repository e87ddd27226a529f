"""Whole random networks in generated C on this host: by every kind of core's kernels, small and fast, whole
and in bands, in one memory and in several, with buffers of the caller's and in the arena."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from tests.c_host import SANITIZED, compile_graphs
from tests.coded_nets import CodedNet, coded_net
from toolchain.ir.graph import Graph
from toolchain.lower.c.arena.patches import choices, runs
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.runtime import reference

CORES = ("", *{rooms: isa for isa, rooms in ROOMS.items()}.values())
"""One of each set of kernels."""
WAYS = (
    {"optimise": "speed"}, {"optimise": "balanced"},
    {"optimise": "size", "regions": (("tcm", 700), ("sram", 1500))})


def wrong(nets: Iterable[CodedNet], machine: Machine, folder, flags) -> Iterator[str]:
    """The networks whose codes are not the reference's."""
    nets = [*nets]
    graphs = [_whole_or_cut(net.graph, i) for i, net in enumerate(nets)]
    for net, model in zip(nets, compile_graphs(graphs, folder, flags, machine), strict=True):
        expected = reference.run(net.graph, net.feeds)
        for how in (model, model.in_arena()):
            got = how.run(net.feeds)
            yield from (f"{net.graph.name}: {name}" for name in expected
                        if not np.array_equal(got[name], expected[name]))


def _whole_or_cut(graph: Graph, number: int) -> Graph:
    """Every third in bands, where its first layers can be."""
    cut = choices(graph, runs(graph), (2, 3, 5)) if number % 3 == 2 else []
    return cut[number % len(cut)] if cut else graph


@pytest.mark.parametrize("isa", CORES)
def test_some_networks_under_the_sanitizers(isa, tmp_path):
    """The same ones for no two kinds of core."""
    first = 12 * CORES.index(isa)
    for number, way in enumerate(WAYS):
        folder = tmp_path / str(number)
        folder.mkdir()
        nets = map(coded_net, range(first + 4 * number, first + 4 * number + 4))
        assert not [*wrong(nets, Machine(isa, **way), folder, ("-O0", *SANITIZED))]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way["optimise"])
@pytest.mark.parametrize("first", range(100, 500, 100))
@pytest.mark.parametrize("isa", CORES)
def test_400_networks(isa, first, way, tmp_path):
    assert not [*wrong(map(coded_net, range(first, first + 100)), Machine(isa, **way), tmp_path, ("-O1",))]
