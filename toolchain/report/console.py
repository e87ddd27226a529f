"""Printing to people: on a terminal as wide as it is, into a file or pipe as wide as the text needs."""

import sys

from rich.console import Console

PIPE_WIDTH = 200


def print_out(text) -> None:
    """Print text or a Rich table on stdout; NO_COLOR and pipes are respected by Rich."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    console.print(text, soft_wrap=isinstance(text, str))
