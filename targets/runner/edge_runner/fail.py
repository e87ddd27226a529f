"""The one way to give up: a line on standard error, and an exit code that says whose fault it is (fail.h)."""

import os
import re

INPUT, MODEL, MEMORY, LIBRARY = 2, 3, 4, 5


def fail(code, message):
    """Ends the process. Control characters become spaces; 400 characters at most."""
    text = re.sub(r"[\x00-\x1f\x7f]", " ", f"edge-runner: {message}")[:400]
    os.write(2, (text + "\n").encode("utf-8", "replace"))
    os._exit(code)  # threads of a runtime are not waited for
