"""Doors out: a Graph and a target's profile become an Artifact."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version

import msgspec
import numpy as np

from toolchain.artifact import ARENA_FILE, MODEL_FILE, Artifact, Manifest, own_output
from toolchain.errors import BadConfig, DoesNotFit, Unsupported
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph, Tensor
from toolchain.ir.ops import OPS, graph_macs
from toolchain.ir.streaming import Streaming
from toolchain.ir.unrolling import unrolled
from toolchain.lower.borders import Ports, file_ports, ports
from toolchain.lower.c.arena.plan import Plan, plan_arena
from toolchain.lower.c.machine import ROOMS, Machine
from toolchain.port import convert
from toolchain.profile import Format, TargetProfile
from toolchain.recipe import CConfig, TFLiteConfig
from toolchain.runtime import reference

TOOLS = ("numpy", "onnx", "flatbuffers", "ai-edge-litert", "onnxruntime")
Files = Mapping[str, bytes]
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Emitted:
    """One format's files.

    inputs, outputs: as the file has them
    flash_bytes:     the file, or the constants of C
    plan:            where activations lie; C's own, an estimate for what a runtime will do otherwise
    notes:           what was changed on the way, in words
    answers:         as `artifact.own_output` names them: the vectors' outputs, where the file computes in
                     other numbers than the graph
    """

    files: Files
    inputs: Ports
    outputs: Ports
    flash_bytes: int
    plan: Plan
    notes: tuple[str, ...] = ()
    answers: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What a recipe says of the files.

    input_dtype: of the files' inputs where the graph has int8 ones; by default the profile's and format's own
    weights:     of a float graph, as `write_tflite` takes it; a note says which other formats keep float32
    c, tflite:   how these are written
    streaming:   how the graph is run, where it does one step of a sequence
    sequences:   the graph of whole sequences that it then was made of
    """

    input_dtype: str | None = None
    weights: str = "float32"
    c: CConfig = CConfig()
    tflite: TFLiteConfig = TFLiteConfig()
    streaming: Streaming | None = None
    sequences: Graph | None = None


def lower(graph: Graph, profile: TargetProfile, vectors: Arrays, asked: Asked = Asked()) -> Artifact:
    """Write the graph in every format of the profile.

    vectors: "input/<name>" and "output/<name>" -> (samples, ...) in the graph's own layout and dtype
    A network of int16 activations has no .onnx form: where there are other formats, a note says that it is
    left out, as of the profile's `also` whatever has no form in them. 16-bit islands are on reals in .onnx,
    as another note says.
    Raises Unsupported listing ops that the target cannot run, DoesNotFit with the shortfall; whether C fits,
    only linking tells.
    """
    require_ops(graph, profile)
    formats = _formats(graph, profile)
    emitted = {fmt: EMIT[fmt](graph, profile, vectors, asked) for fmt in formats}
    beside, left_out = _beside(graph, profile, vectors, asked)
    first = emitted[formats[0]]
    static_bytes = _static_bytes(first, in_place="c" in profile.formats)
    manifest = Manifest(
        name=graph.name, target=profile.name, profile=msgspec.structs.replace(profile, folder=""),
        formats=(*formats, *beside),
        scheme=scheme_name(graph, asked.weights),
        inputs={"graph": ports(graph, graph.inputs),
                **{fmt: e.inputs for fmt, e in {**emitted, **beside}.items()}},
        outputs={"graph": ports(graph, graph.outputs),
                 **{fmt: e.outputs for fmt, e in {**emitted, **beside}.items()}},
        graph_digest=graph.digest, source_sha256=graph.source.sha256, worst_error=graph.source.worst_error,
        static_bytes=static_bytes, weight_bytes=weight_bytes(graph), macs=graph_macs(graph),
        parameters=graph.parameters, tools={name: version(name) for name in TOOLS},
        notes=(*graph.source.notes, *_weight_notes(graph, profile, asked.weights),
               *_wide_notes(graph, profile, formats), *left_out,
               *(note for e in (*emitted.values(), *beside.values()) for note in e.notes)),
        labels=graph.metadata.labels, frames=dict(graph.metadata.frames), streaming=asked.streaming)
    if "c" not in profile.formats:
        require_fit(static_bytes, profile, graph.name)
    files = {name: data for e in (*emitted.values(), *beside.values()) for name, data in e.files.items()}
    files |= _for_people(graph, emitted, asked.streaming)
    answers = {name: values for e in (*emitted.values(), *beside.values())
               for name, values in e.answers.items()}
    return Artifact(manifest, files, {**vectors, **answers})


def _beside(graph: Graph, profile: TargetProfile, vectors: Arrays,
            asked: Asked) -> tuple[dict[Format, Emitted], list[str]]:
    """The profile's `also`: what has a form there, and a note on each format that is left out."""
    emitted, left_out = {}, []
    for fmt in profile.also:
        try:
            emitted[fmt] = EMIT[fmt](graph, profile, vectors, asked)
        except Unsupported as error:
            left_out.append(f"{MODEL_FILE[fmt]} is left out: {error}")
    return emitted, left_out


def _formats(graph: Graph, profile: TargetProfile) -> tuple[Format, ...]:
    """Those of the profile; of a graph with int16 activations all but .onnx, where there are others."""
    wide = scheme_name(graph, "float32") == "static_wi8_ai16"
    others = tuple(fmt for fmt in profile.formats if fmt != "onnx")
    return others if wide and others else profile.formats


def _wide_notes(graph: Graph, profile: TargetProfile, formats: tuple[Format, ...]) -> Iterator[str]:
    """What becomes of 16-bit activations where a format has none."""
    for fmt in profile.formats:
        if fmt not in formats:
            yield f"{MODEL_FILE[fmt]} is left out: a network of int16 activations has no form in it"
        elif fmt == "onnx" and any(t.dtype == "int16" for t in graph.activations):
            yield f"{MODEL_FILE[fmt]} computes its 16-bit islands in float, with their int8 weights"


def _for_people(graph: Graph, emitted: Mapping[Format, Emitted], streaming: Streaming | None) -> Files:
    """How the files are used, and the classes' names."""
    from toolchain.lower.metadata import LABELS_FILE, labels_text
    from toolchain.lower.usage import usage_files

    labels = {LABELS_FILE: labels_text(graph.metadata.labels)} if graph.metadata.labels else {}
    ports = {fmt: (e.inputs, e.outputs) for fmt, e in emitted.items()}
    memories = len(emitted["c"].plan.regions) if "c" in emitted else 1
    return labels | usage_files(graph.name, ports, graph.metadata, memories, streaming,
                                graph.permutations)


def _emit_tflite(graph: Graph, profile: TargetProfile, vectors: Arrays, asked: Asked) -> Emitted:
    from toolchain.lower.tflite import write_tflite
    from toolchain.lower.tflite_islands import island_note

    integer_only = profile.integer_only or asked.tflite.islands == "needed"
    inputs = file_ports(graph, graph.inputs, "tflite", asked.input_dtype or profile.io)
    outputs = file_ports(graph, graph.outputs, "tflite", profile.io)
    model = write_tflite(graph, io=profile.io, input_io=asked.input_dtype, weights=asked.weights,
                         integer_only=integer_only)
    return Emitted({MODEL_FILE["tflite"]: model}, inputs, outputs, len(model),
                   plan_arena(unrolled(graph).graph), island_note(unrolled(graph).graph, integer_only))


def _emit_onnx(graph: Graph, profile: TargetProfile, vectors: Arrays, asked: Asked) -> Emitted:
    from toolchain.lower.onnx import write_onnx
    from toolchain.lower.onnx_loops import coded_layers, loops_on_reals, step_on_reals
    from toolchain.lower.onnx_recurrent import float_note, step_note

    whole = asked.sequences or graph
    written = step_on_reals(whole, asked.streaming) if asked.sequences else loops_on_reals(graph)
    inputs = file_ports(written, written.inputs, "onnx", asked.input_dtype)
    outputs = file_ports(written, written.outputs, "onnx")
    stored = "float16" if asked.weights == "float16" and level_of(graph) == "FLOAT" else "float32"
    model = write_onnx(written, activations=profile.onnx_activations,
                       input_io=asked.input_dtype or "float32", weights=stored)
    answers = _answers(graph, written, vectors, "onnx") if coded_layers(whole) else {}
    return Emitted({MODEL_FILE["onnx"]: model}, inputs, outputs, len(model),
                   plan_arena(unrolled(written).graph), (*float_note(whole), *step_note(graph)), answers)


def _answers(graph: Graph, written: Graph, vectors: Arrays, fmt: Format) -> Arrays:
    """The vectors' outputs by a graph that is written in the place of `graph`, in the codes of that one."""
    if not vectors:
        return {}
    feeds = {want.name: convert(vectors[f"input/{want.name}"], have, want) for have, want in
             zip(ports(graph, graph.inputs), ports(written, written.inputs), strict=True)}
    found = reference.run(written, feeds)
    return {own_output(fmt, want.name): convert(found[want.name], have, want) for have, want in
            zip(ports(written, written.outputs), ports(graph, graph.outputs), strict=True)}


def _emit_c(graph: Graph, profile: TargetProfile, vectors: Arrays, asked: Asked) -> Emitted:
    from toolchain.lower.c.emit import write_c

    require_integers(graph, asked)
    inputs, outputs = (file_ports(graph, names, "c", io) for names, io in
                       ((graph.inputs, asked.input_dtype), (graph.outputs, None)))
    own = {f"input/{have.name}": convert(vectors[f"input/{have.name}"], have, want)
           for have, want in zip(ports(graph, graph.inputs), inputs) if vectors}
    source = write_c(graph, vectors={**vectors, **own}, input_io=asked.input_dtype or "int8",
                     machine=machine_of(profile, asked))
    files = {**source.files, ARENA_FILE: msgspec.json.encode(source.arena_map)}
    return Emitted(files, inputs, outputs, source.weight_bytes, source.plan,
                   (*source.notes, *portable_notes(profile)))


def require_integers(graph: Graph, asked: Asked) -> None:
    """Raises Unsupported where there is something that C does not take."""
    if level_of(graph) != "QUANTIZED" or asked.input_dtype == "float32":
        raise Unsupported(f"{graph.name}: C is integer only and this graph, or its input, is in float; "
                          f'quantize it (recipe: [quantize] scheme = "static_wi8_ai8") and give it codes')


def machine_of(profile: TargetProfile, asked: Asked) -> Machine:
    """What C is written for."""
    return Machine(profile.isa, asked.c.optimise, profile.ram_bytes, asked.c.patches,
                   tuple(profile.regions.items()))


def portable_notes(profile: TargetProfile) -> tuple[str, ...]:
    """Where C has no kernels for the target's core."""
    return () if profile.isa in ROOMS else (
        f"isa '{profile.isa}' has no kernels of its own, so that C is portable and slower; those that have "
        f"some: {', '.join(ROOMS)}",)


EMIT: Mapping[str, Callable[..., Emitted]] = {"tflite": _emit_tflite, "onnx": _emit_onnx, "c": _emit_c}


def require_known_kinds(profile: TargetProfile) -> None:
    """Raises BadConfig where the profile names a kind of op that the op table does not have."""
    for key, kinds in (("ops", profile.ops), ("channel_multiple", profile.channel_multiple)):
        if unknown := [kind for kind in kinds if kind not in OPS]:
            raise BadConfig(f"target {profile.name}: {key} names {', '.join(unknown)}; the op table has "
                            f"{', '.join(sorted(OPS))}")


def scheme_name(graph: Graph, weights: str) -> str:
    """Name of what the numbers became, as the recipe calls it."""
    if level_of(graph) == "FLOAT":
        grids = {t.quant.dtype.replace("int", "wi") for t in graph.constants if t.quant is not None}
        if grids:
            return f"weight_only_{min(grids)}_afp32"
        return f"dynamic_{weights.replace('int', 'wi')}_afp32" if weights.startswith("int") else weights
    wide = {t.dtype for t in graph.activations if t.quant is not None} == {"int16"}
    if any(t.quant is not None and t.quant.dtype == "int4" for t in graph.constants):
        return "static_wi4_ai8"
    return "static_wi8_ai16" if wide else "static_wi8_ai8"


def _weight_notes(graph: Graph, profile: TargetProfile, weights: str) -> tuple[str, ...]:
    """Which files keep float32 weights because their format has no form for what was asked."""
    if not weights.startswith("int") or level_of(graph) == "QUANTIZED":
        return ()
    return tuple(f"{MODEL_FILE[fmt]} keeps float32 weights: {weights} ones under float activations have a "
                 f"form in .tflite only" for fmt in profile.formats if fmt != "tflite")


def require_ops(graph: Graph, profile: TargetProfile) -> None:
    """Raises Unsupported where the profile names the ops that its target runs, and the graph has others."""
    wrong = [f"{op.name}: {op.kind}" for op in graph.ops if profile.ops and op.kind not in profile.ops]
    if wrong:
        raise Unsupported.listing(f"{graph.name} on {profile.name} (it runs {', '.join(profile.ops)})", wrong)


def _static_bytes(emitted: Emitted, in_place: bool) -> dict[str, int]:
    """Before deployment. RAM = the arena, and the file too where it is not read in place from flash."""
    arena, flash = emitted.plan.peak_bytes, emitted.flash_bytes
    return {"flash": flash, "ram": arena + (0 if in_place else flash), "arena": arena}


def weight_bytes(graph: Graph) -> int:
    return sum(map(_stored_bytes, graph.constants))


def _stored_bytes(constant: Tensor) -> int:
    """4-bit codes lie two to a byte; a float32 constant on a grid of 8 or 4 bits is stored as its codes."""
    bits = {"int4": 4, "int8": 8}.get(constant.quant.dtype if constant.quant else "")
    return constant.data.nbytes if bits is None else -(-constant.size * bits // 8)


def require_fit(static_bytes: Mapping[str, int], profile: TargetProfile, name: str) -> None:
    """Raises DoesNotFit with every shortfall."""
    needs = (("flash", static_bytes["flash"], profile.flash_bytes),
             ("RAM", static_bytes["ram"], profile.ram_bytes))
    short = [f"{need:,} bytes of {kind} but {profile.name} has {room:,} ({need - room:,} short)"
             for kind, need, room in needs if need > room]
    if short:
        raise DoesNotFit(f"{name} needs {' and '.join(short)}")


def with_files(artifact: Artifact, files: Files, static_bytes: Mapping[str, int]) -> Artifact:
    """The artefact with what a later step made of it (firmware) and the figures that this settled."""
    settled = {**artifact.manifest.static_bytes, **static_bytes}
    manifest = msgspec.structs.replace(artifact.manifest, static_bytes=settled)
    return replace(artifact, manifest=manifest, files={**artifact.files, **files})
