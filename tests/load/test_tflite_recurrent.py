"""A sequence LSTM of TensorFlow Lite becomes a loop that gives what LiteRT gives."""

import re

from ai_edge_litert import schema_py_generated as schema
import numpy as np
import pytest

from tests.load.tflite_models import one_operator
from toolchain.errors import Unsupported
from toolchain.execution import watch
from toolchain.ir.check import check
from toolchain.load.tflite import load_tflite
from toolchain.load.tflite_schema import packed
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT

FEATURES, WIDTH, INPUTS = 3, 4, 24
STATES = (18, 19)


def lstm(steps: int = 6, scale: float = 1.0, left_out: tuple[int, ...] = (), more: tuple[int, ...] = (),
         time_major: bool = False, batch: int = 1, **fields) -> bytes:
    """left_out, more: positions of inputs;  fields: of the options"""
    rng = np.random.default_rng(7)
    shapes = {**dict.fromkeys(range(1, 5), (WIDTH, FEATURES)), **dict.fromkeys(range(5, 9), (WIDTH, WIDTH)),
              **dict.fromkeys(range(12, 16), (WIDTH,)), **dict.fromkeys(more, (WIDTH,))}
    arrays = {f"{at:02}": scale * rng.standard_normal(shape, np.float32) for at, shape in shapes.items()
              if at not in left_out}
    first = (steps, batch) if time_major else (batch, steps)
    inputs = {"00": (*first, FEATURES), **arrays, **{str(at): (batch, WIDTH) for at in STATES}}
    tanh = schema.ActivationFunctionType.TANH
    fields = {"fusedActivationFunction": tanh, "timeMajor": time_major, **fields}
    model = one_operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, {"y": (*first, WIDTH)}, fields=fields,
                         options="UnidirectionalSequenceLSTMOptions")
    file = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    graph = file.subgraphs[0]
    at = {int(name): index for index, name in enumerate(inputs)}
    graph.operators[0].inputs = np.array([at.get(position, -1) for position in range(INPUTS)], np.int32)
    graph.inputs = np.array([0], np.int32)
    for state in STATES:
        graph.tensors[at[state]].isVariable = True
    return packed(file)


@pytest.mark.oracle
@pytest.mark.parametrize("asked", [{}, {"cellClip": 10.0}, {"steps": 30, "cellClip": 2.0, "scale": 3.0}],
                         ids=["plain", "a clip that no cell reaches", "a clip that cells reach"])
def test_it_is_what_litert_computes_from_states_of_zero(asked):
    model = lstm(**asked)
    graph = check(load_tflite(model, "net"), "FLOAT")
    rng = np.random.default_rng(0)
    feeds = {"00": rng.standard_normal((3, *graph.tensors["00"].shape[1:]), np.float32)}
    np.testing.assert_allclose(reference.run(graph, feeds)["y"], LiteRT(model).run(feeds)["y"], atol=1e-5)
    clips = [op.name for op in graph.ops if op.kind == "maximum"]
    assert len(clips) == ("steps" in asked)
    if clips:
        assert np.abs(watch(graph, ["y.cell"])(feeds)["y.cell"]).max() > asked["cellClip"]
    assert graph.source.notes == ("states of y begin at 0 for each sample; LiteRT keeps them from run to "
                                  "run, unless reset_all_variables is called",)


def test_time_first_means_the_same():
    whole, turned = (load_tflite(lstm(steps=1, time_major=first), "net") for first in (False, True))
    x = {"00": np.ones((1, 1, FEATURES), np.float32)}
    np.testing.assert_array_equal(reference.run(whole, x)["y"], reference.run(turned, x)["y"])


REFUSED = {
    "peepholes": ({"more": (9, 10, 11)}, "has peepholes, which has no row; train it without"),
    "projection": ({"more": (16,)}, "has a projection, which has no row; train it without"),
    "layer norm": ({"more": (20, 21, 22, 23)}, "has layer norm, which has no row; train it without"),
    "no input gate": ({"left_out": (1, 5, 12)},
                      "has no gates of all four kinds; train it with an input gate of its own"),
    "relu": ({"fusedActivationFunction": schema.ActivationFunctionType.RELU},
             "activation is not tanh, which alone has a row"),
}


@pytest.mark.parametrize("asked, why", REFUSED.values(), ids=REFUSED)
def test_what_a_loop_does_not_hold_is_refused(asked, why):
    with pytest.raises(Unsupported, match=re.escape(f"op 0 UNIDIRECTIONAL_SEQUENCE_LSTM 'y': {why}")):
        load_tflite(lstm(**asked), "net")


def test_codes_are_refused():
    file = schema.ModelT.InitFromPackedBuf(bytearray(lstm()), 0)
    for tensor in (file.subgraphs[0].tensors[0], file.subgraphs[0].tensors[-1]):
        tensor.type = schema.TensorType.INT8
        tensor.quantization = schema.QuantizationParametersT(scale=np.float32([0.1]), zeroPoint=np.int64([0]))
    with pytest.raises(Unsupported, match="tensor '00' is int8; .*float32.* have rows here"):
        load_tflite(packed(file), "net")
