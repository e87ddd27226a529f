"""A PostgreSQL server of our own, in a temporary folder, reached by a socket in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import subprocess
import tempfile

from sqlalchemy import event
from sqlalchemy.engine import Engine


def binaries() -> Path | None:
    """Where initdb and pg_ctl are: Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Its URL without a database. PostgreSQL refuses to run as root: then it runs as nobody."""
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="edge-postgresql-", dir="/tmp") as folder:
        if user:
            shutil.chown(folder, user)

        def run(*argv: str) -> None:
            subprocess.run(argv, check=True, capture_output=True, cwd="/", user=user,
                           extra_groups=[] if user else None)

        data = f"{folder}/data"
        run(f"{programs}/initdb", "-D", data, "-A", "trust", "-U", "edge", "--no-sync")
        run(f"{programs}/pg_ctl", "-D", data, "-l", f"{folder}/log", "-w", "-o",
            f"-k {folder} -c listen_addresses=''", "start")
        try:
            yield f"postgresql://edge@/{{database}}?host={folder}"
        finally:
            run(f"{programs}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


@contextmanager
def round_trips() -> Iterator[Callable[[], int]]:
    """How many there were so far, of connections that are made meanwhile, as libpq tells them."""
    connections = []
    with tempfile.TemporaryFile("w+") as trace:
        def traced(raw, _record) -> None:
            raw.pgconn.trace(trace.fileno())
            connections.append(raw.pgconn)

        def counted() -> int:
            trace.seek(0)
            sent = (line.split("\t") for line in trace.read().splitlines())
            return sum(words[1] == "F" and words[3] in ("Query", "Sync") for words in sent if len(words) > 3)

        event.listen(Engine, "connect", traced)
        try:
            yield counted
        finally:
            event.remove(Engine, "connect", traced)
            for connection in connections:  # else one in a pool writes to what has this file's number next
                connection.untrace()
