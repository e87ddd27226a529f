"""At which sizes ops are measured: dense where a kernel's figures jump, sparse where they go straight on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import log

from toolchain.cost_cell import Cell

PERIOD = 16
"""Channels after which kernels begin anew: registers hold 2, 4, 8 or 16 of them."""
TYPICAL = {"taps": 9, "pixels": 100, "inputs": PERIOD, "outputs": PERIOD}
"""Of the layers whose channels are counted one by one, about."""
AXES = ("taps", "pixels", "inputs", "outputs")
WEIGHTED = ("conv2d", "depthwise_conv2d", "transpose_conv2d", "fully_connected")
ELEMENTWISE = ("relu", "leaky_relu", "hard_swish", "logistic")


@dataclass(frozen=True)
class Grid:
    """A row of a cost table to be. periods: axes whose counts are measured one by one, too"""

    kind: str
    variant: str = ""
    taps: tuple[int, ...] = (1,)
    pixels: tuple[int, ...] = (1,)
    inputs: tuple[int, ...] = (1,)
    outputs: tuple[int, ...] = (1,)
    periods: tuple[str, ...] = ()

    @property
    def points(self) -> list[Cell]:
        """All, the last axis fastest."""
        sizes = product(self.taps, self.pixels, self.inputs, self.outputs)
        return [Cell(self.kind, self.variant, 1, *each) for each in sizes]

    @property
    def typical(self) -> Cell:
        """A layer in the midst of it."""
        sizes = {name: min(getattr(self, name), key=lambda at: abs(log(at / TYPICAL[name]))) for name in AXES}
        return Cell(self.kind, self.variant, **sizes)

    def period(self, axis: str) -> list[Cell]:
        """A whole period of channel counts, beyond those that are few, and the first of the next."""
        return [self.typical._replace(**{axis: 2 * PERIOD + count}) for count in range(PERIOD + 1)]

    @property
    def cells(self) -> list[Cell]:
        """All that is measured for it, each once."""
        scanned = [cell for axis in self.periods for cell in self.period(axis)]
        linear = [self.typical, self.typical._replace(linear=True)] if self.kind in WEIGHTED else []
        return list(dict.fromkeys((*self.points, *scanned, *linear)))


@dataclass(frozen=True)
class Density:
    """Where axes are measured.

    channels: of inputs and outputs;  taps, pixels: of convolutions;  planes: pixels of depthwise ones
    strided:  pixels of those with a stride
    shared:   whether channels of these come in the same steps as of those without one: measured once
    """

    channels: tuple[int, ...]
    taps: tuple[int, ...]
    pixels: tuple[int, ...]
    planes: tuple[int, ...]
    strided: tuple[int, ...]
    shared: bool


COUNTED = Density((1, 2, 3, 4, 8, 16, 20, 64), (3, 9, 25), (4, 64, 256),
                  (1, 4, 9, 16, 25, 36, 49, 64, 144, 256), (4, 16, 64), shared=False)
TIMED = Density((1, 16, 64, 128), (9, 25), (16, 256), (16, 256), (16, 256), shared=True)
"""Of a device whose figures are noisy, so that each takes its time."""
QUICK = Density((1, 4, 16, 32), (9,), (16, 64), (16, 64), (16,), shared=True)


def grids(density: Density) -> Iterator[Grid]:
    """Every row of a table."""
    channels, taps, pixels, planes = density.channels, density.taps, density.pixels, density.planes
    both, ends = ("inputs", "outputs"), (*channels[:1], *channels[3:])
    own = () if density.shared else both
    yield Grid("conv2d", "pointwise", (1,), (1, *pixels[1:]), channels, channels, both)
    yield Grid("conv2d", "window", taps, pixels, channels, channels, both)
    yield Grid("conv2d", "strided", (1, *taps), density.strided, channels, channels, own)
    yield Grid("depthwise_conv2d", "window", taps, planes, (1,), channels, ("outputs",))
    yield Grid("depthwise_conv2d", "strided", taps, planes, (1,), channels, own[1:])
    yield Grid("transpose_conv2d", "strided", (4, 9), density.strided, ends, ends)
    yield Grid("fully_connected", "", (1,), (1,), (*channels, 256), channels, both)
    for kind in ("average_pool2d", "max_pool2d"):
        yield Grid(kind, "", (4, 64), (4, 16), (1,), ends)
    yield Grid("mean", "", (1,), (1, 16, 64, 256), (1,), channels)
    for kind in ("add", "mul"):
        yield Grid(kind, "", (1,), (1, 16, 256), (1,), ends)
        yield Grid(kind, "broadcast", (1,), (16, 256), (1,), ends)
    yield Grid("concat", "", (1,), (1, 16, 256), (1,), (2, 64))
    yield Grid("softmax", "", (1,), (1,), (1,), (2, 10, 100))
    for kind in ("pad", "resize_bilinear", "reshape"):
        yield Grid(kind, "", (1,), (16, 64, 256), (1,), ends)
    for kind in ELEMENTWISE:
        yield Grid(kind, "", (1,), (1, 16, 256), (1,), ends)


SHRINKING = (("pixels", 2), ("outputs", 5), ("inputs", 5), ("pixels", 1), ("outputs", 1), ("inputs", 1),
             ("taps", 1))
"""Axes in the order in which they lose their ends, and how many points each keeps in its turn."""


def within(grid: Grid, fits: Callable[[Cell], bool]) -> Grid | None:
    """The grid without the ends of axes that make a layer not fit, and without channels one by one where
    those do not; None where no layer fits."""
    for axis, least in SHRINKING:
        while not fits(grid.points[-1]) and len(at := getattr(grid, axis)) > least:
            grid = replace(grid, **{axis: at[:-1]})
    if not fits(grid.points[-1]):
        return None
    return replace(grid, periods=tuple(axis for axis in grid.periods if fits(grid.period(axis)[-1])))


def shares(costs: Sequence[float], exact: bool) -> tuple[float, ...]:
    """Axis.period of the costs of a period's channels and the next one's first; () where more cost no more.

    exact: each as it is; else the steps of one width that they are nearest to, by least squares
    """
    rise = costs[-1] - costs[0]
    if rise <= 0.01 * costs[0]:
        return ()
    found = [(cost - costs[0]) / rise for cost in costs[:-1]]
    if exact:
        return tuple(round(share, 4) for share in found)
    widths = [2**n for n in range(PERIOD.bit_length())]
    stairs = {width: tuple(-(-r // width) * width / PERIOD for r in range(PERIOD)) for width in widths}
    return min(stairs.values(), key=lambda stair: sum((a - b) ** 2 for a, b in zip(stair, found)))
