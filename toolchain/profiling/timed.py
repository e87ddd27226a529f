"""Costs on a device that runs programs: CPU time of networks of equal layers, in LiteRT.

A layer of a few microseconds is shorter than what its runtime's profiler tells apart, so that several of one
geometry, with weights of their own, are timed together, side by side. What an inference takes beside them,
and for an output of each, is taken off: told by smallest layers, side by side and one after the other.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from toolchain.cost_cell import Cell
from toolchain.device.conditions.look import look
from toolchain.device.measure_programs import bench_feeds
from toolchain.device.place import Place
from toolchain.device.programs import ProgramSession
from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.lower import lower
from toolchain.profile import TargetProfile
from toolchain.profiling.nets import layers, row

LEAST, SECONDS = 30, 0.04
"""Inferences of one reading, and for how long they go on."""
READINGS = 3
"""Of each network in a pass, in turn with others'."""
BATCH = 12
COPIES, MOST_MACS = 8, 40_000_000
"""Equal layers of a network; fewer, two at least, where they would compute more than so much."""
SMALLEST = Cell("conv2d", "pointwise", inputs=16, outputs=16)
FEW, MANY = 2, 32
"""Smallest layers of the networks that tell what an inference takes beside its layers."""


class Timed:
    """Layers on a board or this host.

    unit, exact, passes: of the figures: a layer's least counts, the one that others disturbed least
    """

    unit, exact, passes = "us", False, 3

    def __init__(self, profile: TargetProfile, place: Place):
        ways = [way for way in place.ways if (way.fmt, way.runtime) == ("tflite", "litert")]
        if not ways:
            raise Unsupported(f"{place.name} has no LiteRT, in which layers are timed")
        self.profile, self._place, self._way, self.device = profile, place, ways[0], place.name
        told = look(place.transport, place.profile.family).values.get("machine", {})
        self.core = next(iter(told.values()), "") or profile.core
        self.fixed, layer = self._line(lambda count: row(SMALLEST, count))
        self._before, beside = self._line(lambda count: layers([SMALLEST] * count, chained=False))
        self._port = max(0.0, beside - layer)
        self.conditions = {"threads": "1", "figures": f"CPU time, least of {self.passes} medians and more",
                           "runner": self._way.runner}

    def _line(self, network: Callable[[int], Graph]) -> tuple[float, float]:
        """Microseconds of an inference beside its layers, and of each layer."""
        few, many = (self._least(network(count)) for count in (FEW, MANY))
        each = (many - few) / (MANY - FEW)
        return max(0.0, few - FEW * each), each

    def fits(self, cell: Cell) -> bool:
        """Always: a layer takes a few MB at most."""
        return True

    def batches(self, cells: Sequence[Cell]) -> Iterator[list[Cell]]:
        """Layers whose readings are taken in turn."""
        for first in range(0, len(cells), BATCH):
            yield list(cells[first:first + BATCH])

    def measure(self, cells: Sequence[Cell]) -> list[float]:
        """Microseconds of each."""
        copies = [_copies(cell) for cell in cells]
        networks = [self._session(layers([cell] * count, chained=False))
                    for cell, count in zip(cells, copies)]
        readings = [[_reading(*network) for network in networks] for _ in range(READINGS)]
        for session, _ in networks:
            session.remove_model()
        least = map(min, zip(*readings))
        return [max(0.0, (whole - self._before) / count - self._port) for whole, count in zip(least, copies)]

    def whole(self, graph: Graph) -> float:
        """Microseconds of an inference."""
        return self._least(graph)

    def _least(self, graph: Graph) -> float:
        session, feeds = self._session(graph)
        least = min(_reading(session, feeds) for _ in range(self.passes * READINGS))
        session.remove_model()
        self.runtime = session.runtime
        return least

    def _session(self, graph: Graph) -> tuple[ProgramSession, dict]:
        artifact = lower(graph, self.profile, {})
        return ProgramSession(self._place, artifact, self._way), bench_feeds(artifact, self._way.fmt)


def _copies(cell: Cell) -> int:
    macs = graph_macs(layers([cell], chained=False))
    return max(2, min(COPIES, MOST_MACS // max(1, macs)))


def _reading(session: ProgramSession, feeds: dict) -> float:
    """The median inference's microseconds of CPU time."""
    record = session.time(feeds, SECONDS, LEAST)
    return median(sample.cpu_ns for sample in record.samples) / 1e3
