"""What one does with an artefact: open, run, bench and evaluate it, on the host or on its own device."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from toolchain.adaptive.session import ChainSession
from toolchain.artifact import Artifact, Manifest, read_artifact
from toolchain.atomic import replacing
from toolchain.chain_bench import chain_session, measured
from toolchain.chain_building import held_to
from toolchain.device.board import open_board
from toolchain.device.boards import HOST
from toolchain.device.labgrid import WAIT_S
from toolchain.device.local import RUNTIME, Session, format_of, open_session
from toolchain.device.place import Place, open_place, resources
from toolchain.device.programs import ProgramSession
from toolchain.device.qemu import open_device
from toolchain.device.ways import BENCHMARK_MODEL, FIRMWARE, Way, chosen
from toolchain.errors import BadInput, BadModel, BadSamples, RuntimeMissing, Unsupported, about
from toolchain.examination import Exam, sit
from toolchain.ledger.leases import Lease
from toolchain.ledger.ledger import Ledger
from toolchain.measurement import Evaluation, Measurement
from toolchain.npz import read_npz
from toolchain.port import Port
from toolchain.profile import Format, TargetProfile, load_target
from toolchain.runtime.apart import apart
from toolchain.runtime.feeds import sample_count

LEFT_OUT = (RuntimeMissing, BadModel, Unsupported)
"""What keeps one way of several from being measured, and no other."""


def open_artifact(path: Path, budget: int | None = None) -> Artifact:
    """A folder that `Artifact.write` made, or anyone's model file (without test vectors).

    budget: that it is held to
    Raises BadInput, GateFailed where the budget pays for nothing.
    """
    artifact = read_artifact(path) if path.is_dir() else _bare(path)
    return artifact if budget is None else held_to(artifact, budget)


def _bare(path: Path) -> Artifact:
    """Of anyone's model file."""
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder")
    fmt, model = format_of(path), path.read_bytes()
    with about(path):
        apart(lambda: _run_once(fmt, model), RUNTIME[fmt])
        session = open_session(fmt, model)
    inputs, outputs = ({fmt: ports, "graph": tuple(map(_channels_last, ports)) if fmt == "onnx" else ports}
                       for ports in (session.inputs, session.outputs))
    manifest = Manifest(name=path.stem, target=HOST, formats=(fmt,), inputs=inputs, outputs=outputs)
    return Artifact(manifest, {f"model.{fmt}": model})


def _run_once(fmt: Format, model: bytes) -> dict[str, np.ndarray]:
    """A sample of zeros through a model that nobody vouches for."""
    session = open_session(fmt, model)
    return session.run({port.name: np.zeros(port.shape, port.dtype) for port in session.inputs})


def _channels_last(port: Port) -> Port:
    """An end of somebody's .onnx as sample sets lie; ONNX's own operators take channels first."""
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
    """In which ways the device runs the artefact's files, best first. Raises Unsupported, BadInput.

    An artefact's C is a program: on this host it runs only where that format is asked for.
    """
    wanted = chosen_format(artifact, fmt) if fmt else None
    formats = [one for one in artifact.manifest.formats if one != "c" or not place.here or wanted == "c"]
    there = sorted((way for way in place.ways if way.fmt in formats), key=lambda way: formats.index(way.fmt))
    return chosen(there, wanted, runtime, runner)


@contextmanager
def deployed(artifact: Artifact, device: str | None = None, fmt: str | None = None) -> Iterator[Session]:
    """One of the artefact's files, the first by default, loaded on a device and ready to run.

    device: as open_place takes it
    Raises DeviceUnavailable and its kinds, Unsupported, BadInput.
    """
    with open_place(own_profile(artifact), device) as place:
        with loaded(artifact, place, _best(artifact, place, fmt)) as session:
            yield session


def _best(artifact: Artifact, place: Place, fmt: str | None) -> Way:
    """Of those that give outputs."""
    ways = ways_of(artifact, place, chosen_format(artifact, fmt))
    if found := [way for way in ways if way.runner != BENCHMARK_MODEL]:
        return found[0]
    raise Unsupported(f"{place.name} runs this file in benchmark_model only, which gives no outputs; "
                      f"`edge bench` measures it")


@contextmanager
def loaded(artifact: Artifact, place: Place, way: Way) -> Iterator[Session]:
    """A file on a device, for its answers; those of this host's own runtimes come from this process."""
    if place.name == HOST and way.fmt in RUNTIME:
        yield _opened_here(artifact, way.fmt)
    else:
        with session_of(artifact, place, way) as session:
            yield session


def _opened_here(artifact: Artifact, fmt: Format) -> Session:
    """A file, or the files of a chain, in this host's own runtime."""
    manifest, chain = artifact.manifest, artifact.manifest.chain
    ends = [(stage.inputs[fmt], stage.outputs[fmt]) for stage in chain.stages] if chain else \
        [(manifest.inputs[fmt], manifest.outputs[fmt])]
    sessions = [open_session(fmt, artifact.files[name]) for name in manifest.model_files(fmt)]
    for session, (inputs, outputs) in zip(sessions, ends, strict=True):
        _require_same(manifest, inputs, outputs, session, fmt)
    return ChainSession(manifest, fmt, sessions) if chain else sessions[0]


def _require_same(manifest: Manifest, inputs: tuple[Port, ...], outputs: tuple[Port, ...], session: Session,
                  fmt: Format) -> None:
    """Raises BadInput for a model file that is not what the manifest says."""
    for said, found in ((inputs, session.inputs), (outputs, session.outputs)):
        if (names := [port.name for port in said]) != [port.name for port in found]:
            raise BadInput(f"{manifest.name}: its manifest has {', '.join(names)}, the .{fmt} file "
                           f"{', '.join(port.name for port in found)}; build it again")


@contextmanager
def session_of(artifact: Artifact, place: Place, way: Way, threads: int = 1) -> Iterator[Session]:
    """A file on a device, or the files of a chain, in this way and no other."""
    if way.runner == FIRMWARE:
        with open_firmware(artifact, place) as session:
            yield session
    elif artifact.manifest.chain and way.fmt != "c":
        yield chain_session(artifact, place, way, threads)
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


@contextmanager
def held(ledger: Ledger, profile: TargetProfile, device: str | None) -> Iterator[Lease | None]:
    """The device and its meters, for us alone, as long as this lasts. Raises DeviceBusy after WAIT_S."""
    needed = resources(profile, device)
    with ledger.lease(needed, wait_s=WAIT_S) if needed else nullcontext() as lease:
        yield lease


@dataclass(frozen=True)
class Outcome:
    """What came of one way to run an artefact.

    where:   device, runtime and runner, where it is one of several ways; "" for the artefact's own device
    missing: why there is nothing: the device has not the runtime, or that does not take the model
    stages:  of a chain of files each stage's own measurement
    """

    way: Way
    where: str = ""
    measurement: Measurement | None = None
    evaluation: Evaluation | None = None
    missing: str = ""
    stages: tuple[Measurement, ...] = ()

    @property
    def records(self) -> tuple[Measurement | Evaluation, ...]:
        """What there is to keep of the artefact as a whole."""
        return tuple(filter(None, (self.measurement, self.evaluation)))


@dataclass(frozen=True)
class Wish:
    """How an artefact is to be measured.

    fmt, runtime, runner: those ways only; every: all of them, not the best one only
    threads, seconds:     of a timed run
    exam:                 its answers are scored too
    brief:                as `measure` takes it
    wait_s:               for a place of a lab that somebody else has
    """

    fmt: str | None = None
    runtime: str | None = None
    runner: str | None = None
    every: bool = False
    threads: int = 1
    seconds: float = 1.0
    exam: Exam | None = None
    brief: bool = False
    wait_s: float = WAIT_S


def bench(artifact: Artifact, device: str | None, wish: Wish = Wish()) -> Iterator[Outcome]:
    """Deploy and measure an artefact in the ways that are wished for, as each is done.

    Where every way is asked for, those that do not apply there are told and left out, unless none is left.
    Raises DeviceUnavailable and its kinds, InvalidMeasurement.
    """
    with open_place(own_profile(artifact), device, wish.wait_s) as place:
        ways, failures = ways_of(artifact, place, wish.fmt, wish.runtime, wish.runner), []
        for way in ways if wish.every else ways[:1]:
            try:
                yield _outcome(artifact, place, way, wish)
            except LEFT_OUT as error:
                failures.append(error)
                if len(failures) == len(ways) or not wish.every:
                    raise
                yield Outcome(way, missing=str(error))


def _outcome(artifact: Artifact, place: Place, way: Way, wish: Wish) -> Outcome:
    measurement, stages = measured(artifact, place, way, threads=wish.threads, seconds=wish.seconds,
                                   brief=wish.brief)
    measurement = msgspec.structs.replace(measurement, artifact=artifact.manifest.name,
                                          artifact_digest=artifact.digest, held=artifact.manifest.held)
    evaluation = None
    if wish.exam and way.runner != BENCHMARK_MODEL:
        with session_of(artifact, place, way, wish.threads) as session:
            evaluation = sit(artifact, way.fmt, session, place, wish.exam)
    own = place.board is None and not wish.every
    return Outcome(way, "" if own else _where(place, way), measurement, evaluation, stages=stages)


def _where(place: Place, way: Way) -> str:
    """Part of a file's name."""
    return f"{place.name}.{way.runtime}.{way.runner}"


def evaluate(artifact: Artifact, device: str | None, fmt: str | None, exam: Exam) -> Outcome:
    """The score of one of the artefact's files on a device, in the best way that gives outputs.

    Raises DeviceUnavailable and its kinds, BadSamples.
    """
    with open_place(own_profile(artifact), device) as place:
        way = _best(artifact, place, fmt)
        with loaded(artifact, place, way) as session:
            evaluation = sit(artifact, way.fmt, session, place, exam)
        return Outcome(way, "" if place.board is None else _where(place, way), None, evaluation)
