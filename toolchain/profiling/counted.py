"""Costs on an emulated board: instructions of each layer, exact, many layers to a firmware."""

from collections.abc import Iterator, Sequence

from toolchain.artifact import Artifact
from toolchain.cost_cell import Cell
from toolchain.device.breakdown import layer_instructions
from toolchain.device.qemu import machine_of, open_device, qemu_version
from toolchain.ir.graph import Graph
from toolchain.lower import Asked, lower
from toolchain.profile import TargetProfile
from toolchain.profiling.nets import layer_name, layers
from toolchain.recipe import CConfig

MOST_LAYERS = 120
"""Of a firmware, so that what was measured is kept often."""
SMALLEST = Cell("conv2d", "pointwise", inputs=16, outputs=16)
CODE_SHARE = 0.5
"""Of the flash, that weights leave to code."""
BESIDES = 2560
"""Bytes of RAM beside the arena: 2,048 are the stack's."""
FASTEST = Asked(c=CConfig(optimise="speed", patches=0))
"""Each layer by its fastest kernel: what flash that is worth depends on the other layers of a network."""


class Counted:
    """Layers on an emulated board.

    unit, exact, passes: of the figures, which are taken once
    """

    unit, exact, passes = "instructions", True, 1

    def __init__(self, profile: TargetProfile):
        self.profile = profile
        self.device = f"{profile.name} (QEMU's {profile.machine})"
        self.core = profile.core
        self.runtime = f"generated C, {qemu_version(machine_of(profile).qemu)}"
        self.conditions = {"cflags": " ".join(profile.cflags)}
        self.fixed = self._around(layers([SMALLEST], chained=True))

    def fits(self, cell: Cell) -> bool:
        """Whether the board has room for such a layer."""
        taken = lower(layers([cell], chained=True), self.profile, {}, FASTEST).manifest
        return (taken.static_bytes["arena"] + BESIDES <= self.profile.ram_bytes
                and taken.weight_bytes <= CODE_SHARE * self.profile.flash_bytes)

    def batches(self, cells: Sequence[Cell]) -> Iterator[list[Cell]]:
        """Layers that go into one firmware."""
        batch, used, room = [], 0, CODE_SHARE * self.profile.flash_bytes
        for cell in cells:
            size = cell.taps * cell.inputs * cell.outputs + 16 * cell.outputs
            if batch and (used + size > room or len(batch) == MOST_LAYERS):
                yield batch
                batch, used = [], 0
            batch.append(cell)
            used += size + 400
        if batch:
            yield batch

    def measure(self, cells: Sequence[Cell]) -> list[float]:
        """Instructions of each; of what is there already when its turn comes, none."""
        counted = self._by_name(layers(cells, chained=True))
        return [float(counted.get(layer_name(number), 0)) for number in range(len(cells))]

    def whole(self, graph: Graph) -> float:
        """Instructions of an inference, as C is written where nothing is asked."""
        return self._instructions(lower(graph, self.profile, {}))

    def _instructions(self, artifact: Artifact) -> float:
        with open_device(artifact, self.profile) as device:
            return float(device.bench().instructions)

    def _around(self, graph: Graph) -> float:
        """Instructions of an inference that no layer has."""
        whole = self._instructions(lower(graph, self.profile, {}, FASTEST))
        return whole - sum(self._by_name(graph).values())

    def _by_name(self, graph: Graph) -> dict[str, int]:
        artifact = lower(graph, self.profile, {}, FASTEST)
        inputs = [bytes(graph.tensors[name].size) for name in graph.inputs]
        *found, _ = layer_instructions(artifact, self.profile, inputs, 0)
        return {layer.title.split(":")[0]: layer.instructions for layer in found}
