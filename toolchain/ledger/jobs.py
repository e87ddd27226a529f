"""Jobs of a campaign: which there are, who is at which, and how they ended. Results are kept exactly once.

A job that runs hangs on the lease of the process that claimed it (`worker:...`). Once that lease is over,
whoever comes next takes the job back: its process was killed, or was away for too long.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, update

from toolchain.errors import BadInput, LeaseLost
from toolchain.ledger.leases import INSERT, Lease, require
from toolchain.ledger.schema import attempts, campaigns, jobs, leases
from toolchain.ledger.store import Store

State = Literal["pending", "running", "done", "invalid", "failed", "withdrawn"]
MOST_LOST = 10
"""Attempts of a job that may end without a word; with one more it has failed."""
LOST = "the process that was at it ended without a word (killed, or out of memory), or was suspended"
IN = jobs.c.campaign == bindparam("campaign")
THIS = jobs.c.id == bindparam("which")
NEXT = (select(jobs.c.id, jobs.c.key, jobs.c.attempt, jobs.c.tries)
        .where(IN, jobs.c.state == "pending", jobs.c.not_before <= bindparam("now"))
        .order_by(jobs.c.id).limit(1).with_for_update(skip_locked=True))
NEXT_ELSEWHERE = NEXT.where(jobs.c.device.not_in(bindparam("busy", expanding=True)))
RUNNING = (select(jobs.c.id, jobs.c.device, func.coalesce(leases.c.expires, 0.0).label("expires"))
           .select_from(jobs.outerjoin(leases, leases.c.owner == jobs.c.owner))
           .where(IN, jobs.c.state == "running"))
LOST_ROW = select(jobs.c.attempt).where(THIS, jobs.c.state == "running").with_for_update(skip_locked=True)
CLAIMED = select(jobs.c.state, jobs.c.owner, jobs.c.attempt).where(THIS).with_for_update()
CHANGE = update(jobs).where(THIS)
TIMES_LOST = (select(func.count()).select_from(attempts)
              .where(attempts.c.job == bindparam("which"), attempts.c.outcome == "lost"))
BEGIN = insert(attempts)
END = update(attempts).where(attempts.c.job == bindparam("which"), attempts.c.attempt == bindparam("time"))


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign tells the ledger of a job. key: of its content"""

    key: str
    model: str
    recipe: str
    device: str
    target: str


class Claim(msgspec.Struct, frozen=True):
    """A job that is ours to do. tries: attempts before this one that failed in a way that is tried again"""

    job: int
    key: str
    attempt: int
    tries: int


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is. attempts: how often somebody began it; error: class of the last one"""

    model: str
    recipe: str
    device: str
    target: str
    state: State
    attempts: int
    error: str = ""
    message: str = ""
    exit_code: int = 0


def register(store: Store, name: str, wanted: Sequence[JobRow]) -> int:
    """The campaign's id, its jobs being those wanted: new ones wait, those no longer wanted are withdrawn."""
    with store.write(durable=True) as connection:
        found = connection.execute(select(campaigns.c.id).where(campaigns.c.name == name)).scalar()
        if found is None:
            add = INSERT[connection.dialect.name](campaigns).on_conflict_do_nothing()
            connection.execute(add, {"name": name, "began": store.now(connection)})
            found = connection.execute(select(campaigns.c.id).where(campaigns.c.name == name)).scalar_one()
        _sync(connection, found, wanted)
    return found


def _sync(connection: Connection, campaign: int, wanted: Sequence[JobRow]) -> None:
    states = select(jobs.c.key, jobs.c.state).where(IN)
    known = dict(map(tuple, connection.execute(states, {"campaign": campaign})))
    blank = {"campaign": campaign, "state": "pending", "attempt": 0, "tries": 0, "owner": "",
             "not_before": 0.0, "error": "", "message": "", "exit_code": 0}
    if new := [{**msgspec.structs.asdict(row), **blank} for row in wanted if row.key not in known]:
        connection.execute(INSERT[connection.dialect.name](jobs).on_conflict_do_nothing(), new)
    keys = {row.key for row in wanted}
    _move(connection, campaign, [key for key in known if key not in keys], "pending", "withdrawn")
    back = [key for key in keys if known.get(key) == "withdrawn"]
    _move(connection, campaign, back, "withdrawn", "pending")


def _move(connection: Connection, campaign: int, keys: list[str], before: State, after: State) -> None:
    if keys:
        at = (jobs.c.campaign == campaign, jobs.c.state == before)
        for some in (keys[i:i + 500] for i in range(0, len(keys), 500)):
            connection.execute(update(jobs).where(*at, jobs.c.key.in_(some)).values(state=after))


def again(store: Store, campaign: int, states: Sequence[State] = ("failed", "invalid")) -> int:
    """Jobs that ended so wait once more; how many."""
    with store.write(durable=True) as connection:
        return connection.execute(
            update(jobs).where(jobs.c.campaign == campaign, jobs.c.state.in_(states))
            .values(state="pending", tries=0, not_before=0.0, error="", message="", exit_code=0)).rowcount


def claim(store: Store, campaign: int, worker: Lease) -> Claim | None:
    """The next job that may begin, on a device that nobody of the campaign is at where there is one.

    None where none may begin now. Raises LeaseLost.
    """
    with store.write() as connection:
        now = store.now(connection)
        require(connection, worker, now)
        row = _next(connection, campaign, now)
        if row is None:
            return None
        attempt = row.attempt + 1
        connection.execute(CHANGE, {"which": row.id, "state": "running", "owner": worker.owner,
                                    "attempt": attempt})
        connection.execute(BEGIN, {"job": row.id, "attempt": attempt, "began": now, "outcome": "running",
                                   "error": "", "message": ""})
    return Claim(row.id, row.key, attempt, row.tries)


def _next(connection: Connection, campaign: int, now: float) -> Row | None:
    running = _still_running(connection, campaign, now)
    asked = {"campaign": campaign, "now": now}
    if running and (row := connection.execute(NEXT_ELSEWHERE, {**asked, "busy": running}).first()):
        return row
    return connection.execute(NEXT, asked).first()


def _still_running(connection: Connection, campaign: int, now: float) -> list[str]:
    """The devices of jobs that run. Those whose worker's lease is over wait again."""
    rows = connection.execute(RUNNING, {"campaign": campaign}).all()
    for row in rows:
        if row.expires <= now:
            _take_back(connection, row.id, now)
    return [row.device for row in rows if row.expires > now]


def _take_back(connection: Connection, job: int, now: float) -> None:
    """A job that was lost waits again; one that was lost too often has failed: it may be what ends them."""
    row = connection.execute(LOST_ROW, {"which": job}).first()
    if row is None:  # another process is at it
        return
    _end_attempt(connection, job, row.attempt, now, "lost", LeaseLost.__name__, LOST)
    if (count := connection.execute(TIMES_LOST, {"which": job}).scalar_one()) <= MOST_LOST:
        connection.execute(CHANGE, {"which": job, "owner": "", "state": "pending"})
    else:
        connection.execute(CHANGE, {
            "which": job, "owner": "", "state": "failed", "error": LeaseLost.__name__,
            "message": f"{count} times: {LOST}", "exit_code": LeaseLost.exit_code})


def _end_attempt(connection: Connection, job: int, attempt: int, now: float, outcome: str, error: str = "",
                 message: str = "") -> None:
    connection.execute(END, {"which": job, "time": attempt, "ended": now, "outcome": outcome, "error": error,
                             "message": message})


def require_claim(connection: Connection, claimed: Claim, worker: Lease) -> None:
    """Raises LeaseLost where the job has gone to somebody else; else it stays ours until the transaction
    ends."""
    row = connection.execute(CLAIMED, {"which": claimed.job}).one()
    if tuple(row) != ("running", worker.owner, claimed.attempt):
        raise LeaseLost("the job was taken back while this process was away (suspended, or too busy), so "
                        "what it measured is not kept; it is measured again")


def end(connection: Connection, claimed: Claim, now: float, state: Literal["done", "invalid"]) -> None:
    """In the transaction that records the job's results."""
    _end_attempt(connection, claimed.job, claimed.attempt, now, state)
    connection.execute(CHANGE, {"which": claimed.job, "state": state, "owner": "", "error": "", "message": "",
                                "exit_code": 0})


def fail(store: Store, claimed: Claim, worker: Lease, error: str, message: str, exit_code: int) -> None:
    """The job has failed, for good. Raises LeaseLost."""
    with store.write(durable=True) as connection:
        require_claim(connection, claimed, worker)
        now = store.now(connection)
        _end_attempt(connection, claimed.job, claimed.attempt, now, "failed", error, message)
        connection.execute(CHANGE, {"which": claimed.job, "state": "failed", "owner": "", "error": error,
                                    "message": message, "exit_code": exit_code})


def put_back(store: Store, claimed: Claim, worker: Lease,
             outcome: Literal["again", "waiting", "interrupted"], error: str = "", message: str = "",
             wait_s: float = 0.0) -> None:
    """The job waits again, for so long at least. `again` counts as a try. Raises LeaseLost."""
    with store.write() as connection:
        require_claim(connection, claimed, worker)
        now = store.now(connection)
        _end_attempt(connection, claimed.job, claimed.attempt, now, outcome, error, message)
        connection.execute(CHANGE, {"which": claimed.job, "state": "pending", "owner": "", "error": error,
                                    "message": message, "not_before": now + wait_s,
                                    "tries": claimed.tries + (outcome == "again")})


class Progress(msgspec.Struct, frozen=True):
    """counts: state -> jobs; next_s: until a waiting job may begin, 0 for now, None where none waits"""

    counts: dict[State, int]
    next_s: float | None

    @property
    def over(self) -> bool:
        """Nothing waits, nothing runs."""
        return not self.counts.get("pending") and not self.counts.get("running")


def progress(store: Store, campaign: int) -> Progress:
    """How far a campaign is."""
    at = jobs.c.campaign == campaign
    with store.read() as connection:
        counts = connection.execute(select(jobs.c.state, func.count()).where(at).group_by(jobs.c.state)).all()
        first = connection.execute(select(func.min(jobs.c.not_before))
                                   .where(and_(at, jobs.c.state == "pending"))).scalar_one()
        now = store.now(connection)
    return Progress(dict(map(tuple, counts)), None if first is None else max(0.0, first - now))


def statuses(store: Store, campaign: str) -> list[JobStatus]:
    """Every job of the campaign of that name, in its order. Raises BadInput."""
    with store.read() as connection:
        found = connection.execute(select(campaigns.c.id).where(campaigns.c.name == campaign)).scalar()
        if found is None:
            raise BadInput(f"no campaign '{campaign}' in {store.name}; it begins with `edge campaign FILE`")
        rows = connection.execute(select(jobs).where(jobs.c.campaign == found).order_by(jobs.c.id)).all()
    return [JobStatus(model=row.model, recipe=row.recipe, device=row.device, target=row.target,
                      state=row.state, attempts=row.attempt, error=row.error, message=row.message,
                      exit_code=row.exit_code)
            for row in rows]
