"""What one does with an artefact: open, run, bench and evaluate it, on the host or on its own device."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolchain.artifact import Artifact, Manifest, Port, convert, read_artifact
from toolchain.atomic import replacing
from toolchain.data import SPLITS, Preprocessing, Samples, load_samples
from toolchain.device.board import open_board
from toolchain.device.boards import HOST
from toolchain.device.local import RUNTIME, Session, format_of, open_session
from toolchain.device.measure import measure
from toolchain.device.place import Place, open_place, resources
from toolchain.device.programs import ProgramSession
from toolchain.device.qemu import open_device
from toolchain.device.ways import BENCHMARK_MODEL, FIRMWARE, Way, chosen
from toolchain.errors import BadInput, BadSamples, RuntimeMissing, about
from toolchain.ir.graph import Graph, Tensor
from toolchain.ledger.leases import Lease
from toolchain.ledger.ledger import Ledger
from toolchain.measurement import Evaluation, Measurement
from toolchain.metric import METRIC, score
from toolchain.npz import read_npz
from toolchain.preprocess import frame_samples
from toolchain.profile import Format, TargetProfile, load_target
from toolchain.runtime.apart import apart
from toolchain.runtime.feeds import sample_count

WAIT_S = 600.0
"""For a device that another process measures on."""


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


def own_profile(artifact: Artifact) -> TargetProfile:
    """Of the target that it was built for; of a bare file, this host's."""
    return artifact.manifest.profile or load_target(HOST)


def ways_of(artifact: Artifact, place: Place, fmt: str | None = None, runtime: str | None = None,
            runner: str | None = None) -> list[Way]:
    """In which ways the device runs the artefact's files, best first. Raises Unsupported, BadInput."""
    wanted = chosen_format(artifact, fmt) if fmt else None
    formats = artifact.manifest.formats
    there = sorted((way for way in place.ways if way.fmt in formats), key=lambda way: formats.index(way.fmt))
    return chosen(there, wanted, runtime, runner)


@contextmanager
def deployed(artifact: Artifact, device: str | None = None, fmt: str | None = None) -> Iterator[Session]:
    """One of the artefact's files, the first by default, loaded on a device and ready to run.

    device: as open_place takes it
    Raises DeviceUnavailable and its kinds, Unsupported, BadInput.
    """
    with open_place(own_profile(artifact), device) as place:
        way = ways_of(artifact, place, chosen_format(artifact, fmt))[0]
        with session_of(artifact, place, way) as session:
            yield session


@contextmanager
def session_of(artifact: Artifact, place: Place, way: Way, threads: int = 1) -> Iterator[Session]:
    """A file on a device, in one way; on this host, in this process."""
    if way.runner == FIRMWARE:
        with open_firmware(artifact, place) as session:
            yield session
    elif place.name == HOST and way.fmt in RUNTIME:
        yield open_session(way.fmt, artifact.model(way.fmt), threads)
    else:
        yield ProgramSession(place, artifact, way, threads)


def open_firmware(artifact: Artifact, place: Place) -> AbstractContextManager[Session]:
    """Generated C on the board's emulator, or at the end of its serial line."""
    if place.profile.transport == "qemu":
        return open_device(artifact, place.profile)
    return open_board(artifact, place.profile, baud=place.board.baud if place.board else None)


def run_file(artifact: Artifact, device: str | None, fmt: str | None, source: Path,
             target: Path) -> dict[str, list[int]]:
    """Run an .npz (keys = input names, or "x"; the file's own layout and dtype) and write every output.

    Returns output name -> shape. Raises BadSamples. The file is written to a temporary name and renamed.
    """
    fmt = chosen_format(artifact, fmt)
    ports = artifact.manifest.inputs[fmt]
    feeds = _read_feeds(source, ports)
    with about(source):
        sample_count(ports, feeds)
    with replacing(target) as unfinished, deployed(artifact, device, fmt) as session:
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


def sit(artifact: Artifact, place: Place, way: Way, exam: Exam) -> Evaluation:
    """The score of the answers that an artefact gives on a device. Raises BadSamples, what devices raise."""
    with session_of(artifact, place, way) as session:
        outputs = answers(artifact, way.fmt, session, exam.samples)
        runtime = session.runtime
    with about(exam.data):
        found = score(exam.metric, outputs, exam.samples.y)
    return Evaluation(metric=exam.metric, value=found.value, n=found.n, standard_error=found.standard_error,
                      data=exam.data, split=exam.split, device=place.name, runtime=runtime)


def evaluate(artifact: Artifact, device: str | None, fmt: str | None, exam: Exam) -> Evaluation:
    """The score of one of the artefact's files on a device."""
    with open_place(own_profile(artifact), device) as place:
        return sit(artifact, place, ways_of(artifact, place, chosen_format(artifact, fmt))[0], exam)


@contextmanager
def held(ledger: Ledger, artifact: Artifact, device: str | None) -> Iterator[Lease | None]:
    """The device and its meters, for us alone, as long as this lasts. Raises DeviceBusy after WAIT_S."""
    needed = resources(own_profile(artifact), device)
    with ledger.lease(needed, wait_s=WAIT_S) if needed else nullcontext() as lease:
        yield lease


@dataclass(frozen=True)
class Outcome:
    """What came of one way to run an artefact.

    where:   device, runtime and runner, of a board that has several ways
    missing: why there is nothing, where a runtime is not there
    """

    way: Way
    where: str = ""
    measurement: Measurement | None = None
    evaluation: Evaluation | None = None
    missing: str = ""


@dataclass(frozen=True)
class Wish:
    """How an artefact is to be measured.

    fmt, runtime, runner: those ways only; every: all of them, not the best one only
    threads, seconds:     of a timed run
    exam:                 its answers are scored too
    """

    fmt: str | None = None
    runtime: str | None = None
    runner: str | None = None
    every: bool = False
    threads: int = 1
    seconds: float = 1.0
    exam: Exam | None = None


def bench(artifact: Artifact, device: str | None, wish: Wish = Wish()) -> Iterator[Outcome]:
    """Deploy and measure an artefact in the ways that are wished for, as each is done.

    Where every way is asked for, a runtime that the device does not have is told and left out.
    Raises DeviceUnavailable and its kinds, InvalidMeasurement.
    """
    with open_place(own_profile(artifact), device) as place:
        ways = ways_of(artifact, place, wish.fmt, wish.runtime, wish.runner)
        for way in ways if wish.every else ways[:1]:
            yield _outcome(artifact, place, way, wish)


def _outcome(artifact: Artifact, place: Place, way: Way, wish: Wish) -> Outcome:
    try:
        measurement = measure(artifact, place, way, threads=wish.threads, seconds=wish.seconds)
    except RuntimeMissing as error:
        if not wish.every:
            raise
        return Outcome(way, missing=str(error))
    own = place.board is None and not wish.every
    examined = wish.exam and way.runner != BENCHMARK_MODEL
    return Outcome(way, "" if own else f"{place.name}.{way.runtime}.{way.runner}", measurement,
                   sit(artifact, place, way, wish.exam) if examined else None)


def answers(artifact: Artifact, fmt: Format, session: Session, samples: Samples) -> np.ndarray:
    """The first output for every sample, as reals (N, ...). Samples as sample_feeds takes them."""
    out = artifact.manifest.outputs[fmt][0]
    return np.concatenate([convert(session.run(feeds)[out.name], out, Port(out.name, out.shape, "float32"))
                           for feeds in sample_feeds(artifact, fmt, samples, session.at_once)])


def sample_feeds(artifact: Artifact, fmt: Format, samples: Samples,
                 at_once: int) -> Iterator[dict[str, np.ndarray]]:
    """Every input of so many samples at once, in the file's own layout and dtype.

    Samples are reals, but for int8 samples without preprocessing where the model takes int8: those are codes;
    and raw frames for an artefact that takes those.
    """
    ports = artifact.manifest.inputs.get("graph", artifact.manifest.inputs[fmt])
    if artifact.manifest.takes_frames:
        samples = frame_samples(samples, artifact.manifest.frames[ports[0].name])
    fitted = samples.fit_to(_as_graph(artifact.manifest.name, ports))
    have = [port if _holds_codes(fitted, port) else
            Port(port.name, port.shape, "float32", permutation=port.permutation) for port in ports]
    for feeds in fitted.batches(at_once):
        yield {want.name: convert(feeds[port.name].astype(port.dtype), port, want)
               for port, want in zip(have, artifact.manifest.inputs[fmt])}


def _holds_codes(samples: Samples, port: Port) -> bool:
    stored = samples.x[port.name].dtype.name
    return stored == port.dtype == "int8" and samples.preprocessing == Preprocessing()


def _as_graph(name: str, ports: tuple[Port, ...]) -> Graph:
    """Only inputs: what samples are fitted to."""
    return Graph(name, {p.name: Tensor(p.name, p.shape) for p in ports}, (), tuple(p.name for p in ports), (),
                 {p.name: p.permutation for p in ports if p.permutation})

