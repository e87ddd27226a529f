"""Costs of what runs, without cutting and folding: those of the cut graph's canonical form."""

from hypothesis import given, settings
import numpy as np

from tests.prune.nets import RandomNet
from tests.prune.test_widths import NETS, random_cut
from toolchain.ir.passes import canonical
from toolchain.prune.cost import Cost
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.folded import folded
from toolchain.prune.groups import channel_groups
from toolchain.prune.widths import Price, Widths

SIZES = Cost("sizes", "numbers", of_constant=np.prod,
             of_op=lambda op, inputs, output: len(op.kind) * (np.prod(output) + sum(map(np.prod, inputs))))
"""Tells ops apart, and every size that they see."""


@settings(max_examples=60, deadline=None)
@given(**NETS)
def test_costs_are_those_of_the_folded_cut(seed, blocks):
    """Two channels stay: a prelu that is left with a single slope would become a leaky relu."""
    graph = RandomNet(seed).graph(blocks)
    groups = channel_groups(graph).groups
    kept, gone = random_cut(groups, seed, least=2)
    runs = canonical(sliced(graph, kept_elements(graph, list(zip(groups, gone)))))
    widths = Widths(*folded(graph, groups))
    assert Price(widths, SIZES).at(kept) == SIZES.of(runs)
