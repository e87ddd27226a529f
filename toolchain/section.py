"""What the sections of a recipe are made of."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from toolchain.errors import BadConfig

Fraction = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Amount = Annotated[float, msgspec.Meta(gt=0)]
Importance = Literal["l1", "l2", "batch_norm", "activation", "apoz", "gradient", "taylor", "hessian",
                     "fisher", "perturbation", "geometric_median", "lamp", "random"]
BYTES: Mapping[str, int] = {"B": 1, "kB": 1000, "MB": 10**6, "KiB": 1024, "MiB": 2**20}


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a recipe."""


def bytes_of(what: str, text: str) -> float:
    """ "256kB" -> 256000. Raises BadConfig. what: for its message"""
    number, unit = text.rstrip("BKMGikmg"), text.lstrip("0123456789. ")
    if unit not in BYTES or not number.strip().replace(".", "", 1).isdecimal():
        raise BadConfig(f'{what} = "{text}": give bytes as "256kB", "0.5MiB" or a number; units: '
                        f'{", ".join(BYTES)}')
    return float(number) * BYTES[unit]
