"""Every budget of [prune]: the limit holds, by what it is a limit of."""

import pytest

from tests.breaking_net import trained_net
from toolchain.budgets import Purpose, low_rank_limit
from toolchain.cost_table import load_cost_table
from toolchain.errors import BadConfig, BadInput
from toolchain.fitting import CODE_BYTES, in_codes
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.lower.c.arrange import BESIDES
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import Machine
from toolchain.lower.tflite import write_tflite
from toolchain.profile import load_target
from toolchain.prune.groups import channel_groups
from toolchain.prune.prune import cut_to
from toolchain.shape_sections import LowRankConfig
from toolchain.training_sections import PruneConfig

M4 = load_target("cortex_m4_qemu")
TABLE = load_cost_table(M4)


def cut(config, profile=None, table=None) -> tuple[Graph, Graph]:
    """(before, after)"""
    graph = trained_net()
    return graph, cut_to(graph, config, Purpose(config, profile, table).aim(graph, None, 0))


def c_of(graph):
    return write_c(in_codes(graph), machine=Machine(M4.isa, ram_bytes=M4.ram_bytes))


def flash(graph):
    return c_of(graph).weight_bytes + CODE_BYTES


def ram(graph):
    return c_of(graph).arena_bytes + BESIDES


def parameters(graph):
    return canonical(graph).parameters


@pytest.mark.parametrize("name, size, share", [
    ("macs", graph_macs, 0.8), ("parameters", parameters, 0.8), ("flash", flash, 0.97), ("ram", ram, 0.95),
    ("instructions", TABLE.predict, 0.8)])
def test_a_share_and_the_same_amount(name, size, share):
    whole, shared = cut(PruneConfig(**{name: share}), M4, TABLE)
    assert (share - 0.2) * size(whole) < size(shared) <= share * size(whole)
    _, limited = cut(PruneConfig(**{name: share * size(whole)}), M4, TABLE)
    assert limited.digest == shared.digest


def test_bytes_with_a_unit():
    most = flash(trained_net()) - 300
    _, smaller = cut(PruneConfig(flash=f"{most / 1000}kB"), M4)
    assert flash(smaller) <= most


def test_flash_of_a_target_with_files_is_the_file():
    _, smaller = cut(PruneConfig(flash=0.95), load_target("raspberry_pi_4"))
    assert len(write_tflite(in_codes(smaller))) <= 0.95 * len(write_tflite(in_codes(trained_net())))


def test_bytes_out_of_reach_are_refused_with_what_is_not():
    with pytest.raises(BadInput, match=r"flash: 1,000 bytes cannot be reached; the least that was"):
        cut(PruneConfig(flash="1kB"), M4)


def test_a_limit_that_holds_changes_nothing():
    for config in (PruneConfig(macs=1e9), PruneConfig(flash="1MB"), PruneConfig(ram="1MB")):
        whole, same = cut(config, M4)
        assert same is whole


def test_kept_channels_follow_the_recipe_the_table_or_the_profile():
    graph = trained_net()
    groups = cut(PruneConfig(ratio=0.25, channel_multiple=4))[1]
    assert all(groups.tensors[name].shape[-1] % 4 == 0 for name in ("stem", "block.expand", "head"))
    aim = Purpose(PruneConfig(ratio=0.25), load_target("host"), None).aim(graph, None, 0)
    found = channel_groups(graph).groups
    multiple = load_target("host").channel_multiple.get("conv2d", 1)
    assert all(step % multiple == 0 for step in aim.steps(graph, found))


@pytest.mark.parametrize("config, profile, table, told", [
    (PruneConfig(instructions=0.5), None, None, "instructions wants a table of what the target takes"),
    (PruneConfig(latency_us=0.5), M4, TABLE, "table of cortex_m4_qemu is in instructions; limit instruct"),
    (PruneConfig(ram=0.5), load_target("raspberry_pi_4"), None, "is its runtime's to say")])
def test_a_budget_that_nothing_tells_is_refused(config, profile, table, told):
    with pytest.raises(BadConfig, match=told):
        cut(config, profile, table)


def test_several_budgets_are_all_kept():
    """Each is the one that decides in one of these; sizes, which are searched, beside the others."""
    for macs, instructions, least in ((0.6, 0.9, 0.97), (0.9, 0.6, 0.97), (0.95, 0.95, 0.93)):
        config = PruneConfig(macs=macs, instructions=instructions, flash=least)
        whole, smaller = cut(config, M4, TABLE)
        shares = [size(smaller) / size(whole) for size in (graph_macs, TABLE.predict, flash)]
        limits = macs, instructions, least
        assert all(share <= limit for share, limit in zip(shares, limits))
        assert any(share > limit - 0.2 for share, limit in zip(shares, limits))


def test_a_limit_out_of_reach_beside_others_is_told():
    with pytest.raises(BadInput, match="10 numbers cannot be reached"):
        cut(PruneConfig(parameters=10, flash=0.9), M4)


@pytest.mark.parametrize("given, told", [
    ({}, "has no budget; give one or more of ratio, macs"),
    ({"flash": "1 parsec"}, 'flash = "1 parsec": give bytes as "256kB"')])
def test_a_budget_at_least_in_known_units(given, told):
    with pytest.raises(BadConfig, match=told):
        assert PruneConfig(**given).budgets


def test_the_budget_of_low_rank():
    graph, most = trained_net(), low_rank_limit
    assert most(graph, Purpose(LowRankConfig(macs=0.5))).most == 0.5 * graph_macs(graph)
    assert most(graph, Purpose(LowRankConfig(instructions=9e4), M4, TABLE)).most == 9e4
    with pytest.raises(BadConfig, match=r"\[low_rank\] latency_us: the table of cortex_m4_qemu is in instru"):
        most(graph, Purpose(LowRankConfig(latency_us=0.5), M4, TABLE))
    with pytest.raises(BadConfig, match=r"\[low_rank\] instructions wants a table of what the target takes"):
        most(graph, Purpose(LowRankConfig(instructions=0.5)))
