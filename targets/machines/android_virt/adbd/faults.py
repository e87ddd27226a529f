"""What is made to go wrong."""

import errno
import json
import os
from pathlib import Path


class Faults:
    """What goes wrong: a JSON file, read again at every connection and service.

    {"kind": K, "service": "sync:", "after": bytes, "seconds": S}; services that begin so are meant.
    mute     no connection is answered: the host lists the device as offline
    ignore   no such service is answered
    drop     the connection ends when so many bytes of such services have passed, once
    offline  drop, then mute
    garbage  at that place comes what is no packet
    flip     at that place a byte is another one
    full     nothing more than so many bytes is written by SEND
    slow     that long before every packet
    """

    def __init__(self, path: str | None):
        self.path, self.text, self.plan, self.passed = path, "{}", {}, 0

    def load(self) -> None:
        text = Path(self.path).read_text() if self.path and os.path.exists(self.path) else "{}"
        if text != self.text:
            self.text, self.plan, self.passed = text, json.loads(text), 0

    def meets(self, kind: str, service: str = "") -> bool:
        return self.plan.get("kind") == kind and service.startswith(self.plan.get("service", ""))

    def due(self, service: str, size: int) -> str | None:
        """So many bytes of a service pass: the kind of fault that strikes among them."""
        kind = self.plan.get("kind")
        if kind not in ("drop", "offline", "garbage", "flip") or not self.meets(kind, service):
            return None
        self.passed += size
        if self.passed < self.plan.get("after", 0):
            return None
        self.plan = {"kind": "mute"} if kind == "offline" else {}
        return kind

    def room(self, size: int) -> None:
        """SEND writes so many bytes. Raises OSError (ENOSPC)."""
        if self.plan.get("kind") == "full":
            self.passed += size
            if self.passed > self.plan.get("after", 0):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
