"""What this room makes of portable calls."""

from collections.abc import Callable, Mapping

from toolchain.lower.c.call import Call
from toolchain.lower.c.scalar.depthwise import depthwise_conv2d
from toolchain.lower.c.scalar.elementwise import weighted_sum
from toolchain.lower.c.scalar.matrix import conv2d, fully_connected

SPECIAL: Mapping[str, Callable[[Call], Call | None]] = {
    "tk_add_s8": weighted_sum,
    "tk_conv2d_s8": conv2d,
    "tk_depthwise_conv2d_s8": depthwise_conv2d,
    "tk_fully_connected_s8": fully_connected,
    "tk_sub_s8": weighted_sum,
}
"""Portable kernel -> a call of this room's for the same codes; None where it has none for these sizes."""
