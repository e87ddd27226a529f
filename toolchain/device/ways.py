"""In which ways a device runs a model file: by which runtime, by which program."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from toolchain.errors import Unsupported
from toolchain.profile import Format

NATIVE, PYTHON, BENCHMARK_MODEL, FIRMWARE = "native", "python", "benchmark_model", "firmware"
GLIBC, BIONIC = "pushed glibc", "own library"
EMULATED = {"time": "emulated: none", "energy": "emulated: none"}
"""Conditions of every emulated device."""


@dataclass(frozen=True)
class Way:
    """runtime: "litert", "tflite-runtime", "onnxruntime", or "c" for a network's own C
    runner:  NATIVE: ours in C; PYTHON: ours in Python; BENCHMARK_MODEL: the user's, which gives no outputs;
             FIRMWARE: ours on a microcontroller
    libc:    GLIBC: a C library pushed with it; BIONIC: the user's runtime for Android's; "": what is there
    note:    what is known of this way, shown with its figures
    """

    fmt: Format
    runtime: str
    runner: str
    libc: str = ""
    note: str = field(default="", compare=False)

    @property
    def profiles(self) -> bool:
        """Whether the runtime tells how long each op takes. In Python, LiteRT does not."""
        return self.runner == NATIVE or (self.runner == PYTHON and self.runtime == "onnxruntime")

    def __str__(self) -> str:
        return f"{self.fmt} in {self.runtime}, {self.runner} runner{self.libc and ', ' + self.libc}"


LINUX = (Way("tflite", "litert", NATIVE), Way("tflite", "litert", PYTHON),
         Way("tflite", "tflite-runtime", PYTHON), Way("onnx", "onnxruntime", NATIVE),
         Way("onnx", "onnxruntime", PYTHON), Way("c", "c", NATIVE))
"""Of a device with the GNU C library; the first of a format is used where nothing is asked for."""
BARE = (Way("c", "c", FIRMWARE),)
"""Of a microcontroller."""


def chosen(ways: Sequence[Way], fmt: Format | None, runtime: str | None, runner: str | None) -> list[Way]:
    """Those that were asked for. Raises Unsupported where there is none."""
    asked = {"fmt": fmt, "runtime": runtime, "runner": runner}
    found = [way for way in ways if all(value in (None, getattr(way, key)) for key, value in asked.items())]
    if found:
        return found
    wanted = ", ".join(f"{key} {value}" for key, value in asked.items() if value)
    raise Unsupported(f"nothing there runs {wanted or 'this artefact'}; there is: "
                      f"{'; '.join(map(str, ways)) or 'nothing'}")
