"""A chain of files on a device: no runner takes several, so each stage's file is measured by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import fsum, isclose
from typing import NamedTuple

import msgspec
import numpy as np

from toolchain.adaptive.parts import measured_parts, stage_artifacts
from toolchain.adaptive.report import ChainReport
from toolchain.adaptive.session import ChainSession
from toolchain.adaptive.staged import staged_figures
from toolchain.artifact import Artifact
from toolchain.chaining import REPORT_FILE
from toolchain.device.measure import measure
from toolchain.device.parity import compared, vector_feeds
from toolchain.device.place import Place
from toolchain.device.programs import ProgramSession
from toolchain.device.ways import BENCHMARK_MODEL, Way
from toolchain.errors import BadInput
from toolchain.measurement import Measurement, Parity


def chain_session(artifact: Artifact, place: Place, way: Way, threads: int = 1) -> ChainSession:
    """Each stage's file on the device, the policy here."""
    return ChainSession(artifact.manifest, way.fmt, [
        ProgramSession(place, part, way, threads) for part in stage_artifacts(artifact, way.fmt)])


def measured(artifact: Artifact, place: Place, way: Way, *, threads: int = 1, seconds: float = 1.0,
             brief: bool = False) -> tuple[Measurement, tuple[Measurement, ...]]:
    """As `measure`, of any artefact; with it, of a chain of files, each stage's own measurement.

    Of networks side by side it is that of the file that runs. Of a chain of files it is the worst case and,
    as `staged`, what it is expected to take; what breaks a stage's validity breaks the chain's.
    Raises what `measure` does, BadInput for a chain that does not tell how many samples reach each stage.
    """
    how = {"threads": threads, "seconds": seconds, "brief": brief}
    if artifact.manifest.chain is None or way.fmt == "c":
        return measure(artifact, place, way, **how), ()
    parts = measured_parts(artifact, way.fmt)
    if artifact.manifest.chain.apart:
        return measure(parts[0], place, way, **how), ()
    answered = _answered(artifact)  # before anything is measured
    found = tuple(measure(part, place, way, **how) for part in parts)
    figures, told = _sums(artifact, way, found, *answered), _parity(artifact, way, place, threads)
    figures |= {"parity": told.parity, "problems": (*told.problems, *figures["problems"]),
                "conditions": {**figures["conditions"], **told.conditions}}
    return Measurement(artifact=artifact.manifest.name, artifact_digest=artifact.digest,
                       target=artifact.manifest.target, device=place.name, emulated=place.emulated,
                       **figures), found


def _sums(artifact: Artifact, way: Way, found: Sequence[Measurement], shares: Sequence[float],
          n: int) -> dict:
    """Of the stages that may run. shares: of the n samples that each stage answers where nothing holds it"""
    numbers, files = artifact.manifest.chain.may_run, artifact.manifest.model_files(way.fmt)
    return staged_figures(found, [files[number] for number in numbers],
                          [min(1.0, fsum(shares[number:])) for number in numbers], n)


def _answered(artifact: Artifact) -> tuple[tuple[float, ...], int]:
    """Share of test samples that each stage answers, of how many. Raises BadInput."""
    name = artifact.manifest.name
    if REPORT_FILE not in artifact.files:
        raise BadInput(f"{name}: no {REPORT_FILE}, which tells how many samples reach each stage; build it "
                       "again")
    try:
        tested = msgspec.json.decode(artifact.files[REPORT_FILE], type=ChainReport).tested
    except msgspec.DecodeError as error:
        raise BadInput(f"{name}: {REPORT_FILE}: {error}; build it again") from None
    if len(tested.shares) != len(artifact.manifest.chain.stages) or min(tested.shares) < 0 or not isclose(
            fsum(tested.shares), 1, abs_tol=1e-6):
        raise BadInput(f"{name}: {REPORT_FILE}: {tested.shares} are no shares of its stages; build it again")
    return tested.shares, tested.n


class _Told(NamedTuple):
    """Of the test vectors on the device."""

    parity: Parity | None = None
    problems: tuple[str, ...] = ()
    conditions: Mapping[str, str] = {}


def _parity(artifact: Artifact, way: Way, place: Place, threads: int) -> _Told:
    """As `parity`, of the vectors that take the reference's path: a runtime that rounds otherwise may take
    another one for a sample that lies at the bound, and what it then answers is another stage's."""
    if way.runner == BENCHMARK_MODEL or not artifact.vectors:
        return _Told()
    got = chain_session(artifact, place, way, threads).run(vector_feeds(artifact, way.fmt))
    path = artifact.manifest.outputs["graph"][-1].name
    same = got[path].reshape(-1) == artifact.vectors[f"output/{path}"].reshape(-1)
    elsewhere = f"{np.sum(~same)} of {len(same)} test vectors take another path than the reference's"
    if not same.any():
        return _Told(problems=(f"{elsewhere}; see with edge cascade --check how many samples do",))
    kept = replace(artifact, vectors={name: values[same] for name, values in artifact.vectors.items()})
    found, wrong = compared(kept, way.fmt, {name: values[same] for name, values in got.items()})
    return _Told(found, wrong, {} if same.all() else {"paths": elsewhere})
