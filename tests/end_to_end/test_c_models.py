"""MLPerf Tiny's INT8 networks and hello_world in C: TFLite Micro's own codes, here and on a Cortex-M4."""

from dataclasses import dataclass
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
from toolchain.lower import ports
from toolchain.lower.c.emit import write_c
from toolchain.profile import load_target
from toolchain.runtime.tflm import run_tflm


@dataclass(frozen=True)
class Figures:
    """Of TFLite Micro (2026-08) on a Cortex-M4, gcc 12.2 -O2: instructions of one inference with its
    reference kernels; arena, and flash without the model, with CMSIS-NN."""

    instructions: int
    arena_bytes: int
    code_bytes: int


MODELS = {"kws": "kws_ref_model", "ic": "pretrainedResnet_quant", "vww": "vww_96_int8", "ad": "ad01_int8",
          "hello_world": "hello_world_int8"}
TFLITE_MICRO = {
    "kws": Figures(43_040_117, 22_820, 53_596),
    "ic": Figures(107_401_504, 54_996, 51_400),
    "vww": Figures(100_249_505, 100_708, 53_596),
    "ad": Figures(1_952_482, 2_580, 28_228),
}
PROFILE = load_target("cortex_m4_qemu")


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


@pytest.fixture(scope="module")
def artifact(graph, name) -> Artifact:
    inputs, outputs = ({"c": ports(graph, names)} for names in (graph.inputs, graph.outputs))
    manifest = Manifest(name=name, target=PROFILE.name, formats=("c",), inputs=inputs, outputs=outputs)
    return Artifact(manifest, write_c(graph).files)


@pytest.mark.oracle
@pytest.mark.emulated
def test_cortex_m4(file, graph, artifact):
    """10 seeded inputs; bench counts twice and both agree."""
    feeds = samples(graph, 10)
    with open_device(artifact, PROFILE) as device:
        got, bench = device.run(feeds)[graph.outputs[0]], device.bench()
    expected = tflite_micro(file, feeds)
    assert np.array_equal(got, expected.reshape(got.shape))
    assert bench.instructions > 1000 and 0 < bench.stack_bytes < 400


@pytest.mark.emulated
@pytest.mark.parametrize("name", TFLITE_MICRO, indirect=True)
def test_less_than_tflite_micro(artifact, name):
    """Under 0.45x of the reference kernels' instructions, 0.9x of the arena, 0.25x of the code."""
    peer, firmware = TFLITE_MICRO[name], build_firmware(artifact, PROFILE)
    with open_device(artifact, PROFILE) as device:
        assert device.bench().instructions < 0.45 * peer.instructions
    assert firmware.arena_bytes < 0.9 * peer.arena_bytes
    assert firmware.code_flash_bytes < 0.25 * peer.code_bytes
