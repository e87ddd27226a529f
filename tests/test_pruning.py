"""`edge prune`: what it writes, prints and refuses."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.breaking_net import gratings, trained_net
from tests.prune.test_depth import SHARE, network
from toolchain.cli import app
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.onnx import write_onnx


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    path.write_bytes(write_onnx(canonical(trained_net())))
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    path, samples = tmp_path_factory.mktemp("data") / "gratings.npz", gratings()
    np.savez(path, x=samples.x["x"], y=samples.y, split=samples.splits)
    return str(path)


def call(*arguments):
    return CliRunner().invoke(app, ["prune", *map(str, arguments)])


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_it_writes_a_smaller_network_and_what_became_of_it(model, data, tmp_path, suffix):
    out = tmp_path / f"small.{suffix}"
    done = call(model, "--macs", "0.5", "--data", data, "--epochs", 2, "--target", "cortex_m4_qemu", "--out",
                out, "--json")
    assert done.exit_code == 0, done.output
    record, smaller = json.loads(done.stdout), load(str(out))
    assert record["macs"] == [graph_macs(trained_net()), graph_macs(smaller)]
    assert record["macs"][1] <= 0.5 * record["macs"][0] and record["bytes"] == out.stat().st_size
    assert record["unit"] == "instructions" and record["cost"][1] < 0.9 * record["cost"][0]
    assert record["scored"] == 400 and record["scores"][0] > record["scores"][1] > 0.5
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_without_samples_by_weights_alone(model, tmp_path):
    done = call(model, "--ratio", "0.25", "--out", tmp_path / "small.onnx")
    assert done.exit_code == 0 and "MACs: " in done.stdout and "x fewer)" in done.stdout


def test_a_recipe_is_taken_and_the_command_line_counts_more(model, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[prune]\nmacs = 0.9\nimportance = "random"\nkeep = ["stem*"]\n')
    done = call(model, "--recipe", recipe, "--parameters", "0.8", "--out", tmp_path / "s.onnx", "--json")
    assert done.exit_code == 0, done.output
    before, after = json.loads(done.stdout)["parameters"]
    assert after <= 0.8 * before
    smaller = load(str(tmp_path / "s.onnx"))
    assert {smaller.tensors[op.name].shape[-1] for op in smaller.ops if op.name.startswith("stem")} == {8}


def test_single_weights(model, tmp_path):
    done = call(model, "--sparsity", "0.7", "--out", tmp_path / "s.onnx")
    assert done.exit_code == 0 and "70.0% of" in done.stdout
    assert "through zlib; dense kernels gain no time" in done.stdout


def test_shared_values(model, tmp_path):
    done = call(model, "--clusters", "8", "--out", tmp_path / "s.onnx")
    assert done.exit_code == 0 and "take 8 values at most in each" in done.stdout
    assert re.search("in float, at most [5-8] values .* bytes dense, .* with codebooks", done.stdout)
    assert re.search("in INT8, at most [5-8] values .*; dense kernels gain no time", done.stdout)
    refused = call(model, "--clusters", "1", "--out", tmp_path / "t.onnx")
    assert refused.exit_code == 2 and "Invalid value for '--clusters'" in refused.stderr


def test_thinner_ops(model, data, tmp_path):
    done = call(model, "--low-rank", "0.8", "--data", data, "--epochs", 1, "--out", tmp_path / "s.onnx")
    assert done.exit_code == 0 and "in two thinner ops: head" in done.stdout
    assert graph_macs(load(str(tmp_path / "s.onnx"))) <= 0.8 * graph_macs(trained_net())
    table = call(model, "--low-rank", "0.8", "--explain").stdout
    assert "channel" in table and "multiply-accumulates" in table and "no channel can go" not in table


def test_it_explains_thinner_ops_of_what_pruning_leaves(model):
    done = call(model, "--ratio", "0.25", "--low-rank", "0.9", "--explain", "--json")
    found = json.loads(done.stdout)
    assert sum(group["gone"] for group in found["groups"]) > 0
    assert {line["form"] for line in found["thin"]} == {"", "channel"}
    assert sum(line["cost"][0] for line in found["thin"]) < graph_macs(trained_net())


def test_it_explains_and_writes_nothing(model, data, tmp_path):
    done = call(model, "--macs", "0.5", "--data", data, "--explain", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert sum(group["gone"] for group in found["groups"]) > 0
    assert [kept["name"] for kept in found["kept"]] == ["classifier"]
    assert "classifier" in call(model, "--ratio", "0.5", "--explain").stdout


def test_it_explains_which_branches_go(tmp_path):
    """Of what is left without them, the groups are listed."""
    graph, _ = network(idle=1)
    (tmp_path / "net.onnx").write_bytes(write_onnx(canonical(graph)))
    x = np.random.default_rng(0).standard_normal((40, 6, 6, 4), np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    (tmp_path / "recipe.toml").write_text('metric = "mse"\n')
    done = call(tmp_path / "net.onnx", "--macs", SHARE, "--data", tmp_path / "x.npz", "--blocks", "--explain",
                "--recipe", tmp_path / "recipe.toml", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [line["gone"] for line in found["branches"]] == [False, True, False]
    assert not any(group["name"].startswith(("conv.3", "conv.4")) for group in found["groups"])


@pytest.mark.parametrize("arguments, told", [
    (("--out", "s.onnx"), "nothing to prune by: give one or more of --ratio, --macs"),
    (("--macs", "half", "--out", "s.onnx"), "--macs half: must be a number, below 1 a share of the whole"),
    (("--macs", "0.5"), "name the file to write with --out, or look with --explain"),
    (("--macs", "0.5", "--out", "s.pb"), "a model is written as .tflite or .onnx"),
    (("--macs", "0.5", "--importance", "age", "--out", "s.onnx"), "Invalid enum value 'age'"),
    (("--macs", "0.5", "--importance", "taylor", "--out", "s.onnx"), "give them with --data"),
    (("--macs", "0.5", "--keep", "tail", "--out", "s.onnx"), 'keep = "tail" names no op of'),
    (("--macs", "0.001", "--out", "s.onnx"), "cannot be reached"),
    (("--instructions", "0.5", "--out", "s.onnx"), "name one with --target")])
def test_what_cannot_be_is_refused_in_a_line(model, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    done = call(model, *arguments)
    assert done.exit_code == 2 and told in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_quantized_model_is_refused(tmp_path):
    from tests.device.artifacts import residual

    (tmp_path / "int8.tflite").write_bytes(residual().model("tflite"))
    done = call(tmp_path / "int8.tflite", "--macs", "0.5", "--out", tmp_path / "s.onnx")
    assert done.exit_code == 4 and "is already quantized" in done.stderr
