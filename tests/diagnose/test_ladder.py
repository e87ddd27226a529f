"""The ladder on a real small network; with one bias damaged, the right rungs fail and name it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.quantize.nets import Net, samples_of
from toolchain.diagnose.ladder import ENOUGH_DB, Rung, climb, same_codes, same_floats
from toolchain.diagnose.rungs import FLOAT, INT8, SOURCE, Networks, rungs
from toolchain.errors import Unsupported
from toolchain.ir.passes import canonical
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference


@pytest.fixture(scope="module")
def networks():
    net = Net("small")
    x = net.conv(net.input("x", (1, 8, 8, 3)), 8, "first", activation="relu")
    x = net.op("mean", [net.conv(x, 8, "second")], "pool", axes=(1, 2), keepdims=False)
    graph = canonical(net.graph(net.dense(x, 5, "logits")))
    coded = quantize(graph, calibrate(graph, CalibrateConfig(observer="minmax"), samples_of(graph)))
    return Networks(lambda feeds, keep: reference.run(graph, feeds), graph, coded)


@pytest.fixture(scope="module")
def feeds(networks):
    return samples_of(networks.float_graph, count=3).feeds(slice(None))


def flipped(graph, name: str, bit: int):
    """One bit of one bias code is another."""
    bias = graph.tensors[name]
    data = bias.data.copy()
    data[0] ^= 1 << bit
    return graph.with_tensors(replace(bias, data=data))


def by_name(steps):
    return {step.rung: step for step in steps}


def test_every_rung_passes_on_a_sound_network(networks, feeds):
    steps = climb(list(rungs(networks, feeds)))
    assert [step.passed for step in steps] == [True] * 10
    found = by_name(steps)
    assert found[INT8].sqnr_db > ENOUGH_DB
    assert found["INT8 .tflite, TFLite Micro"].worst == found["INT8 C, this host"].worst == 0


def test_a_damaged_file_fails_where_it_runs_and_is_named(networks, feeds):
    damaged = write_tflite(flipped(networks.quantized, "second.bias", 12), integer_only=True)
    found = by_name(climb(list(rungs(replace(networks, tflite=damaged), feeds))))
    failed = {name for name in found if found[name].passed is False}
    runtimes = ("reference kernels", "XNNPACK", "TFLite Micro")
    assert failed == {f"INT8 .tflite, {runtime}" for runtime in runtimes}
    for name in failed:
        assert found[name].note.startswith("it begins at second (conv2d): ")


def test_a_damaged_graph_fails_at_quantization_itself(networks, feeds):
    damaged = replace(networks, quantized=flipped(networks.quantized, "logits.bias", 14))
    found = by_name(climb(list(rungs(damaged, feeds, "it begins at logits"))))
    assert found[FLOAT].passed and found["float .tflite, LiteRT"].passed
    assert not found[INT8].passed and found[INT8].note == "it begins at logits"
    assert found["INT8 .tflite, TFLite Micro"].passed


def test_a_wrong_door_fails_at_the_float_graph(networks, feeds):
    def source(given, keep):
        return {name: value + 1 for name, value in reference.run(networks.float_graph, given).items()}

    found = by_name(climb(list(rungs(replace(networks, source=source), feeds))))
    assert not found[FLOAT].passed and found["float .onnx, ONNX Runtime"].passed


def test_a_rung_that_does_not_apply_says_why(networks, feeds):
    changed = replace(networks, source=None, why_not="the recipe's [prune] makes another network of it")
    found = by_name(climb(list(rungs(changed, feeds))))
    assert (found[SOURCE].passed, found[SOURCE].note) == (None, changed.why_not)
    assert found[FLOAT].passed and found[FLOAT].against == ""


def test_what_stands_on_a_rung_that_did_not_run_does_not_apply_either():
    def refuse():
        raise Unsupported.listing("net in C", ["a: exp", "b: log"])

    ones = {"y": np.ones(2)}
    steps = climb([Rung("a", "", refuse, same_floats), Rung("b", "a", lambda: ones, same_codes)])
    assert [step.note for step in steps] == ["net in C: 2 unsupported: a: exp, ...",
                                             "nothing to compare with: a did not run"]
