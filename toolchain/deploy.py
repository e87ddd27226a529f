"""What one does with an artefact: open, run, bench and evaluate it, on the host or on its own device."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from toolchain.artifact import Artifact, Manifest, Port, convert, read_artifact
from toolchain.atomic import replacing
from toolchain.data import SPLITS, Preprocessing, Samples, load_samples
from toolchain.device.board import open_board
from toolchain.device.local import RUNTIME, Session, format_of, open_session
from toolchain.device.measure import measure
from toolchain.device.qemu import open_device
from toolchain.errors import BadInput, BadSamples, DeviceUnavailable, about
from toolchain.ir.graph import Graph, Tensor
from toolchain.measurement import Evaluation, Measurement
from toolchain.metric import METRIC, score
from toolchain.npz import read_npz
from toolchain.preprocess import frame_samples
from toolchain.profile import Format, TargetProfile, load_target
from toolchain.runtime.apart import apart
from toolchain.runtime.feeds import sample_count

HOST = "host"


def open_artifact(path: Path) -> Artifact:
    """A folder that `Artifact.write` made, or anyone's model file (without test vectors). Raises BadInput."""
    if path.is_dir():
        return read_artifact(path)
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder")
    fmt, model = format_of(path), path.read_bytes()
    with about(path):
        apart(lambda: _run_once(fmt, model), RUNTIME[fmt])
        session = open_session(fmt, model)
    seen = tuple(map(_channels_last, session.inputs)) if fmt == "onnx" else session.inputs
    manifest = Manifest(name=path.stem, target=HOST, formats=(fmt,),
                        inputs={fmt: session.inputs, "graph": seen}, outputs={fmt: session.outputs})
    return Artifact(manifest, {f"model.{fmt}": model})


def _run_once(fmt: Format, model: bytes) -> dict[str, np.ndarray]:
    """A sample of zeros through a model that nobody vouches for."""
    session = open_session(fmt, model)
    return session.run({port.name: np.zeros(port.shape, port.dtype) for port in session.inputs})


def _channels_last(port: Port) -> Port:
    """An input of somebody's .onnx as sample sets lie; ONNX's own operators take channels first."""
    batch, *rest = port.shape
    if len(rest) < 2:
        return port
    axes = (0, len(rest), *range(1, len(rest)))
    return Port(port.name, (batch, *rest[1:], rest[0]), port.dtype, port.scale, port.zero_point, axes)


def chosen_format(artifact: Artifact, fmt: str | None) -> Format:
    """The format asked for, or the target's first. Raises BadInput for one that the artefact has not."""
    formats = artifact.manifest.formats
    if fmt is not None and fmt not in formats:
        raise BadInput(f"{artifact.manifest.name} for {artifact.manifest.target} has no '{fmt}' file; it has "
                       f"{', '.join(formats)}")
    return fmt or formats[0]


def chosen_profile(artifact: Artifact, device: str | None) -> TargetProfile:
    """The artefact's own target's, for a board with the serial port that `device` names.

    Raises DeviceUnavailable where `device` is neither that, nor the target, nor the host.
    """
    own = artifact.manifest.profile or load_target(HOST)
    if device in (None, own.name):
        return own
    if own.transport == "serial" and device != HOST:
        return msgspec.structs.replace(own, port=device)
    if device == HOST and not own.has_firmware:
        return own
    raise DeviceUnavailable(f"an artefact for {own.name} cannot run on '{device}'; build it for that target, "
                            f"or leave --device out")


@contextmanager
def deployed(artifact: Artifact, fmt: Format, profile: TargetProfile) -> Iterator[Session]:
    """The artefact's file, loaded where the profile says, ready to run."""
    if open_firmware := {"qemu": open_device, "serial": open_board}.get(profile.transport):
        with open_firmware(artifact, profile) as device:
            yield device
    else:
        yield open_session(fmt, artifact.model(fmt))


def run_file(artifact: Artifact, device: str | None, fmt: str | None, source: Path,
             target: Path) -> dict[str, list[int]]:
    """Run an .npz (keys = input names, or "x"; the file's own layout and dtype) and write every output.

    Returns output name -> shape. Raises BadSamples. The file is written to a temporary name and renamed.
    """
    fmt, profile = chosen_format(artifact, fmt), chosen_profile(artifact, device)
    ports = artifact.manifest.inputs[fmt]
    feeds = _read_feeds(source, ports)
    with about(source):
        sample_count(ports, feeds)
    with replacing(target) as unfinished, deployed(artifact, fmt, profile) as session:
        outputs = session.run(feeds)
        np.savez(unfinished, **outputs)
    return {name: list(value.shape) for name, value in outputs.items()}


def _read_feeds(source: Path, ports: tuple[Port, ...]) -> dict[str, np.ndarray]:
    arrays = read_npz(source)
    if "x" in arrays and len(ports) == 1:
        arrays.setdefault(ports[0].name, arrays["x"])
    if missing := [port.name for port in ports if port.name not in arrays]:
        raise BadSamples(f"{source}: has {', '.join(arrays) or 'no arrays'} but the model takes "
                         f"{', '.join(missing)}; name the arrays after the inputs")
    return {port.name: arrays[port.name] for port in ports}


def bench(artifact: Artifact, device: str | None, fmt: str | None, *, threads: int = 1,
          seconds: float = 1.0) -> Measurement:
    """Deploy and measure one of the artefact's files."""
    return measure(artifact, chosen_profile(artifact, device), chosen_format(artifact, fmt), threads=threads,
                   seconds=seconds)


def evaluate(artifact: Artifact, device: str | None, fmt: str | None, data: str, metric: str | None,
             split: str = "test", limit: int | None = None) -> Evaluation:
    """Score the answers on labelled samples by a key of METRIC, the manifest's where none is given.

    Raises BadSamples where there are no labels, BadInput for a metric that does not compare with them.
    """
    metric = metric or artifact.manifest.metric
    if metric not in METRIC or metric == "agreement":
        raise BadInput(f"metric '{metric}' does not compare answers with labels; give --metric "
                       f"{' or '.join(sorted(set(METRIC) - {'agreement'}))}")
    if split not in SPLITS:
        raise BadInput(f"no split is called '{split}'; give --split {', '.join(SPLITS)}")
    fmt, profile = chosen_format(artifact, fmt), chosen_profile(artifact, device)
    samples = load_samples(data).split(split)
    if samples.y is None:
        raise BadSamples(f"{data}: no labels, so {metric} cannot be told; give a set with labels")
    samples = samples.take(limit or len(samples))
    with deployed(artifact, fmt, profile) as session:
        outputs = answers(artifact, fmt, session, samples)
        runtime = session.runtime
    with about(data):
        found = score(metric, outputs, samples.y)
    return Evaluation(
        metric=metric, value=found.value, n=found.n, standard_error=found.standard_error, data=data,
        split=split, device=profile.name if profile.has_firmware else HOST, runtime=runtime)


def answers(artifact: Artifact, fmt: Format, session: Session, samples: Samples) -> np.ndarray:
    """The first output for every sample, as reals (N, ...).

    Samples are reals, but for int8 samples without preprocessing where the model takes int8: those are codes;
    and raw frames for an artefact that takes those.
    """
    ports = artifact.manifest.inputs.get("graph", artifact.manifest.inputs[fmt])
    if artifact.manifest.takes_frames:
        samples = frame_samples(samples, artifact.manifest.frames[ports[0].name])
    fitted = samples.fit_to(_as_graph(artifact.manifest.name, ports))
    have = [port if _holds_codes(fitted, port) else
            Port(port.name, port.shape, "float32", permutation=port.permutation) for port in ports]
    out = artifact.manifest.outputs[fmt][0]
    found = []
    for feeds in fitted.batches(32):
        moved = {want.name: convert(feeds[port.name].astype(port.dtype), port, want)
                 for port, want in zip(have, artifact.manifest.inputs[fmt])}
        found.append(convert(session.run(moved)[out.name], out, Port(out.name, out.shape, "float32")))
    return np.concatenate(found)


def _holds_codes(samples: Samples, port: Port) -> bool:
    stored = samples.x[port.name].dtype.name
    return stored == port.dtype == "int8" and samples.preprocessing == Preprocessing()


def _as_graph(name: str, ports: tuple[Port, ...]) -> Graph:
    """Only inputs: what samples are fitted to."""
    return Graph(name, {p.name: Tensor(p.name, p.shape) for p in ports}, (), tuple(p.name for p in ports), (),
                 {p.name: p.permutation for p in ports if p.permutation})

