"""A snippet in each language that an artefact's files are used from: what to run, with its real shapes,
dtypes, scales and labels.

Names come from untrusted files: only `plain` text of them gets into a snippet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
import math
from pathlib import Path

import numpy as np

from toolchain.ir.graph import Frames, Metadata
from toolchain.ir.streaming import Streaming
from toolchain.lower.c.names import identifier, plain
from toolchain.port import Port
from toolchain.profile import Format
from toolchain.runtime.steps import initial
from toolchain.templates import render

ROOM = Path(__file__).parent / "snippets"
SNIPPETS: Mapping[Format, tuple[str, ...]] = {
    "tflite": ("usage.py", "usage.c", "Usage.kt"), "onnx": ("usage.py",), "c": ("usage.c",)}
"""Format -> the snippets it comes with; templates are called <format>_<snippet>.j2."""
C_TYPE = {"uint8": "uint8_t", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
          "float32": "float", "bool": "bool"}
BUFFER = {"float32": "Float", "int8": "", "uint8": "", "int16": "Short", "int32": "Int", "int64": "Long"}
"""dtype -> which of ByteBuffer's get and put in Kotlin."""
Ports = tuple[Port, ...]


@dataclass(frozen=True)
class PrintedPort:
    """An input or output as the templates print it.

    scale:  real = scale * (code - zero_point); "" for plain numbers
    frames: what an input's numbers stand for, None where it is no image or not known
    steps_axis: of an input that is fed a step of a sequence at a time: the axis of the steps
    pixels: code or number of a pixel = the pixel + `offset`: nothing is computed
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: str
    zero_point: int
    frames: Frames | None
    steps_axis: int | None = None

    @property
    def read_shape(self) -> tuple[int, ...]:
        """Of a file that holds the input, whole sequences of any length where it is a step of one."""
        return tuple(-1 if axis == self.steps_axis else size for axis, size in enumerate(self.shape))

    @property
    def count(self) -> int:
        return int(np.prod(self.shape))

    @property
    def bytes(self) -> int:
        return self.count * np.dtype(self.dtype).itemsize

    @property
    def c_type(self) -> str:
        return C_TYPE[self.dtype]

    @property
    def buffer(self) -> str:
        return BUFFER.get(self.dtype, "")

    @property
    def low(self) -> int:
        return int(np.iinfo(self.dtype).min)

    @property
    def high(self) -> int:
        return int(np.iinfo(self.dtype).max)

    @property
    def offset(self) -> int:
        return -128 if self.dtype == "int8" else 0

    @property
    def pixels(self) -> bool:
        if self.frames is None or len(self.frames.mean) > 1 or len(self.frames.std) > 1:
            return False
        mean, std = self.frames.mean[0], self.frames.std[0]
        if not self.scale:
            return self.dtype == "float32" and (mean, std) == (0, 1)
        return self.zero_point - self.offset == mean and abs(float(self.scale) * std - 1) < 1e-5

    @property
    def image(self) -> bool:
        """Whether an image file can be its input."""
        return self.frames is not None and len(self.shape) == 4 and self.channels in (1, 3)

    @property
    def channels_first(self) -> bool:
        return self.shape[-1] not in (1, 3)

    @property
    def channels(self) -> int:
        return self.shape[1] if self.channels_first else self.shape[-1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self.shape[2:4] if self.channels_first else self.shape[1:3]

    @property
    def title(self) -> str:
        """Name, dtype and shape; scale where there is one."""
        codes = f", real = {self.scale} * (code - {self.zero_point})" if self.scale else ""
        frames = f", {plain(str(self.frames))}" if self.frames else ""
        return f"{self.name}: {self.dtype} [{', '.join(map(str, self.shape))}]{codes}{frames}"


@dataclass(frozen=True)
class PrintedState:
    """A state of a streaming network: its input, the output that is its next value, both by number, and what
    it is fed with first, as the file takes it: all of it, one value where all are the same."""

    input: int
    output: int
    name: str
    next: str
    first: tuple[float | int, ...]
    count: int

    @property
    def listed(self) -> str:
        """All values that it is fed with first."""
        return ", ".join(map(str, self.first * self.count if len(self.first) == 1 else self.first))

    @property
    def title(self) -> str:
        first = str(self.first[0]) if len(self.first) == 1 else ", ".join(map(str, self.first[:3])) + " ..."
        return f"state {self.name}: feed {first} first, then at each step what came out as {self.next}"


def usage_files(name: str, ports: Mapping[Format, tuple[Ports, Ports]],
                metadata: Metadata, memories: int = 1, streaming: Streaming | None = None,
                permutations: Mapping[str, tuple[int, ...]] | None = None,
                chain: bool = False, shared: bool = False) -> dict[str, bytes]:
    """Snippets by file name.

    ports:    format -> inputs and outputs of that format's file, best format first
    memories: how many the arena of C lies in
    streaming: of a network that does one step; permutations: the graph's
    chain:    its outputs are the logits and which stage answered
    shared:   its C has constants that several stages read
    Where two formats have one in the same language, the second's is called usage_<format>.
    """
    files: dict[str, bytes] = {}
    for fmt, (inputs, outputs) in ports.items():
        axes = _axes(streaming, fmt, permutations or {})
        given = [replace(_printed(port, metadata.frames.get(port.name)), steps_axis=axes.get(port.name))
                 for port in inputs]
        states = _states(streaming, inputs, outputs)
        held = {state.input for state in states}
        page = {"name": plain(name), "prefix": identifier(name), "upper": identifier(name).upper(),
                "class_name": "".join(word.capitalize() for word in identifier(name).split("_")),
                "inputs": given, "states": states,
                "fed": [(n + 1, port) for n, port in enumerate(given) if n not in held],
                "outputs": [_printed(port, None) for port in outputs], "labels": bool(metadata.labels),
                "regions": range(1, memories), "chain": chain, "shared": shared}
        for snippet in SNIPPETS[fmt]:
            stem, _, suffix = snippet.partition(".")
            file = snippet if snippet not in files else f"{stem}_{fmt}.{suffix}"
            files[file] = render(ROOM, f"{fmt}_{snippet}.j2", {**page, "file": file})
    return files


def _axes(streaming: Streaming | None, fmt: Format,
          permutations: Mapping[str, tuple[int, ...]]) -> Mapping[str, int]:
    """Input -> axis of its steps in a file of this format: .onnx keeps the source's layout."""
    axes = streaming.axes if streaming else {}
    return {name: permutations[name].index(axis) if fmt == "onnx" and name in permutations else axis
            for name, axis in axes.items()}


def _states(streaming: Streaming | None, inputs: Ports, outputs: Ports) -> list[PrintedState]:
    numbers = {port.name: number for ports in (outputs, inputs) for number, port in enumerate(ports)}
    return [PrintedState(numbers[state.input], numbers[state.output], plain(state.input), plain(state.output),
                         tuple(initial(state, inputs[numbers[state.input]]).ravel()
                               [:len(state.initial)].tolist()), math.prod(inputs[numbers[state.input]].shape))
            for state in (streaming.states if streaming else ())]


def _printed(port: Port, frames: Frames | None) -> PrintedPort:
    scale = "" if port.scale is None else _decimal(port.scale)
    return PrintedPort(plain(port.name), port.shape, port.dtype, scale, port.zero_point or 0, frames)


def _decimal(value: float) -> str:
    """A number that every language here takes for a real one."""
    text = f"{value:.9g}"
    return text if set(text) & set(".e") else f"{text}.0"
