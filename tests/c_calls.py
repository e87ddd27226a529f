"""Run single kernel calls of generated C on this machine, their output where the test wants it.

    calls = compile_calls([call, ...], tmp_path)
    calls[0].run([codes], 60)                        # 60 bytes of output, apart from the operands
    calls[0].run([codes], 60, over=0, distance=16)   # it begins 16 bytes before operand 0

Everything stands between guard bytes.
"""

from collections.abc import Sequence
import ctypes
from pathlib import Path

import numpy as np

from tests.c_host import SANITIZED, GuardedBuffer, compile_c
from toolchain.lower.c.call import C_TYPE, Call, Overlap, array_text, initializer
from toolchain.lower.c.pages import kernel_files


class HostCall:
    """A compiled call."""

    def __init__(self, call: Call, run):
        self.call, self._run = call, run

    def run(self, operands: Sequence[np.ndarray], size: int, over: int | None = None, distance: int = 0
            ) -> np.ndarray:
        """Output bytes as int8. over: the operand that the output starts `distance` bytes before."""
        scratch, buffers = GuardedBuffer(self.call.scratch_bytes), []
        for i, operand in enumerate(operands):
            codes = np.frombuffer(operand.tobytes(), np.uint8)
            first = max(distance, 0) if i == over else 0
            last = first + max(len(codes), size - distance) if i == over else len(codes)
            buffers.append(GuardedBuffer(last))
            buffers[-1].view[first:first + len(codes)] = codes
        out = GuardedBuffer(size) if over is None else buffers[over]
        start = max(-distance, 0) if over is not None else 0
        places = [buffer.address + (max(distance, 0) if i == over else 0) for i, buffer in enumerate(buffers)]
        self._run((ctypes.c_void_p * len(places))(*places), ctypes.c_void_p(scratch.address),
                  ctypes.c_void_p(out.address + start))
        for buffer in (scratch, out, *buffers):
            buffer.check(self.call.kernel)
        return out.view[start:start + size].view(np.int8).copy()


def distances(overlap: Overlap, operand_bytes: int, output_bytes: int) -> list[int]:
    """Of the output's start before the operand's: each that is as near as the kernel says it may be."""
    found = [0] if overlap.exact else []
    found += [] if overlap.before is None else [overlap.before, overlap.before + 1]
    return found + ([] if overlap.after is None else [output_bytes - operand_bytes - overlap.after])


def compile_calls(calls: Sequence[Call], folder: Path,
                  flags: Sequence[str] = ("-O1", *SANITIZED)) -> list[HostCall]:
    """All of them in one library."""
    units = []
    for name, data in kernel_files({call.kernel for call in calls}).items():
        (folder / name).write_bytes(data)
        units += [folder / name] if name.endswith(".c") else []
    includes = "".join(f'#include "{kernel}.h"\n' for kernel in sorted({call.kernel for call in calls}))
    unit = folder / "calls.c"
    unit.write_text(includes + "".join(_function(call, f"c{i}") for i, call in enumerate(calls)))
    library = folder / "calls.so"
    compile_c([*units, unit], library, [*flags, "-Wno-missing-prototypes", "-shared", "-fPIC"], [folder])
    loaded = ctypes.CDLL(str(library))
    return [HostCall(call, loaded[f"c{i}"]) for i, call in enumerate(calls)]


def _function(call: Call, name: str) -> str:
    arrays = "".join(f"static const {C_TYPE[array.data.dtype.name]} {name}_{array.role}[] = "
                     f"{{\n{array_text(array.data)}}};\n" for array in call.arrays)
    operands = "".join(f"x[{i}], " for i in range(len(call.operands)))
    scratch = "scratch, " if call.scratch_bytes else ""
    return (f"{arrays}static const {call.struct or f'{call.kernel}_params'} {name}_params = "
            f"{initializer(call.params, lambda array: f'{name}_{array.role}')};\n"
            f"void {name}(const void *const x[], void *scratch, void *out) {{\n    (void)scratch;\n"
            f"    {call.kernel}(&{name}_params, {operands}{scratch}out);\n}}\n")
