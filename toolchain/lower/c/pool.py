"""Constants of model.c: arrays and parameters, each printed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.lower.c.call import C_TYPE, array_text
from toolchain.lower.c.lending import Lent


@dataclass(frozen=True)
class PrintedArray:
    """A constant array of model.c."""

    type: str
    name: str
    count: int
    text: str
    bytes: int


@dataclass(frozen=True)
class PrintedParams:
    """The parameters of kernel calls."""

    type: str
    name: str
    initializer: str


class Pool:
    """Constants of model.c by their content: what is equal has one name and is printed once.

    elsewhere: arrays that are printed already
    """

    def __init__(self, elsewhere: Sequence[Lent] = ()):
        self._names: dict[object, str] = {_content(each.data): each.symbol for each in elsewhere}

    def array(self, wanted: str, data: np.ndarray) -> PrintedArray | None:
        """To be printed; None where it was before. wanted: a name, which gets a number if it is taken"""
        name = self._new(wanted, _content(data))
        return name and PrintedArray(C_TYPE[data.dtype.name], name, data.size, array_text(data), data.nbytes)

    def array_name(self, data: np.ndarray) -> str:
        """What it was printed as."""
        return self._names[_content(data)]

    def params(self, wanted: str, type: str, text: str) -> PrintedParams | None:
        """As `array`."""
        name = self._new(wanted, (type, text))
        return name and PrintedParams(type, name, text)

    def params_name(self, type: str, text: str) -> str:
        return self._names[type, text]

    def _new(self, wanted: str, content: object) -> str | None:
        if content in self._names:
            return None
        name, number, taken = wanted, 1, set(self._names.values())
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        self._names[content] = name
        return name


def _content(data: np.ndarray) -> tuple[str, bytes]:
    return data.dtype.name, data.tobytes()
