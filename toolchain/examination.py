"""Labelled samples put to an artefact, wherever it runs, and its answers scored."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from toolchain.artifact import Artifact, Port, convert
from toolchain.data import SPLITS, Preprocessing, Samples, load_samples
from toolchain.device.local import Session
from toolchain.device.place import Place
from toolchain.errors import BadInput, BadSamples, about
from toolchain.ir.graph import Frames, Graph, Tensor
from toolchain.ir.streaming import Streaming
from toolchain.measurement import Evaluation
from toolchain.metric import METRIC, score
from toolchain.preprocess import frame_samples
from toolchain.profile import Format
from toolchain.runtime.steps import run_steps


@dataclass(frozen=True)
class Exam:
    """Labelled samples, and the key of METRIC that answers are scored by. data, split: where they are from"""

    samples: Samples
    metric: str
    data: str
    split: str


def set_exam(artifact: Artifact, data: str, metric: str | None = None, split: str = "test",
             limit: int | None = None) -> Exam:
    """limit: at most so many samples; metric: the manifest's where none is given

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
    return Exam(samples.take(limit or len(samples)), metric, data, split)


def sit(artifact: Artifact, fmt: Format, session: Session, place: Place, exam: Exam) -> Evaluation:
    """The score of the answers that one of an artefact's files gives.

    Raises BadSamples, and what devices raise.
    """
    outputs = answers(artifact, fmt, session, exam.samples)
    with about(exam.data):
        found = score(exam.metric, outputs, exam.samples.y)
    return Evaluation(metric=exam.metric, value=found.value, n=found.n, standard_error=found.standard_error,
                      data=Path(exam.data).name, split=exam.split, device=place.name,
                      emulated=place.emulated, runtime=session.runtime, artifact_digest=artifact.digest)


def answers(artifact: Artifact, fmt: Format, session: Session, samples: Samples) -> np.ndarray:
    """The first output for every sample, as reals (N, ...). Samples as sample_feeds takes them.

    A streaming form is run step by step from the initial states, sample by sample: its answer is that after
    the last step, or those of all steps where each has its own.
    """
    if artifact.manifest.streaming:
        return np.concatenate(list(_streamed(artifact, fmt, session, samples, artifact.manifest.streaming)))
    out = artifact.manifest.outputs[fmt][0]
    return np.concatenate([convert(session.run(feeds)[out.name], out, Port(out.name, out.shape, "float32"))
                           for feeds in sample_feeds(artifact, fmt, samples, session.at_once)])


def _streamed(artifact: Artifact, fmt: Format, session: Session, samples: Samples,
              form: Streaming) -> Iterator[np.ndarray]:
    inputs, outputs = artifact.manifest.inputs, artifact.manifest.outputs
    states = {state.input for state in form.states}
    whole = tuple(_whole(port, form) for port in inputs["graph"] if port.name not in states)
    fitted, have = _fitted(artifact, whole, samples)
    given, out, inner = {port.name: port for port in have}, outputs[fmt][0], outputs["graph"][0]
    axis = form.axes.get(inner.name)
    for feeds in fitted.batches(session.at_once):
        fed = {name: feeds[name].astype(port.dtype) for name, port in given.items()}
        done = [convert(made[out.name], out, Port(out.name, out.shape, "float32"))
                for _, made in run_steps(session.run, form, inputs[fmt], outputs[fmt], given, fed)]
        yield done[-1] if axis is None else np.concatenate(done, _in_source(inner, axis))


def _in_source(port: Port, axis: int) -> int:
    """Where an axis of the graph's layout lies in its source's."""
    return port.permutation.index(axis) if port.permutation else axis


def _whole(port: Port, form: Streaming) -> Port:
    """Of all steps."""
    sizes = list(port.shape)
    if port.name in form.axes:
        sizes[form.axes[port.name]] = form.steps
    return msgspec.structs.replace(port, shape=tuple(sizes))


def _frames(artifact: Artifact, name: str) -> Frames:
    """Raises BadInput where the manifest does not say what an input's pixels stand for."""
    if name not in artifact.manifest.frames:
        raise BadInput(f"{artifact.manifest.name}: its manifest has no frames of '{name}'; build it again")
    return artifact.manifest.frames[name]


def sample_feeds(artifact: Artifact, fmt: Format, samples: Samples,
                 at_once: int) -> Iterator[dict[str, np.ndarray]]:
    """Every input of so many samples at once, in the file's own layout and dtype.

    Samples are reals, but for int8 samples without preprocessing where the model takes int8: those are codes;
    and raw frames for an artefact that takes those.
    """
    ports = artifact.manifest.inputs.get("graph", artifact.manifest.inputs[fmt])
    fitted, have = _fitted(artifact, ports, samples)
    for feeds in fitted.batches(at_once):
        yield {want.name: convert(feeds[port.name].astype(port.dtype), port, want)
               for port, want in zip(have, artifact.manifest.inputs[fmt])}


def _fitted(artifact: Artifact, ports: tuple[Port, ...], samples: Samples) -> tuple[Samples, list[Port]]:
    """The samples for inputs of the graph, and what they then hold of each."""
    if artifact.manifest.takes_frames:
        samples = frame_samples(samples, _frames(artifact, ports[0].name))
    fitted = samples.fit_to(_as_graph(artifact.manifest.name, ports))
    return fitted, [port if _holds_codes(fitted, port) else
                    Port(port.name, port.shape, "float32", permutation=port.permutation) for port in ports]


def _holds_codes(samples: Samples, port: Port) -> bool:
    stored = samples.x[port.name].dtype.name
    return stored == port.dtype == "int8" and samples.preprocessing == Preprocessing()


def _as_graph(name: str, ports: tuple[Port, ...]) -> Graph:
    """Only inputs: what samples are fitted to."""
    return Graph(name, {p.name: Tensor(p.name, p.shape) for p in ports}, (), tuple(p.name for p in ports), (),
                 {p.name: p.permutation for p in ports if p.permutation})

