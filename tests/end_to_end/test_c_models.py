"""MLPerf Tiny's INT8 networks and hello_world in C: TFLite Micro's own codes, here and on emulated cores."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests.c_host import SANITIZED, compile_graphs
from toolchain.artifact import Artifact, Manifest
from toolchain.device.firmware import build_firmware
from toolchain.device.qemu import open_device
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.borders import ports
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.profile import TargetProfile, load_target, target_names
from toolchain.runtime import reference
from toolchain.runtime.tflm import run_tflm


@dataclass(frozen=True)
class Figures:
    """Of TFLite Micro (2026-08) with CMSIS-NN on a Cortex-M4, gcc 12.2 -O2: instructions of one inference,
    and its arena."""

    instructions: int
    arena_bytes: int


MODELS = {"kws": "kws_ref_model", "ic": "pretrainedResnet_quant", "vww": "vww_96_int8", "ad": "ad01_int8",
          "hello_world": "hello_world_int8"}
TFLITE_MICRO = {
    "kws": Figures(7_697_710, 22_820),
    "ic": Figures(29_863_914, 54_996),
    "vww": Figures(24_101_517, 100_708),
    "ad": Figures(582_891, 2_580),
}
PROFILE = load_target("cortex_m4_qemu")
BOARDS = [name for name in target_names() if load_target(name).emulated]
CORES = ("", *{rooms: isa for isa, rooms in ROOMS.items()}.values())
"""One of each set of kernels."""
LARGE = ("ic", "vww")
"""Networks whose inputs take long over a serial line: two boards get them here, all in the benchmark."""
HELD = [(name, board) for board in BOARDS for name in MODELS
        if (name, board) != ("ad", "cortex_m0_qemu")
        and (name not in LARGE or board in ("cortex_m4_qemu", "cortex_m55_qemu"))]
"""The micro:bit has no flash for ad's weights."""


@pytest.fixture(scope="module", params=MODELS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def file(kit, name) -> Path:
    return kit / "models" / f"{MODELS[name]}.tflite"


@pytest.fixture(scope="module")
def graph(file) -> Graph:
    return canonical(load(file))


def samples(graph: Graph, count: int) -> dict[str, np.ndarray]:
    """Seeded codes for the only input."""
    shape, = (graph.tensors[name].shape[1:] for name in graph.inputs)
    codes = np.random.default_rng(2026).integers(-128, 128, (count, *shape))
    return {graph.inputs[0]: codes.astype(np.int8)}


def tflite_micro(file: Path, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """The only output for every sample."""
    (name, codes), = feeds.items()
    answers = run_tflm(file.read_bytes(), [{name: sample[None]} for sample in codes])
    return np.concatenate([value for answer in answers for value in answer.values()])


@pytest.mark.oracle
def test_host(file, graph, tmp_path):
    """100 seeded inputs, undefined behaviour trapped, every buffer between guard bytes."""
    feeds = samples(graph, 100)
    model, = compile_graphs([graph], tmp_path, flags=["-O2", *SANITIZED])
    got, expected = model.run(feeds)[graph.outputs[0]], tflite_micro(file, feeds)
    assert np.array_equal(got, expected.reshape(got.shape)) and len(np.unique(got)) > 1


@pytest.mark.parametrize("isa", CORES)
def test_every_layer(graph, isa, tmp_path):
    """All that an inference computes, by every set of kernels on this host, is the reference's."""
    shown = replace(graph, outputs=tuple(op.name for op in graph.ops))
    feeds = samples(graph, 2)
    model, = compile_graphs([shown], tmp_path, flags=["-O2"], machine=Machine(isa))
    got, expected = model.run(feeds), reference.run(shown, feeds)
    assert [name for name in shown.outputs if not np.array_equal(got[name], expected[name])] == []


def artifact(graph: Graph, profile: TargetProfile) -> Artifact:
    """The network as C for a target's core."""
    inputs, outputs = ({"c": ports(graph, names)} for names in (graph.inputs, graph.outputs))
    manifest = Manifest(name=graph.name, target=profile.name, formats=("c",), inputs=inputs, outputs=outputs)
    return Artifact(manifest, write_c(graph, machine=Machine(profile.isa)).files)


@pytest.mark.oracle
@pytest.mark.emulated
@pytest.mark.parametrize("name, board", HELD, indirect=["name"])
def test_every_core_that_holds_it(file, graph, name, board):
    """10 seeded inputs, 2 of large ones; bench counts twice and both agree."""
    profile, feeds = load_target(board), samples(graph, 2 if name in LARGE else 10)
    with open_device(artifact(graph, profile), profile) as device:
        got, bench = device.run(feeds)[graph.outputs[0]], device.bench()
    expected = tflite_micro(file, feeds)
    assert np.array_equal(got, expected.reshape(got.shape))
    assert bench.instructions > 500 and 0 < bench.stack_bytes < 700


@pytest.mark.emulated
@pytest.mark.parametrize("name", TFLITE_MICRO, indirect=True)
def test_less_than_tflite_micro(graph, name):
    """Under 0.5x of CMSIS-NN's instructions, 0.8x of the arena, and 10 KB of code."""
    peer, made = TFLITE_MICRO[name], artifact(graph, PROFILE)
    firmware = build_firmware(made, PROFILE)
    with open_device(made, PROFILE) as device:
        assert device.bench().instructions < 0.5 * peer.instructions
    assert firmware.arena_bytes < 0.8 * peer.arena_bytes
    assert firmware.code_flash_bytes < 10_240
