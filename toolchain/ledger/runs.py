"""Runs: recorded once, never changed, asked for by what they are of."""

from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, insert, select

from toolchain.errors import BadInput
from toolchain.ledger import records
from toolchain.ledger.jobs import Claim
from toolchain.ledger.leases import INSERT
from toolchain.ledger.records import Record, Subject, moment
from toolchain.ledger.schema import campaigns, conditions, jobs, runs, samples, tools


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is listed.

    kind:            "measurement" or "evaluation"
    started:         UTC, ISO 8601
    artifact_digest: sha256, hexadecimal
    campaign, attempt: of the job it was made for, if any
    """

    id: int
    kind: str
    started: str
    device: str
    target: str
    artifact: str
    artifact_digest: str
    runtime: str
    emulated: bool
    valid: bool
    problems: tuple[str, ...]
    campaign: str = ""
    attempt: int | None = None


class WholeRun(Run, frozen=True, kw_only=True):
    """A run with all that is known of it. tools: versions of what it may depend on"""

    record: Record
    tools: dict[str, str]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs.

    artifact: its name, or the beginning of its digest, 6 digits at least
    since:    ISO 8601; without an offset in local time
    last:     at most so many, the newest
    """

    device: str | None = None
    target: str | None = None
    artifact: str | None = None
    kind: str | None = None
    campaign: str | None = None
    since: str | None = None
    valid: bool | None = None
    last: int | None = None


ADD, ADD_SAMPLES, ADD_CONDITIONS = insert(runs).returning(runs.c.id), insert(samples), insert(conditions)
TOOLS = select(tools.c.id).where(tools.c.digest == bindparam("of"))


def add(connection: Connection, record: Record, subject: Subject, now: float, claimed: Claim | None = None,
        part: int | None = None) -> int:
    """A record and all that hangs on it; its id. Raises InvalidMeasurement."""
    row, raw = records.run_row(record, subject, now), records.sample_rows(record)
    row |= {"tools": _tools(connection), "sha256": records.seal(row, raw)}
    if claimed:
        row |= {"job": claimed.job, "attempt": claimed.attempt, "part": part}
    held_under = records.condition_rows(record)
    run = connection.execute(ADD, row).scalar_one()
    for add_rows, rows in ((ADD_SAMPLES, raw), (ADD_CONDITIONS, held_under)):
        if rows:
            connection.execute(add_rows, [{"run": run, **row} for row in rows])
    return run


def _tools(connection: Connection) -> int:
    row = records.tools_row()
    if (known := connection.execute(TOOLS, {"of": row["digest"]}).scalar()) is not None:
        return known
    connection.execute(INSERT[connection.dialect.name](tools).on_conflict_do_nothing(), row)
    return connection.execute(TOOLS, {"of": row["digest"]}).scalar_one()


LISTED = (runs.c.id, runs.c.kind, runs.c.started, runs.c.device, runs.c.target, runs.c.artifact,
          runs.c.digest, runs.c.runtime, runs.c.emulated, runs.c.valid, runs.c.problems, runs.c.attempt,
          campaigns.c.name.label("campaign"))
JOINED = runs.outerjoin(jobs, runs.c.job == jobs.c.id).outerjoin(campaigns, jobs.c.campaign == campaigns.c.id)


def listed(connection: Connection, wanted: Filter) -> list[Run]:
    """Oldest first."""
    rows = connection.execute(_narrowed(select(*LISTED).select_from(JOINED), wanted)).all()
    return [Run(**_listing(row)) for row in reversed(rows)]


def whole(connection: Connection, run: int) -> WholeRun:
    """All of one run. Raises BadInput where there is none of that number."""
    asked = select(*LISTED, runs.c.record, runs.c.sha256, tools.c.digest.label("tools"), tools.c.versions)
    asked = asked.select_from(JOINED.join(tools, runs.c.tools == tools.c.id)).where(runs.c.id == run)
    if (row := connection.execute(asked).first()) is None:
        raise BadInput(f"no run {run} in the ledger; `edge runs list` has those that there are")
    raw = connection.execute(select(samples).where(samples.c.run == run)).mappings().all()
    record = records.record_of(row._mapping, raw)
    return WholeRun(**_listing(row), record=record, tools=records.tools_of(row.tools, row.versions))


def _listing(row: Row) -> dict:
    return {"id": row.id, "kind": row.kind, "started": moment(row.started), "device": row.device,
            "target": row.target, "artifact": row.artifact, "artifact_digest": row.digest,
            "runtime": row.runtime, "emulated": row.emulated, "valid": row.valid,
            "problems": tuple(row.problems.splitlines()), "campaign": row.campaign or "",
            "attempt": row.attempt}


def _narrowed(asked: Select, wanted: Filter) -> Select:
    """Newest first."""
    columns = {"device": runs.c.device, "target": runs.c.target, "kind": runs.c.kind, "valid": runs.c.valid,
               "campaign": campaigns.c.name}
    for name, column in columns.items():
        if (value := getattr(wanted, name)) is not None:
            asked = asked.where(column == value)
    if wanted.artifact is not None:
        named = runs.c.artifact == wanted.artifact
        digest = runs.c.digest.startswith(wanted.artifact, autoescape=True)
        asked = asked.where(named | digest if len(wanted.artifact) >= 6 else named)
    if wanted.since is not None:
        asked = asked.where(runs.c.started >= seconds_of(wanted.since))
    return asked.order_by(runs.c.started.desc(), runs.c.id.desc()).limit(wanted.last)


def seconds_of(text: str) -> float:
    """A date or moment as seconds since 1970. Raises BadInput."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        raise BadInput(f"'{text}' is no date; write it as 2026-11-22 or 2026-11-22T13:45") from None

