"""Sections of a recipe that make a network one that need not run whole."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from toolchain.errors import BadConfig
from toolchain.section import Section


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
