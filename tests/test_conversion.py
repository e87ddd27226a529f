"""edge convert: what is written computes what its source computes, and the check would notice."""

from pathlib import Path

import numpy as np
import pytest

from toolchain.conversion import WRITE, convert_model
from toolchain.device.local import open_session
from toolchain.errors import BadInput, BadSamples
from toolchain.ir.build import Builder
from toolchain.ir.passes import canonical
from toolchain.ir.quant import QuantParams
from toolchain.load import load, open_source
from toolchain.lower.tflite import write_tflite

GOLDEN = Path(__file__).parent / "golden"


def worst(made) -> float:
    return max(found.worst_error for checks in made.checks.values() for found in checks)


@pytest.mark.oracle
@pytest.mark.parametrize("source, suffix, allowed", [
    ("float.tflite", "onnx", 1e-5), ("float.onnx", "tflite", 1e-5), ("float.tflite", "tflite", 0),
    ("float.onnx", "onnx", 1e-6), ("int8.tflite", "tflite", 0)])
def test_a_converted_file_computes_what_its_source_does(source, suffix, allowed, tmp_path):
    out = tmp_path / f"made.{suffix}"
    made = convert_model(str(GOLDEN / source), out, check=True)
    assert out.stat().st_size == made.bytes and made.written == str(out)
    assert worst(made) <= allowed and {f.samples for f in made.checks["random"]} == {4}


@pytest.mark.oracle
def test_there_and_back_again_changes_nothing(tmp_path):
    there, back = tmp_path / "there.tflite", tmp_path / "back.onnx"
    convert_model(str(GOLDEN / "float.onnx"), there)
    assert worst(convert_model(str(there), back, check=True)) < 1e-5
    kinds = [[op.kind for op in canonical(load(path)).ops] for path in (GOLDEN / "float.onnx", back)]
    assert kinds[0] == kinds[1]


@pytest.mark.oracle
def test_given_inputs_are_checked_on_too(tmp_path):
    inputs = tmp_path / "inputs.npz"
    graph = load(GOLDEN / "float.onnx")
    (name,) = graph.inputs
    first = graph.tensors[name].shape
    shape = tuple(first[axis] for axis in graph.permutations.get(name, range(len(first))))
    np.savez(inputs, **{name: np.ones((3, *shape[1:]), np.float32)})
    made = convert_model(str(GOLDEN / "float.onnx"), tmp_path / "made.tflite", inputs=inputs)
    assert list(made.checks) == [str(inputs)] and made.checks[str(inputs)][0].samples == 3
    np.savez(inputs, wrong=np.ones(3))
    with pytest.raises(BadSamples, match="has wrong but the model takes"):
        convert_model(str(GOLDEN / "float.onnx"), tmp_path / "made.tflite", inputs=inputs)


@pytest.mark.oracle
@pytest.mark.parametrize("source", ["u8s8.onnx", "s8s8.onnx"])
@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_a_quantized_file_of_float_ports_is_checked_on_reals(source, suffix, tmp_path):
    inputs = tmp_path / "inputs.npz"
    literal, _ = open_source(GOLDEN / source)
    (name,) = literal.inputs
    shape = literal.tensors[name].shape
    np.savez(inputs, **{name: np.random.default_rng(0).normal(size=(3, *shape[1:])).astype(np.float32)})
    made = convert_model(str(GOLDEN / source), tmp_path / f"made.{suffix}", check=True, inputs=inputs)
    assert list(made.checks) == ["random", str(inputs)] and worst(made) <= 0.02


@pytest.mark.oracle
@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_bytes_go_in_as_bytes(suffix, tmp_path):
    """A network of uint8 frames from .tflite, which a .tflite file keeps and an .onnx file has in float."""
    source, made = tmp_path / "source.tflite", tmp_path / f"made.{suffix}"
    source.write_bytes(write_tflite(canonical(load(GOLDEN / "int8.tflite")), input_io="uint8"))
    assert worst(convert_model(str(source), made, check=True)) <= 0.01
    port, = open_session(suffix, made.read_bytes()).inputs
    assert port.dtype == {"onnx": "float32", "tflite": "uint8"}[suffix]


@pytest.mark.oracle
def test_a_layer_of_several_rows_in_codes_comes_back(tmp_path):
    """A .tflite file has one operator for it, which LiteRT requantizes in float."""
    rng, b = np.random.default_rng(0), Builder("rows")
    rows, steps = QuantParams(0.05, 3), QuantParams(rng.uniform(0.001, 0.01, 64).astype(np.float32),
                                                    np.zeros(64, np.int32), 0)
    x = b.input("x", (1, 48, 32), "int8", rows)
    x = b.op("reshape", [x], "rows", quant=rows, shape=(48, 32))
    weight = b.constant("w", rng.integers(-127, 128, (64, 32), np.int8), steps)
    sums = QuantParams(rows.scale * steps.scale, steps.zero_point, 0, "int32")
    bias = b.constant("b", rng.integers(-999, 999, 64, np.int32), sums)
    y = b.op("fully_connected", [x, weight, bias], "fc", quant=QuantParams(0.04, -5))
    graph = b.graph(b.op("reshape", [y], "y", quant=QuantParams(0.04, -5), shape=(1, 48, 64)))
    (tmp_path / "rows.tflite").write_bytes(write_tflite(graph))
    made = convert_model(str(tmp_path / "rows.tflite"), tmp_path / "rows.onnx", check=True)
    assert worst(made) <= 0.01


@pytest.mark.oracle
def test_inputs_that_do_not_fit_are_told_before_anything_is_written(tmp_path):
    inputs, out = tmp_path / "inputs.npz", tmp_path / "made.tflite"
    literal, _ = open_source(GOLDEN / "float.onnx")
    np.savez(inputs, **{name: np.ones((1, 5), np.float32) for name in literal.inputs})
    with pytest.raises(BadSamples, match=r"inputs.npz: input \w+: got float32 \(1, 5\), expected"):
        convert_model(str(GOLDEN / "float.onnx"), out, inputs=inputs)
    assert not out.exists()


@pytest.mark.oracle
def test_the_check_sees_a_file_that_computes_something_else(tmp_path, monkeypatch):
    def doubled(graph, weights):
        return write(graph.with_tensors(*(
            type(t)(t.name, t.shape, t.dtype, 2 * t.data) for t in graph.constants)), weights)

    write = WRITE["tflite"]
    monkeypatch.setitem(WRITE, "tflite", doubled)
    made = convert_model(str(GOLDEN / "float.onnx"), tmp_path / "made.tflite", check=True)
    assert worst(made) > 0.01


def test_a_suffix_that_no_door_writes_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"ends with '\.pb'; a model is written as \.tflite or \.onnx"):
        convert_model(str(GOLDEN / "float.onnx"), tmp_path / "model.pb")
    with pytest.raises(BadInput, match="dynamic range INT8 weights are a .tflite's"):
        convert_model(str(GOLDEN / "float.onnx"), tmp_path / "model.onnx", weights="int8")
    assert list(tmp_path.iterdir()) == []
