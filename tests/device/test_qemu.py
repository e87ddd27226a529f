"""Firmware on QEMU: the reference's codes, instructions that are exact, and clear words where it fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import subprocess

from hypothesis import given
from hypothesis import strategies as st
import msgspec
import numpy as np
import pytest

from tests.lower.c.nets import residual_net, two_ended_net
from toolchain.artifact import Artifact, Manifest
from toolchain.device import qemu
from toolchain.device.firmware import build_firmware
from toolchain.device.protocol import Dut, Inference
from toolchain.device.serial_port import open_line
from toolchain.errors import DeviceUnavailable, InvalidMeasurement
from toolchain.lower.borders import ports
from toolchain.lower.c.emit import write_c
from toolchain.lower.c.pages import kernel_files
from toolchain.port import Port
from toolchain.profile import load_target, target_names
from toolchain.runtime import reference

PROFILE = load_target("cortex_m4_qemu")
EMULATED = [name for name in target_names() if load_target(name).emulated]

COUNTDOWN_H = """#include "tk_model.h"
#define COUNTDOWN_ARENA_BYTES 16u
#define COUNTDOWN_WEIGHT_BYTES 0u
#define COUNTDOWN_PEAK "countdown"
extern const tk_model countdown_model;
"""
COUNTDOWN_C = """#include "model.h"
static void invoke(const void *const inputs[], void *const outputs[], void *arena) {
    uint32_t n = *(const uint32_t *)inputs[0];
    (void)outputs, (void)arena;
#ifdef __riscv
    __asm__ volatile("1: addi %0, %0, -1\\n bnez %0, 1b\\n" : "+r"(n));
#else
    __asm__ volatile(".syntax unified\\n1: subs %0, %0, #1\\n bne 1b\\n" : "+l"(n) : : "cc");
#endif
}
static const uint32_t four[] = {4}, zero[] = {0};
const tk_model countdown_model = {"countdown", "none", 16, 1, 1, four, zero, four, zero, invoke};
"""
MUTE_C = """__attribute__((section(".arena"), used)) static char arena[16];
void fault(void) { for (;;) {} }
int main(void) { for (;;) {} }
"""


def artifact(graph) -> Artifact:
    manifest = Manifest(name=graph.name, target=PROFILE.name, formats=("c",), graph_digest=graph.digest,
                        inputs={"c": ports(graph, graph.inputs)}, outputs={"c": ports(graph, graph.outputs)})
    return Artifact(manifest, write_c(graph).files)


def random_feeds(graph, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {name: graph.tensors[name].shape[1:] for name in graph.inputs}
    return {name: rng.integers(-128, 128, (count, *shape)).astype(np.int8) for name, shape in shapes.items()}


def countdown_artifact(target: str) -> Artifact:
    """A model that runs a loop of two instructions as often as its input, a little-endian uint32, says."""
    port = {"c": (Port("n", (1, 4), "uint8"),)}
    manifest = Manifest(name="countdown", target=target, formats=("c",), inputs=port, outputs=port)
    files = {"model.h": COUNTDOWN_H.encode(), "model.c": COUNTDOWN_C.encode(), **kernel_files(["tk_model"])}
    return Artifact(manifest, files)


@contextmanager
def countdown(target: str) -> Iterator[Callable[[int], int]]:
    """n -> instructions of the loop run n times on the target, and what leads to it."""
    with qemu.open_device(countdown_artifact(target), load_target(target)) as session:
        yield lambda n: session.count([n.to_bytes(4, "little")]).instructions


@pytest.mark.emulated
@pytest.mark.parametrize("target", EMULATED)
def test_every_instruction_is_counted(target):
    """A loop of 2,000,000 instructions reads 2,000,000 and what leads to it, every time."""
    with countdown(target) as count:
        start = count(1)
        assert 2 < start < 16
        assert [count(n) - start for n in (2, 3, 4, 5, 6, 7, 100, 12_345, 1_000_000, 1_000_000)] == [
            2, 4, 6, 8, 10, 12, 198, 24_688, 1_999_998, 1_999_998]


@pytest.mark.emulated
@pytest.mark.slow
@pytest.mark.parametrize(("target", "rounds"), [
    ("cortex_m4_qemu", 400_000_000), ("cortex_m55_qemu", 500_000_000), ("cortex_m0_qemu", 500_000_000),
    ("netduinoplus2", 600_000_000), ("riscv32_qemu", 900_000_000)])
def test_a_count_past_the_counters_wrap_is_exact(target, rounds):
    """2**32 ticks are 671, 839, 1,049, 1,074 and 1,678 million instructions of 256 ns; but the micro:bit has
    no second clock, and its readings may be no further apart than that.
    """
    with countdown(target) as count:
        start = count(1)
        assert [count(rounds) - start for _ in range(2)] == [2 * rounds - 2] * 2


@pytest.mark.emulated
@pytest.mark.parametrize("make", [residual_net, two_ended_net])
def test_device_gives_the_references_codes(make):
    graph = make()
    feeds = random_feeds(graph, 5)
    expected = reference.run(graph, feeds)
    with qemu.open_device(artifact(graph), PROFILE) as session:
        got = session.run(feeds)
        first, second = session.bench(), session.bench()
    assert [name for name, value in expected.items() if (value != got[name]).any()] == []
    assert first == second and first.instructions > 1000 and 0 < first.stack_bytes < 1024


@pytest.mark.emulated
def test_another_model_on_the_device_is_refused():
    built = artifact(residual_net())
    manifest = msgspec.structs.replace(built.manifest, graph_digest="0" * 64)
    message = "runs the model .*, the artefact is 000000000000; build it again"
    with pytest.raises(InvalidMeasurement, match=message):
        with qemu.open_device(Artifact(manifest, built.files), PROFILE):
            pass


@pytest.mark.emulated
def test_a_device_that_says_nothing(monkeypatch):
    monkeypatch.setattr("toolchain.device.protocol.HELLOS", 2)
    built = artifact(residual_net())
    mute = {**built.files, "main.c": MUTE_C.encode()}
    with pytest.raises(DeviceUnavailable, match="says nothing: 2 hellos, 1 s apart, went unanswered"):
        with qemu.open_device(Artifact(built.manifest, mute), PROFILE):
            pass


@pytest.mark.emulated
def test_an_unknown_command_is_an_error():
    with qemu.running(build_firmware(artifact(residual_net()), PROFILE).elf, PROFILE) as dut:
        with pytest.raises(InvalidMeasurement, match=r"answered 'e-\[Unknown command: dance\]' to 'dance'"):
            dut.command("dance")
        with pytest.raises(InvalidMeasurement, match=r"answered 'e-\[No such output\]' to 'output 7'"):
            dut.read_output(7)
        assert dut.task() == "residual"


@pytest.mark.emulated
def test_a_load_that_was_interrupted_is_got_over():
    elf = build_firmware(artifact(residual_net()), PROFILE).elf
    with qemu.powered(elf, PROFILE) as (device, _), open_line(device, 115200, "board") as line:
        line.write(b"db codes 192%db raw 192%half of it")
        dut = Dut(line, "board")
        dut.greet()
        assert dut.vendor() == PROFILE.name


def test_missing_emulator(monkeypatch):
    monkeypatch.setattr(qemu.shutil, "which", lambda name: None)
    message = "qemu-system-arm, which emulates cortex_m4_qemu, is not installed; apt-get install qemu-"
    with pytest.raises(DeviceUnavailable, match=message):
        with qemu.running(b"", PROFILE):
            pass


@pytest.mark.emulated
def test_an_emulator_that_ends_meanwhile(monkeypatch):
    elf, machines = build_firmware(artifact(residual_net()), PROFILE).elf, []

    class Machine(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            machines.append(self)

    monkeypatch.setattr(qemu.subprocess, "Popen", Machine)
    with pytest.raises(DeviceUnavailable, match="or ended since, with code -9"):
        with qemu.running(elf, PROFILE) as dut:
            assert dut.vendor() == PROFILE.name
            machines[0].kill()
            dut.vendor()


@pytest.mark.emulated
def test_machine_that_qemu_does_not_have(monkeypatch):
    monkeypatch.setitem(qemu.MACHINES, "mps9", qemu.MACHINES["mps2-an386"])
    with pytest.raises(DeviceUnavailable, match="QEMU does not start machine 'mps9'"):
        with qemu.running(b"", msgspec.structs.replace(PROFILE, machine="mps9")):
            pass


def test_machine_without_a_known_counter():
    message = "'lm3s811evb' has no known instruction counter; known: microbit, mps2-an385, mps2-an386"
    with pytest.raises(DeviceUnavailable, match=message):
        with qemu.running(b"", msgspec.structs.replace(PROFILE, machine="lm3s811evb")):
            pass


@pytest.mark.parametrize("machine", qemu.MACHINES.values(), ids=qemu.MACHINES)
@given(instructions=st.integers(0, 10**12), start_ns=st.integers(0, 10**9))
def test_ticks_become_instructions(machine, instructions, start_ns):
    """Whenever the first reading falls; both round down."""
    ticks = [ns * machine.hz // 10**9 for ns in (start_ns, start_ns + instructions * 2**qemu.ICOUNT_SHIFT)]
    assert qemu.whole_instructions(ticks[1] - ticks[0], machine.hz) == instructions


def test_ticks_of_another_clock_are_no_measurement():
    """6.4 ticks an instruction: 3 are none, and not one."""
    with pytest.raises(InvalidMeasurement, match="3 ticks of 25,000,000 Hz are no whole number of instr"):
        qemu.whole_instructions(3, 25_000_000)


def test_an_inference_is_counted_without_the_readings():
    assert qemu.count_instructions(Inference(ticks=6400, empty_ticks=64, stack_bytes=0), 25_000_000) == 990
