"""What goes in and out of a file or a session, in its own layout, and what one of them means to another."""

import math
from typing import Annotated, Literal

import msgspec
import numpy as np

from toolchain.ir.quant import QuantParams, dequantize, quantize

Dtype = Literal["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
                "float32", "float64"]
Size = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


class Port(msgspec.Struct, frozen=True):
    """One input or output of a file or session, in the file's own layout.

    What its types do not allow is refused where a manifest is read.

    scale, zero_point: real = scale * (code - zero_point); None for plain numbers
    permutation:       source layout = this layout transposed by it; None where they agree
    """

    name: str
    shape: tuple[Size, ...]
    dtype: Dtype
    scale: Annotated[float, msgspec.Meta(ge=1.5e-45, lt=1e38)] | None = None
    zero_point: Annotated[int, msgspec.Meta(ge=-2**31, lt=2**31)] | None = None
    permutation: tuple[int, ...] | None = None

    @property
    def sound(self) -> bool:
        """Whether its parts fit each other."""
        axes = range(len(self.shape))
        return ((self.scale is None) == (self.zero_point is None) and math.prod(self.shape) < 2**31
                and (self.permutation is None or sorted(self.permutation) == list(axes)))

    @property
    def source_shape(self) -> tuple[int, ...]:
        """In the source's layout."""
        return tuple(self.shape[axis] for axis in self.permutation or range(len(self.shape)))

    @property
    def quant(self) -> QuantParams:
        """The port's quantization; only where it has one."""
        return QuantParams(self.scale, self.zero_point, dtype=self.dtype)


def convert(value: np.ndarray, have: Port, want: Port) -> np.ndarray:
    """Samples (N, ...) of one port, in the layout, dtype and codes of another port of the same tensor."""
    if have.permutation != want.permutation:
        value = value if have.permutation is None else value.transpose(have.permutation)
        value = value if want.permutation is None else value.transpose(np.argsort(want.permutation))
    if (have.dtype, have.scale, have.zero_point) == (want.dtype, want.scale, want.zero_point):
        return np.ascontiguousarray(value)
    real = value if have.scale is None else dequantize(value, have.quant)
    return np.ascontiguousarray(real.astype(want.dtype) if want.scale is None else quantize(real, want.quant))
