"""Foreign runtimes in a child process: what makes one of them crash is an error here, not the end."""

from collections.abc import Callable, Mapping
import io
import json
import os
import signal

import numpy as np

from toolchain import errors
from toolchain.errors import BadModel, ToolchainError

Arrays = Mapping[str, np.ndarray]


def apart(compute: Callable[[], Arrays], runtime: str) -> dict[str, np.ndarray]:
    """`compute()` in a forked child. Its arrays come back as bytes that hold no code.

    runtime: who computes, for the message
    Raises BadModel where the child crashes, and what `compute` raises of the user's errors.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(writer, compute)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) or not answer:
        cause = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "no answer"
        raise BadModel(f"{runtime} crashes on it ({cause}); the model is damaged: export it again")
    return _unpacked(answer)


def _answer(writer: int, compute: Callable[[], Arrays]) -> None:
    """In the child: write the result or the error, and end without the parent's clean-up."""
    try:
        try:
            answer = _packed({}, compute())
        except ToolchainError as error:
            answer = _packed({"error": type(error).__name__, "message": str(error)}, {})
        except Exception as error:
            answer = _packed({"error": "BadModel", "message": f"{type(error).__name__}: {error}"}, {})
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(answer)
    finally:
        os._exit(0)


def _packed(head: Mapping[str, str], arrays: Arrays) -> bytes:
    """A line of JSON, then the arrays in the order of its names."""
    buffer = io.BytesIO()
    buffer.write(json.dumps({**head, "names": list(arrays)}).encode() + b"\n")
    for array in arrays.values():
        np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def _unpacked(answer: bytes) -> dict[str, np.ndarray]:
    buffer = io.BytesIO(answer)
    head = json.loads(buffer.readline())
    if "error" in head:
        raise getattr(errors, head["error"], BadModel)(head["message"])
    return {name: np.lib.format.read_array(buffer, allow_pickle=False) for name in head["names"]}
