"""Doors out: a Graph and a target's profile become an Artifact."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

import msgspec
import numpy as np

from toolchain.artifact import MODEL_FILE, Artifact, Manifest, Port
from toolchain.errors import BadConfig, DoesNotFit, Unsupported
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS, graph_macs
from toolchain.lower.c.memory import Plan, plan_arena
from toolchain.profile import Format, TargetProfile

TOOLS = ("numpy", "onnx", "flatbuffers", "ai-edge-litert", "onnxruntime")
Files = Mapping[str, bytes]
Ports = tuple[Port, ...]


@dataclass(frozen=True, eq=False)
class Emitted:
    """One format's files.

    inputs, outputs: as the file has them
    flash_bytes:     the file, or the constants of C
    plan:            where activations lie; C's own, an estimate for what a runtime will do otherwise
    """

    files: Files
    inputs: Ports
    outputs: Ports
    flash_bytes: int
    plan: Plan


def lower(graph: Graph, profile: TargetProfile, vectors: Mapping[str, np.ndarray]) -> Artifact:
    """Write the graph in every format of the profile.

    vectors: "input/<name>" and "output/<name>" -> (samples, ...) in the graph's own layout and dtype
    Raises Unsupported listing ops that the target cannot run, DoesNotFit with the shortfall.
    """
    _require_ops(graph, profile)
    emitted = {fmt: EMIT[fmt](graph, profile, vectors) for fmt in profile.formats}
    first = emitted[profile.formats[0]]
    static_bytes = _static_bytes(first, in_place="c" in profile.formats)
    manifest = Manifest(
        name=graph.name, target=profile.name, profile=msgspec.structs.replace(profile, folder=""),
        formats=profile.formats,
        scheme="int8" if level_of(graph) == "QUANTIZED" else "float32",
        inputs={"graph": ports(graph, graph.inputs), **{fmt: e.inputs for fmt, e in emitted.items()}},
        outputs={"graph": ports(graph, graph.outputs), **{fmt: e.outputs for fmt, e in emitted.items()}},
        graph_digest=graph.digest, source_sha256=graph.source.sha256, worst_error=graph.source.worst_error,
        static_bytes=static_bytes, weight_bytes=_weight_bytes(graph), macs=graph_macs(graph),
        parameters=graph.parameters, tools={name: version(name) for name in TOOLS}, notes=graph.source.notes)
    require_fit(static_bytes, profile, graph.name, first.plan.peak)
    files = {name: data for e in emitted.values() for name, data in e.files.items()}
    return Artifact(manifest, files, vectors)


def ports(graph: Graph, names: tuple[str, ...]) -> Ports:
    """The graph's own inputs or outputs: inner layout, its dtypes and codes."""
    return tuple(_port(graph, name) for name in names)


def _port(graph: Graph, name: str) -> Port:
    tensor, perm = graph.tensors[name], graph.permutations.get(name)
    if tensor.quant is None:
        return Port(name, tensor.shape, tensor.dtype, permutation=perm)
    scale, zero_point = float(tensor.quant.scale), int(tensor.quant.zero_point)
    return Port(name, tensor.shape, tensor.dtype, scale, zero_point, perm)


def file_ports(graph: Graph, names: tuple[str, ...], fmt: Format, io: str = "int8") -> Ports:
    """Inputs or outputs as a file of format `fmt` has them. io: dtype that int8 ones have in a .tflite"""
    if fmt == "c":
        return ports(graph, names)
    of_file = _source_port if fmt == "onnx" else partial(_with_io, io=io)
    return tuple(map(of_file, ports(graph, names)))


def _with_io(port: Port, io: str) -> Port:
    """The port of a file that was asked for another dtype at its borders."""
    if port.dtype != "int8" or io == "int8":
        return port
    if io == "float32":
        return Port(port.name, port.shape, "float32", permutation=port.permutation)
    return Port(port.name, port.shape, "uint8", port.scale, port.zero_point + 128, port.permutation)


def _source_port(port: Port) -> Port:
    """The port in the source's layout; codes are told in float."""
    perm, dtype = port.permutation or range(len(port.shape)), "float32" if port.scale else port.dtype
    return Port(port.name, tuple(port.shape[axis] for axis in perm), dtype)


def _emit_tflite(graph: Graph, profile: TargetProfile, vectors) -> Emitted:
    from toolchain.lower.tflite import write_tflite

    inputs, outputs = (file_ports(graph, names, "tflite", profile.io)
                       for names in (graph.inputs, graph.outputs))
    model = write_tflite(graph, io=profile.io)
    return Emitted({MODEL_FILE["tflite"]: model}, inputs, outputs, len(model), plan_arena(graph))


def _emit_onnx(graph: Graph, profile: TargetProfile, vectors) -> Emitted:
    from toolchain.lower.onnx import write_onnx

    inputs, outputs = (file_ports(graph, names, "onnx") for names in (graph.inputs, graph.outputs))
    model = write_onnx(graph, activations=profile.onnx_activations)
    return Emitted({MODEL_FILE["onnx"]: model}, inputs, outputs, len(model), plan_arena(graph))


def _emit_c(graph: Graph, profile: TargetProfile, vectors) -> Emitted:
    from toolchain.lower.c.emit import write_c

    if level_of(graph) != "QUANTIZED":
        raise Unsupported(f"{graph.name}: C is integer only and this graph is in float; quantize it "
                          f'(recipe: [quantize] scheme = "int8")')
    source = write_c(graph, vectors=vectors)
    inputs, outputs = (file_ports(graph, names, "c") for names in (graph.inputs, graph.outputs))
    return Emitted(source.files, inputs, outputs, source.weight_bytes, source.plan)


EMIT: Mapping[str, Callable[..., Emitted]] = {"tflite": _emit_tflite, "onnx": _emit_onnx, "c": _emit_c}


def require_known_kinds(profile: TargetProfile) -> None:
    """Raises BadConfig where the profile names a kind of op that the op table does not have."""
    for key, kinds in (("ops", profile.ops), ("channel_multiple", profile.channel_multiple)):
        if unknown := [kind for kind in kinds if kind not in OPS]:
            raise BadConfig(f"target {profile.name}: {key} names {', '.join(unknown)}; the op table has "
                            f"{', '.join(sorted(OPS))}")


def _require_ops(graph: Graph, profile: TargetProfile) -> None:
    wrong = [f"{op.name}: {op.kind}" for op in graph.ops if profile.ops and op.kind not in profile.ops]
    if wrong:
        raise Unsupported.listing(f"{graph.name} on {profile.name} (it runs {', '.join(profile.ops)})", wrong)


def _static_bytes(emitted: Emitted, in_place: bool) -> dict[str, int]:
    """Before deployment. RAM = the arena, and the file too where it is not read in place from flash."""
    arena, flash = emitted.plan.peak_bytes, emitted.flash_bytes
    return {"flash": flash, "ram": arena + (0 if in_place else flash), "arena": arena}


def _weight_bytes(graph: Graph) -> int:
    return sum(t.data.nbytes for t in graph.constants)


def require_fit(static_bytes: Mapping[str, int], profile: TargetProfile, name: str, peak: str) -> None:
    """Raises DoesNotFit with every shortfall. peak: which op needs most RAM, and what is alive there."""
    needs = (("flash", static_bytes["flash"], profile.flash_bytes),
             ("RAM", static_bytes["ram"], profile.ram_bytes))
    short = [f"{need:,} bytes of {kind} but {profile.name} has {room:,} ({need - room:,} short)"
             for kind, need, room in needs if need > room]
    if short:
        raise DoesNotFit(f"{name} needs {' and '.join(short)}. RAM peaks at {peak}. "
                         f"Prune harder ([prune] ratio), shrink the input, or pick a larger target")


def with_files(artifact: Artifact, files: Files, static_bytes: Mapping[str, int]) -> Artifact:
    """The artefact with what a later step made of it (firmware) and the figures that this settled."""
    settled = {**artifact.manifest.static_bytes, **static_bytes}
    manifest = msgspec.structs.replace(artifact.manifest, static_bytes=settled)
    return replace(artifact, manifest=manifest, files={**artifact.files, **files})
