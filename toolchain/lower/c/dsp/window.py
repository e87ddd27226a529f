"""A depthwise convolution on DSP cores: its planes, the order of its work, and what that takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

SCRATCH = 2048
"""Bytes that planes should take, with what is written before its rows of x are read for the last time."""


class Axis(NamedTuple):
    """One direction of a window: sizes in elements, steps in bytes."""

    size: int
    step: int
    outputs: int
    output_step: int
    kernel: int
    stride: int
    dilation: int
    pad: int

    @property
    def reach(self) -> int:
        """Elements from the first to the last of a window."""
        return (self.kernel - 1) * self.dilation + 1


@dataclass(frozen=True)
class Window:
    """rows may be the image's columns. multiplier: outputs per channel"""

    rows: Axis
    columns: Axis
    channels: int
    multiplier: int

    def transposed(self) -> "Window":
        return Window(self.columns, self.rows, self.channels, self.multiplier)

    @property
    def outputs(self) -> int:
        return self.channels * self.multiplier

    @property
    def in_place(self) -> bool:
        """Whether output row after row may be written over x's, four channels at a time."""
        return (self.multiplier == self.rows.stride == self.columns.stride == 1
                and self.rows.size == self.rows.outputs and self.columns.size == self.columns.outputs
                and self.rows.pad < self.rows.reach)

    @property
    def ascending(self) -> bool:
        """Whether output rows follow each other in memory, as rows of x do."""
        return self.columns.output_step == self.outputs or self.columns.size == self.columns.outputs == 1

    @property
    def kind(self) -> str:
        """The kernels that do it: "3x3"; "line", at a stride and a dilation of one column; "window", any."""
        columns = self.columns
        if (self.rows.kernel, columns.kernel, columns.dilation) == (3, 3, 1) and columns.stride <= 2:
            return "3x3"
        return "line" if columns.stride == columns.dilation == 1 else "window"

    @property
    def pairs(self) -> int:
        """Of weights for a window row; "line" has each pair twice."""
        kernel = self.columns.kernel
        if self.kind == "window":
            return kernel if self.columns.dilation > 1 else -(-kernel // 2)
        return kernel // 2 + 1

    @property
    def spread_bytes(self) -> int:
        """Of a channel's weights in scratch; of what "3x3" reads beyond the last row."""
        if self.kind == "3x3":
            return 4 * (self.columns.stride == 2 and self.columns.outputs % 2)
        return { "line": 8, "window": 4}[self.kind] * self.rows.kernel * self.pairs

    @property
    def laid_columns(self) -> int:
        """Of x, that planes have."""
        return min(self.columns.size, self.pitch // 2 - self.columns.pad)

    @property
    def kept_rows(self) -> int:
        """Of planes, that one band leaves to the next."""
        return max(self.plane_rows(self.band) - self.band * self.rows.stride, 0) * self.in_place

    @property
    def pitch(self) -> int:
        """Bytes of a row of a plane: whole pairs of columns, as far as the kernel reads."""
        columns = self.columns
        if self.kind == "3x3":
            read = (columns.outputs - 1) * columns.stride + 3
        else:
            reach = columns.reach + 1 if columns.dilation > 1 else 2 * self.pairs
            read = (-(-columns.outputs // 4) * 4 - 1) * columns.stride + reach
        return 4 * -(-read // 2)

    @cached_property
    def band(self) -> int:
        """Output rows at once: as many as SCRATCH allows, and as even as they come."""
        before = 0 if self.in_place else self.row_bytes
        fits = [band for band in range(1, self.rows.outputs + 1)
                if self.plane_bytes(band) + band * before <= SCRATCH]
        return -(-self.rows.outputs // -(-self.rows.outputs // max(fits, default=1)))

    def plane_rows(self, band: int) -> int:
        """Rows of x for `band` rows of outputs."""
        return (band - 1) * self.rows.stride + self.rows.reach

    def plane_bytes(self, band: int) -> int:
        """Of four channels' planes."""
        return 4 * self.plane_rows(band) * self.pitch

    @property
    def row_bytes(self) -> int:
        """Of an output row."""
        return self.columns.outputs * self.outputs

    @property
    def before(self) -> int:
        """Bytes by which the output must precede x where rows follow each other: a band's outputs are there
        before the first row of x that it needs is read for the last time."""
        x_row = self.columns.size * self.channels
        ends = [min(first + self.band, self.rows.outputs) * self.row_bytes - self._first_row(first) * x_row
                for first in range(0, self.rows.outputs, self.band)]
        return max(0, *ends)

    def _first_row(self, output_row: int) -> int:
        """The first row of x that an output row needs."""
        return min(max(output_row * self.rows.stride - self.rows.pad, 0), self.rows.size)

    @property
    def work(self) -> dict[str, int]:
        """Units whose instructions are much the same for all shapes.

        fours, twos: runs of output columns, "3x3";  runs, pairs: of four, and pairs of weights in them
        rows, planes: output rows and parts of a band, of each output channel
        lines, laid: rows laid out, pairs of columns in them, of four channels
        carried: words that bands share
        """
        bands, groups = -(-self.rows.outputs // self.band), -(-self.channels // 4)
        rows, columns = self.rows.outputs * self.outputs, self.columns.outputs
        carried = (bands - 1) * self.kept_rows
        laid = bands * self.plane_rows(self.band) - carried
        runs = rows * -(-columns // 4) * self.rows.kernel
        if self.kind == "3x3":
            done = {"fours": rows * (columns // 4), "twos": rows * ((columns % 4 + 1) // 2)}
        else:
            done = {"outputs": rows * columns, "runs": runs, "pairs": runs * self.pairs}
        return {**done, "rows": rows, "planes": bands * self.outputs, "lines": laid * groups,
                "laid": laid * groups * (self.columns.size // 2 + 1),
                "carried": carried * groups * self.pitch, "calls": 1}

    @property
    def price(self) -> int:
        """Instructions, roughly: enough to choose between rows and columns."""
        price = {"fours": 56, "twos": 33, "outputs": 14, "runs": 10, "pairs": 11, "rows": 14,
                 "planes": 90, "lines": 25, "laid": 16, "carried": 6}
        return sum(price.get(unit, 0) * count for unit, count in self.work.items())


def window_of(sizes: Mapping[str, int], multiplier: int) -> Window:
    """Of tk_patch_s8_params."""
    channels = sizes["channels"]
    outputs = channels * multiplier

    def axis(name: str, pad: str, pixels: int, output_pixels: int) -> Axis:
        return Axis(sizes[f"input_{name}"], pixels * channels, sizes[f"output_{name}"],
                    output_pixels * outputs, sizes[f"kernel_{name}"], sizes[f"stride_{name}"],
                    sizes[f"dilation_{name}"], sizes[pad])

    return Window(axis("height", "pad_top", sizes["input_width"], sizes["output_width"]),
                  axis("width", "pad_left", 1, 1), channels, multiplier)
