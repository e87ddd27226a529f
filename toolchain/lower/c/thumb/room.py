"""What this room makes of portable calls."""

from collections.abc import Callable, Mapping

from toolchain.lower.c.call import Call
from toolchain.lower.c.thumb.matrix import conv2d, fully_connected

SPECIAL: Mapping[str, Callable[[Call], Call | None]] = {
    "tk_conv2d_s8": conv2d,
    "tk_fully_connected_s8": fully_connected,
}
"""Portable kernel -> a call of this room's for the same codes; None where it has none for these sizes."""
