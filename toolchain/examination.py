"""Labelled samples put to an artefact, wherever it runs, and its answers scored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from toolchain.artifact import Artifact, Manifest
from toolchain.data import SPLITS, Preprocessing, Samples, load_samples
from toolchain.device.local import Session
from toolchain.device.place import Place
from toolchain.errors import BadInput, BadSamples, about
from toolchain.features import FEATURES_FILE, embedding, embedding_of
from toolchain.ir.graph import Frames, Graph, Tensor
from toolchain.ir.streaming import Streaming
from toolchain.measurement import Evaluation
from toolchain.metric import METRIC, Embed, score
from toolchain.port import Port, convert
from toolchain.preprocess import frame_samples
from toolchain.profile import Format
from toolchain.runtime.steps import run_steps


@dataclass(frozen=True)
class Exam:
    """Labelled samples, and the key of METRIC that answers are scored by. data, split: where they are from

    embed: for a metric that is a distance between sets
    """

    samples: Samples
    metric: str
    data: str
    split: str
    embed: Embed | None = None


def set_exam(artifact: Artifact, data: str, metric: str | None = None, split: str = "test",
             limit: int | None = None, features: str = "") -> Exam:
    """limit: at most so many samples; metric: the manifest's where none is given
    features: the model whose features sets are compared in, where it is not the artefact's own

    Raises BadSamples where there are no labels, BadInput for a metric that does not compare with them.
    """
    metric = metric or artifact.manifest.metric
    if metric not in METRIC or metric == "agreement":
        raise BadInput(f"metric '{metric}' does not compare answers with labels; give --metric "
                       f"{' or '.join(sorted(set(METRIC) - {'agreement'}))}")
    if split not in SPLITS:
        raise BadInput(f"no split is called '{split}'; give --split {', '.join(SPLITS)}")
    samples = load_samples(data).split(split)
    if samples.y is None:
        raise BadSamples(f"{data}: no labels, so {metric} cannot be told; give a set with labels")
    embed = _embedding(artifact, metric, features)
    return Exam(samples.take(limit or len(samples)), metric, data, split, embed)


def _embedding(artifact: Artifact, metric: str, features: str) -> Embed | None:
    """Of the model that is named, else of the artefact's own. Raises BadInput."""
    if METRIC[metric].expected != "set":
        if features:
            raise BadInput(f"features do nothing with metric {metric}; leave them out")
        return None
    if features:
        return embedding(features)
    if FEATURES_FILE not in artifact.files:
        raise BadInput(f"{artifact.manifest.name}: {metric} compares sets of features; give --features, a "
                       f"model whose first output they are")
    return embedding_of(artifact.files[FEATURES_FILE])


def sit(artifact: Artifact, fmt: Format, session: Session, place: Place, exam: Exam) -> Evaluation:
    """The score of the answers that one of an artefact's files gives.

    Raises BadSamples, and what devices raise.
    """
    outputs = first_answers(artifact, fmt, session, exam.samples, METRIC[exam.metric].outputs)
    with about(exam.data):
        expected = exam.samples.targets(_as_graph(artifact.manifest, fmt))
        found = score(exam.metric, outputs, expected, exam.embed)
    return Evaluation(metric=exam.metric, value=found.value, n=found.n, standard_error=found.standard_error,
                      data=Path(exam.data).name, split=exam.split, device=place.name,
                      emulated=place.emulated, runtime=session.runtime, artifact_digest=artifact.digest,
                      held=artifact.manifest.held)


def answers(artifact: Artifact, fmt: Format, session: Session, samples: Samples) -> np.ndarray:
    """The first output for every sample, as first_answers has it."""
    return first_answers(artifact, fmt, session, samples, 1)[0]


def first_answers(artifact: Artifact, fmt: Format, session: Session, samples: Samples,
                  count: int) -> list[np.ndarray]:
    """The first `count` outputs for every sample, as reals (N, ...) in the graph's layout.

    samples: as sample_feeds takes them
    A streaming form is run step by step from the initial states, for each sample anew: its answers are those
    after the last step, or those of all steps where each has its own.
    """
    have, form = artifact.manifest.outputs[fmt][:count], artifact.manifest.streaming
    want = [Port(port.name, port.shape, "float32", permutation=port.permutation)
            for port in artifact.manifest.outputs.get("graph", have)]

    def reals(values: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return [convert(values[out.name], out, own) for out, own in zip(have, want)]

    if form:
        done = _sequences(artifact, fmt, session, samples)
        shown = (_joined(form, want, map(reals, steps)) for steps in done)
    else:
        shown = map(reals, map(session.run, sample_feeds(artifact, fmt, samples, session.at_once)))
    return [np.concatenate(parts) for parts in zip(*shown)]


def _sequences(artifact: Artifact, fmt: Format, session: Session,
               samples: Samples) -> Iterator[Iterator[Mapping[str, np.ndarray]]]:
    """Of so many samples at once, what comes out at each step of the streaming form."""
    manifest = artifact.manifest
    fitted, have = _fitted(manifest, fmt, samples)
    given = {port.name: port for port in have}
    for feeds in fitted.batches(session.at_once):
        fed = {name: feeds[name].astype(port.dtype) for name, port in given.items()}
        yield (made for _, made in run_steps(session.run, manifest.streaming, manifest.inputs[fmt],
                                             manifest.outputs[fmt], given, fed))


def _joined(form: Streaming, ports: Sequence[Port], steps: Iterator[list[np.ndarray]]) -> list[np.ndarray]:
    """Of each output what the whole sequence gives."""
    return [np.concatenate(each, form.axes[port.name]) if port.name in form.axes else each[-1]
            for port, each in zip(ports, zip(*steps))]


def _frames(manifest: Manifest, name: str) -> Frames:
    """Raises BadInput where the manifest does not say what an input's pixels stand for."""
    if name not in manifest.frames:
        raise BadInput(f"{manifest.name}: its manifest has no frames of '{name}'; build it again")
    return manifest.frames[name]


def sample_feeds(artifact: Artifact, fmt: Format, samples: Samples,
                 at_once: int) -> Iterator[dict[str, np.ndarray]]:
    """Every input of so many samples at once, in the file's own layout and dtype.

    Samples are reals, but for int8 samples without preprocessing where the model takes int8: those are codes;
    and raw frames for an artefact that takes those.
    """
    fitted, have = _fitted(artifact.manifest, fmt, samples)
    for feeds in fitted.batches(at_once):
        yield {want.name: convert(feeds[port.name].astype(port.dtype), port, want)
               for port, want in zip(have, artifact.manifest.inputs[fmt])}


def _fitted(manifest: Manifest, fmt: Format, samples: Samples) -> tuple[Samples, list[Port]]:
    """The samples for inputs of the graph, and what they then hold of each."""
    ports, _ = _ports(manifest, fmt)
    if manifest.takes_frames:
        samples = frame_samples(samples, _frames(manifest, ports[0].name))
    fitted = samples.fit_to(_as_graph(manifest, fmt))
    return fitted, [port if _holds_codes(fitted, port) else
                    Port(port.name, port.shape, "float32", permutation=port.permutation) for port in ports]


def _ports(manifest: Manifest, fmt: Format) -> list[tuple[Port, ...]]:
    """Inputs and outputs of the graph; of one that does a step, those of whole sequences."""
    form, found = manifest.streaming, [ports.get("graph", ports[fmt])
                                       for ports in (manifest.inputs, manifest.outputs)]
    if form is None:
        return found
    states = {name for state in form.states for name in (state.input, state.output)}
    return [tuple(_whole(port, form) for port in ports if port.name not in states) for ports in found]


def _whole(port: Port, form: Streaming) -> Port:
    """Of all steps."""
    sizes = list(port.shape)
    if port.name in form.axes:
        sizes[form.axes[port.name]] = form.steps
    return msgspec.structs.replace(port, shape=tuple(sizes))


def _holds_codes(samples: Samples, port: Port) -> bool:
    stored = samples.x[port.name].dtype.name
    return stored == port.dtype == "int8" and samples.preprocessing == Preprocessing()


def _as_graph(manifest: Manifest, fmt: Format) -> Graph:
    """Only inputs and outputs: what samples are fitted to."""
    inputs, outputs = _ports(manifest, fmt)
    ports = (*inputs, *outputs)
    return Graph(manifest.name, {p.name: Tensor(p.name, p.shape) for p in ports}, (),
                 tuple(p.name for p in inputs), tuple(p.name for p in outputs),
                 {p.name: p.permutation for p in ports if p.permutation})

