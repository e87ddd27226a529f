"""What a model calls things, made safe for C. Names come from untrusted files: none reaches C as it is."""

import re

LONGEST = 48


def identifier(name: str) -> str:
    """Letters, digits and underscores, at most LONGEST, a letter first; `tk_` is left to the kernels."""
    word = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")[:LONGEST].rstrip("_")
    ours = word[:1].isalpha() and not f"{word}_".lower().startswith("tk_")
    return word if ours else f"t_{word}".rstrip("_")


class Symbols:
    """One C identifier per name: names that look alike in C get a number."""

    def __init__(self):
        self._symbol: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The name's identifier, the same at every call."""
        if name not in self._symbol:
            word, number, taken = identifier(name), 1, set(self._symbol.values())
            while (candidate := word if number == 1 else f"{word}_{number}") in taken:
                number += 1
            self._symbol[name] = candidate
        return self._symbol[name]


def literal(text: str) -> str:
    """The text as a C string literal: UTF-8; all but letters, digits and spaces as octal escapes."""
    safe = re.sub(rb"[^0-9A-Za-z_ ,.-]", lambda found: b"\\%03o" % ord(found[0]), text.encode())
    return f'"{safe.decode()}"'


def plain(text: str) -> str:
    """For a comment or a string literal: ASCII that neither ends one, escapes, nor makes a trigraph."""
    return re.sub(r"[^0-9A-Za-z_.:;,+=>\-\[\]() ]", "_", text.replace("/", "."))
