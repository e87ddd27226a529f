"""TFLite Micro runs in a subprocess: what it refuses, and what kills it, comes back as one error."""

import numpy as np
import pytest

from toolchain.errors import BadSamples
from toolchain.ir.build import Builder
from toolchain.ir.quant import QuantParams
from toolchain.lower.tflite import write_tflite
from toolchain.runtime.tflm import TFLiteMicroFailed, run_models, run_tflm

pytestmark = pytest.mark.oracle
QUANT = QuantParams(np.float32(0.1), 3)


def softmax(out_zero_point: int = -128) -> bytes:
    builder = Builder("softmax")
    x = builder.input("logits:0", (1, 4), "int8", QUANT)
    quant = QuantParams(np.float32(1 / 256), out_zero_point)
    return write_tflite(builder.graph(builder.op("softmax", (x,), "head/probabilities", quant=quant)))


def sample(*codes) -> dict[str, np.ndarray]:
    return {"logits:0": np.array([codes], np.int8)}


def test_runs_every_sample_by_the_flatbuffers_names():
    first, second = run_tflm(softmax(), [sample(0, 0, 0, 0), sample(127, -128, -128, -128)])
    assert first["head/probabilities"].tolist() == [[-64, -64, -64, -64]]
    assert second["head/probabilities"].tolist() == [[127, -128, -128, -128]]


def test_several_models_and_inputs_in_one_subprocess():
    builder = Builder("sub")
    inputs = [builder.input(name, (1, 2), "int8", QUANT) for name in ("a", "b")]
    model = write_tflite(builder.graph(builder.op("sub", inputs, "y", quant=QUANT)))
    feeds = {"b": np.array([[3, 13]], np.int8), "a": np.array([[5, 3]], np.int8)}
    sums, probabilities = run_models([(model, [feeds]), (softmax(), [sample(1, 1, 1, 1)] * 3)])
    assert sums[0]["y"].tolist() == [[5, -7]]
    assert len(probabilities) == 3


def test_a_model_that_it_refuses():
    with pytest.raises(TFLiteMicroFailed, match=r"TFLite Micro refused the model \([\d,]+ bytes\): .*-128"):
        run_tflm(softmax(out_zero_point=0), [sample(0, 0, 0, 0)])


def test_a_model_that_kills_it_is_named():
    """Its add checks that the sum's multiplier is below 1, and aborts."""
    builder = Builder("add")
    inputs = [builder.input(name, (1, 2), "int8", QUANT) for name in ("a", "b")]
    tiny = QuantParams(np.float32(1e-8), 0)
    deadly = write_tflite(builder.graph(builder.op("add", inputs, "y", quant=tiny)))
    feeds = {name: np.zeros((1, 2), np.int8) for name in ("a", "b")}
    with pytest.raises(TFLiteMicroFailed, match=r"TFLite Micro died of SIG\w+ on model 2 of 2 \("):
        run_models([(softmax(), [sample(0, 0, 0, 0)]), (deadly, [feeds])])


def test_bytes_that_are_no_model():
    with pytest.raises(TFLiteMicroFailed, match=r"refused the model \(400 bytes\): \w+"):
        run_tflm(b"TFL3" * 100, [sample(0, 0, 0, 0)])


@pytest.mark.parametrize("given, message", [
    ({"x": np.zeros((1, 4), np.int8)}, "no value for input logits:0; got x"),
    ({"logits:0": np.zeros((1, 5), np.int8)}, "input logits:0: got int8 (1, 5), expected int8 (1, 4)"),
    ({"logits:0": np.zeros((1, 4), np.float32)}, "input logits:0: got float32 (1, 4), expected int8 (1, 4)"),
])
def test_a_wrong_input_is_named(given, message):
    with pytest.raises(BadSamples) as error:
        run_tflm(softmax(), [given])
    assert str(error.value) == message
