"""MLPerf Tiny's networks and the BBC micro:bit's 16 KB: kws runs there, ic is refused with what would fit."""

import re

import numpy as np
import pytest

from toolchain.device.firmware import build_firmware
from toolchain.device.qemu import open_device
from toolchain.errors import DoesNotFit
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower import lower
from toolchain.pipeline import build_model
from toolchain.profile import load_target
from toolchain.recipe import Recipe
from toolchain.runtime import reference

MICROBIT = load_target("cortex_m0_qemu")


@pytest.mark.emulated
def test_kws_runs_with_the_references_codes(kit):
    graph = canonical(load(kit / "models/kws_ref_model.tflite"))
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    codes = np.random.default_rng(5).integers(-128, 128, (3, *shape)).astype(np.int8)
    artifact = lower(graph, MICROBIT, {})
    assert build_firmware(artifact, MICROBIT).ram_bytes <= 16_384
    with open_device(artifact, MICROBIT) as device:
        got = device.run({graph.inputs[0]: codes})[graph.outputs[0]]
    expected = reference.run(graph, {graph.inputs[0]: codes})[graph.outputs[0]]
    assert np.array_equal(got, expected.reshape(got.shape))


def test_ic_is_refused_with_the_shortfall_and_what_would_fit(kit):
    model = kit / "models/pretrainedResnet_quant.tflite"
    with pytest.raises(DoesNotFit) as caught:
        build_model(str(model), MICROBIT, Recipe(), None)
    said = str(caught.value)
    needs, short = (int(number.replace(",", "")) for number in re.match(
        r"\w+ needs ([\d,]+) bytes of RAM but cortex_m0_qemu has 16,384 \(([\d,]+) short\)", said).groups())
    assert caught.value.sizes["ram"] == needs == 16_384 + short
    takes = r"\(1[\d,]+ bytes of RAM, [\d,]+ of flash, [\d.]+ million multiply-accumulates\)"
    assert re.search(rf"Estimated to fit: \[prune\] ratio = 0\.\d+ {takes}, or an input of \d+x\d+ for 32x32 "
                     rf"{takes}", said)
