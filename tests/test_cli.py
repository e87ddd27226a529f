"""The edge command as a script sees it: exit codes, streams, JSON, one clear message for each bad input."""

from dataclasses import replace
import hashlib
import json
from pathlib import Path
import shutil
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.board import PROFILE
from tests.load.onnx_models import model_of, node
from toolchain.artifact import read_artifact
from toolchain.cli import app
from toolchain.ir.build import Builder
from toolchain.ir.graph import Metadata
from toolchain.ir.quant import quantize
from toolchain.load import load
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.profile import TARGETS
from toolchain.runtime.litert import LiteRT


def graph(weight=1.0):
    """x (1, 4, 4, 2) -> conv2d + relu -> mean -> fully_connected -> softmax, three classes."""
    rng, b = np.random.default_rng(0), Builder("tiny")
    x = b.input("x", (1, 4, 4, 2))
    w = b.constant("conv.weight", (weight * rng.normal(size=(8, 3, 3, 2))).astype(np.float32))
    bias = b.constant("conv.bias", np.zeros(8, np.float32))
    y = b.op("conv2d", [x, w, bias], "conv", pads=(1,) * 4, activation="relu")
    y = b.op("mean", [y], "mean", axes=(1, 2), keepdims=False)
    w = b.constant("fc.weight", rng.normal(size=(3, 8)).astype(np.float32))
    bias = b.constant("fc.bias", np.zeros(3, np.float32))
    y = b.op("fully_connected", [y, w, bias], "fc")
    return b.graph(b.op("softmax", [y], "probabilities"))


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(write_tflite(graph()))
    return path


@pytest.fixture
def data(tmp_path) -> Path:
    path, rng = tmp_path / "samples.npz", np.random.default_rng(1)
    np.savez(path, x=rng.normal(size=(20, 4, 4, 2)).astype(np.float32), y=rng.integers(0, 3, 20))
    return path


def edge(*arguments) -> tuple[int, str, str]:
    """Exit code, stdout, stderr. A bug (any other exception) propagates."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def fails(code: int, message: str, *arguments) -> None:
    """One message on stderr that says so, nothing on stdout, this exit code."""
    got, out, err = edge(*arguments)
    assert message in err and err.startswith("edge: ") and "Traceback" not in err
    assert (got, out) == (code, "")


def build_fails(code: int, message: str, model: Path, data: Path, out: Path, target="host") -> None:
    """`edge build` fails so and leaves nothing behind."""
    fails(code, message, "build", model, "--target", target, "--data", data, "--out", out, "-q")
    assert not out.exists()


def test_a_model_goes_through_every_verb(model, data, tmp_path):
    out = tmp_path / "out"
    code, stdout, stderr = edge("build", model, "--target", "host", "--data", data, "--out", out, "--json")
    built = json.loads(stdout)
    assert code == 0 and built["files"] == [
        "Usage.kt", "model.onnx", "model.tflite", "usage.c", "usage.py", "usage_onnx.py"]
    assert "calibrating with 20 samples" in stderr
    assert built["flash_bytes"] == (out / "model.tflite").stat().st_size and len(built["digest"]) == 64

    inputs = tmp_path / "in.npz"
    np.savez(inputs, x=np.zeros((5, 4, 4, 2), np.int8))
    assert edge("run", out, "--input", inputs, "--output", tmp_path / "y.npz")[0] == 0
    y = np.load(tmp_path / "y.npz")["probabilities"]
    assert y.shape == (5, 3) and y.dtype == np.int8

    for fmt in ("tflite", "onnx"):
        figures = json.loads(edge("bench", out, "--format", fmt, "--seconds", "0.05", "--json")[1])
        assert figures["latency_us"]["median"] > 0 and figures["peak_rss_bytes"] > 1e6
        assert figures["instructions"] is figures["energy"] is None and not figures["emulated"]
        assert figures["parity"]["checked"] == 12
        assert figures["parity"]["worst"] <= 8  # one code of a logit, through softmax
    score = json.loads(edge("eval", out, "--data", data, "--json")[1])
    assert score["metric"] == "top1" and score["n"] == 20 and 0 <= score["value"] <= 1
    code, stdout, _ = edge("report", tmp_path, "--markdown", tmp_path / "report.md", "--json")
    assert [row["format"] for row in json.loads(stdout)["rows"]] == ["onnx", "tflite"]
    assert "| tiny | host | tflite int8 |" in (tmp_path / "report.md").read_text()


def test_inspect_counts(model):
    found = json.loads(edge("inspect", model, "--json")[1])
    assert [op["kind"] for op in found["ops"]] == ["conv2d", "mean", "fully_connected", "softmax"]
    assert found["ops"][0]["shapes"] == {"inputs": [[1, 4, 4, 2]], "outputs": [[1, 4, 4, 8]]}
    assert found["macs"] == 4 * 4 * 8 * 18 + 24 and found["parameters"] == 8 * 18 + 8 + 24 + 3
    assert found["unsupported"] == [] and found["worst_error"] < 1e-5


def test_somebody_elses_file_can_be_run_and_benched(model, tmp_path):
    np.savez(tmp_path / "in.npz", x=np.zeros((2, 4, 4, 2), np.float32))
    assert edge("run", model, "--input", tmp_path / "in.npz", "--output", tmp_path / "y.npz")[0] == 0
    figures = json.loads(edge("bench", model, "--seconds", "0.05", "--json")[1])
    assert figures["parity"] is None and figures["latency_us"]["median"] > 0


def test_somebody_elses_onnx_is_judged_on_samples_of_either_layout(tmp_path):
    b = Builder("net")
    y = b.op("mean", [b.input("x", (1, 4, 6, 3))], "y", axes=(1, 2), keepdims=False)
    graph = replace(b.graph(y), permutations={"x": (0, 3, 1, 2)})
    (tmp_path / "their.onnx").write_bytes(write_onnx(graph))
    x = np.random.default_rng(2).normal(size=(30, 4, 6, 3)).astype(np.float32)
    labels = x.mean((1, 2)).argmax(-1)
    for name, stored in (("last.npz", x), ("first.npz", x.transpose(0, 3, 1, 2))):
        np.savez(tmp_path / name, x=stored, y=labels)
        found = edge("eval", tmp_path / "their.onnx", "--data", tmp_path / name, "--json")
        assert found[0] == 0 and json.loads(found[1])["value"] == 1.0


def test_targets_and_help_start_without_heavy_imports():
    script = "import sys, toolchain.cli; print([m for m in ('numpy', 'torch', 'onnx') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"
    code, stdout, _ = edge("targets", "--json")
    assert code == 0 and "cortex_m4_qemu" in {t["name"] for t in json.loads(stdout)["targets"]}


def test_samples_are_looked_at_alone_and_beside_a_model(model, data, tmp_path):
    code, out, _ = edge("data", "check", data, "--model", model)
    assert code == 0 and "samples.npz: 20 samples" in out and "input    " in out
    code, out, _ = edge("data", "check", data, "--json")
    assert code == 0 and json.loads(out)["sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    np.savez(tmp_path / "bad.npz", x=np.full((5, 4, 4, 2), np.nan))
    code, out, _ = edge("data", "check", tmp_path / "bad.npz")
    assert code == 2 and "error: x: 5 of 5 samples hold NaN or Inf, the first is 0" in out
    fails(2, "nothing: neither a file nor a sample set", "data", "check", "nothing")


def test_a_missing_model_is_named(tmp_path, data):
    fails(2, "no.tflite: no such file", "inspect", tmp_path / "no.tflite")
    fails(2, "model.pb: no such file", "inspect", tmp_path / "model.pb")
    (tmp_path / "model.pb").write_bytes(b"graph")
    fails(4, "model.pb: unknown kind of model '.pb'", "inspect", tmp_path / "model.pb")
    fails(2, "no such file", "bench", tmp_path / "no.tflite")


@pytest.mark.parametrize("cut", [0, 7, 100])
def test_a_truncated_model_is_named_and_leaves_nothing(model, data, tmp_path, cut):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(model.read_bytes()[:cut])
    build_fails(2, "broken", broken, data, tmp_path / "out")


def test_inspect_of_what_is_unsupported_is_one_message(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model_of([node("Det", "x", "y")], {"x": (1, 3, 4, 4)}))
    fails(4, "net.onnx: 1 unsupported:\n  Det at y: no row in the op table", "inspect", path)
    code, stdout, _ = edge("inspect", path, "--json")
    assert code == 4 and json.loads(stdout)["unsupported"] == ["Det at y: no row in the op table"]


@pytest.mark.parametrize("verb", ["inspect", "bench"])
@pytest.mark.parametrize("name", ["folder/net.tflite", "folder/net.onnx"])
def test_a_damaged_model_is_named_with_its_path(tmp_path, verb, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / name).write_bytes(b"no model at all" * 10)
    fails(2, name, verb, tmp_path / name)


def test_a_model_that_the_runtime_cannot_run_is_bad_input_to_bench(tmp_path):
    from onnx import TensorProto, helper

    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 2]) for name in "xy"]
    body = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", sides[:1], sides[1:])
    (tmp_path / "four.onnx").write_bytes(helper.make_model(body, ir_version=8).SerializeToString())
    fails(2, "four.onnx", "bench", tmp_path / "four.onnx", "--seconds", "0")


@pytest.mark.parametrize("place", ["file", "file/below", "", "."])
def test_an_out_that_cannot_be_is_refused_before_anything_is_loaded(model, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("years of work")
    fails(2, "give another --out", "build", model, "--target", "host", "--out", place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "tiny.tflite"]


@pytest.mark.parametrize("place", ["file/y.npz", "."])
def test_an_output_that_cannot_be_written_is_named(model, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("years of work")
    np.savez(tmp_path / "in.npz", x=np.zeros((2, 4, 4, 2), np.float32))
    fails(2, place.removesuffix("/y.npz"), "run", model, "--input", tmp_path / "in.npz", "--output", place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "in.npz", "tiny.tflite"]


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0.5, 1]])
def test_labels_that_no_output_stands_for_are_named(model, tmp_path, labels):
    np.savez(tmp_path / "bad.npz", x=np.zeros((2, 4, 4, 2), np.float32), y=np.array(labels))
    fails(2, "labels must be whole numbers in 0..2", "eval", model, "--data", tmp_path / "bad.npz")
    fails(2, "no split is called 'tset'", "eval", model, "--data", tmp_path / "bad.npz", "--split", "tset")


def test_a_model_of_wrong_input_names_the_samples_file(model, tmp_path):
    np.savez(tmp_path / "in.npz", x=np.zeros((2, 4, 4, 2), np.int8))
    fails(2, "in.npz: input x: got int8", "run", model, "--input", tmp_path / "in.npz", "--output", "y.npz")


MODULES = """
import sys
import torch
from torch import nn
X = (torch.zeros(1, 2),)

class Net(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f, self.fc = f, nn.Linear(2, 2)
    def forward(self, x):
        return self.f(self.fc(x))

def prints():
    print("loading the checkpoint")
    return Net(torch.relu), X
def leaves(): sys.exit("no checkpoint")
def on_meta(): return Net(torch.relu).to("meta"), X
def nothing(): return Net(lambda x: None), X
"""


@pytest.fixture
def modules(tmp_path) -> Path:
    (tmp_path / "nets.py").write_text(MODULES)
    return tmp_path / "nets.py"


def test_what_a_module_prints_is_not_in_the_way_of_json(modules):
    code, stdout, stderr = edge("inspect", f"{modules}:prints", "--json")
    assert code == 0 and json.loads(stdout)["macs"] == 4 and "loading the checkpoint" in stderr


@pytest.mark.parametrize("function, code, message", [
    ("leaves", 2, "SystemExit: no checkpoint"), ("on_meta", 2, "parameter fc.weight has no values")])
def test_a_module_that_is_no_good_is_said_so(modules, function, code, message):
    fails(code, message, "inspect", f"{modules}:{function}")


@pytest.mark.parametrize("function, message", [
    ("nothing", "the module gives no tensor")])
def test_outputs_that_have_no_row_are_listed(modules, tmp_path, function, message):
    fails(4, message, "build", f"{modules}:{function}", "--target", "host", "--out", tmp_path / "out", "-q")


def test_nan_weights_are_named(data, tmp_path):
    path = tmp_path / "nan.tflite"
    path.write_bytes(write_tflite(graph(weight=float("nan"))))
    build_fails(2, "conv.weight holds nan", path, data, tmp_path / "out")


def test_int8_without_samples_says_what_to_give(model, tmp_path):
    fails(2, "INT8 needs calibration samples; give --data",
          "build", model, "--target", "host", "--out", tmp_path / "out", "--quiet")


def test_an_empty_or_misshapen_set_is_named(model, tmp_path):
    for shape, message in (((0, 4, 4, 2), "holds no samples"), ((5, 4, 4, 3), "shape (4, 4, 3)")):
        np.savez(tmp_path / "bad.npz", x=np.zeros(shape, np.float32))
        build_fails(2, message, model, tmp_path / "bad.npz", tmp_path / "out")


def test_a_wrong_input_shape_is_named(model, tmp_path):
    np.savez(tmp_path / "in.npz", x=np.zeros((2, 4, 4), np.float32))
    fails(2, "x", "run", model, "--input", tmp_path / "in.npz", "--output", tmp_path / "y.npz")
    assert not (tmp_path / "y.npz").exists()


def test_a_profile_with_an_unknown_key_is_named(model, data, tmp_path):
    target = board(tmp_path, PROFILE.replace("ram_bytes", "ram_byte"))
    message = "unknown key 'ram_byte'; did you mean 'ram_bytes'?"
    build_fails(2, message, model, data, tmp_path / "out", target)


def test_an_unknown_target_is_unsupported(model, data, tmp_path):
    build_fails(4, "unknown target 'rpi'", model, data, tmp_path / "out", "rpi")


def test_a_model_that_does_not_fit_says_by_how_much(model, data, tmp_path):
    target = board(tmp_path, PROFILE.replace("ram_bytes = 200_000", "ram_bytes = 100"))
    shutil.copytree(TARGETS / "cortex_m4_qemu/firmware", target / "firmware")
    build_fails(3, "bytes of RAM but board has 100 (", model, data, tmp_path / "out", target)


def test_a_missing_compiler_says_how_to_get_it(model, data, tmp_path):
    target = board(tmp_path, PROFILE.replace("arm-none-eabi-gcc", "no-such-gcc"))
    build_fails(5, "no-such-gcc", model, data, tmp_path / "out", target)


def board(tmp_path: Path, profile: str) -> Path:
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "profile.toml").write_text(profile)
    return folder


def test_int8_samples_are_the_codes_of_a_network_that_takes_int8(model, data, tmp_path):
    """The same samples as reals and as codes get the same score."""
    out = tmp_path / "out"
    assert edge("build", model, "--target", "host", "--data", data, "--out", out, "-q")[0] == 0
    port = read_artifact(out).manifest.inputs["tflite"][0]
    arrays = np.load(data)
    np.savez(tmp_path / "codes.npz", x=quantize(arrays["x"], port.quant), y=arrays["y"])
    scores = [json.loads(edge("eval", out, "--data", path, "--json")[1])["value"]
              for path in (data, tmp_path / "codes.npz")]
    assert scores[0] == scores[1]


def test_raw_frames_go_in_and_classes_come_out_by_name(model, tmp_path):
    """The artefact on stored pixels scores what the bare network scores on the same pixels normalized."""
    x, out = np.random.default_rng(3).integers(0, 256, (40, 4, 4, 2), np.uint8), tmp_path / "out"
    y = LiteRT(model.read_bytes()).run({"x": (x.astype(np.float32) - 128) / 64})["probabilities"].argmax(1)
    np.savez(tmp_path / "frames.npz", x=x, y=y)
    (tmp_path / "names.txt").write_text("cat\ndog\nfox\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[input]\nmean = 128\nstd = 64\nlabels = "names.txt"\n')
    build = ("build", model, "--target", "host", "--data", tmp_path / "frames.npz", "-q")
    assert edge(*build, "--recipe", recipe, "--out", out)[0] == 0
    manifest = read_artifact(out).manifest
    assert manifest.labels == ("cat", "dog", "fox") and manifest.inputs["tflite"][0].dtype == "uint8"
    for fmt in ("tflite", "onnx"):
        found = json.loads(edge("eval", out, "--data", tmp_path / "frames.npz", "--format", fmt, "--json")[1])
        assert found["value"] >= 0.95
        parity = json.loads(edge("bench", out, "--format", fmt, "--seconds", "0", "--json")[1])["parity"]
        assert parity["worst"] <= 8  # one code of a logit, through softmax
    again = tmp_path / "again.tflite"
    assert edge("convert", out / "model.tflite", again)[0] == 0
    assert load(again).metadata == Metadata(manifest.labels, manifest.frames)


def test_samples_that_are_normalized_already_are_no_frames(model, data, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[input]\nmean = 128\nstd = 64\n")
    fails(2, "normalized already by the look of them", "build", model, "--target", "host", "--data", data,
          "--recipe", recipe, "--out", tmp_path / "out", "-q")


def test_int16_activations_go_into_the_format_that_has_them(model, data, tmp_path):
    recipe, out = tmp_path / "recipe.toml", tmp_path / "out"
    recipe.write_text('[quantize]\nscheme = "static_wi8_ai16"\n')
    built = edge("build", model, "--target", "host", "--recipe", recipe, "--data", data, "--out", out, "-q")
    manifest = read_artifact(out).manifest
    assert (built[0], manifest.scheme, manifest.formats) == (0, "static_wi8_ai16", ("tflite",))
    assert "model.onnx is left out: a network of int16 activations has no form in it" in manifest.notes
    assert [port.dtype for port in manifest.inputs["tflite"]] == ["int16"]
    assert not (out / "model.onnx").exists() and edge("bench", out, "--seconds", 0.05)[0] == 0


def test_an_artefact_is_packaged(model, data, tmp_path):
    edge("build", model, "--target", "host", "--data", data, "--out", tmp_path / "out", "-q")
    made = json.loads(edge("package", tmp_path / "out", "--as", "tflite-micro", "--out", tmp_path / "x.zip",
                           "--json")[1])
    assert made["kind"] == "tflite-micro" and "tiny_resolver.h" in made["files"]
    assert (tmp_path / "x.zip").is_file()
    fails(2, "has no C; build it for a microcontroller", "package", tmp_path / "out", "--as", "cmake",
          "--out", tmp_path / "lib")
    assert not (tmp_path / "lib").exists()
