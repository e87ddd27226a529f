"""edge inspect --target: what a target cannot run or hold."""

from pathlib import Path

import msgspec
import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.quant import QuantParams
from toolchain.load import load
from toolchain.profile import load_target
from toolchain.suitability import suitability, suitability_text

GOLDEN = Path(__file__).parent / "golden"
M4 = load_target("cortex_m4_qemu")


def test_a_network_that_fits_says_what_it_needs():
    found = suitability(load(GOLDEN / "float.tflite"), M4)
    assert not found.cannot_run and not found.does_not_fit
    assert 0 < found.needs["ram"] < found.has["ram"] and 0 < found.needs["flash"] < found.has["flash"]
    assert f"flash {found.needs['flash']:,} of 4,194,304 bytes" in suitability_text(found)


def test_what_cannot_run_is_named_with_what_would():
    b = Builder("net")
    x = b.input("x", (1, 4))
    y = b.op("pow", [x, b.op("exp", [x], "e")], "power")
    found = suitability(b.graph(y), M4)
    assert any("power" in item for item in found.cannot_run)
    assert found.instead["pow"] == "mul for squares, sqrt for roots"
    on_host = suitability(b.graph(y), load_target("host"))
    assert not on_host.cannot_run and on_host.in_float == ("e: exp", "power.float: pow")


def test_reals_between_the_codes_of_a_quantized_model_are_integers_in_c():
    b, quant = Builder("net"), QuantParams(0.05, -20)
    x = b.input("x", (1, 4), "int8", quant)
    reals = b.op("gelu", [b.op("dequantize", [x], "x.float")], "y.float")
    graph = b.graph(b.op("quantize", [reals], "y", quant=quant, dtype="int8"))
    assert not suitability(graph, M4).cannot_run
    assert suitability(graph, load_target("host")).in_float == ("y.float: gelu",)


def test_what_does_not_fit_says_by_how_much():
    b = Builder("net")
    weight = b.constant("w", np.ones((500, 400), np.float32))
    bias = b.constant("b", np.ones(500, np.float32))
    y = b.op("fully_connected", [b.input("x", (1, 400)), weight, bias], "y")
    small = msgspec.structs.replace(M4, flash_bytes=1000)
    assert "bytes of flash but cortex_m4_qemu has 1,000" in suitability(b.graph(y), small).does_not_fit
