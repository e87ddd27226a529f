"""Where the instructions of an inference on an emulated board go: by step of the network, by function."""

from collections import Counter

import msgspec

from toolchain.artifact import Artifact
from toolchain.device.cycles import CORES, estimate_cycles
from toolchain.device.disassembly import Functions, disassemble
from toolchain.device.firmware import build_firmware
from toolchain.device.qemu import machine_of, running, whole_instructions
from toolchain.device.trace import count_addresses
from toolchain.measurement import Function, Layer
from toolchain.profile import TargetProfile, load_target

AROUND = "entering, leaving"


def layer_instructions(artifact: Artifact, profile: TargetProfile, inputs: list[bytes],
                       instructions: int) -> tuple[Layer, ...]:
    """Of each step, told by firmware that is built with the hook between steps; the hook's own are taken off.

    instructions: of the whole inference without the hook: what no step has, entering and leaving, is the
                  last row
    Raises DoesNotFit where the longer firmware has no room, Unsupported where the target's sources are not
    known by its name, DeviceUnavailable.
    """
    folder = profile.folder or load_target(profile.name).folder
    hooked = msgspec.structs.replace(profile, cflags=(*profile.cflags, "-DTK_LAYERS"), folder=folder)
    hz = machine_of(profile).hz
    with running(build_firmware(artifact, hooked).elf, hooked) as dut:
        dut.load_codes(inputs)
        empty, steps = dut.layers()
    hook, taken = whole_instructions(empty, hz), Counter()
    for title, ticks in steps:  # more than once where a loop repeats it
        taken[title] += whole_instructions(ticks, hz) - hook
    layers = [Layer(title, instructions) for title, instructions in taken.items()]
    return (*layers, Layer(AROUND, instructions - sum(layer.instructions for layer in layers)))


def function_instructions(elf: bytes, profile: TargetProfile, inputs: list[bytes]) -> tuple[Function, ...]:
    """Of each function that ran, most instructions first, with cycles where the core's costs are known.

    Raises DeviceUnavailable where QEMU's plugin cannot be compiled, or the image not be disassembled.
    """
    counts, functions = count_addresses(elf, profile, inputs), Functions(elf)
    cycles = estimate_cycles(disassemble(elf, profile), counts) if profile.core in CORES else {}
    executed, spent = Counter(), Counter()
    for address, executions in counts.items():
        executed[functions.of(address)] += executions
        spent[functions.of(address)] += cycles.get(address, 0)
    return tuple(Function(name, count, spent[name] if cycles else None)
                 for name, count in executed.most_common())
