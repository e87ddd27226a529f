"""Artifact: named bytes, what goes in and out, and where they came from. A value, written to disk whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import hashlib
import io
from itertools import chain
import os
from pathlib import Path
import re
import shutil
import tempfile

import msgspec
import numpy as np

from toolchain.atomic import swap
from toolchain.errors import BadInput, Unsupported
from toolchain.ir.graph import Frames
from toolchain.ir.streaming import Streaming
from toolchain.levels import Held
from toolchain.npz import packed_npz, read_npz
from toolchain.port import Port
from toolchain.profile import Format, TargetProfile
from toolchain.stages import ChainRecord, level_output

MANIFEST = "manifest.json"
VECTORS = "test_vectors.npz"
ARENA_FILE = "arena.json"
"""Of generated C: an ArenaMap."""
LINKED = {"flash", "code_flash", "static", "arena", "ram"}
"""Sizes that a linked image settles."""
COMPILER = re.compile(r"([\w.+-]+-)?(gcc|g\+\+|clang|cc)(-\d+(\.\d+)*)?", re.ASCII)
COMPILER_FLAG = re.compile(r"-(O[0-3sgz]?|g[0-9]?|std=[\w+]+|[mWf][\w.,=+-]+|[DU]\w+(=[\w.\"+-]*)?|"
                           r"[IL][\w./-]+|l\w+|-specs=(picolibc|nano|nosys|rdimon)\.specs)", re.ASCII)
"""What is taken of an artefact's profile: warnings, machines, code generation, names, folders, the C
libraries' own specs. No other specs, no -B, no -wrapper, no files of options, no plug-ins."""
MODEL_FILE: Mapping[str, str] = {"tflite": "model.tflite", "onnx": "model.onnx", "c": "model.c"}
"""Format -> its file, but for chains."""


class FileRecord(msgspec.Struct, frozen=True):
    """A file of an artefact as its manifest lists it."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json, written last: a folder without it is not an artefact.

    profile:      the target's facts as they were when this was built; None for a bare file
    scheme:       as the recipe calls it ("static_wi8_ai8", "float32" ...); "as it came" for a bare file
    inputs, outputs: format -> ports of that format's file, in its own layout; "graph" -> those of the Graph
    static_bytes: "flash" and "ram" that the target needs, known before it is deployed
    weight_bytes: the constants' share of the flash
    labels:       names of the classes along the last axis of the first output
    frames:       input -> what its numbers stand for: real value = (pixel - mean) / std
    takes_frames: built for raw frames ([input] in the recipe): samples are fed as the pixels that they are
    streaming:    of a network that does one step: how it is run; None for any other
    chain:        of an adaptive network: its stages, each a file but in C, and when they answer; else None
    metric:       the recipe's, by which the artefact is evaluated
    tools:        version of everything that shaped the bytes
    notes:        what was bound, pruned or decided on the way, in words
    """

    name: str
    target: str
    profile: TargetProfile | None = None
    formats: tuple[Format, ...]
    scheme: str = "as it came"
    inputs: dict[str, tuple[Port, ...]]
    outputs: dict[str, tuple[Port, ...]]
    graph_digest: str = ""
    source_sha256: str = ""
    recipe_digest: str = ""
    static_bytes: dict[str, int] = {}
    weight_bytes: int = 0
    macs: int = 0
    parameters: int = 0
    worst_error: float | None = None
    labels: tuple[str, ...] = ()
    frames: dict[str, Frames] = {}
    takes_frames: bool = False
    streaming: Streaming | None = None
    chain: ChainRecord | None = None
    metric: str = "top1"
    tools: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    files: dict[str, FileRecord] = {}
    schema: str = "edge.artifact"
    schema_version: int = 1

    def model_files(self, fmt: Format) -> tuple[str, ...]:
        """Names of one format's files: one, or one of each stage. The C of a chain is one library."""
        if self.chain is None or fmt == "c":
            return (MODEL_FILE[fmt],)
        return self.chain.files(MODEL_FILE[fmt])

    @property
    def digest(self) -> str:
        """Of the artefact that was written with it."""
        return _digest(self, {name: record.sha256 for name, record in self.files.items() if name != VECTORS})

    @property
    def held(self) -> Held | None:
        """Of a chain that is held to a budget."""
        return self.chain.held if self.chain else None


def _digest(manifest: Manifest, files: Mapping[str, str]) -> str:
    """Of files' names and sha256, and of the level that a chain is held to, which files do not say."""
    held = [f"level {manifest.held.level}"] if manifest.held else []
    lines = [*(f"{name} {files[name]}" for name in sorted(files)), *held]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Artifact:
    """Files by relative path, their manifest, and test vectors.

    vectors: "input/<name>" and "output/<name>" -> (samples, ...) arrays as the manifest's "graph" ports
             describe them, computed by the reference; a device must reproduce them. Outputs of a file that
             computes in other numbers than the graph are there beside, as `own_output` names them
    """

    manifest: Manifest
    files: Mapping[str, bytes]
    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 over the files' names and contents, and the level that it is held to."""
        return _digest(self.manifest,
                       {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()})

    def model(self, fmt: Format) -> bytes:
        """The model file of one of the artefact's formats. Raises Unsupported where a chain has several."""
        name, *more = self.manifest.model_files(fmt)
        if more:
            raise Unsupported(f"{self.manifest.name} is a chain of {1 + len(more)} .{fmt} files, which no "
                              "runner takes at once: edge run, eval and bench take them one by one; for one "
                              "program build it for a target with format 'c', whose policy is compiled in")
        return self.files[name]

    def write(self, folder: Path) -> Path:
        """Write to a temporary folder beside `folder`, manifest last, then swap it in.

        An interrupted write leaves the old folder as it was. A link is followed. Raises BadInput for a
        folder of other things, or one that cannot be made.
        """
        folder = require_place(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            self._write_files(staging)
            swap(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return folder

    def _write_files(self, staging: Path) -> None:
        staging.chmod(0o755)
        files = {**self.files, **({VECTORS: packed_npz(self.vectors)} if self.vectors else {})}
        for name, data in files.items():
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        records = {name: FileRecord(hashlib.sha256(data).hexdigest(), len(data))
                   for name, data in sorted(files.items())}
        manifest = msgspec.structs.replace(self.manifest, files=records)
        (staging / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def own_output(fmt: Format, name: str) -> str:
    """What the test vectors call an output of one format's file alone."""
    return f"output.{fmt}/{name}"


def require_place(folder: Path) -> Path:
    """The folder without links, after a look whether an artefact may be written there. Raises BadInput."""
    place = folder.resolve()
    nearest = next(path for path in (place, *place.parents) if path.exists())
    if not nearest.is_dir():
        raise BadInput(f"{folder}: {nearest} is a file; give another --out")
    if nearest == place and not (place / MANIFEST).is_file() and any(place.iterdir()):
        raise BadInput(f"{folder}: not empty and not an artefact (no {MANIFEST}); give another --out")
    if not os.access(place.parent if nearest == place else nearest, os.W_OK | os.X_OK):
        raise BadInput(f"{folder}: no permission to write there; give another --out")
    return place


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder that `Artifact.write` made. Raises BadInput."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BadInput(f"{folder}: no {MANIFEST}; not an artefact, or its build was interrupted: "
                       f"build it again") from None
    except msgspec.DecodeError as error:
        raise BadInput(f"{folder / MANIFEST}: {error}; build it again") from None
    if missing := _missing(manifest):
        raise BadInput(f"{folder / MANIFEST}: {missing} is missing; build it again")
    if wrong := next(chain(_wrong_ports(manifest), _wrong_form(manifest)), None):
        raise BadInput(f"{folder / MANIFEST}: {wrong}; build it again")
    if unsafe := _unsafe_word(manifest.profile):
        raise BadInput(f"{folder / MANIFEST}: profile: {unsafe!r} may run other programs than a C compiler, "
                       f"so it is not taken from an artefact; build it anew from its target")
    return manifest


def _unsafe_word(profile: TargetProfile | None) -> str | None:
    """A compiler or option that could run a program of the artefact's choice: a manifest may be anybody's."""
    if profile is None:
        return None
    if profile.compiler and not COMPILER.fullmatch(profile.compiler):
        return profile.compiler
    unknown = (flag for flag in profile.cflags if not COMPILER_FLAG.fullmatch(flag) or "plugin" in flag)
    return next(unknown, None)


def _missing(manifest: Manifest) -> str | None:
    """What a manifest of ours always has and this one has not."""
    for fmt in manifest.formats:
        if absent := [name for name in manifest.model_files(fmt) if name not in manifest.files]:
            return f"files: '{absent[0]}'"
        if not (manifest.inputs.get(fmt) and manifest.outputs.get(fmt)):
            return f"inputs or outputs: '{fmt}'"
    if VECTORS in manifest.files and not (manifest.inputs.get("graph") and manifest.outputs.get("graph")):
        return "inputs or outputs: 'graph'"
    if "c" in manifest.formats and not manifest.profile:
        return "profile"
    if manifest.profile and "c" in manifest.profile.formats and not manifest.static_bytes.keys() >= LINKED:
        return f"one of static_bytes: {', '.join(sorted(LINKED))}"
    return None if manifest.formats else "formats: at least one"


def _wrong_ports(manifest: Manifest) -> Iterator[str]:
    """Ports that are none, or are not those of the same network as others."""
    for direction, ports in (("inputs", manifest.inputs), ("outputs", manifest.outputs)):
        for fmt, found in ports.items():
            if unsound := [port.name for port in (*found, *ports.get("graph", ())) if not port.sound]:
                yield f"{direction}: '{unsound[0]}' of '{fmt}' contradicts itself"
            same = [port.source_shape for port in ports.get("graph", found)]
            if len({port.name for port in found}) < len(found) or same != [p.source_shape for p in found]:
                yield f"{direction}: those of '{fmt}' are not those of the graph"


def _wrong_form(manifest: Manifest) -> Iterator[str]:
    if manifest.streaming and not manifest.streaming.fits(*(
            {port.name: port.shape for port in ports.get("graph", ())}
            for ports in (manifest.inputs, manifest.outputs))):
        yield "streaming: names states or steps that inputs and outputs have not"
    given = {port.name for port in manifest.inputs.get("graph", ())}
    if manifest.chain and not manifest.chain.fits({"graph", *manifest.formats} - {"c"}, given):
        yield "chain: its stages do not go together"


def _wrong_vectors(manifest: Manifest, vectors: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Vectors that are there and are not the graph's."""
    counts = {len(values) if values.ndim else 0 for values in vectors.values()}
    if vectors and (len(counts) > 1 or 0 in counts):
        yield "its arrays are of different numbers of samples, or of none"
    for name, port in _own_vectors(manifest) if vectors else ():
        found = vectors.get(name)
        if found is None or (found.shape[1:], found.dtype.name) != (port.shape[1:], port.dtype):
            yield f"'{name}' is missing, or is not what the manifest says"


def _own_vectors(manifest: Manifest) -> Iterator[tuple[str, Port]]:
    """What vectors of the manifest's Graph are called, and what they are like; at each level of a chain."""
    inputs, outputs = manifest.inputs.get("graph", ()), manifest.outputs.get("graph", ())
    yield from ((f"input/{port.name}", port) for port in inputs)
    yield from ((f"output/{port.name}", port) for port in outputs)
    levels = len(manifest.chain.stages) - 1 if manifest.chain and manifest.chain.levels else 0
    yield from ((level_output(level, port.name), port) for level in range(levels) for port in outputs)


def read_artifact(folder: Path) -> Artifact:
    """Read a folder that `Artifact.write` made, checking every hash. Raises BadInput."""
    manifest = read_manifest(folder)
    files = {name: _checked(folder, name, record) for name, record in manifest.files.items()}
    packed = files.pop(VECTORS, None)
    vectors = read_npz(io.BytesIO(packed), str(folder / VECTORS)) if packed else {}
    if wrong := next(_wrong_vectors(manifest, vectors), None):
        raise BadInput(f"{folder / VECTORS}: {wrong}; build it again")
    return Artifact(manifest, files, vectors)


def _checked(folder: Path, name: str, record: FileRecord) -> bytes:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BadInput(f"{folder / MANIFEST}: file name '{name}' points outside the folder")
    if not path.is_file():
        raise BadInput(f"{folder}: {name} is missing though the manifest lists it; build it again")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise BadInput(f"{path}: sha256 differs from the manifest's {record.sha256[:12]}...; build it again")
    return data
