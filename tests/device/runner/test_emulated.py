"""The runners on the emulated Raspberry Pi: a Linux kernel, processor and runtimes for Arm."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pytest

from tests.device.runner.running import random_feeds
from tests.lower.c.nets import residual_net
from tests.random_nets import random_net
from toolchain.device.boards import Board
from toolchain.device.machines.boot import boot
from toolchain.device.runner.command import command, complaint
from toolchain.device.runner.native import PYTHON_RUNNER, build_runner, python_runner
from toolchain.device.runner.record import Record, parse
from toolchain.device.runner.samples import pack, unpack
from toolchain.device.runner.wheels import runtime_library
from toolchain.device.transports.ssh import open_ssh
from toolchain.device.transports.transport import Transport
from toolchain.lower.borders import file_ports
from toolchain.lower.c.emit import write_c
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = [pytest.mark.emulated, pytest.mark.slow]
COUNT = 3
MODEL = {"litert": "model.tflite", "tflite-runtime": "model.tflite", "onnxruntime": "model.onnx"}
WAYS = [("native", "litert"), ("native", "onnxruntime"), ("python", "litert"), ("python", "tflite-runtime"),
        ("python", "onnxruntime")]


@dataclass(frozen=True)
class Deployed:
    """Everything that these tests run, on a device. paths: of files there, by their names"""

    transport: Transport
    paths: dict[str, str]

    def record(self, runner: str, runtime: str, mode: str, **keys) -> Record:
        program = ["python3", self.paths[PYTHON_RUNNER]] if runner == "python" else [self.paths[runner]]
        model = self.paths[MODEL[runtime]] if runtime in MODEL else "-"
        library = {"litert": "libLiteRt.so", "onnxruntime": "libonnxruntime.so.1.31.1"}.get(runtime)
        keys["library"] = self.paths[library] if library and runner == "native" else None
        source = self.paths[MODEL.get(runtime, "c") + ".in"]
        done = self.transport.start(command(program, runtime, mode, model, input=source, **keys), seconds=600)
        assert done.code == 0, complaint(done.stderr)
        return parse(done.stdout, mode)

    @property
    def output(self) -> str:
        return f"{self.transport.folder}/runs/output"


@pytest.fixture(scope="module")
def sessions() -> dict[str, LiteRT | OnnxRuntime]:
    """The same models on this host."""
    return {"model.tflite": LiteRT(write_tflite(residual_net())),
            "model.onnx": OnnxRuntime(write_onnx(random_net(3)))}


@pytest.fixture(scope="module")
def device(sessions) -> Iterator[Deployed]:
    generated = write_c(residual_net()).files
    executables = {"native": build_runner("aarch64", "litert"),
                   "c64": build_runner("aarch64", "c", generated),
                   "layers": build_runner("aarch64", "c", generated, layers=True),
                   "c32": build_runner("armv7-a", "c", generated)}
    inputs = {f"{name}.in": pack(session.inputs, random_feeds(session.inputs, COUNT))
              for name, session in sessions.items()}
    files = {**executables, **inputs, "c.in": inputs["model.tflite.in"], PYTHON_RUNNER: python_runner(),
             "model.tflite": write_tflite(residual_net()), "model.onnx": write_onnx(random_net(3)),
             **dict(runtime_library(runtime, "aarch64") for runtime in ("litert", "onnxruntime"))}
    with boot("pi-virt") as machine:
        board = Board(target="raspberry_pi_4", transport="ssh", address=f"{machine.user}@{machine.host}",
                      port=machine.port, host_key=machine.host_key, identity=str(machine.identity),
                      emulated=True, name="pi-virt")
        with open_ssh(board) as transport:
            yield Deployed(transport, transport.push(files, executable=executables))


@pytest.mark.parametrize("runner, runtime", WAYS)
def test_outputs_are_the_hosts(device, sessions, runner, runtime):
    """Kernels differ between processors: by a code at most, and in the last bits of floats."""
    session = sessions[MODEL[runtime]]
    record = device.record(runner, runtime, "run", output=device.output)
    got = unpack(session.outputs, device.transport.read(device.output), COUNT)
    for name, value in session.run(random_feeds(session.inputs, COUNT)).items():
        tolerance = {"atol": 1} if value.dtype.kind in "iu" else {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(got[name].astype(np.float64), value, **tolerance)
    assert [port.name for port in record.inputs] == [port.name for port in session.inputs]


@pytest.mark.parametrize("runner", ["c64", "c32"])
def test_generated_c_is_the_reference(device, runner):
    graph = residual_net()
    inputs, outputs = file_ports(graph, graph.inputs, "c"), file_ports(graph, graph.outputs, "c")
    device.record(runner, "c", "run", output=device.output)
    got = unpack(outputs, device.transport.read(device.output), COUNT)
    for name, value in reference.run(graph, random_feeds(inputs, COUNT)).items():
        np.testing.assert_array_equal(got[name], value)


def counted_twice(device, runner: str, runtime: str) -> tuple[int, int]:
    first, second = (device.record(runner, runtime, "time", least=6, seconds=0.0, counted=5)
                     for _ in range(2))
    assert first.cycles and second.cycles
    return first.instructions, second.instructions


@pytest.mark.parametrize("runner, runtime", [("native", "litert"), ("c64", "c"), ("c32", "c")])
def test_instructions_are_exact(device, runner, runtime):
    """The emulator counts them: the same number on every run."""
    first, second = counted_twice(device, runner, runtime)
    assert first == second > 30_000
    assert not device.record(runner, runtime, "time", most=1, counted=0).instructions


@pytest.mark.parametrize("runner, runtime", [("native", "onnxruntime"), ("python", "litert")])
def test_instructions_of_what_hashes_addresses_are_nearly_so(device, runner, runtime):
    """Each process has its memory elsewhere."""
    first, second = counted_twice(device, runner, runtime)
    assert abs(first - second) < 0.02 * first


def test_peak_memory_is_by_the_devices_kernel(device):
    peaks = {runner: device.record(runner, runtime, "run").vm_hwm_kb
             for runner, runtime in (("c64", "c"), ("native", "litert"), ("python", "litert"))}
    assert 100 < peaks["c64"] < 1_500
    assert 4_000 < peaks["native"] < 12_000 and 25_000 < peaks["python"] < 60_000


@pytest.mark.parametrize("runner, runtime", [("native", "litert"), ("native", "onnxruntime"), ("layers", "c"),
                                             ("python", "onnxruntime")])
def test_profiles(device, runner, runtime):
    scratch = f"{device.transport.folder}/runs/scratch" if runtime == "onnxruntime" else None
    record = device.record(runner, runtime, "profile", least=3, most=3, scratch=scratch)
    assert len(record.ops) > 3 and all(op.executions == 3 for op in record.ops)
    assert sum(op.ns for op in record.ops) > 0


def test_hashes_on_the_device(device):
    path = device.paths["libLiteRt.so"]
    done = device.transport.start([device.paths["c32"], "hash", path], seconds=120)
    assert parse(done.stdout, "hash").sha256 == (sha256(runtime_library("litert", "aarch64")[1]).hexdigest(),)


def test_a_processor_and_threads_are_chosen(device):
    record = device.record("native", "litert", "time", threads=2, cpus=[0], least=3, seconds=0.0,
                           watch=["/proc/loadavg"])
    assert record.inferences == 3 and len(record.watched) >= 2
