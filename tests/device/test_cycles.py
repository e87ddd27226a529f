"""Cycles by the Cortex-M4's manual: its own examples, and an image's code as objdump reads it."""

import pytest

from toolchain.device.cycles import estimate_cycles
from toolchain.device.disassembly import Functions, Instruction, disassemble
from toolchain.device.firmware import build_firmware
from toolchain.errors import DeviceUnavailable
from toolchain.profile import load_target

M4 = load_target("cortex_m4_qemu")


def cycles(*lines: str, executions: tuple[int, ...] = ()) -> int:
    """Of straight code, each instruction of two bytes, run once or as often as said."""
    code = {}
    for i, line in enumerate(lines):
        mnemonic, _, operands = line.partition(" ")
        code[2 * i] = Instruction(2 * i, 2, mnemonic, operands)
    counts = {2 * i: n for i, n in enumerate(executions or (1,) * len(lines))}
    return sum(estimate_cycles(code, counts).values())


@pytest.mark.parametrize("lines, expected", [
    # section 3.3.2, "Load/store timings"
    (("ldr r0, [r1]", "ldr r1, [r2]"), 3),
    (("ldr r0, [r1, r2]", "str r0, [r3, #20]"), 3),
    (("ldr r0, [r1, r2]", "str r1, [r3, r2]"), 3),
    (("ldr r0, [r1, r5]", "ldr r1, [r2]", "ldr r2, [r3, #4]"), 4),
    (("ldr r0, [r1]", "ldr r2, [r0]"), 4),
    (("str r0, [r1, #4]",), 1),
    (("str r0, [r1]",), 1),
    (("str r0, [r1, r2]",), 2),
    (("add r1, r2, #4", "ldr r0, [r1]"), 4),
    (("ldrd r0, r1, [r2]",), 3),
    (("ldmia r0!, {r1, r2, r3}",), 4),
    (("push {r4, r5, r6, lr}",), 5),
    # tables 3-1 and 3-2
    (("smlad r0, r1, r2, r0",), 1),
    (("smull r0, r1, r2, r3",), 1),
    (("mla r0, r1, r2, r3",), 1),
    (("sdiv r0, r1, r2",), 12),
    (("movs r0, #1", "adds r0, r0, r1"), 2),
    (("bl 40",), 3),
    (("bx lr",), 3),
    (("pop {r4-r7, pc}",), 8),
    (("cmp r0, r1", "ldr r2, [r0]"), 3),
])
def test_what_the_manual_says(lines, expected):
    assert cycles(*lines) == expected


def test_a_loop_refills_the_pipeline_but_for_the_last_round():
    assert cycles("subs r0, #1", "bne 0", "bx lr", executions=(10, 10, 1)) == 10 + (10 + 9 * 2) + 3


def test_code_that_was_jumped_over_overlaps_with_nothing():
    assert cycles("ldr r0, [r1]", "ldr r2, [r3]", executions=(0, 5)) == 10


@pytest.mark.emulated
def test_an_images_code():
    from tests.device.test_qemu import artifact
    from tests.lower.c.nets import residual_net

    elf = build_firmware(artifact(residual_net()), M4).elf
    code, functions = disassemble(elf, M4), Functions(elf)
    assert all(one.bytes in (2, 4) and one.address == at for at, one in code.items())
    called = [one for one in code.values() if functions.of(one.address) == "count_nothing"]
    assert [(one.mnemonic, one.operands) for one in called][:1] == [("bx", "lr")]
    assert {"tk_softmax_s8", "main", "memcpy"} <= {functions.of(at) for at in code}


def test_without_objdump(tmp_path):
    import msgspec

    with pytest.raises(DeviceUnavailable, match="no-such-objdump cannot read the image of cortex_m4_qemu"):
        disassemble(b"", msgspec.structs.replace(M4, compiler="no-such-gcc"))
