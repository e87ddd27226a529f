"""Doors out for chains: each stage in every format of the target; in C one library, with the policy in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

import msgspec

from toolchain.artifact import MODEL_FILE, Artifact, Manifest
from toolchain.chain import Chain
from toolchain.errors import Unsupported
from toolchain.lower import (
    EMIT,
    TOOLS,
    Arrays,
    Asked,
    Files,
    machine_of,
    portable_notes,
    require_fit,
    require_integers,
    require_ops,
    scheme_name,
    weight_bytes,
)
from toolchain.lower.borders import Ports, file_ports, ports
from toolchain.port import convert
from toolchain.profile import Format, TargetProfile
from toolchain.stages import ChainRecord, StageRecord, stage_file


@dataclass(frozen=True, eq=False)
class EmittedChain:
    """One format's files. As lower.Emitted; stages: (inputs, outputs) of each stage's file, () in C"""

    files: Files
    inputs: Ports
    flash_bytes: int
    arena_bytes: int
    stages: tuple[tuple[Ports, Ports], ...] = ()
    notes: tuple[str, ...] = ()


def lower_chain(chain: Chain, profile: TargetProfile, vectors: Arrays, asked: Asked = Asked()) -> Artifact:
    """Write the chain in every format of the profile, and in those beside these that have a form for it.

    vectors: as `lower` takes them, of the chain's inputs and outputs; and outputs of all levels but the last,
             as `level_output` names them
    Raises Unsupported listing ops that the target cannot run, DoesNotFit with the shortfall; whether C fits,
    only linking tells.
    """
    for graph in chain.stages:
        require_ops(graph, profile)
    emitted = {fmt: _emit(chain, fmt, profile, vectors, asked) for fmt in profile.formats}
    left_out = []
    for fmt in profile.also:
        try:
            emitted[fmt] = _emit(chain, fmt, profile, vectors, asked)
        except Unsupported as error:
            left_out.append(f"{MODEL_FILE[fmt]} is left out: {error}")
    first, last, ends = emitted[profile.formats[0]], chain.stages[-1], chain.ends
    outputs = ports(ends, ends.outputs)
    ram = first.arena_bytes + (0 if "c" in profile.formats else first.flash_bytes)
    manifest = Manifest(
        name=chain.name, target=profile.name, profile=msgspec.structs.replace(profile, folder=""),
        formats=(*emitted,), scheme=scheme_name(last, asked.weights),
        inputs={"graph": ports(ends, ends.inputs), **{fmt: e.inputs for fmt, e in emitted.items()}},
        outputs={"graph": outputs, **dict.fromkeys(emitted, outputs)},
        chain=ChainRecord(tuple(_record(chain, number, emitted) for number in range(len(chain.stages))),
                          chain.policies, chain.apart, chain.levels),
        graph_digest=chain.digest, source_sha256=last.source.sha256, worst_error=last.source.worst_error,
        static_bytes={"flash": first.flash_bytes, "ram": ram, "arena": first.arena_bytes},
        weight_bytes=sum(map(weight_bytes, chain.stages)), macs=chain.macs,
        parameters=sum(graph.parameters for graph in chain.stages),
        tools={name: version(name) for name in TOOLS}, notes=(*_notes(chain, emitted), *left_out),
        labels=ends.metadata.labels, frames=dict(ends.metadata.frames))
    if "c" not in profile.formats:
        require_fit(manifest.static_bytes, profile, chain.name)
    files = {name: data for e in emitted.values() for name, data in e.files.items()}
    return Artifact(manifest, {**files, **_for_people(chain, emitted)}, vectors)


def _record(chain: Chain, number: int, emitted: Mapping[Format, EmittedChain]) -> StageRecord:
    graph = chain.stages[number]
    there = {fmt: e.stages[number] for fmt, e in emitted.items() if e.stages}
    return StageRecord({"graph": ports(graph, graph.inputs), **{fmt: ends[0] for fmt, ends in there.items()}},
                       {"graph": ports(graph, graph.outputs), **{f: ends[1] for f, ends in there.items()}},
                       chain.multipliers[number])


def _notes(chain: Chain, emitted: Mapping[Format, EmittedChain]) -> tuple[str, ...]:
    return (*(f"stage {number}: {note}" for number, graph in enumerate(chain.stages)
              for note in graph.source.notes), *(note for e in emitted.values() for note in e.notes))


def _for_people(chain: Chain, emitted: Mapping[Format, EmittedChain]) -> Files:
    """How the C is used, and the classes' names."""
    from toolchain.lower.metadata import LABELS_FILE, labels_text
    from toolchain.lower.usage import usage_files

    ends = chain.ends
    labels = {LABELS_FILE: labels_text(ends.metadata.labels)} if ends.metadata.labels else {}
    given = {"c": (emitted["c"].inputs, ports(ends, ends.outputs))} if "c" in emitted else {}
    shared = any("shared.c" in each.files for each in emitted.values())
    return labels | usage_files(chain.name, given, ends.metadata, chain=True, shared=shared)


def _emit(chain: Chain, fmt: Format, profile: TargetProfile, vectors: Arrays, asked: Asked) -> EmittedChain:
    return (_emit_c if fmt == "c" else _emit_files)(chain, fmt, profile, vectors, asked)


def _emit_files(chain: Chain, fmt: Format, profile: TargetProfile, vectors: Arrays,
                asked: Asked) -> EmittedChain:
    """A file of each stage, named stage_<number>."""
    made = [EMIT[fmt](graph, profile, {}, asked) for graph in chain.stages]
    found = {port.name: port for e in reversed(made) for port in e.inputs}
    files = {stage_file(number, MODEL_FILE[fmt]): e.files[MODEL_FILE[fmt]] for number, e in enumerate(made)}
    notes = tuple(f"stage {number}: {note}" for number, e in enumerate(made) for note in e.notes)
    return EmittedChain(files, tuple(found[tensor.name] for tensor in chain.inputs),
                        sum(map(len, files.values())), max(e.plan.peak_bytes for e in made),
                        tuple((e.inputs, e.outputs) for e in made), notes)


def _emit_c(chain: Chain, fmt: Format, profile: TargetProfile, vectors: Arrays, asked: Asked) -> EmittedChain:
    from toolchain.lower.c.chain import write_chain

    for graph in chain.stages:
        require_integers(graph, asked)
    ends = chain.ends
    inputs = file_ports(ends, ends.inputs, fmt, asked.input_dtype)
    own = {f"input/{have.name}": convert(vectors[f"input/{have.name}"], have, want)
           for have, want in zip(ports(ends, ends.inputs), inputs) if vectors}
    source = write_chain(chain, {**vectors, **own}, asked.input_dtype or "int8", machine_of(profile, asked))
    return EmittedChain(source.files, inputs, source.weight_bytes, source.arena_bytes,
                        notes=(*source.notes, *portable_notes(profile)))
