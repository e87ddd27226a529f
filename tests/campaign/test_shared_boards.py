"""Eight boards, 500 jobs, two processes, of which one is killed half-way and a third joins late.

What is proved is proved by the boards' own records (tests/device/standins/tcp_boards.py), not the ledger's.
"""

import base64
from collections import Counter
import hashlib
import os
import signal
import time

import numpy as np
import pytest

from tests.campaign.jobs import a_job
from tests.device.lab import emulated_boards, records
from tests.device.standins.tcp_boards import overlaps
from tests.device.test_qemu import PROFILE, artifact
from tests.ledger.measured import a_measurement
from tests.ledger.processes import ended, forked
from tests.lower.c.nets import residual_net
from toolchain.campaign.plan import Campaign, Job
from toolchain.campaign.run import run_campaign
from toolchain.device.board import open_board
from toolchain.device.boards import Board
from toolchain.device.firmware import build_firmware
from toolchain.device.place import board_resources
from toolchain.ledger import jobs
from toolchain.ledger.ledger import Ledger
from toolchain.runtime import reference

BOARDS, JOBS = 8, 500
TTL_S = 5.0
DIES_AT = 125
"""The job in which the first process is killed: about half of the campaign is done then."""
JOINS_AT = 300
"""Jobs that are done when the third process comes."""


def input_of(job: Job) -> np.ndarray:
    """Codes that no other job has, so that a board knows which job it was used for; one to four times, or
    processes that take equally long would come to miss each other without any lease."""
    seed = int.from_bytes(hashlib.sha256(job.model.encode()).digest()[:8], "little")
    codes = np.random.default_rng(seed).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)
    return np.repeat(codes, seed % 4 + 1, axis=0)


def at_ports(ports: list[int]) -> Campaign:
    """Board by board, and most on the last: in the end all processes want the same one."""
    boards = [Board(target="cortex_m4_qemu", transport="serial", address=f"socket://127.0.0.1:{port}",
                    emulated=True, name=f"board{i}") for i, port in enumerate(ports)]
    of = [boards[min(i // (JOBS // BOARDS - 4), BOARDS - 1)] for i in range(JOBS)]
    return Campaign("shared", tuple(
        a_job(f"model{i}", board.name, board, tuple(board_resources(board))) for i, board in enumerate(of)))


class Work:
    """A process at the campaign. dies_at: at its how-manieth job it is killed, having used the board"""

    def __init__(self, campaign: Campaign, url: str, dies_at: int = 0):
        self._campaign, self._url, self._left = campaign, url, dies_at
        self._artifact = artifact(residual_net())

    def __call__(self) -> None:
        with Ledger.open(self._url) as ledger:
            run_campaign(ledger, self._campaign, lambda job: None, self._measure, ttl_s=TTL_S)

    def _measure(self, job: Job, _built) -> list:
        with open_board(self._artifact, PROFILE, job.board.address) as session:
            answer, = session.run({"x": input_of(job)}).values()
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return [a_measurement(artifact=job.model, device=job.device,
                              conditions={"answer": answer[-1].tobytes().hex()})]


def done(ledger: Ledger) -> int:
    return Counter(job.state for job in ledger.jobs("shared"))["done"]


@pytest.mark.slow
@pytest.mark.emulated
def test_no_board_is_used_by_two_and_no_job_is_lost_or_doubled(url, tmp_path):
    firmware = build_firmware(artifact(residual_net()), PROFILE).elf
    with emulated_boards(tmp_path, BOARDS, firmware) as ports, Ledger.open(url) as ledger:
        campaign = at_ports(ports)
        jobs.register(ledger.store, campaign.name, [])
        children = [forked(Work(campaign, url, dies_at)) for dies_at in (DIES_AT, 0)]
        while done(ledger) < JOINS_AT:
            time.sleep(0.5)
        children.append(forked(Work(campaign, url)))
        assert [ended(child) for child in children] == [-signal.SIGKILL, 0, 0]
    seen = records(tmp_path)
    assert overlaps(seen) == []
    assert len({session["board"] for session in seen}) == BOARDS
    with Ledger.open(url) as ledger:
        check_jobs(campaign, ledger, seen)


def check_jobs(campaign: Campaign, ledger: Ledger, seen: list[dict]) -> None:
    """Each is done, kept once with its own board's answer to its own input, and begun as often as is told."""
    net, kept = residual_net(), [ledger.run(run.id) for run in ledger.runs()]
    answers = {run.artifact: run.record.conditions["answer"] for run in kept}
    assert sorted(run.artifact for run in kept) == sorted(job.model for job in campaign.jobs)
    heard = [(session["board"], base64.b64decode(session["heard"])) for session in seen]
    times = 0
    for job, status in zip(campaign.jobs, ledger.jobs("shared"), strict=True):
        codes = input_of(job)[:1]
        used = [board for board, said in heard if codes.tobytes() in said]
        assert status.state == "done" and set(used) == {int(job.device.removeprefix("board"))}
        assert 1 <= len(used) <= status.attempts
        expected, = reference.run(net, {"x": codes}).values()
        assert answers[job.model] == expected.tobytes().hex()
        times += len(used)
    assert times == len(seen) >= JOBS + 1  # and once more for the process that was killed
