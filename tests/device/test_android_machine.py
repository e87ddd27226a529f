"""Routes on the emulated phone: Android's shell and tools behind Debian's adb, Linux on Arm; no bionic."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.device.runner.running import random_feeds
from tests.device.transports.android import adb_server
from tests.lower.c.nets import residual_net
from toolchain.device.android import AndroidFacts, read_facts, routes
from toolchain.device.benchmark_model import run_benchmark_model
from toolchain.device.boards import Board
from toolchain.device.glibc import LOADER, glibc_files, through_loader
from toolchain.device.machines.boot import Options, boot
from toolchain.device.runner.command import command, complaint
from toolchain.device.runner.native import RUNNER, build_runner
from toolchain.device.runner.record import Record, parse
from toolchain.device.runner.samples import pack, unpack
from toolchain.device.runner.wheels import runtime_library
from toolchain.device.transports.adb import devices, open_adb
from toolchain.device.transports.transport import Transport
from toolchain.errors import BadReply, DeviceExhausted, DeviceTimeout
from toolchain.lower.borders import file_ports
from toolchain.lower.c.emit import write_c
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = [pytest.mark.emulated, pytest.mark.slow]
FAKE = Path(__file__).parent / "fake_benchmark_model.sh"
COUNT, EMULATED_S = 3, 600


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory):
    with adb_server(tmp_path_factory.mktemp("home")):
        yield


def board_of(machine) -> Board:
    return Board(target="android_arm64", transport="adb", address=f"{machine.host}:{machine.port}",
                 name="android-virt", emulated=True)


@pytest.fixture(scope="module")
def phone() -> Iterator[Transport]:
    with boot("android-virt") as machine, open_adb(board_of(machine)) as device:
        yield device


def run(phone: Transport, argv: list[str], mode: str) -> Record:
    done = phone.start(argv, seconds=EMULATED_S)
    assert done.code == 0, complaint(done.stderr)
    return parse(done.stdout, mode)


def applying(facts: AndroidFacts, isa: str) -> set[str]:
    board = Board(target="android_arm64", transport="adb")
    return {route.name for route in routes(facts, board, isa) if route.applies}


def test_what_it_is(phone):
    facts = read_facts(lambda argv: phone.start(argv, seconds=60))
    assert facts == AndroidFacts(("arm64-v8a", "armeabi-v7a", "armeabi"), 35, "android-virt", False)
    assert [device.facts for device in devices()] == [facts]
    assert applying(facts, "aarch64") == {"generated C", "glibc loader"}
    assert applying(facts, "armv7-a") == {"generated C"}


@pytest.mark.parametrize("isa", ["aarch64", "armv7-a"])
def test_generated_c_is_the_reference(phone, isa):
    graph = residual_net()
    inputs, outputs = file_ports(graph, graph.inputs, "c"), file_ports(graph, graph.outputs, "c")
    feeds = random_feeds(inputs, COUNT)
    program = build_runner(isa, "c", write_c(graph).files)
    paths = phone.push({RUNNER: program, "input.bin": pack(inputs, feeds)}, executable=[RUNNER])
    output = f"{phone.folder}/runs/output-{isa}"
    argv = command([paths[RUNNER]], "c", "run", input=paths["input.bin"], output=output)
    record = run(phone, argv, "run")
    got = unpack(outputs, phone.read(output), COUNT)
    for name, value in reference.run(graph, feeds).items():
        np.testing.assert_array_equal(got[name], value)
    assert record.vm_hwm_kb < 1_500


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_a_library_through_a_loader(phone, runtime):
    graph = residual_net()
    session = LiteRT(write_tflite(graph)) if runtime == "litert" else OnnxRuntime(write_onnx(graph))
    model = write_tflite(graph) if runtime == "litert" else write_onnx(graph)
    feeds = random_feeds(session.inputs, COUNT)
    library, content = runtime_library(runtime, "aarch64")
    paths = phone.push({**glibc_files("aarch64"), library: content, RUNNER: build_runner("aarch64", runtime),
                        "model": model, "input.bin": pack(session.inputs, feeds)},
                       executable=[RUNNER, LOADER["aarch64"]])
    output = f"{phone.folder}/runs/output-{runtime}"
    program = [*through_loader("aarch64", paths, paths[library]), paths[RUNNER]]
    record = run(phone, command(program, runtime, "run", paths["model"], library=paths[library],
                                input=paths["input.bin"], output=output), "run")
    got = unpack(session.outputs, phone.read(output), COUNT)
    for name, value in session.run(feeds).items():
        np.testing.assert_allclose(got[name].astype(int), value, atol=1)
    assert record.runtime.startswith({"litert": "LiteRT ", "onnxruntime": "ONNX Runtime "}[runtime])
    assert 4_000 < record.vm_hwm_kb < 40_000


def test_a_benchmark_model_that_is_a_fake(phone):
    run = run_benchmark_model(phone, FAKE.read_bytes(), b"model", least=7, profile=True)
    assert (run.init_us, run.first_us, run.inference.count, run.inference.median_us) == (2500, 2000, 7, 1000)
    assert [(op.kind, op.us) for op in run.ops] == [("CONV_2D", 750), ("SOFTMAX", 250)]


def test_a_benchmark_model_that_refuses(phone):
    program = build_runner("aarch64", "c", write_c(residual_net()).files)
    with pytest.raises(BadReply, match="benchmark_model ended with code 2: edge-runner: no runtime --graph="):
        run_benchmark_model(phone, program, b"model")


def test_a_program_that_runs_too_long_is_ended_there(phone):
    with pytest.raises(DeviceTimeout, match="android-virt: still running after 1 s; it was ended"):
        phone.start(["sleep", "4321"], seconds=1)
    assert b"sleep 4321" not in phone.start(["ps", "-A", "-o", "ARGS"], seconds=60).stdout


def test_a_full_disk():
    with boot("android-virt", Options(disk_kb=4096)) as machine, open_adb(board_of(machine)) as device:
        with pytest.raises(DeviceExhausted, match="android-virt: big needs 6,000,000"):
            device.push({"big": bytes(6_000_000)})
        assert device.read(device.push({"small": b"fits"})["small"]) == b"fits"
