"""What `edge diagnose` does: a float model, INT8 made of it here or elsewhere; what is lost, and where."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolchain import deploy
from toolchain.artifact import Artifact
from toolchain.data import Samples, load_samples
from toolchain.diagnose.blame import suspects
from toolchain.diagnose.findings import Diagnosis, Quality
from toolchain.diagnose.ladder import Arrays, Rung, climb, near_codes, same_codes
from toolchain.diagnose.layers import layer_figures
from toolchain.diagnose.match import matched
from toolchain.diagnose.quality import quality_of
from toolchain.diagnose.rungs import INT8, Networks, rungs, through_source
from toolchain.errors import BadInput, BadSamples
from toolchain.execution import watch
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.load import load, open_source
from toolchain.pipeline import Prepared, build, prepare, samples_for
from toolchain.port import convert
from toolchain.profile import Format, TargetProfile
from toolchain.quantize.reals import as_codes, reals_of
from toolchain.quantize.sensitivity import COUNT, costing, logits, sensitivity
from toolchain.recipe import Recipe
from toolchain.runtime import reference

JUDGING = ("selection", "test", "calibration")
"""Splits whose samples judge, the first that is there: what is tried because of a diagnosis has then not seen
the test samples."""
SAMPLES, LAYER_SAMPLES = 256, 64
ON_LADDER = 4
"""Samples that every rung runs."""
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is diagnosed.

    profile: of the target, or None;  device: where its artefact runs too, as a rung of its own
    against: an INT8 file made elsewhere, instead of quantizing here
    """

    model: str
    data: str
    recipe: Recipe
    profile: TargetProfile | None = None
    device: str | None = None
    against: Path | None = None
    checkpoint: Path | None = None


def diagnose(subject: Subject, count: int = SAMPLES, say: Say = lambda message: None) -> Diagnosis:
    """Judged by at most `count` samples.

    Raises BadInput where the model is no float one, BadSamples, and what loading and quantizing raise.
    """
    samples = load_samples(subject.data)
    opened = _open(subject, samples, say)
    graph, quantized = opened.networks.float_graph, opened.networks.quantized
    split, judged = judging(samples_for(graph, subject.recipe, samples))
    judged = judged.fit_to(graph).take(count)
    say(f"judging by {len(judged)} samples ({split})")
    ranking = sensitivity(graph, quantized, judged, watch, inputs=True)
    layers = layer_figures(graph, quantized, judged.take(LAYER_SAMPLES), watch, ranking)
    island = "int16" if subject.profile and "c" in subject.profile.formats else "float32"
    blamed = suspects(graph, quantized, layers, ranking, costing(graph, judged.take(COUNT), watch),
                      subject.recipe, island)
    begins = f"it begins at {blamed[0].name} ({blamed[0].kind})" if blamed else "no single op stands out"
    steps = climb([*rungs(opened.networks, judged.take(ON_LADDER).feeds(slice(None)), begins),
                   *opened.more_rungs(judged.take(ON_LADDER))], say)
    called = str(subject.against or f"{subject.recipe.quantize.scheme} by the recipe")
    return Diagnosis(model=subject.model, quantized=called, data=subject.data, split=split, n=len(judged),
                     ladder=steps, layers=layers, suspects=blamed,
                     quality=_quality(graph, quantized, judged), notes=opened.notes)


def judging(samples: Samples) -> tuple[str, Samples]:
    """(name of the split, its samples): the first of JUDGING that is there, or all where there are none."""
    if samples.splits is None:
        return "in no split: the same that calibrate", samples
    there = next((name for name in JUDGING if (samples.splits == name).any()), None)
    if there is None:
        raise BadSamples(f"{samples.name}: no samples to judge by; give some for 'selection' or 'test'")
    return there, samples.split(there)


@dataclass(frozen=True, eq=False)
class Opened:
    """A subject, loaded and quantized.

    more_rungs: (samples) -> rungs that the room `diagnose` does not know: the file made elsewhere, the device
    """

    networks: Networks
    more_rungs: Callable[[Samples], list[Rung]]
    notes: tuple[str, ...] = ()


def _open(subject: Subject, samples: Samples, say: Say) -> Opened:
    recipe, checkpoint = subject.recipe, subject.checkpoint or subject.recipe.checkpoint
    say(f"loading {subject.model}")
    loaded = load(subject.model, shapes=recipe.shapes, checkpoint=checkpoint)
    if level_of(loaded) == "QUANTIZED":
        raise BadInput(f"{subject.model}: is already quantized, and only its float model can say what was "
                       f"lost; give that one, and this file as --against")
    why_not = _changed(recipe)
    source = None if why_not else open_source(subject.model, recipe.shapes, checkpoint)[1]
    if subject.against is not None:
        return _elsewhere(subject, loaded, source)
    if recipe.quantize.float_weights:
        raise BadInput(f'the recipe\'s [quantize] scheme = "{recipe.quantize.scheme}" leaves the network in '
                       f'float; take a static one, such as "static_wi8_ai8"')
    prepared = prepare(loaded, recipe, samples, subject.profile, say)
    activations = subject.profile.onnx_activations if subject.profile else "int8"
    networks = Networks(source, prepared.float_graph, prepared.graph, why_not, activations=activations)
    return Opened(networks, lambda few: _device_rungs(subject, prepared, samples, few, say),
                  prepared.graph.source.notes)


def _changed(recipe: Recipe) -> str:
    """Why the float graph is not what the source computes; "" where it is."""
    made = [name for name in ("prune", "low_rank", "sparsify", "cluster", "train") if getattr(recipe, name)] \
        + (["input"] if recipe.input.takes_frames else [])
    if not made:
        return ""
    return f"the recipe's [{'], ['.join(made)}] make another network of it; what loads it has compared it"


def _elsewhere(subject: Subject, loaded: Graph, source) -> Opened:
    """INT8 as a file has it."""
    if subject.recipe.shrinks or subject.recipe.qat or subject.recipe.input.takes_frames or subject.device:
        raise BadInput(f"{subject.against}: is compared as it is; leave --device, and of the recipe "
                       f"[input] and all that makes the network smaller or trains it, out")
    theirs = canonical(load(subject.against))
    if level_of(theirs) != "QUANTIZED":
        raise BadInput(f"{subject.against}: has no integer activations; --against takes an INT8 .tflite "
                       f"or .onnx")
    float_graph = canonical(loaded)
    found = matched(float_graph, theirs)
    networks = Networks(source, float_graph, found.graph)
    notes = (str(found), "what to try is for quantizing here, without --against")
    return Opened(networks, lambda few: [_file_rung(subject.against, networks, few)], notes)


def _file_rung(path: Path, networks: Networks, few: Samples) -> Rung:
    """The file itself in the runtime that it is for."""
    literal, oracle = open_source(path)
    graph, feeds = networks.quantized, few.feeds(slice(None))
    exact = reference.run(networks.float_graph, feeds)
    return Rung(f"{path.name} itself", INT8, lambda: through_source(literal, oracle, graph, feeds),
                near_codes(graph, exact))


def _device_rungs(subject: Subject, prepared: Prepared, samples: Samples, few: Samples,
                  say: Say) -> list[Rung]:
    """The artefact for the target, on its own device. Raises BadInput for a device without a target."""
    if subject.device is None:
        return []
    if subject.profile is None:
        raise BadInput(f"--device {subject.device}: an artefact is built for a target; give --target")
    if prepared.recipe.streaming:
        raise BadInput(f"--device {subject.device}: what is diagnosed are whole sequences, which a streaming "
                       f"artefact takes step by step; leave out --device, or streaming = true of the recipe: "
                       f"its codes are the same")
    artifact = build(prepared, subject.profile, samples, say)
    fmt = deploy.chosen_format(artifact, None)
    codes = as_codes(prepared.graph, few.feeds(slice(None)))
    exact = reference.run(prepared.float_graph, few.feeds(slice(None)))
    judge = same_codes if fmt == "c" else near_codes(prepared.graph, exact)
    return [Rung(f"{subject.device} ({fmt})", INT8, lambda: _on_device(artifact, subject.device, fmt, codes),
                 judge)]


def _on_device(artifact: Artifact, device: str, fmt: Format, codes: Arrays) -> Arrays:
    """Outputs in the graph's codes."""
    manifest = artifact.manifest
    moved = {want.name: convert(codes[have.name], have, want)
             for have, want in zip(manifest.inputs["graph"], manifest.inputs[fmt], strict=True)}
    with deploy.deployed(artifact, device, fmt) as session:
        outputs = session.run(moved)
    return {want.name: convert(outputs[have.name], have, want)
            for have, want in zip(manifest.outputs[fmt], manifest.outputs["graph"], strict=True)}


def _quality(graph: Graph, quantized: Graph, judged: Samples) -> Quality:
    """Of the first output, before a last softmax. Labels count where they are classes."""
    name = (logits(graph) or graph.outputs)[0]
    other = name if name in quantized.tensors else quantized.outputs[0]
    name = name if name in quantized.tensors else graph.outputs[0]
    (exact,), (found,) = (reals_of(net, (tensor,), judged, watch)
                         for net, tensor in ((graph, name), (quantized, other)))
    return quality_of(exact, found, _labels(judged, exact), judged.classes or graph.metadata.labels)


def _labels(judged: Samples, outputs: np.ndarray) -> np.ndarray | None:
    y = judged.y
    whole = y is not None and np.ndim(y) == 1 and np.asarray(y).dtype.kind in "iu"
    return np.asarray(y) if whole and outputs[0].size > 1 else None
