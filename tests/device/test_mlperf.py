"""MLPerf Tiny's protocol on an emulated board, driven as MLCommons' runner drives it.

Laps are QEMU's virtual time: so many instructions, not the time of a real board.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import re
import subprocess
from tempfile import TemporaryDirectory
import zlib

import msgspec
import numpy as np
import pytest

from tests.device.mlperf_runner import InterfaceBoard, Port, Runner, ThroughInterface
from tests.device.test_qemu import COUNTDOWN_C, COUNTDOWN_H
from tests.lower.c.nets import Net, residual_net
from toolchain.artifact import Artifact, Manifest
from toolchain.artifact import Port as ModelPort
from toolchain.device import qemu
from toolchain.device.firmware import build_firmware
from toolchain.device.mlperf import padded_bytes, program_flags
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.borders import ports
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.pages import kernel_files
from toolchain.profile import load_target
from toolchain.runtime import reference

PROFILE = load_target("cortex_m4_qemu")
ENERGY = msgspec.structs.replace(PROFILE, cflags=(*PROFILE.cflags, "-DTK_ENERGY"))
MODELS = {"kws01": "kws_ref_model", "ic01": "pretrainedResnet_quant", "vww01": "vww_96_int8",
          "ad01": "ad01_int8"}


def classifier(*shape: int, classes: int) -> Graph:
    """The mean over the picture, a dense layer, softmax: of a task's sizes, and small."""
    net = Net("classifier")
    x = net.codes_in("x", 1, *shape, scale=0.5, zero_point=-128)
    pooled = net.make("average_pool2d", x, "pooled", 0.5, -128, kernel=shape[:2])
    flat = net.make("reshape", pooled, "flat", 0.5, -128, shape=(1, shape[2]))
    operands = (flat, *net.weights("dense", flat, (classes, shape[2])))
    dense = net.make("fully_connected", operands, "dense", 0.01, 3)
    return net.finish(net.make("softmax", dense, "probability", 1 / 256, -128))


def autoencoder() -> Graph:
    """640 reals through 4 and back."""
    net = Net("autoencoder")
    x = net.codes_in("x", 1, 640, scale=0.39101523, zero_point=89)
    code = net.make("fully_connected", (x, *net.weights("in", x, (4, 640))), "code", 0.5, 0)
    back = net.make("fully_connected", (code, *net.weights("out", code, (640, 4))), "back", 0.36449847, 96)
    return net.finish(back)


def artifact(graph: Graph) -> Artifact:
    manifest = Manifest(name=graph.name, target=PROFILE.name, formats=("c",), graph_digest=graph.digest,
                        inputs={"c": ports(graph, graph.inputs)}, outputs={"c": ports(graph, graph.outputs)})
    return Artifact(manifest, write_c(graph).files)


@contextmanager
def direct(graph: Graph, profile=PROFILE) -> Iterator[Runner]:
    """The runner on the board's own serial line."""
    elf = build_firmware(artifact(graph), profile).elf
    with qemu.powered(elf, profile) as (device, _), Port(device, 115200) as port:
        yield Runner(port)


def random_codes(graph: Graph, seed: int = 0) -> np.ndarray:
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def answer(graph: Graph, codes: np.ndarray) -> np.ndarray:
    """The reference's only output for one sample, as reals."""
    output, = reference.run(graph, {graph.inputs[0]: codes[None]}).values()
    quant = graph.tensors[graph.outputs[0]].quant
    return float(quant.scale) * (output.astype(np.int64).ravel() - int(quant.zero_point))


def printed(graph: Graph, codes: np.ndarray) -> list[str]:
    """As printf's %0.3f shows it."""
    return [f"{real:.3f}" for real in answer(graph, codes)]


def sent(task: str, codes: np.ndarray) -> bytes:
    """What the runner has for these codes: they themselves, or pixels."""
    return (codes if task == "kws01" else (codes.astype(np.int16) + 128).astype(np.uint8)).tobytes()


CLASSIFIERS = {"kws01": ((49, 10, 1), 12), "ic01": ((32, 32, 3), 10), "vww01": ((96, 96, 3), 2)}


@pytest.mark.emulated
@pytest.mark.parametrize("task", CLASSIFIERS)
def test_performance_and_accuracy(task):
    """Two windows of one input each; every inference of a window is of what was loaded."""
    (shape, classes) = CLASSIFIERS[task]
    graph = classifier(*shape, classes=classes)
    with direct(graph) as runner:
        assert runner.identify() == {"name": PROFILE.name, "model": task,
                                     "profile": "ULPMark for tinyML Firmware V0.0.1"}
        for window in range(2 if task != "vww01" else 1):
            codes = random_codes(graph, window)
            assert runner.load(sent(task, codes)) == ["m-load-done", "m-ready"]
            got = runner.infer(10, 1)
            assert got.results == printed(graph, codes)
            assert 0 < got.throughput(10) < 1e6
            assert runner.infer(1, 0).results == got.results


def score(graph: Graph, x: np.ndarray) -> float:
    """MLPerf Tiny's: the mean of (output - input)^2."""
    quant = graph.tensors[graph.inputs[0]].quant
    scaled = x / float(quant.scale)
    codes = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5) + int(quant.zero_point)
    return float(np.mean((answer(graph, np.clip(codes, -128, 127).astype(np.int8)) - x) ** 2))


@pytest.mark.emulated
def test_anomaly_detection():
    """Reals in, codes' range and beyond; one score out."""
    graph = autoencoder()
    rng = np.random.default_rng(5)
    samples = [rng.normal(-20, 12, 640), rng.normal(-90, 60, 640), np.zeros(640), rng.normal(0, 1e-3, 640)]
    with direct(graph) as runner:
        assert runner.identify()["model"] == "ad01"
        for sample in samples:
            x = sample.astype("<f4")
            assert runner.load(x.tobytes()) == ["m-load-done", "m-ready"]
            result, = runner.infer(1, 0).results
            assert float(result) == pytest.approx(score(graph, x.astype(np.float64)), abs=0.002)


@pytest.mark.emulated
def test_energy(tmp_path):
    """Through the interface board; laps are pulses on the pin, here the board's first light."""
    graph, log = classifier(49, 10, 1, classes=12), tmp_path / "trace"
    codes, elf = random_codes(graph), build_firmware(artifact(graph), ENERGY).elf
    options = ("-trace", "mps2_fpgaio_write", "-D", str(log))
    with (qemu.powered(elf, ENERGY, options) as (device, _), InterfaceBoard(device) as board,
          ThroughInterface(board.device, 115200) as port):
        runner = Runner(port, most_bytes=26)
        assert runner.identify()["model"] == "kws01"
        assert runner.load(codes.tobytes()) == ["m-load-done", "m-ready"]
        assert port.send("timestamp") == ["m-ready"]
        got = runner.infer(10, 1)
    assert got.laps == [] and got.results == printed(graph, codes)
    levels = [line.split("data ")[1].split()[0] for line in log.read_text().splitlines()]
    assert levels == ["0x0", "0x1"] * (1 + 1 + 2)


def said_at_start(profile) -> list[str]:
    """Four lines, and what comes before the first m-ready."""
    with TemporaryDirectory() as folder:
        image = Path(folder, "firmware.elf")
        image.write_bytes(build_firmware(artifact(residual_net()), profile).elf)
        command = qemu._command(image, profile, "stdio")
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as board:
            said = []
            while not said or said[-1] != "m-ready\r\n":
                said.append(board.stdout.readline().decode())
            board.kill()
    return [line.removesuffix("\r\n") for line in said]


@pytest.mark.emulated
def test_start():
    mode, lap, *rest = said_at_start(PROFILE)
    assert mode == "m-timestamp-mode-performance" and re.fullmatch(r"m-lap-us-\d+", lap)
    assert rest == ["m-init-done", "m-ready"]
    assert said_at_start(ENERGY) == ["m-timestamp-mode-energy", "m-init-done", "m-ready"]


@pytest.fixture(scope="module")
def port() -> Iterator[Port]:
    elf = build_firmware(artifact(residual_net()), PROFILE).elf
    with qemu.powered(elf, PROFILE) as (device, _), Port(device, 115200) as open_port:
        yield open_port


BUFFER = bytes(range(0x30, 0x3D))
NOT_HEX = "Not hexadecimal, or too much: load again"


@pytest.mark.emulated
def test_every_line_of_an_inference(port):
    port.send("db load 192")
    for _ in range(12):
        last = port.send("db " + "00" * 16)
    assert last == ["m-load-done", "m-ready"]
    lines = port.send("infer 3 2")
    assert [re.sub(r"\d+$", "#", line) if "lap" in line else line for line in lines] == [
        "m-warmup-start-2", "m-warmup-done", "m-infer-start-3", "m-lap-us-#", "m-lap-us-#", "m-infer-done",
        lines[-2], "m-ready"]
    assert port.send("results") == [lines[-2], "m-ready"]
    assert port.send("infer")[:3] == ["m-warmup-start-10", "m-warmup-done", "m-infer-start-1"]
    assert port.send("infer 2")[:3] == ["m-warmup-start-10", "m-warmup-done", "m-infer-start-2"]


@pytest.mark.emulated
def test_a_buffer_is_printed_eight_bytes_a_line(port):
    assert port.send("db load 13") == ["m-[Expecting 13 bytes]", "m-ready"]
    assert port.send(f"db {BUFFER[:5].hex()}") == ["m-ready"]
    assert port.send(f"db {BUFFER[5:].hex().upper()}") == ["m-load-done", "m-ready"]
    assert port.send("db print") == ["m-buffer-30-31-32-33-34-35-36-37", "m-buffer-38-39-3a-3b-3c", "m-ready"]
    assert port.send("db crc") == [f"m-crc-{zlib.crc32(BUFFER):08x}", "m-ready"]


@pytest.mark.emulated
def test_digits_beyond_the_buffer_are_disregarded(port):
    port.send("db load 2")
    assert port.send("db 0102ff") == ["m-load-done", "m-ready"]
    assert port.send("db print") == ["m-buffer-01-02", "m-ready"]


@pytest.mark.emulated
def test_raw_bytes_come_as_they_are(port):
    port.send("db codes 6")
    port.write("db raw 4%%\n\x01%")
    assert port.read_line() == "m-ready"
    assert port.send("db 00ff") == ["m-load-done", "m-ready"]
    assert port.send("db print") == ["m-buffer-25-0a-01-25-00-ff", "m-ready"]


@pytest.mark.emulated
@pytest.mark.parametrize("command, answer", [
    ("dance now", "Unknown command: dance"), ("", "Unknown command: "), ("namex", "Unknown command: namex"),
    ("caf\xe9", "Unknown command: caf??"), ("x" * 81, "More than 80 characters"),
    ("db load", "Room is for 1 to N bytes"), ("db load 0", "Room is for 1 to N bytes"),
    ("db load -1", "Room is for 1 to N bytes"), ("db load 999999999", "Room is for 1 to N bytes"),
    ("db", NOT_HEX), ("db 123", NOT_HEX), ("db 0g", NOT_HEX), ("db 00", NOT_HEX),
    ("db raw", NOT_HEX), ("db raw 1", NOT_HEX), ("db raw x", NOT_HEX),
    ("infer 0 0", "N >= 1, W >= 0"), ("infer x", "N >= 1, W >= 0"), ("infer 1 -1", "N >= 1, W >= 0"),
    ("infer 9999999999", "N >= 1, W >= 0"), ("infer 1 0", "Load first: bytes 192"),
    ("count", "Load first: bytes 192"), ("output", "No such output"), ("output 1", "No such output"),
    ("layers", "Unknown command: layers"),
])
def test_what_is_wrong_is_said_and_the_next_command_works(port, command, answer):
    port.send("db 00")
    error, ready = port.send(command)
    assert (re.sub(r"1 to \d+", "1 to N", error), ready) == (f"e-[{answer}]", "m-ready")
    assert port.send(" name\r\n") == [f"m-name-dut-[{PROFILE.name}]", "m-ready"]


@pytest.mark.emulated
def test_damaged_digits_spoil_the_load(port):
    """Of any command, so that no inference of half an input is taken for one."""
    port.send("db load 192")
    assert port.send("db 00?0") == [f"e-[{NOT_HEX}]", "m-ready"]
    assert port.send("infer 1 0") == ["e-[Load first: bytes 192]", "m-ready"]


@pytest.mark.emulated
def test_the_clock_does_not_wrap():
    """25 MHz wrap 32 bits after 171.8 s of virtual time, which are 671 million instructions of 256 ns."""
    port_of_four = {"c": (ModelPort("n", (1, 4), "uint8"),)}
    manifest = Manifest(name="countdown", target=PROFILE.name, formats=("c",), inputs=port_of_four,
                        outputs=port_of_four)
    files = {"model.h": COUNTDOWN_H.encode(), "model.c": COUNTDOWN_C.encode(), **kernel_files(["tk_model"])}
    elf = build_firmware(Artifact(manifest, files), PROFILE).elf
    rounds = 350_000_000
    with qemu.powered(elf, PROFILE) as (device, _), Port(device, 115200) as line:
        runner = Runner(line)
        runner.load(rounds.to_bytes(4, "little"))
        first, second = runner.infer(1, 0).laps
    expected = 2 * rounds * 0.256
    assert expected > 2**32 / 25 and second - first == pytest.approx(expected, rel=1e-4)


@pytest.mark.emulated
def test_where_no_ram_is_free_an_inference_uses_the_input_up():
    """RAM for the image alone: the buffer is the input's place in the arena."""
    graph = residual_net()
    built, codes = artifact(graph), random_codes(graph)
    firmware = build_firmware(built, PROFILE)
    tight = msgspec.structs.replace(PROFILE, ram_bytes=-(-(firmware.ram_bytes + 31) // 16) * 16)
    with direct(graph, tight) as runner:
        for _ in range(2):
            runner.load(codes.tobytes())
            assert runner.infer(1, 0).results == printed(graph, codes)
        assert runner._port.send("infer 1 0")[0] == "e-[Load first: bytes 192]"
        runner.load(codes.tobytes())
        assert runner._port.send("infer 2 0")[0] == "e-[One at a time: no room to keep the input]"
    with qemu.open_device(built, tight) as session:
        assert session.bench().instructions > 1000


@pytest.mark.emulated
def test_layers_add_up():
    """Their instructions are the whole's, but for entering and leaving. A reshape takes no step."""
    graph = residual_net()
    layered = msgspec.structs.replace(PROFILE, cflags=(*PROFILE.cflags, "-DTK_LAYERS"))
    codes, hz = random_codes(graph), qemu.machine_of(PROFILE).hz
    with qemu.running(build_firmware(artifact(graph), layered).elf, layered) as dut:
        dut.load_codes([codes.tobytes()])
        told = [dut.layers() for _ in range(2)]
    with qemu.open_device(artifact(graph), PROFILE) as session:
        whole = session.count([codes.tobytes()]).instructions
    first, second = ([qemu.whole_instructions(ticks, hz) - qemu.whole_instructions(empty, hz)
                      for _, ticks in layers] for empty, layers in told)
    titles = [title for title, _ in told[0][1]]
    assert first == second and len(first) == len(graph.ops) - 1
    assert ["softmax" in title for title in titles] == [False] * (len(titles) - 1) + [True]
    assert whole - 40 < sum(first) <= whole


def test_what_firmware_is_told():
    manifest = Manifest(name='my "net"', target="t", formats=("c",), inputs={"c": (
        ModelPort("a", (1, 37), "int8", 0.5, 1), ModelPort("b", (1, 3), "int16", 0.5, 0))},
        outputs={"c": (ModelPort("y", (1,), "int32"),)})
    assert program_flags(manifest, PROFILE) == [
        '-DTK_NAME="my _net_"', f'-DTK_VENDOR="{PROFILE.name}"', "-DTK_DB=DB_CODES", "-DTK_PORTS=2",
        "-DTK_INPUT_BYTES=54u", "-DTK_INPUT_SCALE=0.5", "-DTK_INPUT_ZERO_POINT=(1)", "-DTK_OUTPUT=int32_t",
        "-DTK_OUTPUT_SCALE=1.0", "-DTK_OUTPUT_ZERO_POINT=(0)"]


@pytest.mark.parametrize("sizes, total", [([], 0), ([490], 490), ([1, 1], 17), ([16, 5, 3], 35)])
def test_inputs_are_padded(sizes, total):
    assert padded_bytes(sizes) == total


@pytest.mark.emulated
@pytest.mark.parametrize("task", [task for task in MODELS if task != "ad01"])
def test_mlperf_tinys_networks(kit, task):
    graph = canonical(load(kit / "models" / f"{MODELS[task]}.tflite"))
    codes = random_codes(graph)
    with direct(graph) as runner:
        assert runner.identify()["model"] == task
        runner.load(sent(task, codes))
        got = runner.infer(1, 0)
    assert got.results == printed(graph, codes)


@pytest.mark.emulated
def test_mlperf_tinys_autoencoder(kit):
    graph = canonical(load(kit / "models" / f"{MODELS['ad01']}.tflite"))
    x = np.random.default_rng(1).normal(-40, 15, 640).astype("<f4")
    with direct(graph) as runner:
        assert runner.identify()["model"] == "ad01"
        runner.load(x.tobytes())
        result, = runner.infer(1, 0).results
    assert float(result) == pytest.approx(score(graph, x.astype(np.float64)), abs=0.002)


def test_the_firmware_is_small():
    """Start-up, serial line and protocol, around a model of 100 bytes; nothing of libc."""
    port = {"c": (ModelPort("n", (1, 4), "uint8"),)}
    manifest = Manifest(name="countdown", target=PROFILE.name, formats=("c",), inputs=port, outputs=port)
    files = {"model.h": COUNTDOWN_H.encode(), "model.c": COUNTDOWN_C.encode(), **kernel_files(["tk_model"])}
    firmware = build_firmware(Artifact(manifest, files), PROFILE)
    assert firmware.flash_bytes < 3_600 and firmware.static_bytes < 128
