"""The tables of a ledger as they are today; `migrations.py` makes them. Times: seconds since 1970, by the
database's clock but for `runs.started`.

runs and what hangs on them (samples, conditions, tools) and attempts that have ended are only ever added to.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()


def _text(name: str, **options) -> Column:
    return Column(name, Text, nullable=False, **options)


def _number(name: str, kind=BigInteger, **options) -> Column:
    return Column(name, kind, **{"nullable": False, **options})


def _of(name: str, table: str, **options) -> Column:
    return Column(name, BigInteger, ForeignKey(f"{table}.id"), **{"nullable": False, **options})


schema_version = Table("schema_version", METADATA, _number("version", primary_key=True),
                       _number("applied", Double))

tools = Table("tools", METADATA, _number("id", primary_key=True), _text("digest", unique=True),
              _text("versions"))
"""Sets of tools' versions, JSON, each once."""

campaigns = Table("campaigns", METADATA, _number("id", primary_key=True), _text("name", unique=True),
                  _number("began", Double))

jobs = Table(
    "jobs", METADATA, _number("id", primary_key=True), _of("campaign", "campaigns"), _text("key"),
    _text("model"), _text("recipe"), _text("device"), _text("target"), _text("state"), _number("attempt"),
    _number("tries"), _text("owner"), _number("not_before", Double), _text("error"), _text("message"),
    _number("exit_code"), UniqueConstraint("campaign", "key"))
"""state: pending, running, done, invalid, failed, withdrawn (no longer in the campaign's file)

key:        of its content
attempt:    of the last claim, from 1
tries:      attempts that failed in a way that is tried again
owner:      of the worker lease that a running one hangs on
not_before: it waits until then
error, message, exit_code: why it failed
"""

attempts = Table(
    "attempts", METADATA, _of("job", "jobs", primary_key=True), _number("attempt", primary_key=True),
    _number("began", Double), _number("ended", Double, nullable=True), _text("outcome"), _text("error"),
    _text("message"))
"""outcome: running, done, invalid, failed, again (tried again), waiting (device busy), interrupted, lost (its
process ended without a word, or was away for longer than its lease)"""

runs = Table(
    "runs", METADATA, _number("id", primary_key=True), _text("kind"), _number("started", Double),
    _number("recorded", Double), _text("device"), _text("target"), _text("artifact"), _text("digest"),
    _text("runtime"), _number("emulated", Boolean), _number("valid", Boolean), _text("problems"),
    _of("tools", "tools"), _text("record"), _text("sha256"), _of("job", "jobs", nullable=True),
    _number("attempt", nullable=True), _number("part", nullable=True))
"""One measurement or evaluation each.

record:   its JSON, without the raw samples;  sha256: of that, the columns and the raw samples
problems: one a line
part:     which of the records of its job's attempt
"""

samples = Table("samples", METADATA, _of("run", "runs", primary_key=True), _text("name", primary_key=True),
                _number("count"), _number("data", LargeBinary))
"""A field of a record that holds raw samples: zlib over little-endian float64."""

conditions = Table("conditions", METADATA, _of("run", "runs", primary_key=True),
                   _text("name", primary_key=True), _text("value"))
"""What a measurement holds under, to be asked for by name; values are JSON."""

leases = Table(
    "leases", METADATA, _text("resource", primary_key=True), _text("owner"), _text("host"), _number("pid"),
    _number("since", Double), _number("expires", Double), _number("token"))
"""Who has a device or a meter, until when.

owner: of this lease alone, random; "" where it was given back
token: counts up each time that the resource changes hands
"""
