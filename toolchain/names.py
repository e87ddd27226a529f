"""Names of tensors in messages and tables: TensorFlow's converter strings together some of 250 letters."""

import re

LENGTH = 48
FUSED = re.compile(r"(?:[^\s;'\"(),]+;)+[^\s;'\"(),]+")
"""A name of several ops that became one."""
READING = re.compile(r"[/.]ReadVariableOp([/.]resource)?\d*")
"""What TensorFlow's converter appends to a bias that it read."""


def shortened(name: str, length: int = LENGTH) -> str:
    """The end of a long name, where it differs from its neighbours': of ops that became one the last, from a
    part's beginning where one is near.

    length: at least 4
    """
    if len(name) <= length:
        return name
    end = READING.sub("", name[name.rfind(";") + 1:])
    if len(end) > length - 3:
        end = end[3 - length:]
        begin = re.search("[/.]", end[:len(end) // 3])
        end = end[begin.end():] if begin else end
    return f"...{end}"


def printable(text: str) -> str:
    """On one line, nothing in it that a terminal obeys or that cannot be encoded: others' names and words may
    hold escape sequences, line ends, marks that turn text around. A "?" stands for each."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def with_short_names(text: str) -> str:
    """A message, long names of ops that became one shortened in it; paths stay whole."""
    return FUSED.sub(lambda name: shortened(name[0]), text)
