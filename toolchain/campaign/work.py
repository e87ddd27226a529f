"""How a campaign builds and measures: artefacts by content, kept; devices as `edge bench` reaches them."""

from pathlib import Path
import shutil

from toolchain import deploy
from toolchain.artifact import Artifact, read_artifact
from toolchain.campaign.plan import Job
from toolchain.device.cache import cache_folder, kept
from toolchain.errors import BadInput
from toolchain.examination import set_exam
from toolchain.ledger.records import Record
from toolchain.pipeline import build_model

WAIT_S = 5.0
"""For a place of a lab that somebody else has, before every other job: people keep one for hours."""


def build(job: Job) -> Artifact:
    """The job's artefact, from the cache where it was built before. Raises what building does."""
    place = cache_folder() / "builds" / job.build_key
    try:
        return read_artifact(kept(place, lambda folder: _build(job, folder)))
    except BadInput:
        if not place.is_dir():
            raise
    shutil.rmtree(place)  # damaged, as by a power cut
    return read_artifact(kept(place, lambda folder: _build(job, folder)))


def _build(job: Job, folder: Path) -> None:
    source = job.source
    artifact = build_model(source.file, job.profile, job.decided, source.data or None,
                           checkpoint=Path(source.checkpoint) if source.checkpoint else None)
    artifact.write(folder)


def measure(job: Job, artifact: Artifact) -> list[Record]:
    """What the artefact does on the job's device; how good its answers are there, where that is asked for.

    Raises what measuring does.
    """
    asked, exam = job.measure, None
    if asked.evaluate:
        exam = set_exam(artifact, job.source.data, None, asked.evaluate, asked.samples)
    wish = deploy.Wish(fmt=asked.format, threads=asked.threads, seconds=asked.seconds, exam=exam,
                       wait_s=WAIT_S)
    outcomes = deploy.bench(artifact, job.device if job.board else None, wish)
    return [record for outcome in outcomes for record in (*outcome.records, *outcome.stages)]
