"""Builds a case of the op matrix: a graph of one op, random constants and quantization parameters, samples.

An int8 case gets an output range near the one that its float values span, so that codes spread; often it is
cut by up to half, so that saturation is met too, and now and then it is far too small or too large.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams, activation_params, dequantize
from toolchain.quantize.rules import RULES, SAME
from toolchain.runtime.kernels_float import FLOAT
from toolchain.runtime.moving import over_samples

SAMPLES = 3
FIXED_OUTPUT = {kind: rule.output for kind, rule in RULES.items() if isinstance(rule.output, QuantParams)}
SAME_AS_INPUT = {kind for kind, rule in RULES.items() if rule.output == SAME} - {"relu6"}
NOT_FINER = {"hard_swish", "layer_norm"}
"""Kinds whose kernels need an output that is told about as coarsely as the input (hard_swish_common.cc) or
beta (norm_int8.py)."""


@dataclass(frozen=True, eq=False)
class Case:
    """One graph with its samples; `lacks`: oracle -> why it cannot judge this case."""

    kind: str
    dtype: str
    number: int
    graph: Graph
    feeds: Mapping[str, np.ndarray]
    lacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.dtype}-{self.number}"


class Maker:
    """Builds one case: draws inputs and constants in the case's dtype, then the output's parameters."""

    def __init__(self, rng: np.random.Generator, dtype: str, name: str):
        self.rng, self.dtype = rng, dtype
        self.builder, self.feeds, self.reals = Builder(name), {}, {}
        self.lacks: dict[str, str] = {}

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def sizes(self, low: int, high: int, count: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self.rng.integers(low, high + 1, count))

    def log_uniform(self, low: float, high: float, size=None):
        return np.exp(self.rng.uniform(np.log(low), np.log(high), size)).astype(np.float32)

    def params(self, dtype: str = "int8", scale=None) -> QuantParams:
        """Any zero point, the outermost ones often."""
        zero_point = self.pick(-128, 127, 0, *self.rng.integers(-128, 128, 6))
        scale = self.log_uniform(1e-3, 1) if scale is None else scale
        return QuantParams(scale, zero_point + (128 if dtype == "uint8" else 0), dtype=dtype)

    def codes(self, shape, dtype: str = "int8") -> np.ndarray:
        info = np.iinfo(dtype)
        return self.rng.integers(info.min, info.max + 1, shape).astype(dtype)

    def input(self, shape, params: QuantParams | None = None) -> str:
        """A graph input with samples; in int8 with `params` or random ones."""
        if self.dtype != "int8":
            return self.plain_input(self.numbers((SAMPLES, *shape[1:])))
        params = params or self.params()
        return self.coded_input(self.codes((SAMPLES, *shape[1:]), params.dtype), params)

    def coded_input(self, codes: np.ndarray, params: QuantParams) -> str:
        """A graph input of these samples."""
        name = f"x{len(self.feeds)}"
        self.feeds[name], self.reals[name] = codes, dequantize(codes, params)
        return self.builder.input(name, (1, *codes.shape[1:]), params.dtype, params)

    def plain_input(self, samples: np.ndarray) -> str:
        """A graph input of these samples, whatever the case's dtype."""
        name = f"x{len(self.feeds)}"
        self.feeds[name] = self.reals[name] = samples
        return self.builder.input(name, (1, *samples.shape[1:]), samples.dtype.name)

    def numbers(self, shape) -> np.ndarray:
        """Values of the case's plain dtype."""
        if self.dtype == "bool":
            return self.rng.random(shape) < 0.5
        if self.dtype == "float32":
            return self.normal(shape)
        return self.rng.integers(-50, 51, shape, self.dtype)

    def normal(self, shape) -> np.ndarray:
        return (2 * self.rng.normal(size=shape)).astype(np.float32)

    def constant(self, name: str, shape, params: QuantParams | None = None) -> str:
        """A constant of the case's dtype: an operand of add, mul, concat."""
        if self.dtype != "int8":
            return self.plain_constant(name, self.numbers(shape))
        return self.coded_constant(name, self.codes(shape), params or self.params())

    def plain_constant(self, name: str, data: np.ndarray) -> str:
        """A constant of plain numbers, whatever the case's dtype."""
        self.reals[name] = data
        return self.builder.constant(name, data)

    def coded_constant(self, name: str, codes: np.ndarray, params: QuantParams) -> str:
        self.reals[name] = dequantize(codes, params)
        return self.builder.constant(name, codes, params)

    def weights(self, x: str, shape, axis: int) -> tuple[str, str]:
        """Weight and bias; in int8 per tensor or per channel along `axis`, one channel sometimes all zero."""
        channels = shape[axis]
        if self.dtype == "float32":
            weight = self.plain_constant("w", self.normal(shape))
            return weight, self.plain_constant("b", self.normal(channels))
        data, per_channel = np.maximum(self.codes(shape), -127), self.pick(True, True, False)
        if self.pick(True, False):
            np.moveaxis(data, axis, 0)[0] = 0
        x_scale, spread = self.builder.tensors[x].quant.scale, 74 * 74 * np.sqrt(data.size / channels)
        scale = self.log_uniform(0.3, 3, channels if per_channel else None) * self.log_uniform(0.5, 20)
        scale = np.float32(scale / (x_scale * spread))  # sums reach some units: relu6 is not only 0 and 6
        zero = np.zeros(scale.shape, np.int32)
        weight = QuantParams(scale, zero, axis if per_channel else None)
        bias = QuantParams(x_scale * scale, zero, 0 if per_channel else None, "int32")
        reach = int(spread * self.pick(0.01, 0.3, 3))
        codes = self.rng.integers(-reach, reach + 1, channels).astype(np.int32)
        return self.coded_constant("w", data, weight), self.coded_constant("b", codes, bias)

    def finish(self, kind: str, inputs, **attrs) -> Graph:
        """The graph of one op on `inputs`, with output parameters by the kind's rule."""
        inputs, out = [inputs] if isinstance(inputs, str) else inputs, None
        if self.dtype == "int8" and kind != "argmax":
            out = self._output_params(kind, inputs, attrs)
        return self.builder.graph(self.builder.op(kind, inputs, "y", quant=out, **attrs))

    def _output_params(self, kind: str, inputs, attrs) -> QuantParams:
        if kind in FIXED_OUTPUT:
            return FIXED_OUTPUT[kind]
        if kind in SAME_AS_INPUT:
            return next(t.quant for t in map(self.builder.tensors.get, inputs) if t.quant is not None)
        op = over_samples(make(kind, inputs, "y", **attrs), SAMPLES)
        with np.errstate(all="ignore"):
            y = FLOAT[kind](op, *(self.reals[name] for name in inputs))
        y = y[np.isfinite(y)]
        ends = y.min() * self.log_uniform(0.5, 2), y.max() * self.log_uniform(0.5, 2)
        fitting = activation_params(float(min(ends)), float(max(ends)))
        finer = 1 if kind in NOT_FINER else 1e-3
        stretch = np.float32(self.pick(*[1] * 8, finer, 1e3))  # multipliers above 1, and next to nothing
        return QuantParams(fitting.scale * stretch, fitting.zero_point)
