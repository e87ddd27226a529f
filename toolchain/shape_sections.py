"""Sections of a recipe that give the float network other shapes, but for [prune]."""

from typing import Annotated, ClassVar, Literal

import msgspec

from toolchain.errors import BadConfig
from toolchain.section import Amount, Section

ADDING_UP = ("macs", "parameters", "latency_us", "instructions")
"""Budgets of [prune] that are sums over ops: keys of [low_rank]."""


class ScaleConfig(Section):
    """The network works on a smaller image, which it makes of its input as its first step.

    resolution: share of the input's height and width
    """

    heading: ClassVar[str] = "scale"
    resolution: Annotated[float, msgspec.Meta(gt=0, lt=1)]


class LowRankConfig(Section):
    """Convolutions and fully connected ops become two thinner ones each, where that pays.

    Exactly one budget says how thin. Below 1 it is a share of what the network takes without it, else an
    amount:
    macs, parameters
    latency_us, instructions: on the target, from its measured table
    form: "channel" = an op with fewer output channels, then 1x1 (Zhang et al. 2016); "spatial" = a kernel of
          kh x 1, then one of 1 x kw (Jaderberg et al. 2014); "auto" = of each op the one that loses less
    keep: ops that stay as they are: names or patterns
    """

    heading: ClassVar[str] = "low_rank"
    macs: Amount | None = None
    parameters: Amount | None = None
    latency_us: Amount | None = None
    instructions: Amount | None = None
    form: Literal["auto", "channel", "spatial"] = "auto"
    keep: tuple[str, ...] = ()

    def __post_init__(self):
        given = [name for name in ADDING_UP if getattr(self, name) is not None]
        if len(given) != 1:
            raise BadConfig(f"[low_rank] has {' and '.join(given) or 'no budget'}; give exactly one of "
                            f"{', '.join(ADDING_UP)}")

    @property
    def budget(self) -> tuple[str, float]:
        """Which of ADDING_UP, and how much of it."""
        return next((name, amount) for name in ADDING_UP if (amount := getattr(self, name)) is not None)
