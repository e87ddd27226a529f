"""Campaigns without models or devices: jobs, and work that does what a test says."""

import secrets

from tests.ledger.measured import a_measurement
from toolchain.campaign.plan import Campaign, Job, MeasureConfig, ModelConfig
from toolchain.device.boards import Board
from toolchain.profile import load_target
from toolchain.recipe import Recipe


def a_job(name: str, device: str = "pi", board: Board | None = None, resources=None) -> Job:
    return Job(key=f"key of {name}", build_key=f"build of {name}", model=name, recipe="defaults",
               device=device, source=ModelConfig(file=f"{name}.tflite"), decided=Recipe(),
               profile=load_target("host"), board=board, resources=resources or (f"device:{device}",),
               measure=MeasureConfig())


def a_campaign(count: int = 3, devices: int = 1) -> Campaign:
    """On devices of names that no other test has: locks are the machine's."""
    own = secrets.token_hex(4)
    return Campaign("bench", tuple(a_job(f"model{i}", f"pi-{own}-{i % devices}") for i in range(count)))


def built(job: Job) -> str:
    return f"artefact of {job.model}"


def measured(job: Job, artifact: str) -> list:
    assert artifact == built(job)
    return [a_measurement(artifact=job.model, device=job.device)]
