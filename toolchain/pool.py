"""Connections to a database that have idled are tried before they are used: a server that was begun anew, or
a firewall that forgot them, ends no search. One in steady use is not, for each try is a round trip.
"""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

IDLE_S = 2.0
"""After so long a connection is tried."""


def try_idle(engine: "Engine") -> None:
    """Have this engine's connections tried, and made anew where they are broken."""
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError

    def left(_raw, record) -> None:
        record.info["left"] = time.monotonic()

    def taken(raw, record, _proxy) -> None:
        if time.monotonic() - record.info.get("left", time.monotonic()) > IDLE_S:
            try:
                engine.dialect.do_ping(raw)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError(str(error)) from error

    event.listen(engine, "checkin", left)
    event.listen(engine, "checkout", taken)
