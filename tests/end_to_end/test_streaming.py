"""A recipe's `streaming = true`, to the end: files, manifest, vectors, answers, and what the snippets do."""

from dataclasses import replace
from itertools import product
from pathlib import Path
import re
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from tests.c_host import FLAGS, compile_c
from tests.lower.test_usage import C_API
from tests.recurrent_nets import FEATURES, HIDDEN, SAMPLES, STEPS, X, literal, tagger
from toolchain.artifact import Artifact, read_artifact
from toolchain.data import Samples
from toolchain.deploy import evaluate, open_artifact
from toolchain.device.local import open_session
from toolchain.device.parity import parity
from toolchain.diagnosis import Subject, _device_rungs
from toolchain.errors import BadConfig, BadInput, Unsupported
from toolchain.examination import Exam, answers
from toolchain.ir.graph import Graph
from toolchain.ir.layout import channels_last
from toolchain.ir.quant import dequantize, quantize
from toolchain.ir.streaming import streamed
from toolchain.lower import Asked, lower
from toolchain.pipeline import build, prepare
from toolchain.profile import load_target
from toolchain.recipe import InputConfig, QuantSpec, Recipe
from toolchain.runtime import reference

LAYERS = ("stacked", "lstm")
SCHEMES = ("float32", "static_wi8_ai8")
LABELLED = replace(SAMPLES, y=np.arange(16) % 3)


def built(layer: str, scheme: str, streaming: bool) -> Artifact:
    recipe = Recipe(streaming=streaming, quantize=QuantSpec(scheme=scheme))
    return build(prepare(tagger(layer), recipe, SAMPLES), load_target("host"), SAMPLES)


@pytest.fixture(scope="module", params=product(LAYERS, SCHEMES), ids="-".join)
def pair(request, tmp_path_factory) -> tuple[Artifact, Artifact, Path]:
    """Sequence form, streaming form, and the folder of the latter."""
    folder = tmp_path_factory.mktemp("built") / "out"
    built(*request.param, True).write(folder)
    return built(*request.param, False), read_artifact(folder), folder


def test_the_manifest_says_how_to_run_it(pair):
    whole, one, _ = pair
    form = one.manifest.streaming
    assert whole.manifest.streaming is None and form.steps == STEPS
    assert {port.name: port.shape for port in one.manifest.inputs["tflite"]} == {
        "x": (1, 1, FEATURES), **{state.input: (1, HIDDEN) for state in form.states}}
    assert all(state.initial == (0.0,) for state in form.states) and len(form.states) == 2
    assert one.manifest.scheme == whole.manifest.scheme


def test_vectors_are_steps_one_after_the_other(pair):
    _, one, _ = pair
    assert {len(values) for values in one.vectors.values()} == {4}
    for state in one.manifest.streaming.states:
        fed, made = one.vectors[f"input/{state.input}"], one.vectors[f"output/{state.output}"]
        assert np.array_equal(fed[1:], made[:-1])
    for fmt in ("tflite", "onnx"):
        found, problems = parity(one, fmt, open_session(fmt, one.model(fmt)))
        assert found.checked and not problems


@pytest.mark.parametrize("fmt", ["tflite", "onnx"])
def test_its_answers_are_those_of_the_sequence_form(pair, fmt):
    whole, one, _ = pair
    theirs, ours = (answers(each, fmt, open_session(fmt, each.model(fmt)), SAMPLES) for each in (whole, one))
    port = one.manifest.outputs["graph"][0]
    assert ours.shape == theirs.shape == (16, 3)
    assert np.abs(ours - theirs).max() <= (1.01 * port.scale if port.scale else 1e-6)
    exam = Exam(LABELLED, "top1", "sequences", "test")
    scores = [evaluate(each, None, fmt, exam).evaluation.value for each in (whole, one)]
    assert scores[0] == scores[1]


def said(folder: Path, snippet: str, sequence: np.ndarray) -> np.ndarray:
    """What a snippet of the artefact in folder/out prints for a sequence: the last answer."""
    np.save(folder / "x.npy", sequence)
    done = subprocess.run([sys.executable, folder / "out" / snippet, folder / "x.npy"], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return np.array(re.findall(r"-?\d+\.\d*(?:e-?\d+)?", done.stdout[done.stdout.index("[["):]), float)


@pytest.mark.parametrize("snippet, fmt", [("usage.py", "tflite"), ("usage_onnx.py", "onnx")])
def test_python_runs_a_sequence(pair, snippet, fmt):
    _, one, folder = pair
    sample = Samples("x", {"x": X[3:4]}, None, None, np.arange(1))
    want = answers(one, fmt, open_session(fmt, one.model(fmt)), sample)[0]
    assert np.allclose(said(folder.parent, snippet, X[3]), want, atol=1e-5)
    assert f"state {one.manifest.streaming.states[1].input}: feed" in (folder / snippet).read_text()


def features_first() -> Graph:
    """x is (1, FEATURES, STEPS) in its source, steps before features inside; an answer for each step."""
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv1d(FEATURES, FEATURES, 1), nn.ReLU(), Turned(),
                        nn.GRU(FEATURES, HIDDEN, batch_first=True), First(), Turned())
    return channels_last(literal(net, (1, FEATURES, STEPS)))


class Turned(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


class First(nn.Module):
    def forward(self, results):
        return results[0]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sequences_lie_as_the_source_has_them(scheme, tmp_path):
    graph = features_first()
    assert graph.permutations[graph.inputs[0]] == (0, 2, 1)
    x = np.ascontiguousarray(X.transpose(0, 2, 1))
    samples = Samples("turned", {"x": x}, None, None, np.arange(16))
    recipes = (Recipe(streaming=streaming, quantize=QuantSpec(scheme=scheme)) for streaming in (False, True))
    whole, one = (build(prepare(graph, recipe, samples), load_target("host"), samples) for recipe in recipes)
    one.write(tmp_path / "out")
    port = one.manifest.outputs["graph"][0]
    for fmt, snippet, sequence in (("tflite", "usage.py", X[3]), ("onnx", "usage_onnx.py", x[3])):
        theirs, ours = (answers(each, fmt, open_session(fmt, each.model(fmt)), samples)
                        for each in (whole, one))
        assert ours.shape == theirs.shape == (16, STEPS, HIDDEN)
        assert np.abs(ours - theirs).max() <= (1.01 * port.scale if port.scale else 1e-6)
        assert np.allclose(said(tmp_path, snippet, sequence), ours[3, -1], atol=1e-5)


def test_c_runs_a_sequence(tmp_path):
    """Every step is said, and the last one is the sequence form's answer."""
    graph = prepare(tagger("lstm"), Recipe(), SAMPLES).graph
    one = streamed(graph)
    profile = msgspec.structs.replace(load_target("cortex_m4_qemu"), flash_bytes=1 << 30, ram_bytes=1 << 30)
    for name, data in lower(one.graph, profile, {}, Asked(streaming=one.form)).files.items():
        (tmp_path / name).write_bytes(data)
    units = [path for path in tmp_path.glob("*.c") if path.name != "selftest.c"]
    compile_c(units, tmp_path / "usage", ["-Wl,--no-as-needed", "-lm"], [tmp_path])
    done = subprocess.run([tmp_path / "usage"], input=X[3].tobytes(), capture_output=True)
    said = np.array(done.stdout.split(), float).reshape(STEPS, -1)
    last = reference.run(graph, {"x": quantize(X[3:4], graph.tensors["x"].quant)})["last"]
    assert np.allclose(said[-1], dequantize(last, graph.tensors["last"].quant)[0], atol=1e-4)


def test_c_for_a_tflite_file_compiles(pair, tmp_path):
    header = tmp_path / "tensorflow/lite/c/c_api.h"
    header.parent.mkdir(parents=True)
    header.write_text(C_API)
    flags = [flag for flag in FLAGS if flag != "-Wconversion"]
    done = subprocess.run(["gcc", *flags, "-fsyntax-only", f"-I{tmp_path}", pair[2] / "usage.c"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_network_is_not_diagnosed_step_by_step_on_a_device():
    subject = Subject("net", "none", Recipe(streaming=True), load_target("host"), "host")
    with pytest.raises(BadInput, match="--device host: what is diagnosed are whole sequences"):
        _device_rungs(subject, prepare(tagger("gru"), subject.recipe, SAMPLES), SAMPLES, SAMPLES, print)


def test_what_cannot_be_streamed_is_refused_before_anything_is_calibrated():
    turned = literal(nn.Sequential(nn.LSTM(FEATURES, HIDDEN, bidirectional=True, batch_first=True), First()))
    with pytest.raises(Unsupported, match="cannot be streamed"):
        prepare(turned, Recipe(streaming=True), None)


def test_raw_frames_are_no_steps():
    with pytest.raises(BadConfig, match="streaming = true takes a sequence step by step, .input. raw frames"):
        Recipe(streaming=True, input=InputConfig(mean=0.0))


def test_a_manifest_that_names_other_states_is_refused(pair):
    _, _, folder = pair
    path = folder / "manifest.json"
    text = path.read_text()
    try:
        path.write_text(text.replace('"input": "layer', '"input": "other'))
        with pytest.raises(BadInput, match="streaming: names states"):
            open_artifact(folder)
    finally:
        path.write_text(text)
