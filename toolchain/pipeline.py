"""The whole flow, and the only place where stages meet.

load, prune, train, calibrate, quantize (and train as quantized), lower, build firmware
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
import shutil

import msgspec

from toolchain.adaptive.report import levels_text, report_text
from toolchain.artifact import Artifact
from toolchain.chain_building import with_firmware
from toolchain.cost_table import load_cost_table
from toolchain.data import Samples, load_samples
from toolchain.errors import DoesNotFit, ToolchainError, Unsupported
from toolchain.exits import build_exits, with_trained_exits
from toolchain.features import FEATURES_FILE, features_file
from toolchain.graph_file import Keep
from toolchain.input_checks import findings
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.ir.streaming import streamed
from toolchain.load import load
from toolchain.load.absorb import integers_for
from toolchain.lower import Asked, lower, require_known_kinds, with_files
from toolchain.post_training import PostTraining, controlled, with_observer
from toolchain.preprocess import fold_frames, frame_samples, network_samples, with_labels
from toolchain.profile import TargetProfile
from toolchain.quantize.quantize import quantize
from toolchain.quantize.shared_codes import SharedCodes, shared_codes
from toolchain.quantize.stats_file import StatsFile, read_stats
from toolchain.recipe import Recipe
from toolchain.tomlfile import encode_toml
from toolchain.vectors import step_vectors, vectors_of

Say = Callable[[str], None]


def quiet(message: str) -> None:
    """A `Say` that says nothing."""


def build_model(model: str, profile: TargetProfile, recipe: Recipe, data: str | None, say: Say = quiet,
                checkpoint: Path | None = None, stats: Path | None = None,
                unfinished: Path | None = None) -> Artifact:
    """From a model file or module and a set of samples to an artefact for one target.

    checkpoint: the module's weights, instead of the recipe's
    stats:      what `edge calibrate` wrote of the same model, instead of calibrating; with its observer,
                unless the recipe asks for another
    unfinished: folder in which training is kept while it goes on, and removed at the end: after a kill the
                same call goes on from there, and one with another recipe is refused with BadInput
    """
    require_known_kinds(profile)
    seen = read_stats(stats) if stats else None
    recipe = with_observer(recipe, seen) if seen else recipe
    samples = load_samples(data) if data else None
    say(f"loading {model}")
    graph = load(model, shapes=recipe.shapes, checkpoint=checkpoint or recipe.checkpoint)
    graph = integers_for(graph, profile.formats)
    with _kept_while_running(unfinished):
        prepared = prepare(graph, recipe, samples, profile, say, seen, unfinished)
        return build(prepared, profile, samples, say)


@contextmanager
def _kept_while_running(folder: Path | None) -> Iterator[None]:
    """Removed at the end; after an error too, unless it was there before: it may be another run's."""
    if folder is None:
        yield
        return
    before = folder.exists()
    try:
        yield
    except ToolchainError:
        if not before:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model on its way to targets.

    float_graph: canonical; pruned and fine-tuned, on raw frames, its channels equalised if the recipe says so
    graph:       what is deployed: quantized, or float_graph itself
    recipe:      what leads here; what accuracy control had to find is decided in it
    narrower:    what is deployed of it in the recipe's other widths, the widest first
    """

    float_graph: Graph
    graph: Graph
    recipe: Recipe
    narrower: tuple[Graph, ...] = ()


def prepare(graph: Graph, recipe: Recipe, samples: Samples | None, profile: TargetProfile | None = None,
            say: Say = quiet, stats: StatsFile | None = None, folder: Path | None = None,
            keep: Keep | None = None) -> Prepared:
    """Everything that does not depend on a target's format. A quantized graph is taken as it is.

    profile: of a target whose channels pruning minds, and whose numbers accuracy control may widen to
    stats:   of the canonical float graph, if it was calibrated before
    folder:  where training is kept while it goes on, or None
    keep:    by whom pruned and trained networks are kept, or None: as Shrinking has it
    """
    graph = with_labels(graph, recipe.input.labels, samples)
    if recipe.streaming:
        streamed(canonical(graph))  # refused before anything is trained
    if level_of(graph) == "QUANTIZED":
        if recipe.shrinks or recipe.qat or recipe.exits or recipe.widths or recipe.input.takes_frames:
            raise Unsupported(f"{graph.name} is already quantized: it cannot be pruned or trained, or take "
                              f"other inputs; start from its float model")
        fixed = canonical(graph)
        return Prepared(fixed, fixed, recipe)
    source, *others = _smaller(graph, recipe, samples, profile, say, folder, keep)
    found = _quantized(source, recipe, samples, profile, say, stats, folder)
    narrower = tuple(_quantized(each, recipe, samples, profile, say, wide=found).graph for each in others)
    return replace(found, narrower=narrower)


def _quantized(source: Graph, recipe: Recipe, samples: Samples | None, profile: TargetProfile | None,
               say: Say, stats: StatsFile | None = None, folder: Path | None = None,
               wide: Prepared | None = None) -> Prepared:
    """A FLOAT graph as the recipe deploys it. wide: whose codes its weights are, where it is a slice of it"""
    float_graph = canonical(source)
    if recipe.input.takes_frames:
        float_graph = fold_frames(float_graph, recipe.input, recipe.input_dtype in ("uint8", "int8"))
        check(float_graph, "CANONICAL")
    if recipe.exits:
        float_graph = with_trained_exits(float_graph, recipe.exits, samples_for(float_graph, recipe, samples),
                                         say)
    if recipe.quantize.float_weights:
        return Prepared(float_graph, quantize(float_graph, {}, recipe.quantize), recipe)
    if samples is not None and wide is None:
        _say_findings(source, recipe, samples, say)
    seen = samples_for(float_graph, recipe, samples)
    shared = shared_codes(wide.float_graph, wide.graph, float_graph) if wide else SharedCodes()
    stages = PostTraining(float_graph, seen, say, source, folder, shared)
    if stats:
        stages.take_statistics(stats, recipe)
    if recipe.quantize.accuracy_drop is None:
        return Prepared(stages.float_graph(recipe), stages.quantized(recipe), recipe)
    found = controlled(stages, recipe, integer_only=profile is not None and "c" in profile.formats)
    say(f"the recipe that holds:\n{encode_toml(found.recipe.portable) or '# nothing but defaults'}")
    return Prepared(stages.float_graph(found.recipe), found.graph, found.recipe)


def _say_findings(source: Graph, recipe: Recipe, samples: Samples, say: Say) -> None:
    """What looks wrong with the calibration samples; of raw frames, as the network itself gets them."""
    if recipe.input.resize is not None:
        return
    if recipe.input.takes_frames:
        samples = network_samples(samples, recipe.input, source)
    for finding in findings(samples.split("calibration"), source):
        say(str(finding))


def samples_for(graph: Graph, recipe: Recipe, samples: Samples | None) -> Samples | None:
    """The samples as the prepared graph takes them: raw frames if the recipe says so."""
    if samples is None or not recipe.input.takes_frames:
        return samples
    return frame_samples(samples, graph.metadata.frames[graph.inputs[0]])


def _smaller(graph: Graph, recipe: Recipe, samples: Samples | None, profile: TargetProfile | None,
             say: Say, folder: Path | None, keep: Keep | None) -> tuple[Graph, ...]:
    """Pruned and fine-tuned, on what the network itself takes; in each of the recipe's widths."""
    if not recipe.shrinks:
        return (graph,)
    from toolchain.shrinking import Shrinking
    from toolchain.widths import trained_widths

    if samples is not None and recipe.input.takes_frames:
        samples = network_samples(samples, recipe.input, graph)
    table = load_cost_table(profile) if profile else None
    shrinking = Shrinking(graph, recipe, samples, profile, table, folder, say=say, keep=keep,
                          progress=lambda epoch: say(f"epoch {epoch.number}: loss {epoch.loss:.4f}"))
    found = trained_widths(shrinking) if recipe.widths else (shrinking.run(),)
    for note in found[0].source.notes[len(graph.source.notes):]:
        say(note)
    return found


def build(prepared: Prepared, profile: TargetProfile, samples: Samples | None, say: Say = quiet) -> Artifact:
    """Lower for one target, with firmware for C. Raises DoesNotFit, Unsupported, DeviceUnavailable."""
    recipe = prepared.recipe
    say(f"lowering to {', '.join(profile.formats)} for {profile.name}")
    seen = samples_for(prepared.graph, recipe, samples)
    if recipe.exits or recipe.widths:
        return _as_chain(prepared, profile, seen, say)
    one = streamed(prepared.graph) if recipe.streaming else None
    vectors = step_vectors(prepared.graph, one, seen, recipe.seed) if one else \
        vectors_of(prepared.graph, seen, recipe.seed)
    asked = Asked(recipe.input_dtype, recipe.quantize.float_weights or "float32", recipe.c,
                  recipe.tflite, one and one.form, prepared.graph if one else None)
    artifact = lower(one.graph if one else prepared.graph, profile, vectors, asked)
    for note in artifact.manifest.notes[len(prepared.graph.source.notes):]:
        say(note)
    manifest = msgspec.structs.replace(artifact.manifest, recipe_digest=recipe.digest, metric=recipe.metric,
                                       takes_frames=recipe.input.takes_frames)
    artifact = with_files(replace(artifact, manifest=manifest), _stated(recipe), {})
    return _with_firmware(artifact, prepared, profile) if "c" in profile.formats else artifact


def _as_chain(prepared: Prepared, profile: TargetProfile, samples: Samples | None, say: Say) -> Artifact:
    """Of what lies between the network's exits, or of its widths. Raises as `make_chain`, `side_by_side`."""
    recipe = prepared.recipe
    asked = Asked(recipe.input_dtype, recipe.quantize.float_weights or "float32", recipe.c, recipe.tflite)
    if recipe.widths:
        from toolchain.widths import build_widths

        made = build_widths((prepared.graph, *prepared.narrower), recipe.widths, samples, profile, asked, say)
        notes = made.artifact.manifest.notes[sum(len(graph.source.notes) for graph in made.chain.stages):]
        for line in dict.fromkeys((*notes, *levels_text(made.report).splitlines())):
            say(line)
    else:
        made = build_exits(prepared.graph, recipe.exits, samples, profile, asked, say)
        say(report_text(made.report))
    manifest = msgspec.structs.replace(made.artifact.manifest, recipe_digest=recipe.digest,
                                       takes_frames=recipe.input.takes_frames)
    return with_files(replace(made.artifact, manifest=manifest), _stated(recipe), {})


def _stated(recipe: Recipe) -> dict[str, bytes]:
    """The recipe that leads here, for whoever wants to build this again, and what its metric compares in."""
    text = encode_toml(recipe.portable)
    features = {FEATURES_FILE: features_file(recipe.features)} if recipe.features else {}
    return {**({"recipe.toml": text.encode()} if text else {}), **features}


def _with_firmware(artifact: Artifact, prepared: Prepared, profile: TargetProfile) -> Artifact:
    """The artefact with its linked image; what would make it fit, where it does not."""
    try:
        return with_firmware(artifact, profile)
    except DoesNotFit as error:
        from toolchain.fitting import remedies, remedy_text

        graph = prepared.float_graph
        graph = streamed(graph).graph if prepared.recipe.streaming else graph
        found = remedies(graph, profile, artifact.manifest.scheme, error.sizes)
        raise DoesNotFit(f"{error}. {remedy_text(found, profile)}", error.sizes) from None
