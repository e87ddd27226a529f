"""The C of an artefact as a library takes it: a header of its own name, and what templates say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import re

import toolchain
from toolchain.artifact import Artifact
from toolchain.device.firmware import model_facts
from toolchain.errors import BadInput
from toolchain.lower.c.call import C_TYPE
from toolchain.lower.c.names import plain
from toolchain.lower.c.steps import port_names
from toolchain.port import Port
from toolchain.templates import render

ROOM = Path(__file__).parent / "templates"


@dataclass(frozen=True, eq=False)
class Package:
    """Files by their place in it.

    name: of the folder that holds them, a C identifier
    """

    name: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Argument:
    """An input or output of invoke, as the examples print it."""

    name: str
    type: str
    macro: str


def c_files(artifact: Artifact) -> dict[str, bytes]:
    """model.c, model.h, those of stages and what these share, kernels and, if there is one, selftest.c.
    Raises BadInput where there is no C."""
    if "c" not in artifact.manifest.formats:
        raise BadInput(f"{artifact.manifest.name} for {artifact.manifest.target} has no C; build it for a "
                       f"microcontroller (`edge targets`), or give --as tflite-micro")
    return {name: data for name, data in artifact.files.items()
            if re.fullmatch(r"(model|shared|stage_\d+)\.[ch]|selftest\.c|tk_\w+\.[ch]", name)}


def library_files(artifact: Artifact) -> tuple[str, dict[str, bytes]]:
    """What the model is called in C, and its files with model.h and model.c, and stages', under that name.

    Two models may meet in one project: each has a header of its own.
    """
    files = c_files(artifact)
    name = model_facts(files).symbol
    renamed = {"model.h": f"{name}.h", "model.c": f"{name}.c", "selftest.c": f"{name}_selftest.c"}
    renamed |= {file: f"{name}_{file}" for file in files if file.startswith(("stage_", "shared."))}

    def named(data: bytes) -> bytes:
        for file in renamed:
            data = data.replace(f'#include "{file}"'.encode(), f'#include "{renamed[file]}"'.encode())
        return data

    return name, {renamed.get(file, file): named(data) if file in renamed else data
                  for file, data in files.items()}


def page(artifact: Artifact, name: str) -> dict[str, object]:
    """What every template may ask for.

    regions: numbers of the arenas that lie in memory of their own, beside the first
    """
    manifest, facts = artifact.manifest, model_facts(artifact.files)
    header = artifact.files["model.h"].decode("ascii")
    inputs, outputs = (_arguments(side, manifest, name) for side in ("input", "output"))
    return {"name": name, "upper": name.upper(), "title": plain(manifest.name), "target": manifest.target,
            "core": manifest.profile.core, "version": toolchain.__version__,
            "digest": manifest.graph_digest, "macs": manifest.macs,
            "arena_bytes": facts.arena_bytes, "weight_bytes": facts.weight_bytes,
            "inputs": inputs, "outputs": outputs, "selftest": bool(artifact.vectors),
            "labels": bool(manifest.labels), "compiler": manifest.profile.compiler,
            "regions": re.findall(rf"^#define {name.upper()}_ARENA_(\d+)_BYTES", header, re.MULTILINE),
            "machine_flags": [flag for flag in manifest.profile.cflags if flag.startswith(("-m", "--specs"))]}


def _arguments(side: str, manifest, name: str) -> list[Argument]:
    ports: tuple[Port, ...] = getattr(manifest, f"{side}s")["c"]
    return [Argument(argument, C_TYPE[port.dtype], f"{name.upper()}_{side.upper()}_{i}")
            for i, (argument, port) in enumerate(zip(port_names(side, len(ports)), ports, strict=True))]


def filled_in(template: str, shown: Mapping[str, object]) -> bytes:
    """The text of one of this room's templates."""
    return render(ROOM, f"{template}.j2", shown)
