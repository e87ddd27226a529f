"""How much arena TFLite Micro needs for a model: as it records it on this 64-bit host, and what 32 bits save.

The child (`python -m toolchain.runtime.tflm_arena FILE`) prints what the package's recording allocator says.
"""

from dataclasses import dataclass
from pathlib import Path
import re
import signal
import subprocess
import sys
import tempfile

from toolchain.errors import DeviceUnavailable
from toolchain.runtime.tflm import TFLiteMicroFailed

SAVED = {"TfLiteEvalTensor data": 0.5, "NodeAndRegistration struct": 0.5}
"""Record -> the share of its bytes that pointers of 4 bytes save: a TfLiteEvalTensor is a pointer to data,
one to dimensions and a type, 24 bytes or 12; a node is six pointers, a size and a pointer to its operator,
64 or 32 (tensorflow/lite/c/common.h)."""


@dataclass(frozen=True)
class TFLMArena:
    """Bytes of TFLite Micro's arena after one inference, with its reference kernels.

    host_bytes:     measured here, with pointers of 8 bytes
    device_bytes:   that without what SAVED says: an upper bound for 32 bits, where other records hold shorter
                    pointers too
    activations:    the head: what its planner gives activations and scratch
    """

    host_bytes: int
    device_bytes: int
    activation_bytes: int


def measure_arena(model: bytes) -> TFLMArena:
    """Run it once on zeros in a subprocess, because TFLite Micro may abort.

    Raises TFLiteMicroFailed for a model that it does not take, DeviceUnavailable without its package.
    """
    with tempfile.TemporaryDirectory(prefix="tflm-arena-") as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(model)
        done = subprocess.run([sys.executable, "-m", __name__, str(path)], capture_output=True, text=True,
                              errors="replace")
    if done.returncode:
        raise _failure(done)
    return _arena(done.stderr)


def _arena(said: str) -> TFLMArena:
    total, head = (int(re.search(rf"Arena allocation {part} (\d+) bytes", said)[1])
                   for part in ("total", "head"))
    records = {name: int(used) for name, used in re.findall(r"'([^']+)' used (\d+) bytes", said)}
    saved = sum(int(records.get(name, 0) * share) for name, share in SAVED.items())
    return TFLMArena(total, total - saved, head)


def _failure(done: subprocess.CompletedProcess) -> Exception:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it wrote nothing"]
    if lines[-1] == "ModuleNotFoundError: No module named 'tflite_micro'":
        return DeviceUnavailable("TFLite Micro is not installed here; its arena is measured with it. "
                                 "`make setup` installs tflite-micro")
    fate = f"died of {signal.Signals(-done.returncode).name} on" if done.returncode < 0 else "refused"
    return TFLiteMicroFailed(f"TFLite Micro {fate} the model: {'; '.join(lines[-3:])}")


# In the subprocess ------------------------------------------------------------------------------------------

def _main(path: str) -> None:
    from tflite_micro import runtime

    model = Path(path).read_bytes()
    from toolchain.runtime.tflm import arena_bytes

    graph = runtime.convert_bytearray_to_object(model).subgraphs[0]
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes(graph))
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    _main(sys.argv[1])
