"""What this room makes of portable calls."""

from collections.abc import Callable, Mapping

from toolchain.lower.c.call import Call

SPECIAL: Mapping[str, Callable[[Call], Call | None]] = {}
"""Portable kernel -> a call of this room's for the same codes; None where it has none for these sizes."""
