"""`edge build` with each scheme that leaves the network in float: what the .tflite file stores and runs."""

import numpy as np
import pytest
from typer.testing import CliRunner

from toolchain.artifact import read_artifact
from toolchain.cli import app
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.quant import affine_params, quantize
from toolchain.load import load
from toolchain.load.tflite_file import read_tflite
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT

FEEDS = {"x": np.random.default_rng(1).normal(size=(3, 12, 12, 16)).astype(np.float32)}


def network() -> Graph:
    """Every kind with a hybrid kernel, with weights above and below 1,024 values."""
    build, rng = Builder("net"), np.random.default_rng(0)

    def weights(name: str, *shape: int, spread: float) -> str:
        return build.constant(name, (rng.normal(size=shape) * spread).astype(np.float32))

    x = build.input("x", (1, 12, 12, 16))
    x = build.op("conv2d", [x, weights("conv.w", 64, 3, 3, 16, spread=0.1), weights("conv.b", 64, spread=1)],
                 "conv", pads=(1, 1, 1, 1), activation="relu")
    x = build.op("depthwise_conv2d", [x, weights("depth.w", 1, 5, 5, 64, spread=0.2),
                                      weights("depth.b", 64, spread=1)], "depth", pads=(2, 2, 2, 2))
    x = build.op("mean", [x], "mean", axes=(1, 2))
    x = build.op("fully_connected", [x, weights("fc.w", 40, 64, spread=0.1),
                                     weights("fc.b", 40, spread=1)], "fc")
    return build.graph(build.op("fully_connected", [x, weights("head.w", 4, 40, spread=0.2),
                                                    weights("head.b", 4, spread=1)], "y"))


def built(tmp_path, scheme: str):
    (tmp_path / "net.tflite").write_bytes(write_tflite(network()))
    (tmp_path / "recipe.toml").write_text(f'[quantize]\nscheme = "{scheme}"\n')
    return CliRunner().invoke(app, ["build", f"{tmp_path}/net.tflite", "--target", "host",
                                    "--recipe", f"{tmp_path}/recipe.toml", "--out", f"{tmp_path}/out"])


@pytest.mark.oracle
@pytest.mark.parametrize("scheme, stored, error", [
    ("float32", {"conv.w": "float32", "head.w": "float32"}, 1e-5),
    ("float16", {"conv.w.float16": "float16", "fc.w.float16": "float16", "head.w": "float32"}, 2e-3),
    ("dynamic_wi8_afp32", {"conv.w.int8": "int8", "depth.w.int8": "int8", "fc.w.int8": "int8"}, 2e-2),
    ("dynamic_wi4_afp32", {"conv.w.int4": "int8", "depth.w.int8": "int8", "fc.w.int4": "int8"}, 2e-1),
    ("weight_only_wi8_afp32", {"conv.w.int8": "int8", "depth.w.int8": "int8", "head.w.int8": "int8"}, 2e-2),
    ("weight_only_wi4_afp32", {"conv.w.int4": "int8", "depth.w.int4": "int8", "fc.w.int4": "int8"}, 2e-1),
    ("weight_only_wi6_afp32", {"conv.w": "float32", "depth.w": "float32", "head.w": "float32"}, 1e-1),
])
def test_weights_are_stored_as_the_scheme_says(tmp_path, scheme, stored, error):
    result = built(tmp_path, scheme)
    assert result.exit_code == 0, result.output
    artifact = read_artifact(tmp_path / "out")
    model = artifact.files["model.tflite"]
    constants = {t.name: t.dtype for t in read_tflite(model, "net").tensors if t.data is not None}
    assert artifact.manifest.scheme == scheme and stored.items() <= constants.items()
    expected = reference.run(network(), FEEDS)["y"]
    for preserve_all in (False, True):
        got = LiteRT(model, preserve_all=preserve_all).run(FEEDS)["y"]
        assert np.abs(got - expected).max() <= error * np.ptp(expected)


def test_4_bit_weights_read_back_as_they_were(tmp_path):
    """Two to a byte, the last of an odd count alone."""
    assert built(tmp_path, "weight_only_wi4_afp32").exit_code == 0
    model = read_artifact(tmp_path / "out").files["model.tflite"]
    stored = {t.name: t for t in read_tflite(model, "net").tensors}
    for name in ("conv.w", "head.w"):
        weight = network().tensors[name].data
        codes = quantize(weight, affine_params(weight, 0, "int4"))
        np.testing.assert_array_equal(stored[f"{name}.int4"].data, codes)
    (tmp_path / "again.tflite").write_bytes(model)
    again = reference.run(load(str(tmp_path / "again.tflite")), FEEDS)["y"]
    np.testing.assert_allclose(again, LiteRT(model).run(FEEDS)["y"], atol=1e-5)


def test_the_file_shrinks_with_its_weights(tmp_path):
    sizes = [len(write_tflite(network(), weights=weights)) for weights in ("float32", "float16", "int8")]
    assert sizes[0] > 1.4 * sizes[1] > 1.4 * 1.2 * sizes[2]


def test_a_format_without_such_weights_says_so(tmp_path):
    assert built(tmp_path, "dynamic_wi8_afp32").exit_code == 0
    notes = read_artifact(tmp_path / "out").manifest.notes
    assert notes == ("model.onnx keeps float32 weights: int8 ones under float activations have a form in "
                     ".tflite only",)
