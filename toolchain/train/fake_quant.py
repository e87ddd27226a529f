"""Fake quantization: reals to codes and back, with gradients that training can go by.

Forward it is `dequantize(quantize(x))` of ir/quant.py, bit for bit. Backward, rounding hands gradients
straight through (Bengio et al. 2013), and what is clamped gets none. The gradient by the scale is that of
Esser et al. 2020, "Learned Step Size Quantization" (LSQ), equation 3, with a zero point as Bhalgat et al.
2020, "LSQ+", have it; as in PyTorch, all that rounds to the outermost code counts as inside the range.
"""

import torch

from toolchain.ir.quant import BEYOND, RANGE, QuantParams


def round_half_away(x: torch.Tensor) -> torch.Tensor:
    """`ir.quant.round_half_away`, in torch."""
    whole = x.trunc()
    return whole + (2 * (x - whole)).trunc()


class FakeQuant(torch.autograd.Function):
    """(x, scale, zero point, lowest code, highest code, gain of the scale's gradient, parts) -> reals of x's
    codes.

    scale: float32, broadcasts against x;  zero point: a number
    parts: broadcasts against x, or None: in so many parts of a step x is told first, halves upwards
    """

    @staticmethod
    def forward(ctx, x, scale, zero_point, low, high, gain, parts):
        steps = (x / scale).clamp(-float(BEYOND), float(BEYOND))
        if parts is not None:
            steps = (steps * parts + 0.5).floor() / parts
        codes = round_half_away(steps) + zero_point
        clamped = codes.clamp(low, high)
        ctx.inside, ctx.gain, ctx.shape = codes == clamped, gain, scale.shape
        whole = clamped - zero_point
        ctx.save_for_backward(*((steps, whole) if ctx.needs_input_grad[1] else ()))
        return scale * whole

    @staticmethod
    def backward(ctx, gradient):
        by_x = gradient * ctx.inside
        by_scale = None
        if ctx.needs_input_grad[1]:
            steps, whole = ctx.saved_tensors
            slope = torch.where(ctx.inside, whole - steps, whole)
            by_scale = ctx.gain * (gradient * slope).sum_to_size(ctx.shape)
        return by_x, by_scale, None, None, None, None, None


class Straight(torch.autograd.Function):
    """(x, what x becomes) -> that, whose gradient is handed on to x as it is."""

    @staticmethod
    def forward(ctx, x, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def fake_quantized(x: torch.Tensor, params: QuantParams, scale: torch.Tensor, count: int,
                   narrow: bool = False, parts: torch.Tensor | None = None) -> torch.Tensor:
    """x through codes at these parameters, but for their scale.

    params: with one zero point for all
    scale:  float32, of the parameters' shape
    count:  n, the values that share a scale, of one sample: the gradient by the scale is held back by
            1 / sqrt(n * outermost step) (Esser et al. 2020, section 2.2)
    narrow: without the lowest code
    parts:  of a step, in which x is rounded before, as kernels do that round twice; None: once
    """
    (low, high), zero_point = RANGE[params.dtype], int(params.zero_point.flat[0])
    low += narrow
    if params.axis is not None:
        scale = scale.reshape([-1 if axis == params.axis else 1 for axis in range(x.ndim)])
    gain = (count * max(high - zero_point, zero_point - low)) ** -0.5
    return FakeQuant.apply(x, scale, zero_point, low, high, gain, parts)
