"""A campaign is seen through, whatever its jobs do."""

import errno
import json
import os
import signal
import time

import pytest
from sqlalchemy import select

from tests.campaign.jobs import a_campaign, a_job, built, measured
from tests.ledger.measured import a_measurement, an_evaluation
from tests.ledger.processes import a_process, ended, for_ever, forked
from toolchain.campaign.plan import Campaign
from toolchain.campaign.run import TRIES, exit_code, run_campaign
from toolchain.device.boards import Board
from toolchain.errors import (
    BadConfig,
    BadInput,
    BadReply,
    DeviceBusy,
    DeviceExhausted,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    DoesNotFit,
    LedgerError,
    Unsupported,
)
from toolchain.ledger import jobs
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.schema import METADATA, attempts


def run(ledger: Ledger, campaign: Campaign, measure=measured, build=built, **options):
    return run_campaign(ledger, campaign, build, measure, **{"ttl_s": 1.0, "backoff_s": 0.01, **options})


def outcomes(ledger: Ledger) -> list[tuple[int, str, str]]:
    """(attempt, how it ended, error) of all jobs"""
    with ledger.store.read() as connection:
        asked = select(attempts.c.attempt, attempts.c.outcome, attempts.c.error)
        return list(map(tuple, connection.execute(asked.order_by(attempts.c.job, attempts.c.attempt))))


def test_each_job_is_measured_once(ledger):
    campaign = a_campaign(4, devices=2)
    found = run(ledger, campaign)
    assert [(job.model, job.state, job.attempts) for job in found] == [
        (f"model{i}", "done", 1) for i in range(4)]
    assert [(run.artifact, run.device, run.campaign) for run in ledger.runs()] == [
        (job.model, job.device, "bench") for job in campaign.jobs]
    assert exit_code(found) == 0


def test_what_is_done_is_not_done_again(ledger):
    campaign = a_campaign(3)
    run(ledger, campaign)
    run(ledger, campaign, measure=None, build=None)
    assert len(ledger.runs()) == 3


def test_a_measurement_and_what_is_made_of_it_are_kept_together(ledger):
    def both(job, artifact):
        return [a_measurement(artifact=job.model), an_evaluation()]

    run(ledger, a_campaign(1), both)
    assert [(run.kind, run.artifact) for run in ledger.runs()] == [("measurement", "model0"),
                                                                  ("evaluation", "model0")]


def test_an_invalid_measurement_is_kept_and_not_tried_again(ledger):
    calls = []

    def disturbed(job, artifact):
        calls.append(job)
        return [a_measurement(problems=("throttled",))]

    found = run(ledger, a_campaign(1), disturbed)
    assert (found[0].state, len(calls), exit_code(found), exit_code(found, True)) == ("invalid", 1, 6, 0)
    assert [run.valid for run in ledger.runs()] == [False]
    run(ledger, a_campaign(1), disturbed)
    assert len(calls) == 1


@pytest.mark.parametrize("error", [DeviceLost, DeviceTimeout, BadReply])
def test_what_may_go_well_the_next_time_is_tried_again(ledger, error):
    left = [error("the cable was pulled")] * (TRIES - 1)

    def shaky(job, artifact):
        if left:
            raise left.pop()
        return measured(job, artifact)

    found = run(ledger, a_campaign(1), shaky)
    assert (found[0].state, found[0].attempts, found[0].error) == ("done", TRIES, "")
    assert outcomes(ledger) == [(1, "again", error.__name__), (2, "again", error.__name__), (3, "done", "")]


@pytest.mark.parametrize("error", [DeviceLost, DeviceTimeout, BadReply])
def test_it_is_not_tried_for_ever(ledger, error):
    def dead(job, artifact):
        raise error("nobody there")

    found = run(ledger, a_campaign(2), dead)
    assert [(job.state, job.attempts, job.error, job.message, job.exit_code) for job in found] == [
        ("failed", TRIES, error.__name__, "nobody there", error.exit_code)] * 2


@pytest.mark.parametrize("error", [DeviceRefused, DeviceExhausted, BadInput, Unsupported, DoesNotFit])
def test_what_would_fail_again_is_not_tried_again(ledger, error):
    def refused(job, artifact):
        raise error("not to be")

    found = run(ledger, a_campaign(1), refused)
    assert (found[0].state, found[0].attempts, found[0].error) == ("failed", 1, error.__name__)
    assert exit_code(found) == error.exit_code


def test_one_that_fails_does_not_keep_the_others(ledger):
    def some(job):
        if job.model == "model1":
            raise DoesNotFit("flash: 3 MB too much")
        return built(job)

    assert [job.state for job in run(ledger, a_campaign(3), build=some)] == ["done", "failed", "done"]


def test_waiting_before_another_try_grows_and_leaves_room_for_other_jobs(ledger):
    order = []

    def shaky(job, artifact):
        order.append((job.model, time.monotonic()))
        if job.model == "model0":
            raise DeviceLost("gone")
        return measured(job, artifact)

    run(ledger, a_campaign(2), shaky, backoff_s=1.0)
    assert [model for model, _ in order] == ["model0", "model1", "model0", "model0"]
    first, _, second, third = (moment for _, moment in order)
    assert second - first >= 1.0 and third - second >= 2.0


def test_a_bug_is_told_with_its_traceback_and_ends_its_job_only(ledger):
    said = []

    def wrong(job, artifact):
        return measured(job, artifact) if job.model == "model1" else {}["missing"]

    found = run(ledger, a_campaign(2), wrong, say=said.append)
    assert [(job.state, job.error, job.exit_code) for job in found] == [
        ("failed", "KeyError", 1), ("done", "", 0)]
    assert any("Traceback" in line and "missing" in line for line in said) and exit_code(found) == 1


def test_failed_jobs_begin_again_when_asked_to(ledger):
    campaign = a_campaign(2)

    def refused(job, artifact):
        raise DeviceRefused("unknown host key")

    run(ledger, campaign, refused)
    assert [job.state for job in run(ledger, campaign)] == ["failed", "failed"]
    assert [job.state for job in run(ledger, campaign, again=True)] == ["done", "done"]
    assert [outcome for _, outcome, _ in outcomes(ledger)] == ["failed", "done"] * 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["build", "measure"])
def test_an_interruption_leaves_everything_to_go_on_with(ledger, stop, where):
    def interrupted(job, artifact=None):
        if job.model == "model1":
            raise stop
        return built(job) if where == "build" else measured(job, artifact)

    campaign = a_campaign(3)
    with pytest.raises(stop):
        run(ledger, campaign, **{where: interrupted})
    assert jobs.progress(ledger.store, 1).counts == {"done": 1, "pending": 2}
    began = time.monotonic()
    assert [job.state for job in run(ledger, campaign, ttl_s=30)] == ["done"] * 3
    assert time.monotonic() - began < 10  # nobody's lease is waited for
    assert len(ledger.runs()) == 3


def test_a_full_disk_of_this_host_ends_no_job(ledger):
    def full(job):
        raise OSError(errno.ENOSPC, "No space left on device")

    campaign = a_campaign(2)
    with pytest.raises(OSError, match="No space left"):
        run(ledger, campaign, build=full)
    assert [job.state for job in run(ledger, campaign)] == ["done", "done"]


def test_a_ledger_that_fails_ends_no_job(ledger, monkeypatch):
    campaign = a_campaign(2)

    def fails(*_):
        raise LedgerError("its disk is full")

    monkeypatch.setattr(Ledger, "finish", fails)
    with pytest.raises(LedgerError, match="its disk is full"):
        run(ledger, campaign)
    monkeypatch.undo()
    assert ledger.runs() == []
    assert [job.state for job in run(ledger, campaign)] == ["done", "done"]
    assert outcomes(ledger)[0][1] == "lost"


def test_a_device_that_somebody_else_has_is_waited_for(ledger):
    campaign, said = a_campaign(1), []

    def hold(ready):
        with Ledger.open(ledger.store.name) as other, other.lease(campaign.jobs[0].resources, 30):
            ready()
            time.sleep(2.5)

    with a_process(hold):
        found = run(ledger, campaign, say=said.append, ttl_s=0.5)
    assert (found[0].state, found[0].error) == ("done", "")
    assert any("is in use by process" in line for line in said)
    assert {outcome for _, outcome, _ in outcomes(ledger)} == {"waiting", "done"}


def test_a_device_that_is_busy_by_itself_is_waited_for(ledger):
    left = [DeviceBusy("/dev/ttyACM0 is open elsewhere")] * 5

    def busy(job, artifact):
        if left:
            raise left.pop()
        return measured(job, artifact)

    assert run(ledger, a_campaign(1), busy)[0].state == "done"


def test_addresses_and_keys_stay_out_of_the_ledger(ledger, tmp_path):
    board = Board(target="host", transport="ssh", address="pi@192.168.7.9",
                  identity="/home/me/.ssh/bench_key", host_key="ssh-ed25519 AAAAsecret", meters=("ppk2",))
    job, said = a_job("kws", "kitchen", board), []

    def refused(*_):
        raise DeviceRefused("pi@192.168.7.9 (192.168.7.9 port 22): /home/me/.ssh/bench_key is not let in; it "
                            "has ssh-ed25519 AAAAsecret")

    found = run(ledger, Campaign("bench", (job,)), refused, say=said.append)
    assert found[0].message == "kitchen (kitchen port 22): kitchen is not let in; it has kitchen"
    with ledger.store.read() as connection:
        stored = [str(row) for table in METADATA.sorted_tables for row in connection.execute(select(table))]
    ledger.close()
    stored += [str(path.read_bytes()) for path in tmp_path.glob("ledger.db*")]
    for secret in ("192.168.7.9", "bench_key", "AAAAsecret"):
        assert not [text for text in (*stored, *said) if secret in text]


def test_a_coordinator_of_the_environment_stays_out_of_the_ledger_too(monkeypatch):
    monkeypatch.setenv("LG_COORDINATOR", "lab.example:20408")
    assert a_job("kws", "m4", Board(target="host", transport="labgrid")).secrets == ("lab.example:20408",)


def test_a_changed_file_withdraws_jobs_and_brings_them_back(ledger):
    whole = a_campaign(3)
    less = Campaign(whole.name, whole.jobs[:1])
    jobs.register(ledger.store, whole.name, [])
    run(ledger, less)
    with pytest.raises(KeyboardInterrupt):
        run(ledger, whole, build=lambda job: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert [job.state for job in run(ledger, less)] == ["done", "withdrawn", "withdrawn"]
    assert [job.state for job in run(ledger, whole)] == ["done"] * 3
    assert [job.attempts for job in run(ledger, whole)] == [1, 2, 1]


def test_a_process_with_an_old_file_does_nothing_with_jobs_that_it_does_not_know(ledger):
    whole, done = a_campaign(3), []

    def changed(job):
        if not done:
            done.append(job)
            other = a_job("new", "pi-new")
            jobs.register(ledger.store, whole.name, [jobs.JobRow(
                key=other.key, model="new", recipe="defaults", device="pi-new", target="host")])
        return built(job)

    with pytest.raises(BadConfig, match="has other jobs now: its file was changed and begun anew; start"):
        run(ledger, whole, build=changed)


def test_the_end_is_told_and_how_far_it_is(ledger):
    said = []
    run(ledger, a_campaign(2), say=said.append)
    assert said[1].startswith("model0 by defaults on pi-") and "20 us; 1 of 2 jobs, about" in said[1]
    assert said[-1].endswith("20 us; 2 of 2 jobs")


# Several processes, and killed ones -------------------------------------------------------------------------

def test_processes_share_a_campaign(ledger, tmp_path):
    campaign = a_campaign(24, devices=2)

    def work() -> None:
        with Ledger.open(ledger.store.name) as own:
            run(own, campaign)

    children = [forked(work) for _ in range(3)]
    assert [ended(child) for child in children] == [0] * 3
    assert sorted(run.artifact for run in ledger.runs()) == sorted(job.model for job in campaign.jobs)


@pytest.mark.parametrize("where", ["build", "measure"])
def test_what_a_killed_process_was_at_is_begun_again(ledger, where):
    campaign = a_campaign(2)

    def work(ready) -> None:
        def hang(job, artifact=None):
            ready()
            for_ever()

        with Ledger.open(ledger.store.name) as own:
            run(own, campaign, **{where: hang})

    with a_process(work) as child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        began = time.monotonic()
        found = run(ledger, campaign)
    assert [(job.state, job.attempts) for job in found] == [("done", 2), ("done", 1)]
    assert time.monotonic() - began < 4
    assert outcomes(ledger)[0] == (1, "lost", "LeaseLost")


def test_a_process_that_was_stopped_for_too_long_keeps_nothing_and_goes_on(ledger, tmp_path):
    campaign = a_campaign(1)

    def work(ready) -> None:
        def slow(job, artifact):
            if not (tmp_path / "began").exists():
                (tmp_path / "began").touch()
                ready()
                time.sleep(1)
            return measured(job, artifact)

        with Ledger.open(ledger.store.name) as own:
            run(own, campaign, slow, ttl_s=0.6)

    with a_process(work) as child:
        os.kill(child, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(child, signal.SIGCONT)
        assert ended(child) == 0
    assert len(ledger.runs()) == 1
    assert jobs.statuses(ledger.store, "bench")[0].state == "done"
    assert outcomes(ledger)[0][1] in ("again", "lost")


def test_a_job_that_ends_its_process_each_time_is_given_up(ledger, monkeypatch):
    monkeypatch.setattr(jobs, "MOST_LOST", 2)
    campaign = a_campaign(2)

    def work() -> None:
        def deadly(job):
            if job.model == "model0":
                os.kill(os.getpid(), signal.SIGKILL)
            return built(job)

        with Ledger.open(ledger.store.name) as own:
            run(own, campaign, build=deadly, ttl_s=0.2)

    codes = [ended(forked(work)) for _ in range(4)]
    assert codes == [-signal.SIGKILL] * 3 + [0]
    found = jobs.statuses(ledger.store, "bench")
    assert [job.state for job in found] == ["failed", "done"]
    assert found[0].message.startswith("3 times: the process that was at it ended without a word")


def test_scheduling_costs_little(ledger):
    """Of 300 jobs, the CPU time that claims, leases and records take: the bound is for a busy machine."""
    campaign = a_campaign(300, devices=3)
    began = time.process_time()
    run(ledger, campaign, ttl_s=30)
    each_ms = (time.process_time() - began) / 300 * 1e3
    assert each_ms < 5 * 3, json.dumps({"ms a job": each_ms})
