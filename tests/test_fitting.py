"""What is estimated to make a network fit does, by the linker's count, and nothing less does."""

import re

import msgspec
import numpy as np
import pytest
import torch

from tests.quantize.nets import Net, samples_of
from toolchain.budgets import Purpose
from toolchain.device.firmware import Firmware, build_firmware
from toolchain.errors import BadGraph, DoesNotFit
from toolchain.fitting import RATIOS, at_resolution, in_codes, remedies, remedy_text, with_sides
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.lower import lower
from toolchain.pipeline import build, prepare
from toolchain.profile import TargetProfile, load_target
from toolchain.prune.prune import cut_to
from toolchain.recipe import PruneConfig, Recipe
from toolchain.runtime import reference
from toolchain.suitability import suitability

M0 = load_target("cortex_m0_qemu")
INT8 = "static_wi8_ai8"


def float_net(side: int = 16) -> Graph:
    """Three convolutions of 24 channels, a pool over all there is, two classes."""
    net = Net(seed=3)
    x = net.input("x", (1, side, side, 3))
    for name in ("first", "second", "third"):
        x = net.conv(x, 24, name)
    pooled = net.op("average_pool2d", [x], "pooled", kernel=(side, side))
    return net.graph(net.dense(net.op("reshape", [pooled], "flat", shape=(1, 24)), 2, "classes"))


def with_room(flash: int = M0.flash_bytes, ram: int = M0.ram_bytes) -> TargetProfile:
    return msgspec.structs.replace(M0, flash_bytes=flash, ram_bytes=ram)


def linked(graph: Graph, profile: TargetProfile) -> Firmware:
    return build_firmware(lower(in_codes(graph), profile, {}), profile)


def pruned_by(graph: Graph, ratio: float) -> Graph:
    """As a build does that has no samples and no table of the target."""
    config = PruneConfig(ratio=ratio)
    return cut_to(graph, config, Purpose(config, M0).aim(graph, None, 0))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return canonical(float_net())


@pytest.fixture(scope="module")
def sizes(graph) -> dict[str, int]:
    return linked(graph, with_room(ram=100_000)).sizes


def test_the_least_ratio_that_fits_is_found_and_one_less_does_not(graph, sizes):
    tight = with_room(ram=sizes["ram"] * 2 // 3)
    with pytest.raises(DoesNotFit):
        linked(graph, tight)
    pruned = remedies(graph, tight, INT8, sizes)[0]
    ratio = float(re.fullmatch(r"\[prune\] ratio = (0\.\d+)", pruned.change)[1])
    firmware = linked(pruned_by(graph, ratio), tight)
    assert firmware.ram_bytes == pytest.approx(pruned.ram_bytes, abs=32)
    assert firmware.flash_bytes == pytest.approx(pruned.flash_bytes, rel=0.1)
    less = RATIOS[RATIOS.index(ratio) - 1]
    with pytest.raises(DoesNotFit):
        linked(pruned_by(graph, less), tight)


def test_the_largest_input_that_fits_is_found(graph, sizes):
    tight = with_room(ram=sizes["ram"] * 2 // 3)
    shrunk = remedies(graph, tight, INT8, sizes)[1]
    height, width = map(int, re.fullmatch(r"an input of (\d+)x(\d+) for 16x16", shrunk.change).groups())
    firmware = linked(canonical(float_net(height)), tight)
    assert height == width and firmware.ram_bytes == pytest.approx(shrunk.ram_bytes, abs=32)
    with pytest.raises(DoesNotFit):
        linked(canonical(float_net(height + 2)), tight)


def test_a_quantized_networks_remedies_are_its_float_ones(graph, sizes):
    """But for which channels go: both have as many."""
    tight = with_room(ram=sizes["ram"] * 2 // 3)
    of_float, of_codes = (remedies(net, tight, INT8, sizes) for net in (graph, in_codes(graph)))
    assert list(map(str, of_codes)) == list(map(str, of_float))


def test_where_nothing_helps_a_larger_target_is_named(graph):
    tiny = with_room(ram=1000)
    found = remedies(graph, tiny, INT8, {})
    assert found == [] and remedy_text(found, tiny) == (
        "Neither a [prune] ratio up to 0.95 nor a smaller input nor 4-bit weights are estimated to make it "
        "fit cortex_m0_qemu; pick a larger target")


def test_a_refusal_ends_with_what_would_fit(sizes):
    tight = with_room(ram=sizes["ram"] - 100)
    net = float_net()
    prepared = prepare(net, Recipe(), samples_of(net), tight)
    with pytest.raises(DoesNotFit) as caught:
        build(prepared, tight, samples_of(net))
    shortfall, _, remedy = str(caught.value).partition(". ")
    assert shortfall.startswith(f"net needs {sizes['ram']:,} bytes of RAM but cortex_m0_qemu has "
                                f"{tight.ram_bytes:,} (100 short): ")
    takes = r" \([\d,]+ bytes of RAM, [\d,]+ of flash, [\de.+-]+ million multiply-accumulates\)"
    assert re.fullmatch(rf"Estimated to fit: \[prune\] ratio = 0\.\d+{takes}, or an input of 14x14 for 16x16"
                        rf"{takes}; or pick a larger target", remedy)


def test_inspect_allows_for_firmware_and_says_what_would_fit(graph, sizes):
    found = suitability(graph, with_room(ram=sizes["arena"] + 1000))
    assert "(1,304 short). Estimated to fit: [prune] ratio = 0." in found.does_not_fit
    assert not suitability(graph, with_room(ram=sizes["ram"] + 1000)).does_not_fit


@pytest.mark.parametrize(("size", "message"), [((5, 5), "matrix"), ((1, 1), "does not fit|nothing is left")])
def test_sides_that_a_network_cannot_have(size, message):
    """Where it flattens, or a window is larger than what is left."""
    net = Net()
    x = net.conv(net.input("x", (1, 6, 6, 2)), 4, "conv")
    x = net.op("max_pool2d", [x], "pool", kernel=(2, 2), stride=(2, 2))
    graph = net.graph(net.dense(net.op("reshape", [x], "flat", shape=(1, 36)), 3, "dense"))
    with pytest.raises(BadGraph):
        with_sides(graph, size)


def test_a_network_at_a_lower_resolution_takes_the_same_image_and_makes_a_smaller_one_of_it():
    whole, image = float_net(16), np.random.default_rng(0).standard_normal((1, 16, 16, 3), np.float32)
    smaller = torch.nn.functional.interpolate(torch.from_numpy(image).permute(0, 3, 1, 2), (11, 11),
                                              mode="bilinear").permute(0, 2, 3, 1).numpy()
    found = reference.run(at_resolution(whole, 0.7), {"x": image})["classes"]
    expected = reference.run(with_sides(whole, (11, 11)), {"x": smaller})["classes"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert graph_macs(at_resolution(whole, 0.5)) < 0.3 * graph_macs(whole)


def test_only_images_have_a_resolution():
    net = Net(seed=3)
    x = net.input("x", (1, 24))
    with pytest.raises(BadGraph, match=r"resolution is for one image that goes in, not for \(1, 24\)"):
        at_resolution(net.graph(net.dense(x, 2, "classes")), 0.5)
