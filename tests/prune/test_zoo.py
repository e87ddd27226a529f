"""Every network of the zoo that has channels to lose loses 30 % of them, and is then the masked one.

docs/pruning-zoo.md has the same beside Torch-Pruning's (`make benchmark-pruning-zoo`).
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from tests.zoo.catalogue import ENTRIES, ZOO, Entry
from tests.zoo.judge import FLOAT, FORMATS, float_error, samples_of
from tests.zoo.pruning import RATIO, SAMPLES, pruned, pruned_at_random
from toolchain.ir.check import check
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.pipeline import prepare
from toolchain.prune.blocks import remove_branches, residual_branches, with_branch_masks
from toolchain.prune.cost import MACS, Limit
from toolchain.prune.groups import channel_groups
from toolchain.prune.prune import Aim, cut_to
from toolchain.runtime import reference
from toolchain.training_sections import PruneConfig

TOLERANCE = 1e-4
"""Largest difference from the masked network, as a share of an output's range."""
UNPRUNABLE: Mapping[str, str] = {}
"""Network without a channel to lose -> why. All of them have some."""
PRUNED = [pytest.param(entry, id=entry.name, marks=() if entry.fast else pytest.mark.slow)
          for entry in ENTRIES if entry.name not in UNPRUNABLE]
ATTENDING = ("keyword_transformer", "vit", "mobilevit", "text_transformer")
FAST = [entry for entry in ENTRIES if entry.fast]
BRANCHES: Mapping[str, int] = {
    "mobilenet_v2": 10, "mobilenet_v3_small": 6, "efficientnet_lite0": 9, "resnet18": 8, "resnet50": 16,
    "regnet_y_400mf": 16, "convnext": 9, "ssd": 4, "yolo": 3, "text_detector": 8, "tcn": 4, "swift_f0": 6,
    "keyword_transformer": 8, "vit": 8, "mobilevit": 8, "text_transformer": 6}
"""Network -> how many residual branches can go; every other network has none."""


def test_those_that_are_left_out_have_no_channel_to_lose():
    for name in UNPRUNABLE:
        assert channel_groups(load(ZOO[name].open())).groups == ()


def assert_smaller_and_masked(found) -> None:
    assert found.off_by <= TOLERANCE
    assert found.moved > 100 * TOLERANCE  # or there was nothing to tell the masked network by
    assert found.macs[1] < 0.8 * found.macs[0]
    assert found.parameters[1] < 0.8 * found.parameters[0]
    assert found.channels[1] == pytest.approx(RATIO * found.channels[0], rel=0.1)


@pytest.mark.parametrize("entry", PRUNED)
def test_a_pruned_network_is_the_masked_one(entry: Entry):
    assert_smaller_and_masked(pruned(entry))


@pytest.mark.parametrize("entry", PRUNED)
def test_a_budget_is_met_on_every_network(entry: Entry):
    """Half of the MACs by random importance, with the self-check that every cut ends with."""
    config, graph = PruneConfig(importance="random", macs=0.5), load(entry.open())
    half = 0.5 * graph_macs(canonical(graph))
    smaller = cut_to(graph, config, Aim((Limit(MACS, half),)))
    assert 0.98 * half < graph_macs(canonical(smaller)) <= half


@pytest.mark.parametrize("name", ATTENDING)
def test_whole_heads_go_and_a_budget_is_met(name: str):
    """With the self-check that every cut ends with: the smaller network is the one without these heads."""
    graph = load(ZOO[name].open())
    heads = [group for group in channel_groups(graph, heads=True).groups if group.channels <= 4]
    assert len(heads) == graph_kinds(graph)["softmax"]
    limit = Limit(MACS, 0.7 * graph_macs(canonical(graph)))
    smaller = cut_to(graph, PruneConfig(importance="random", macs=0.7, heads=True), Aim((limit,)))
    assert 0.98 * limit.most < graph_macs(canonical(smaller)) <= limit.most
    assert any(smaller.tensors[tensor].shape != graph.tensors[tensor].shape
               for group in heads for tensor in group.tensors & smaller.tensors.keys())


def graph_kinds(graph) -> Counter:
    return Counter(op.kind for op in graph.ops)


@pytest.mark.slow
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("entry", FAST, ids=lambda entry: entry.name)
def test_a_file_of_a_network_has_the_same_channels_to_lose(entry: Entry, fmt: str, tmp_path):
    """Written by a door out, read by a door in: as many channels go, and they are masked alike."""
    graph = load(entry.open())
    model, _ = FORMATS[fmt](prepare(graph, FLOAT, None).graph)
    path = tmp_path / f"network{fmt}"
    path.write_bytes(model)
    from_file = load(str(path))
    feeds = samples_of(entry.draw(*SAMPLES)).fit_to(graph).feeds(np.arange(SAMPLES[0]))
    again = pruned_at_random(from_file, dict(zip(from_file.inputs, feeds.values(), strict=True)))
    assert_smaller_and_masked(again)
    assert again.channels == pruned(entry).channels


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_network_without_half_of_its_branches_is_the_masked_one(entry: Entry):
    """Each second branch goes: of nested ones inner and outer, with identity shortcuts and projections."""
    graph = load(entry.open())
    branches = residual_branches(graph)
    assert len(branches) == BRANCHES.get(entry.name, 0)
    smaller = remove_branches(graph, [branch.name for branch in branches[::2]])
    masked = with_branch_masks(graph, branches).at([np.full(1, n % 2, np.float32)
                                                    for n in range(len(branches))])
    feeds = samples_of(entry.draw(*SAMPLES)).fit_to(graph).feeds(np.arange(SAMPLES[0]))
    found, expected = reference.run(check(smaller, "FLOAT"), feeds), reference.run(masked, feeds)
    assert all(float_error(found[name], expected[name]) <= TOLERANCE for name in graph.outputs)
    assert (smaller.parameters < graph.parameters) == bool(branches)
