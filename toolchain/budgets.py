"""What the budgets of [prune] mean: costs that add up over a network, and how much of each may stay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
import math

from toolchain.cost_table import CostTable
from toolchain.errors import BadConfig, BadInput
from toolchain.fitting import CODE_BYTES, in_codes
from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.ops import APART, OPS
from toolchain.ir.passes import canonical
from toolchain.lower.c.arrange import BESIDES
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import Machine
from toolchain.lower.tflite import write_tflite
from toolchain.profile import TargetProfile
from toolchain.prune.cost import CHANNELS, MACS, PARAMETERS, Cost, Limit
from toolchain.prune.evidence import Evidence
from toolchain.prune.folded import folded
from toolchain.prune.groups import Group
from toolchain.prune.prune import Aim, cost_of, grouping_of, narrowed
from toolchain.prune.steps import liked_steps, measured_steps
from toolchain.prune.widths import Price, Widths
from toolchain.shape_sections import LowRankConfig
from toolchain.training_sections import PruneConfig

UNIT = {"instructions": "instructions", "latency_us": "us"}
"""Budget -> unit of the table that tells it."""
FINENESS = 64
"""A limit that has to be searched is found as a multiple of this share of the whole."""
CROWD = 8
"""Exponent of what an op holds in RAM: a sum of such powers is next to that of the largest alone."""


@dataclass(frozen=True, eq=False)
class Purpose:
    """What a network is made smaller for.

    profile, table: the target and what ops cost there, as far as they are known
    scheme:         of the codes that the network becomes
    """

    config: PruneConfig | LowRankConfig
    profile: TargetProfile | None = None
    table: CostTable | None = None
    scheme: str = "static_wi8_ai8"

    def aim(self, graph: Graph, evidence: Evidence | None, seed: int) -> Aim:
        """The budgets for this FLOAT graph. Raises BadConfig where nothing tells what one takes, BadInput
        where a size cannot be reached."""
        aim = Aim((), self.steps, evidence, seed)
        for name, amount in sorted(self.config.budgets.items(), key=lambda budget: budget[0] in SIZES):
            aim = replace(aim, limits=(*aim.limits, self._limit(graph, aim, name, amount)))
        return aim

    def _limit(self, graph: Graph, aim: Aim, name: str, amount: float) -> Limit:
        """Of one budget, beside those that the aim has."""
        cost = COSTS[name](self)
        whole = cost_of(graph, grouping_of(graph, self.config).groups, cost)
        if name == "ratio":
            return Limit(cost, (1 - amount) * whole)
        if name in SIZES:
            return self._searched(graph, aim, Limit(cost, whole), name, amount)
        return _limit_of(cost, whole, amount)

    def steps(self, graph: Graph, groups: Sequence[Group]) -> Sequence[int]:
        """What the kept channels of each group are a multiple of."""
        if self.config.channel_multiple:
            return [self.config.channel_multiple] * len(groups)
        if self.table:
            widths = Widths(*folded(graph, groups, self.config.heads))
            return measured_steps(Price(widths, table_cost(self.table)))
        return liked_steps(graph, groups, self.profile.channel_multiple if self.profile else {})

    def _searched(self, graph: Graph, aim: Aim, whole: Limit, name: str, amount: float) -> Limit:
        """The largest limit of a cost that adds up with which a size that does not is small enough, beside
        the limits that the aim has."""
        size = SIZES[name]
        most = amount * size(self, graph) if amount < 1 else amount
        if size(self, graph) <= most:
            return whole
        cut = narrowed(graph, self.config, aim)
        smallest = size(self, cut(aim.limits))
        if smallest <= most:
            return whole
        low, high, found = 0, FINENESS, None
        while high - low > 1:
            middle = (low + high) // 2
            limit = Limit(whole.cost, whole.most * middle / FINENESS)
            try:
                taken = size(self, cut((*aim.limits, limit)))
            except BadInput:  # as few channels as may be cost more
                low = middle
                continue
            smallest = min(smallest, taken)
            low, high, found = (middle, high, limit) if taken <= most else (low, middle, found)
        if found is None:
            raise BadInput(f"{graph.name}: [prune] {name}: {most:,.0f} bytes cannot be reached; the least "
                           f"that was found is {smallest:,}. Raise the limit")
        return found


def low_rank_limit(graph: Graph, purpose: Purpose) -> Limit:
    """What the budget of a LowRankConfig comes to. Raises BadConfig where nothing tells what it takes."""
    name, amount = purpose.config.budget
    cost = COSTS[name](purpose)
    return _limit_of(cost, cost.of(canonical(graph)), amount)


def _limit_of(cost: Cost, whole: float, amount: float) -> Limit:
    """amount: below 1 a share of the whole"""
    return Limit(cost, amount * whole if amount < 1 else amount)


def table_cost(table: CostTable) -> Cost:
    """What a target was measured to take."""
    name = "instructions" if table.unit == "instructions" else "latency"
    return Cost(name, table.unit, of_op=table.of_op, fixed=table.fixed)


def budget_in(unit: str) -> str:
    """The budget that a table in this unit tells."""
    return next(name for name, told in UNIT.items() if told == unit)


def _measured(purpose: Purpose, name: str) -> Cost:
    asked = f"[{purpose.config.heading}] {name}"
    if purpose.table is None:
        missing = f"{purpose.profile.name} has none" if purpose.profile else "name one with --target"
        raise BadConfig(f"{asked} wants a table of what the target takes: {missing}; `edge "
                        f"profile-target` makes it")
    if purpose.table.unit != UNIT[name]:
        raise BadConfig(f"{asked}: the table of {purpose.table.target} is in {purpose.table.unit}; "
                        f"limit {budget_in(purpose.table.unit)} instead")
    return table_cost(purpose.table)


def _held(op: Op, inputs: Sequence[Shape], output: Shape) -> float:
    """Elements that an op reads and writes, of those that are no weights, to a power."""
    roles = (*OPS[op.kind].inputs, *[OPS[op.kind].inputs[-1]] * len(inputs))
    read = [shape for role, shape in zip(roles, inputs) if role not in APART]
    return float(sum(map(math.prod, (*read, output))) ** CROWD)


def _flash_bytes(purpose: Purpose, graph: Graph) -> int:
    """Of the INT8 network: constants and code of its C where the target takes C, else its file."""
    codes = in_codes(graph, purpose.scheme)
    if purpose.profile is None or "c" in purpose.profile.formats:
        return write_c(codes, machine=_machine(purpose)).weight_bytes + CODE_BYTES
    return len(write_tflite(codes))


def _ram_bytes(purpose: Purpose, graph: Graph) -> int:
    """Of the arena of its C and what lies beside it."""
    if purpose.profile is not None and "c" not in purpose.profile.formats:
        raise BadConfig(f"[prune] ram: what a network takes on {purpose.profile.name} is its runtime's to "
                        f"say; limit latency_us, flash or macs, or name a target that takes C")
    return write_c(in_codes(graph, purpose.scheme), machine=_machine(purpose)).arena_bytes + BESIDES


def _machine(purpose: Purpose) -> Machine:
    profile = purpose.profile
    return Machine(profile.isa, ram_bytes=profile.ram_bytes) if profile else Machine()


SIZES: Mapping[str, Callable[[Purpose, Graph], int]] = {"flash": _flash_bytes, "ram": _ram_bytes}
"""Budgets of what does not add up over ops."""
COSTS: Mapping[str, Callable[[Purpose], Cost]] = {
    "ratio": lambda purpose: CHANNELS, "macs": lambda purpose: MACS, "parameters": lambda purpose: PARAMETERS,
    "flash": lambda purpose: PARAMETERS, "ram": lambda purpose: Cost("held elements", "to a power", _held),
    "latency_us": lambda purpose: _measured(purpose, "latency_us"),
    "instructions": lambda purpose: _measured(purpose, "instructions")}
"""Budget -> what adds up to it, or rises with it."""
