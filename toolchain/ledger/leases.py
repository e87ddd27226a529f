"""Who has a device or a meter, until when: leases that end by themselves where their holder dies.

A lease is held from when it is taken until its time is up by the database's clock; `renewal.py` has it
renewed. Each time that a resource changes hands its fencing token counts up (Kleppmann, "How to do
distributed locking", 2016): a holder that slept through its lease's end finds that out in the very
transaction that records its result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import os
import secrets
import socket
import threading

from sqlalchemy import Connection, Row, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from toolchain.errors import DeviceBusy, LeaseLost
from toolchain.ledger.records import moment
from toolchain.ledger.schema import leases
from toolchain.ledger.store import Store

INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
OF_THESE = leases.c.resource.in_(bindparam("resources", expanding=True))
OURS = leases.c.owner == bindparam("holder")
LOOK = select(leases).where(OF_THESE).order_by(leases.c.resource)
ROWS = LOOK.with_for_update()
TAKE = update(leases).where(OF_THESE).values(token=leases.c.token + 1)
KEEP = update(leases).where(OURS)


@dataclass(frozen=True)
class Lease:
    """Resources that are ours.

    owner:  of this lease alone, random
    tokens: resource -> fencing token
    ended:  set once it is known to have run out
    """

    owner: str
    tokens: Mapping[str, int]
    ttl_s: float
    ended: threading.Event = field(default_factory=threading.Event)


def take(store: Store, resources: Sequence[str], ttl_s: float, from_the_dead: bool = False) -> Lease:
    """All of the resources in one transaction, in the order of their names. Raises DeviceBusy.

    from_the_dead: at once what a process had that was of a host of our name and is there no more. Hosts may
                   share a name: of work that may be done twice, not of devices
    """
    resources, owner = sorted(set(resources)), secrets.token_hex(16)
    if len(resources) == 1 and (token := _take_free(store, resources[0], owner, ttl_s)):
        return Lease(owner, {resources[0]: token}, ttl_s)
    with store.write() as connection:
        rows = _rows(connection, resources)
        now = store.now(connection)
        if busy := _first_held([row for row in rows if not (from_the_dead and _died(row))], now):
            raise busy
        connection.execute(TAKE, {"resources": resources, "owner": owner, "host": socket.gethostname(),
                                  "pid": os.getpid(), "since": now, "expires": now + ttl_s})
    return Lease(owner, {row.resource: row.token + 1 for row in rows}, ttl_s)


def _take_free(store: Store, resource: str, owner: str, ttl_s: float) -> int | None:
    """The fencing token of a resource that was nobody's, which is most often so: it takes one statement. None
    where somebody has it."""
    with store.single() as connection:
        insert, now = INSERT[connection.dialect.name](leases), store.now_within(connection)
        row = {"owner": owner, "host": socket.gethostname(), "pid": os.getpid(), "since": now,
               "expires": now + ttl_s}
        there = {name: insert.excluded[name] for name in row} | {"token": leases.c.token + 1}
        free = or_(leases.c.owner == "", leases.c.expires <= insert.excluded.since)
        insert = insert.values(resource=resource, token=1, **row)
        return connection.execute(insert.on_conflict_do_update(
            index_elements=[leases.c.resource], set_=there, where=free).returning(leases.c.token)).scalar()


def _rows(connection: Connection, resources: Sequence[str]) -> Sequence[Row]:
    """The resources' rows, ours until the transaction ends; made where there is none."""
    found = connection.execute(ROWS, {"resources": resources}).all()
    if len(found) < len(resources):
        nobody = {"owner": "", "host": "", "pid": 0, "since": 0.0, "expires": 0.0, "token": 0}
        insert = INSERT[connection.dialect.name](leases).on_conflict_do_nothing()
        connection.execute(insert, [{"resource": resource, **nobody} for resource in resources])
        found = connection.execute(ROWS, {"resources": resources}).all()
    return found


def held_by(store: Store, resources: Sequence[str]) -> DeviceBusy | None:
    """Who has one of the resources, as an error to raise; None for nobody."""
    with store.read() as connection:
        rows = connection.execute(LOOK, {"resources": list(resources)}).all()
        return _first_held(rows, store.now(connection))


def free(store: Store, resources: Sequence[str]) -> list[str]:
    """Those that `take` would give `from_the_dead`, as far as one look at all of them tells."""
    with store.single() as connection:
        look = LOOK.add_columns(store.now_within(connection).label("now"))
        rows = connection.execute(look, {"resources": list(resources)}).all()
    held = {row.resource for row in rows if row.owner and row.expires > row.now and not _died(row)}
    return [resource for resource in resources if resource not in held]


def _first_held(rows: Sequence[Row], now: float) -> DeviceBusy | None:
    return next((_in_use(row, now) for row in rows if row.owner and row.expires > now), None)


def _died(row: Row) -> bool:
    if row.host != socket.gethostname():
        return False
    try:
        os.kill(row.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _in_use(row: Row, now: float) -> DeviceBusy:
    return DeviceBusy(
        f"{row.resource} is in use by process {row.pid} of {row.host} since {moment(row.since)}, until "
        f"{moment(row.expires)} ({row.expires - now:.0f} s from now) unless it goes on; wait, or end that "
        f"process")


def require(connection: Connection, lease: Lease, now: float) -> None:
    """Raises LeaseLost where the lease is no longer held; else nobody takes it before the transaction
    ends."""
    for row in connection.execute(ROWS, {"resources": list(lease.tokens)}).all():
        if (row.owner, row.token) != (lease.owner, lease.tokens[row.resource]) or row.expires <= now:
            lease.ended.set()
            raise LeaseLost(f"the lease on {row.resource} ran out while this process was away (suspended, or "
                            f"too busy), so what it measured is not kept; measure again")


def renew(store: Store, lease: Lease) -> None:
    """From now on, another `ttl_s`. Raises LeaseLost where it has run out."""
    with store.write() as connection:
        now = store.now(connection)
        require(connection, lease, now)
        connection.execute(KEEP, {"holder": lease.owner, "expires": now + lease.ttl_s})


def give_back(store: Store, lease: Lease) -> None:
    """What of it is still ours is anybody's, and nothing tells who had it."""
    with store.single() as connection:
        connection.execute(KEEP, {"holder": lease.owner, "owner": "", "host": "", "pid": 0, "expires": 0.0})
