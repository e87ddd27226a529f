"""How DSP kernels scale one depthwise channel: 256 times its sum, one multiplication, one shift.

    code = ((256 * sum + bias) * multiplier / 2**32 + offset(shift, code)) / 2**shift     both rounded down

tk_depthwise_s8_dsp.h has the offset. It is tk_output_s8.h's code for every sum that the weights allow, which
is made sure here for each channel.
"""

from dataclasses import dataclass

from toolchain.lower.c.channels import INT32, Channel

CUT = 7
"""Bits below the point that 256 / 2**32 leaves beside the 2**31 of the multiplier."""
STEEP = 2**8
"""Multiplier of a channel with one step: 256 times a sum, times this, moves by 1 / 2**16 of a code."""


@dataclass(frozen=True)
class Scale:
    """What the kernel's record holds; code: what is added at the end."""

    bias: int
    multiplier: int
    shift: int
    code: int


def scale_of(channel: Channel) -> Scale | None:
    """None where neither form is exact."""
    if channel.wraps():
        return None
    return _by_multiplier(channel) or _by_step(channel)


def _by_multiplier(channel: Channel) -> Scale | None:
    """Its own, if nothing wraps on the way."""
    shift, bias = CUT - channel.shift, 256 * channel.bias
    if not 1 <= shift <= 24:
        return None
    ends = [256 * total + bias for total in (channel.least, channel.most)]
    offset = (1 << (shift - 1)) + (64 if shift > CUT else 0) + (channel.zero_point << shift)
    values = [(end * channel.multiplier >> 32) + offset + spare for end in ends for spare in (-128, 0)]
    fits = all(-INT32 <= value < INT32 for value in (bias, offset, *ends, *values))
    return Scale(bias, channel.multiplier, shift, channel.zero_point) if fits else None


def _by_step(channel: Channel) -> Scale | None:
    """A bias that dwarfs the sums: the value is below -64 for sums below the step, and not for others."""
    step = channel.step()
    if step is None or channel.most - channel.least >= 2**22:
        return None
    first, code = step
    bias = -256 * first - 64 * 2**32 // STEEP
    return Scale(bias, STEEP, CUT, code) if -INT32 <= bias < INT32 else None
