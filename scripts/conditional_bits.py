"""One set of int8 weights of which a call may use the top 4 bits alone."""

from dataclasses import replace

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Tensor
from toolchain.ir.quant import RANGE, round_half_away

STEP = 16
"""What one of the top 4 bits' codes stands for."""


def top_codes(codes: np.ndarray) -> np.ndarray:
    """int8 codes as their top 4 bits say them: STEP * round(code / STEP), halves up, from -128 to 112."""
    low, high = RANGE["int4"]
    return (STEP * np.clip((codes.astype(np.int32) + STEP // 2) // STEP, low, high)).astype(np.int8)


def gains(codes: np.ndarray, coarse: np.ndarray, axis: int) -> np.ndarray:
    """(slices,) by what each slice's scale is multiplied so that `coarse` is nearest to `codes`, by least
    squares; 1 where nothing is left of a slice."""
    others = tuple(dim for dim in range(codes.ndim) if dim != axis)
    fine, coarse = codes.astype(np.float64), coarse.astype(np.float64)
    power = (coarse**2).sum(others)
    return np.where(power > 0, (fine * coarse).sum(others) / np.where(power > 0, power, 1), 1.0)


def with_top_bits(graph: Graph, rescaled: bool) -> Graph:
    """A quantized graph whose int8 weights are their top 4 bits.

    rescaled: each channel has a scale of its own in this mode, by `gains`, and biases on it
    """
    changed: list[Tensor] = []
    for op in graph.ops:
        if op.kind in WEIGHTED:
            weight, bias = (graph.tensors[name] for name in op.inputs[1:3])
            coarse = top_codes(weight.data)
            gain = gains(weight.data, coarse, weight.quant.axis) if rescaled else np.ones(len(bias.data))
            changed += [_scaled(weight, coarse, gain),
                        _scaled(bias, round_half_away(bias.data / gain).astype(np.int32), gain)]
    return graph.with_tensors(*changed)


def _scaled(tensor: Tensor, codes: np.ndarray, gain: np.ndarray) -> Tensor:
    scale = (tensor.quant.scale * gain).astype(np.float32)
    return replace(tensor, data=codes, quant=replace(tensor.quant, scale=scale))
