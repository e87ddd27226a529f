"""Sections of a recipe that make a network one that need not run whole."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from toolchain.errors import BadConfig
from toolchain.section import Importance, Positive, Section


class ExitsConfig(Section):
    """Early exits: after some tensors a small classifier, whose answer is taken where it is sure enough.

    after: tensors of the network, in its order, behind which an exit is attached: the mean over all places,
           then a fully connected op, taught by labels and by the network's own answers. The network stays
    Exactly one goal, for the threshold that selection samples choose:
    accuracy_drop: most percent points that may be lost against the network without exits
    cost:          most that may be spent of what that takes on the target, a share
    """

    after: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    accuracy_drop: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    cost: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None

    def __post_init__(self):
        if (self.accuracy_drop is None) == (self.cost is None):
            raise BadConfig("[exits] has one goal: give accuracy_drop, in points, or cost, a share")
        if len(set(self.after)) < len(self.after):
            raise BadConfig(f"[exits] after = {list(self.after)} names a tensor twice; once is enough")

    def require_alone(self, asked: Mapping[str, bool]) -> None:
        """Raise BadConfig where something is asked for too that judges, trains or runs a network whole."""
        if beside := [what for what, is_so in asked.items() if is_so]:
            raise BadConfig(f"[exits] leaves a network on the way, of which {', '.join(beside)} would not "
                            f"know; leave one of both out")


class WidthsConfig(Section):
    """One set of weights in several widths, which [train] trains together; each becomes a level that a budget
    chooses at run time.

    shares:     of the channels of each group that a width keeps: its most important ones; 1 is the network
                itself
    importance: by which channels are ordered: as [prune] has it
    keep:       ops whose channels all stay in every width: names or patterns such as "head.*"
    channel_multiple: keep multiples of this; by default, what the target favours, and of 4 at least, in which
                kernels read weights
    """

    shares: Annotated[tuple[Annotated[float, msgspec.Meta(gt=0, le=1)], ...], msgspec.Meta(min_length=2)]
    importance: Importance | Literal["auto"] = "auto"
    keep: tuple[str, ...] = ()
    channel_multiple: Positive | None = None

    def __post_init__(self):
        if len(set(self.shares)) < len(self.shares) or 1.0 not in self.shares:
            raise BadConfig(f"[widths] shares = {list(self.shares)}: give 1.0, which is the network itself, "
                            f"and one share or more below it, each once")

    def require_alone(self, asked: Mapping[str, bool], trained: bool) -> None:
        """Raise BadConfig where something is asked for too that would give widths weights of their own, or
        judges one network. trained: whether there is [train]"""
        if not trained:
            raise BadConfig("[widths] trains all widths together; say how in [train]")
        if beside := [what for what, is_so in asked.items() if is_so]:
            raise BadConfig(f"[widths] has one set of weights for all widths, and {', '.join(beside)} is of "
                            f"one network; leave one of both out")
