"""Leases by a clock that the test turns: who has what, until when, and what a lease that is over is worth."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import tempfile

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
import pytest
from sqlalchemy import select

from tests.ledger.measured import a_measurement
from toolchain.errors import DeviceBusy, LeaseLost
from toolchain.ledger.leases import Lease, give_back, renew, take
from toolchain.ledger.ledger import Ledger
from toolchain.ledger.schema import leases


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self, _connection) -> float:
        return self.now


@contextmanager
def simulated() -> Iterator[tuple[Ledger, Clock]]:
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        with Ledger.open(str(Path(folder, "ledger.db")), clock) as ledger:
            yield ledger, clock


@pytest.fixture
def clocked(url):
    clock = Clock()
    with Ledger.open(url, clock) as ledger:
        yield ledger, clock


def test_a_held_device_names_its_holder(clocked):
    ledger, clock = clocked
    take(ledger.store, ["device:pi"], 30)
    clock.now += 10
    with pytest.raises(DeviceBusy, match=r"device:pi is in use by process \d+ of \S+ since "
                                         r"2023-11-14T22:13:20\+00:00, until 2023-11-14T22:13:50\+00:00 "
                                         r"\(20 s from now\) unless it goes on; wait, or end that process"):
        take(ledger.store, ["device:pi", "meter:ppk2"], 30)


def test_nothing_tells_who_had_a_device(clocked):
    ledger, _ = clocked
    give_back(ledger.store, take(ledger.store, ["device:pi"], 30))
    with ledger.store.read() as connection:
        row, = connection.execute(select(leases)).all()
    assert (row.owner, row.host, row.pid, row.token) == ("", "", 0, 1)


def test_all_or_none(clocked):
    ledger, clock = clocked
    take(ledger.store, ["meter:ppk2"], 30)
    with pytest.raises(DeviceBusy):
        take(ledger.store, ["device:pi", "meter:ppk2"], 30)
    assert take(ledger.store, ["device:pi"], 30).tokens == {"device:pi": 1}


def test_a_lease_ends_by_itself_and_the_next_one_has_a_higher_token(clocked):
    ledger, clock = clocked
    take(ledger.store, ["device:pi"], 30)
    clock.now += 29.9
    with pytest.raises(DeviceBusy):
        take(ledger.store, ["device:pi"], 30)
    clock.now += 0.1
    assert take(ledger.store, ["device:pi"], 30).tokens == {"device:pi": 2}


def test_work_that_is_unclaimed_is_what_a_claim_would_give(clocked):
    ledger, clock = clocked
    take(ledger.store, ["trial:1"], 30)
    take(ledger.store, ["trial:2"], 60)
    give_back(ledger.store, take(ledger.store, ["trial:3"], 30))
    wanted = ["trial:3", "trial:2", "trial:1", "trial:0"]
    assert ledger.unclaimed(wanted) == ["trial:3", "trial:0"]
    clock.now += 30
    assert ledger.unclaimed(wanted) == ["trial:3", "trial:1", "trial:0"] and ledger.unclaimed([]) == []


def test_who_slept_through_its_leases_end_records_nothing(clocked):
    ledger, clock = clocked
    lease = take(ledger.store, ["device:pi", "meter:ppk2"], 30)
    clock.now += 30
    with pytest.raises(LeaseLost, match="the lease on device:pi ran out while this process was away .* what "
                                        "it measured is not kept; measure again"):
        ledger.record(a_measurement(), lease=lease)
    assert ledger.runs() == [] and lease.ended.is_set()


def test_who_lost_one_of_its_resources_records_nothing(clocked):
    """Even where the other one is still its own: the meter saw somebody else's board."""
    ledger, clock = clocked
    lease = take(ledger.store, ["device:pi", "meter:ppk2"], 30)
    clock.now += 31
    other = take(ledger.store, ["meter:ppk2"], 30)
    clock.now -= 20  # and the clock is put back
    with pytest.raises(LeaseLost):
        ledger.record(a_measurement(), lease=lease)
    ledger.record(a_measurement(), lease=other)
    assert len(ledger.runs()) == 1


def test_a_lease_that_ran_out_is_not_renewed(clocked):
    ledger, clock = clocked
    lease = take(ledger.store, ["device:pi"], 30)
    clock.now += 20
    renew(ledger.store, lease)
    clock.now += 29
    renew(ledger.store, lease)
    clock.now += 30
    with pytest.raises(LeaseLost):
        renew(ledger.store, lease)


def test_giving_back_takes_nothing_from_the_next_holder(clocked):
    ledger, clock = clocked
    old = take(ledger.store, ["device:pi"], 30)
    clock.now += 31
    take(ledger.store, ["device:pi"], 30)
    give_back(ledger.store, old)
    with pytest.raises(DeviceBusy):
        take(ledger.store, ["device:pi"], 30)


class Leases(RuleBasedStateMachine):
    """Against a model: resource -> (lease that has it, until when). `was` has every lease there ever was."""

    def __init__(self):
        super().__init__()
        self.context = simulated()
        self.ledger, self.clock = self.context.__enter__()
        self.model: dict[str, tuple[Lease, float]] = {}
        self.was: list[Lease] = []
        self.tokens: dict[str, int] = {}
        self.recorded = 0

    def teardown(self):
        self.context.__exit__(None, None, None)

    def held(self, resource: str) -> Lease | None:
        lease, until = self.model.get(resource, (None, 0.0))
        return lease if until > self.clock.now else None

    def whole(self, lease: Lease) -> bool:
        return all(self.held(resource) is lease for resource in lease.tokens)

    @rule(resources=st.sets(st.sampled_from("abc"), min_size=1), ttl_s=st.sampled_from([5.0, 30.0]))
    def take(self, resources, ttl_s):
        if any(self.held(resource) for resource in resources):
            with pytest.raises(DeviceBusy):
                take(self.ledger.store, list(resources), ttl_s)
            return
        lease = take(self.ledger.store, list(resources), ttl_s)
        for resource, token in lease.tokens.items():
            assert token > self.tokens.get(resource, 0)
            self.tokens[resource] = token
            self.model[resource] = (lease, self.clock.now + ttl_s)
        self.was.append(lease)

    @rule(seconds=st.sampled_from([1.0, 4.0, 5.0, 29.0, 31.0]))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule(data=st.data())
    def renew(self, data):
        if not self.was:
            return
        lease = data.draw(st.sampled_from(self.was))
        if not self.whole(lease):
            with pytest.raises(LeaseLost):
                renew(self.ledger.store, lease)
            return
        renew(self.ledger.store, lease)
        for resource in lease.tokens:
            self.model[resource] = (lease, self.clock.now + lease.ttl_s)

    @rule(data=st.data())
    def give_back(self, data):
        if self.was:
            lease = data.draw(st.sampled_from(self.was))
            give_back(self.ledger.store, lease)
            self.model = {resource: kept for resource, kept in self.model.items() if kept[0] is not lease}

    @rule(data=st.data())
    def record(self, data):
        """Only of who holds all that it measured with."""
        if not self.was:
            return
        lease = data.draw(st.sampled_from(self.was))
        if self.whole(lease):
            self.ledger.record(a_measurement(), lease=lease)
            self.recorded += 1
        else:
            with pytest.raises(LeaseLost):
                self.ledger.record(a_measurement(), lease=lease)

    @invariant()
    def what_is_recorded_is_there(self):
        assert len(self.ledger.runs()) == self.recorded


Leases.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLeases = Leases.TestCase
