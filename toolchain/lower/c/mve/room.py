"""What this room makes of portable calls."""

from collections.abc import Callable, Mapping

from toolchain.lower.c.call import Call
from toolchain.lower.c.mve import convolution, depthwise, elementwise

SPECIAL: Mapping[str, Callable[[Call], Call | list[Call] | None]] = {
    "tk_add_s8": elementwise.weighted_sum,
    "tk_sub_s8": elementwise.weighted_sum,
    "tk_mul_s8": elementwise.mul,
    "tk_conv2d_s8": convolution.conv2d,
    "tk_depthwise_conv2d_s8": depthwise.depthwise_conv2d,
    "tk_fully_connected_s8": convolution.fully_connected,
}
"""Portable kernel -> a call of this room's for the same codes, or some; None: none for these sizes."""
