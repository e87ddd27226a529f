"""Lines "key value..." on standard output, as record.h says."""

import os


class Record:
    """What a library prints on standard output goes to standard error from here on."""

    def __init__(self):
        self._file = os.fdopen(os.dup(1), "wb", 1 << 16)
        os.dup2(2, 1)
        self.line("edge-runner", 1)

    def line(self, key, *words):
        self._file.write((" ".join([key, *map(str, words)]) + "\n").encode("ascii"))

    def close(self):
        self.line("end")
        self._file.close()


def encoded(text):
    """Percent-encoded: bytes outside 0x21-0x7e, '%' and '!'."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    plain = (chr(b) if 0x20 < b < 0x7f and b not in b"%!" else f"%{b:02X}" for b in raw[:1000])
    return "".join(plain) or "%"
