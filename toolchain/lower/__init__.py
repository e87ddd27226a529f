"""Doors out: a Graph and a target's profile become an Artifact."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from toolchain.artifact import MODEL_FILE, Artifact, Manifest, Port
from toolchain.errors import DoesNotFit, Unsupported
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.profile import TargetProfile

TOOLS = ("numpy", "onnx", "flatbuffers", "ai-edge-litert", "onnxruntime")
Files = dict[str, bytes]
Ports = tuple[Port, ...]


def lower(graph: Graph, profile: TargetProfile, vectors: Mapping[str, np.ndarray]) -> Artifact:
    """Write the graph in every format of the profile.

    vectors: "input/<name>" and "output/<name>" -> (samples, ...) in the graph's own layout and dtype
    Raises Unsupported listing ops that the target cannot run, DoesNotFit with the shortfall.
    """
    _require_ops(graph, profile)
    files: Files = {}
    inputs, outputs = {"graph": ports(graph, graph.inputs)}, {"graph": ports(graph, graph.outputs)}
    for fmt in profile.formats:
        emitted, inputs[fmt], outputs[fmt] = EMIT[fmt](graph, profile, vectors)
        files.update(emitted)
    weights = sum(t.data.nbytes for t in graph.constants)
    manifest = Manifest(
        name=graph.name, target=profile.name, formats=profile.formats, inputs=inputs, outputs=outputs,
        graph_digest=graph.digest, source_sha256=graph.source.sha256, worst_error=graph.source.worst_error,
        static_bytes=_static_bytes(graph, profile, files), weight_bytes=weights, macs=graph_macs(graph),
        parameters=graph.parameters, tools={name: version(name) for name in TOOLS}, notes=graph.source.notes)
    require_fit(manifest.static_bytes, profile, graph.name)
    return Artifact(manifest, files, vectors)


def ports(graph: Graph, names: tuple[str, ...]) -> Ports:
    """The graph's own inputs or outputs: inner layout, its dtypes and codes."""
    return tuple(_port(graph, name) for name in names)


def _port(graph: Graph, name: str) -> Port:
    tensor, perm = graph.tensors[name], graph.permutations.get(name)
    if tensor.quant is None:
        return Port(name, tensor.shape, tensor.dtype, permutation=perm)
    return Port(name, tensor.shape, tensor.dtype, float(tensor.quant.scale), int(tensor.quant.zero_point), perm)


def _with_io(port: Port, io: str) -> Port:
    """The port of a file that was asked for another dtype at its borders."""
    if port.scale is None or io == port.dtype:
        return port
    if io == "float32":
        return Port(port.name, port.shape, "float32", permutation=port.permutation)
    return Port(port.name, port.shape, "uint8", port.scale, port.zero_point + 128, port.permutation)


def _source_port(port: Port) -> Port:
    """The port in the source's layout, in float."""
    perm = port.permutation or range(len(port.shape))
    return Port(port.name, tuple(port.shape[axis] for axis in perm), "float32")


def _emit_tflite(graph: Graph, profile: TargetProfile, vectors) -> tuple[Files, Ports, Ports]:
    from toolchain.lower.tflite import write_tflite

    sides = [tuple(_with_io(port, profile.io) for port in ports(graph, names)) for names in (graph.inputs, graph.outputs)]
    return {MODEL_FILE["tflite"]: write_tflite(graph, io=profile.io)}, *sides


def _emit_onnx(graph: Graph, profile: TargetProfile, vectors) -> tuple[Files, Ports, Ports]:
    from toolchain.lower.onnx import write_onnx

    sides = [tuple(_source_port(port) for port in ports(graph, names)) for names in (graph.inputs, graph.outputs)]
    return {MODEL_FILE["onnx"]: write_onnx(graph, activations=profile.onnx_activations)}, *sides


def _emit_c(graph: Graph, profile: TargetProfile, vectors) -> tuple[Files, Ports, Ports]:
    from toolchain.lower.c.emit import write_c

    if level_of(graph) != "QUANTIZED":
        raise Unsupported(f"{graph.name}: C is integer only and this graph is in float; quantize it "
                          f'(recipe: [quantize] scheme = "int8")')
    return dict(write_c(graph, vectors=vectors).files), ports(graph, graph.inputs), ports(graph, graph.outputs)


EMIT: Mapping[str, Callable[..., tuple[Files, Ports, Ports]]] = {
    "tflite": _emit_tflite, "onnx": _emit_onnx, "c": _emit_c}


def _require_ops(graph: Graph, profile: TargetProfile) -> None:
    wrong = [f"{op.name}: {op.kind}" for op in graph.ops if profile.ops and op.kind not in profile.ops]
    if wrong:
        raise Unsupported.listing(f"{graph.name} on {profile.name} (it runs {', '.join(profile.ops)})", wrong)


def _static_bytes(graph: Graph, profile: TargetProfile, files: Files) -> dict[str, int]:
    """Estimates before deployment: flash = the model file, or the weights alone for C; arena = activations that are
    alive at once; RAM adds what is not read in place."""
    from toolchain.lower.c.memory import plan_arena

    arena = plan_arena(graph).peak_bytes
    fmt = profile.formats[0]
    if fmt == "c":
        return {"flash": sum(t.data.nbytes for t in graph.constants), "ram": arena, "arena": arena}
    flash = len(files[MODEL_FILE[fmt]])
    return {"flash": flash, "ram": flash + arena, "arena": arena}


def require_fit(static_bytes: Mapping[str, int], profile: TargetProfile, name: str) -> None:
    """Raises DoesNotFit with every shortfall."""
    room = {"flash": profile.flash_bytes, "ram": profile.ram_bytes}
    short = [f"{static_bytes[kind]:,} bytes of {kind} but {profile.name} has {have:,} ({static_bytes[kind] - have:,} short)"
             for kind, have in room.items() if static_bytes[kind] > have]
    if short:
        raise DoesNotFit(f"{name} needs {' and '.join(short)}. Prune harder ([prune] ratio), shrink the input, "
                         f"or pick a larger target")


def with_files(artifact: Artifact, files: Files, static_bytes: Mapping[str, int]) -> Artifact:
    """The artefact with what a later step made of it (firmware) and the figures that this settled."""
    import msgspec

    manifest = msgspec.structs.replace(artifact.manifest, static_bytes={**artifact.manifest.static_bytes, **static_bytes})
    return replace(artifact, manifest=manifest, files={**artifact.files, **files})
