"""Printing to people: on a terminal as wide as it is, into a file or pipe as wide as the text needs."""

from collections.abc import Iterator
import sys

from rich.console import Console, ConsoleOptions
from rich.segment import Segment

from toolchain.names import printable

PIPE_WIDTH = 200


class Printable:
    """Rich's text or table without what names in it would make a terminal do."""

    def __init__(self, text):
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for part in console.render(self.text, options):
            text = "\n".join(map(printable, part.text.split("\n")))
            yield part if part.control else Segment(text, part.style)


def print_out(text) -> None:
    """Print text or a Rich table on stdout; NO_COLOR and pipes are respected by Rich. Brackets in text mean
    nothing."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False,
                      emoji=False)
    console.print(Printable(text), soft_wrap=isinstance(text, str))
